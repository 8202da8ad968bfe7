"""`edge-node up`: all services in the foreground, for one machine without systemd and for trying the node."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import click

from edge_node import __version__
from edge_node.base.clock import SystemClock
from edge_node.base.errors import ConfigError, ServiceError
from edge_node.base.files import file_lock
from edge_node.cli.main import Where, run_as_owner, where_options
from edge_node.cli.output import answer, talk
from edge_node.cli.run import listening
from edge_node.config.load import parse
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.status import NodeStatus, ServiceState, status_reader
from edge_node.store.places import db_path


@click.command()
@click.option("--port", type=click.IntRange(1, 65534), help="Serve pages on this port and metrics on the next.")
@where_options
@click.pass_obj
def up(where: Where, port: int | None) -> None:
    """All services in the foreground, until Ctrl-C; the first start makes a training clinic."""
    from edge_node.services.up import Foreground

    try:
        with file_lock(_state_dir(where) / "up.lock", wait=False):
            _first_start_if_none(where, port)
            config = where.load()
            run_as_owner(config)
            config = _at_port(config, port)
            _refuse_taken_ports(config)
            answer(f"edge-node {__version__}   {config.node.name}   {config.node.state_dir}")
            _ensure_databases(where)
            common = where.arguments()
            clock = SystemClock()
            read = status_reader(config, clock)
            foreground = Foreground(
                arguments={
                    "links": common,
                    "replica": [*common, "--no-timers"],
                    "his": [*common, "--listen", str(config.his.listen)],
                    "outbox": common,
                    "monitor": [*common, "--listen", str(config.monitor.listen)],
                },
                clock=clock,
                is_ready=lambda: _is_ready(read()),
                on_ready=lambda: _tell_ready(config, where),
            )
            raise click.exceptions.Exit(foreground.run())
    except BlockingIOError:
        raise ServiceError(
            "already-running",
            f"another `edge-node up` runs in {_state_dir(where)}",
            context=None,
            hint="stop it first, or choose another folder with --home (EDGE_HOME= for make run)",
        ) from None


def _state_dir(where: Where) -> Path:
    """The folder whose lock says who runs here; made where `--home` names one that is not there yet."""
    if where.home is None or where.config is not None:
        return where.load().node.state_dir
    home = where.home.resolve()
    try:
        home.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            "config-missing",
            f"{home} cannot be made: {error.strerror}",
            context=None,
            hint="choose a folder that you may write to: edge-node up --home DIR (EDGE_HOME= for make run)",
        ) from error
    return home


def _first_start_if_none(where: Where, port: int | None) -> None:
    """Make a training clinic in a folder that holds none; an interrupted one is made to its end."""
    if where.home is None or where.config is not None:
        return
    home = where.home.resolve()
    is_made = (home / "edge-node.toml").exists()
    if is_made and db_path(home, "his").exists():
        return
    from edge_node.cli import init

    if is_made and init.traces_of_work(home / "edge-node.toml", home=home):
        return  # It has lost its database, which is for `db ensure`.
    if not is_made:
        # Before anything is made: its first passwords are shown once, and must not be lost to a taken port.
        _refuse_taken_ports(_at_port(parse(f'[node]\nid = "{init.TRAINING_ID}"\n', home=home), port))
    talk(f"first start: making a training clinic in {home}")
    init.first_start(home, node_id=init.TRAINING_ID, name=init.TRAINING_NAME, admin="admin", training=True)


def _at_port(config: Config, port: int | None) -> Config:
    if port is None:
        return config
    config = listening(config, "his", str(Endpoint(config.his.listen.host, port)))
    return listening(config, "monitor", str(Endpoint(config.monitor.listen.host, port + 1)))


def _ensure_databases(where: Where) -> None:
    """What ExecStartPre is to the units: lost databases are restored, older ones migrated, before a service starts.

    In a process of its own, since what it draws in would stay in this one.
    """
    code = subprocess.call(
        [sys.executable, "-m", "edge_node", "db", "ensure", *where.arguments()], stdin=subprocess.DEVNULL
    )
    if code:
        raise click.exceptions.Exit(code)


def _refuse_taken_ports(config: Config) -> None:
    for endpoint in (config.his.listen, config.monitor.listen):
        _refuse_taken_port(endpoint)


def _refuse_taken_port(endpoint: Endpoint) -> None:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.host, endpoint.port))
        except OSError as error:
            raise ServiceError(
                "already-running",
                f"{endpoint} cannot be listened on: {error.strerror}",
                context="another program has this port" if error.errno == 98 else None,
                hint="choose another: edge-node up --port N (PORT=N for make run)",
            ) from error


def _is_ready(node: NodeStatus) -> bool:
    """Does every service work, Litestream among them? A destination that is away keeps nobody waiting."""
    return node.replica["litestream"] == "running" and all(state is ServiceState.OK for state in node.services.values())


def _program() -> str:
    """How this program is called from here: `make run` does not put it on the path."""
    if shutil.which("edge-node"):
        return "edge-node"
    return sys.argv[0] if not sys.argv[0].endswith("__main__.py") else f"{sys.executable} -m edge_node"


def _tell_ready(config: Config, where: Where) -> None:
    scheme = "https" if config.his.tls else "http"
    rows = (
        ("pages", f"{scheme}://{config.his.listen}"),
        ("metrics", f"http://{config.monitor.listen}/metrics"),
        ("replica", str(config.replica.local)),
        *((destination.name, destination.url) for destination in config.replica.destination),
        ("status", f"{_program()} status {' '.join(where.arguments())}"),
    )
    answer("\n".join(f"  {name:<10}{value}" for name, value in rows))
    answer("ready; Ctrl-C stops everything")
