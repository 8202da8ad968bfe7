"""The `edge-node` command: options before or after the verb, errors as sentences, exit codes as in the contract."""

from __future__ import annotations

import getpass
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from edge_node import __version__
from edge_node.base.errors import EdgeError, ExitCode
from edge_node.config.load import load
from edge_node.config.schema import Config

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_CONFIG = Path("/etc/edge-node/edge-node.toml")


@dataclass
class Where:
    """Which configuration a command speaks of: --config, --home, the environment, or the system's."""

    config: Path | None = None
    home: Path | None = None

    def path(self) -> Path:
        if self.config is not None:
            return self.config
        if self.home is not None:
            return self.home / "edge-node.toml"
        return Path(os.environ.get("EDGE_NODE_CONFIG", DEFAULT_CONFIG))

    def load(self) -> Config:
        """Raises ConfigError."""
        return load(self.path(), home=self.home.resolve() if self.home and not self.config else None)

    def arguments(self) -> list[str]:
        """The options that make another `edge-node` speak of the same configuration."""
        if self.home is not None and self.config is None:
            return ["--home", str(self.home.resolve())]
        return ["--config", str(self.path().resolve())]


def where_options(command: F) -> F:
    """--config and --home on a command; they override those given before the verb."""

    def remember(attribute: str) -> Callable[[click.Context, click.Parameter, Path | None], None]:
        def callback(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
            if value is not None:
                setattr(ctx.ensure_object(Where), attribute, value)

        return callback

    path = click.Path(path_type=Path)
    for name, attribute, text in (
        ("--home", "home", "Folder that holds configuration and data."),
        ("--config", "config", "Configuration file."),
    ):
        command = click.option(
            name, type=path, expose_value=False, is_eager=True, callback=remember(attribute), help=text
        )(command)
    return command


def run_as_owner(config: Config) -> None:
    """Root becomes the owner of the state folder before it touches what lies there, so that no file of root's stays.

    Re-executes the same command; returns when there is nothing to change.
    """
    try:
        owner = config.node.state_dir.stat()
    except FileNotFoundError:
        return
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    caller()
    os.setgroups([owner.st_gid])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    os.execv(sys.executable, [sys.executable, "-m", "edge_node", *sys.argv[1:]])


def run_as_writer(config: Config) -> None:
    """`run_as_owner`, for a command that changes the clinic's data or deletes copies of it.

    Raises StoreError superseded where another machine has replaced this one: what is written here nobody would take.
    """
    from edge_node.status.superseded import read_superseded

    run_as_owner(config)
    if (owner := read_superseded(config.node.state_dir)) is not None:
        raise owner.refusal()


# Who gave the command, for the process that then runs as the owner of the state folder.
CALLER_VARIABLE = "EDGE_NODE_CALLER"


def caller() -> str:
    """Who calls, also behind sudo and after `run_as_owner`; for the record."""
    name = os.environ.get(CALLER_VARIABLE) or os.environ.get("SUDO_USER")
    if not name:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            name = f"uid {os.getuid()}"
    os.environ[CALLER_VARIABLE] = name
    return name


# Where each command lives. A service draws in its own parts only: with every command imported it takes three times
# the memory (93 MB against 28, measured for the replicator).
COMMANDS = {
    "init": "init:init",
    "up": "up:up",
    "run": "run:run",
    "status": "status:status",
    "doctor": "doctor:doctor",
    "audit": "audit:audit_group",
    "certificate": "certificate:certificate_group",
    "config": "config:config_group",
    "db": "db:db_group",
    "handover": "handover:handover",
    "import": "catalogue:import_group",
    "line": "line:line_group",
    "order": "order:order_group",
    "outbox": "outbox:outbox_group",
    "reflector": "reflector:reflector",
    "replica": "replica:replica_group",
    "report": "report:report_group",
    "runbook": "runbook:runbook",
    "simulate-day": "simulate_day:simulate_day",
    "units": "units:units_group",
    "upgrade": "upgrade:upgrade",
    "user": "user:user_group",
}


# Longer than any first sentence.
WHOLE = 400


class Noun(click.Group):
    """A group that lists each command with its whole first sentence: click cuts off what does not fit on a line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(WHOLE)) for name, command in found if command and not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class _Commands(Noun):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"edge_node.cli.{module}"), attribute)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@where_options
@click.version_option(__version__, prog_name="edge-node")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """The edge node of a clinic: HIS on SQLite, replicas, lines."""
    ctx.ensure_object(Where)


def _advised(error: EdgeError) -> EdgeError:
    """A service waits for what passes by itself; who typed a command may have mistyped."""
    if error.code == "replica-unreachable" and not error.hint:
        error.hint = (
            "is the address right, and can it be reached from here? Another copy: --from local, or another NAME"
        )
    return error


def main() -> None:
    """Run a command; an EdgeError ends as its sentence and its exit code, a bug shows its traceback."""
    try:
        # Without standalone mode click returns the code of an Exit instead of ending the process with it.
        code = cli.main(prog_name="edge-node", standalone_mode=False)
    except EdgeError as error:
        click.echo(_advised(error).render(), err=True)
        sys.exit(int(error.exit_code))
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(int(ExitCode.USAGE))
    sys.exit(code if isinstance(code, int) else 0)
