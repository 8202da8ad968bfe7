"""`edge-node units install` and `remove`: the units and what they need of the system.

Both are safe to run again: what is right already is left alone, and every step is printed. What goes where is decided
in `unit_files.py`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from edge_node.base.errors import ConfigError, ExitCode, ServiceError
from edge_node.base.process import ProgramMissing, ProgramTimedOut, clean_environment, run
from edge_node.cli.main import DEFAULT_CONFIG, Noun, Where, where_options
from edge_node.cli.output import answer, talk
from edge_node.cli.unit_files import TARGET, UNITS, Step, places, steps, stored
from edge_node.config.schema import LINKS_DIR, RUN_DIR, STATE_DIR, Config

RELEASE = Path("/opt/edge-node/current")
# Programs of the system, where a login of root's would find them.
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Stopping everything takes half a minute at the most (TimeoutStopSec= of the units, one after the other).
RUNS_WITHIN_S = 120.0
AFTERWARDS = (
    ("systemd-sysusers",),
    ("systemd-tmpfiles", "--create", "edge-node.conf", "edge-node-replica.conf"),
    ("sysctl", "-q", "-p", "/etc/sysctl.d/60-edge-node.conf"),
    ("systemctl", "daemon-reload"),
)


def shipped_units() -> Path:
    """The folder of the units of the release that runs: beside the sources, or in its environment."""
    for folder in (Path(__file__).resolve().parents[2] / "systemd", Path(sys.prefix, "lib/systemd/system")):
        if (folder / UNITS[0]).exists():
            return folder
    raise ServiceError(
        "units-missing",
        "this installation has no units",
        context=f"looked in {sys.prefix}/lib/systemd/system",
        hint="install the release with its bundle",
    )


@click.group("units", cls=Noun)
def units_group() -> None:
    """The systemd units."""


@units_group.command("install")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), help="Another root than /, for an image.")
@click.option("--dry-run", is_flag=True, help="Only print what would change.")
@click.option("--reason", default="", help="Why, for the record.")
@where_options
@click.pass_obj
def install(where: Where, root: Path, dry_run: bool, reason: str) -> None:
    """Link the units, users, folders and kernel settings into the system, and have the node started with the machine.

    Run it again when his.listen, a credential's name, replica.local or a folder of copies has changed, and when a
    secret was put into or taken out of /etc/credstore.encrypted.
    """
    config = where.load()
    if root == Path("/"):
        _check_known_to_units(where, config)
    source = shipped_units()
    if root == Path("/") and source.is_relative_to(sys.prefix) and RELEASE.exists():
        source = RELEASE / source.relative_to(sys.prefix)
    todo = [step for step in steps(config, source, stored(root)) if not step.is_done(root)]
    for step in todo:
        if not dry_run:
            _do(step, root)
        answer(f"{'would link' if dry_run else 'linked'} {step}")
    if not todo:
        answer("everything is in place")
    if not dry_run and _is_running_system(root):
        _run(AFTERWARDS)
        if todo:
            talk(f"what runs keeps what it had: systemctl restart {TARGET}")
    if reason:
        talk(f"reason: {reason}")


@units_group.command("remove")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), help="Another root than /, for an image.")
@click.option("--dry-run", is_flag=True, help="Only print what would be removed.")
@click.option("--reason", default="", help="Why, for the record.")
@where_options
def remove(root: Path, dry_run: bool, reason: str) -> None:
    """Stop the services and take away what `units install` made. Data, configuration and users stay.

    Routes stay as well, until `edge-node line cleanup`, and kernel settings until the next start of the machine.
    """
    found = [path for path in places() if (root / path).is_symlink() or (root / path).is_file()]
    if found and not dry_run and _is_running_system(root):
        # All by name: the target's own job is done before its parts have stopped.
        _run([("systemctl", "stop", *UNITS)])
    for path in found:
        if not dry_run:
            try:
                (root / path).unlink()
            except OSError as error:
                raise _not_permitted(path, error, "remove") from error
        answer(f"{'would remove' if dry_run else 'removed'} /{path}")
    if not found:
        answer("nothing of ours is there")
    if not dry_run:
        for path in places():
            # Where somebody has put a drop-in of their own, the folder stays.
            with contextlib.suppress(OSError):
                (root / path).rmdir()
        if found and _is_running_system(root):
            _run([("systemctl", "daemon-reload")])
    if reason:
        talk(f"reason: {reason}")


def _check_known_to_units(where: Where, config: Config) -> None:
    """The units and the folders of edge-node.tmpfiles.conf name these places. Raises ConfigError for others."""
    named = {
        "the configuration": (where.path().absolute(), DEFAULT_CONFIG),
        "node.state_dir": (config.node.state_dir, STATE_DIR),
        "node.run_dir": (config.node.run_dir, RUN_DIR),
        "node.links_dir": (config.node.links_dir, LINKS_DIR),
    }
    elsewhere = [f"{what} is {place}, not {known}" for what, (place, known) in named.items() if place != known]
    if elsewhere:
        raise ConfigError(
            "config-invalid",
            "the units would serve another node than this",
            context="\n".join(elsewhere),
            hint="leave these keys out, and mount a disk there instead; edge-node up serves a node anywhere",
        )


def _is_running_system(root: Path) -> bool:
    return root == Path("/") and Path("/run/systemd/system").is_dir()


def _do(step: Step, root: Path) -> None:
    try:
        step.do(root)
    except OSError as error:
        raise _not_permitted(step.path, error, "install") from error


def _not_permitted(path: Path, error: OSError, verb: str) -> ServiceError:
    return ServiceError(
        "privilege-missing",
        f"/{path} cannot be {'made' if verb == 'install' else 'removed'}: {error.strerror}",
        context=None,
        hint=f"sudo edge-node units {verb}",
        exit_code=ExitCode.NETWORK,
    )


def _run(commands: Sequence[Sequence[str]]) -> None:
    for argv in commands:
        try:
            done = run(argv, timeout_s=RUNS_WITHIN_S, env=clean_environment({"PATH": SYSTEM_PATH}))
        except (ProgramMissing, ProgramTimedOut) as error:
            talk(f"{' '.join(argv)}: {error}")
            continue
        if done.returncode:
            talk(f"{' '.join(argv)} returned {done.returncode}: {done.stderr.strip()}")
        else:
            answer(f"ran {' '.join(argv)}")
