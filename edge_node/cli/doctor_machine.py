"""`doctor` on the machine: programs, users, units, kernel settings, the clock, disks, and whether the services live."""

from __future__ import annotations

import grp
import platform
import pwd
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_node.base.clock import ClockState, SystemClock
from edge_node.base.errors import ExitCode
from edge_node.base.files import disk_free_bytes
from edge_node.base.process import ProgramMissing, ProgramTimedOut, run
from edge_node.base.units import spoken_size
from edge_node.cli.doctor_finding import Finding, Look, fail, ok, warn
from edge_node.cli.unit_files import JOBS, SERVICES, SETTLE, SOCKET, TARGET, UNITS, steps, stored
from edge_node.cli.units import RELEASE, shipped_units
from edge_node.config.schema import Config
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.release.history import HISTORY, ROOT, problems
from edge_node.replication import litestream
from edge_node.status import DISK_FREE_FLOOR_BYTES, ServiceState, status_reader
from edge_node.store.connection import sqlite_version

# Before it two processes that write and checkpoint could corrupt a database (the WAL-reset bug).
SQLITE_MINIMUM = (3, 51, 3)
USERS, GROUPS = ("edge", "edge-links"), ("edge", "edge-links", "edge-share")
UNITS_PLACE = Path("/etc/systemd/system")
# systemd answers in milliseconds, or, on a machine that is choking, in seconds.
ASKS_WITHIN_S = 20.0


def is_installed() -> bool:
    """Do units run this machine's node, or is it somebody's `edge-node up`?"""
    return (UNITS_PLACE / TARGET).is_symlink() or (UNITS_PLACE / TARGET).exists()


def _programs(_: Config) -> Iterator[Finding]:
    have = tuple(int(part) for part in sqlite_version.split("."))
    if have < SQLITE_MINIMUM:
        yield fail(
            f"SQLite {sqlite_version} can corrupt a database that Litestream checkpoints",
            "install pysqlite3 0.6.1 or later into the node's environment",
            ExitCode.DATA,
        )
    else:
        yield ok(f"SQLite {sqlite_version}")
    yield ok(f"Litestream {litestream.version()} at {litestream.binary()}")
    yield ok(f"Python {platform.python_version()}")


def _users(_: Config) -> Iterator[Finding]:
    if not is_installed():
        return
    users, groups = {each.pw_name for each in pwd.getpwall()}, {each.gr_name for each in grp.getgrall()}
    missing = [f"user {name}" for name in USERS if name not in users]
    missing += [f"group {name}" for name in GROUPS if name not in groups]
    if missing:
        yield fail(
            f"missing: {', '.join(missing)}",
            "sudo edge-node units install, which runs systemd-sysusers",
            ExitCode.NETWORK,
        )
    else:
        yield ok(f"users {' and '.join(USERS)}, group edge-share")


def _units(config: Config) -> Iterator[Finding]:
    if not is_installed():
        yield ok("no units are installed: the node runs by edge-node up, or not at all")
        return
    source = shipped_units()
    if RELEASE.exists() and source.is_relative_to(sys.prefix):
        source = RELEASE / source.relative_to(sys.prefix)
    lacking = [step for step in steps(config, source, stored(Path("/"))) if not step.is_done(Path("/"))]
    if lacking:
        yield warn(
            f"{len(lacking)} pieces of the units are not as this release and configuration want them",
            "sudo edge-node units install",
            evidence="\n".join(str(step) for step in lacking[:5]),
        )
    else:
        yield ok(f"{len(UNITS)} units, and what they need of the system")
    yield from _systemd()


def _systemd() -> Iterator[Finding]:
    """What systemd says of the units; nothing where it does not run."""
    if not Path("/run/systemd/system").is_dir():
        return
    wanted = [SOCKET, *(f"edge-{name}.service" for name in SERVICES), *(f"edge-{name}.timer" for name in JOBS)]
    shown = shown_units(_said(("systemctl", "show", "--property=Id,ActiveState,Result", *wanted)))
    if not shown:
        yield warn("systemd does not say how the units are", f"systemctl status {TARGET}")
        return
    for unit in wanted:
        state = shown.get(unit, {}).get("ActiveState", "unknown to systemd")
        if state != "active":
            yield fail(
                f"{unit} is {state}",
                f"systemctl status {unit}; journalctl -u {unit} -n 20",
                ExitCode.NETWORK,
                evidence=f"its last result: {shown.get(unit, {}).get('Result', 'not known')}",
            )
    if _said(("systemctl", "is-enabled", TARGET)).strip() != "enabled":
        yield warn(f"{TARGET} does not start with the machine", f"sudo systemctl enable {TARGET}")


def shown_units(text: str) -> Mapping[str, Mapping[str, str]]:
    """What `systemctl show` says of several units, by their names; the order of its properties is its own."""
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return {block["Id"]: block for block in blocks if "Id" in block}


def _said(argv: tuple[str, ...]) -> str:
    try:
        return run(argv, timeout_s=ASKS_WITHIN_S).stdout
    except (ProgramMissing, ProgramTimedOut):
        return ""


def _upgrades(_: Config) -> Iterator[Finding]:
    found = problems(ROOT)
    for one in found:
        yield warn(
            translate(reason_text(one.code, one.args), ENGLISH),
            "edge-node upgrade ARCHIVE, if none is running",
            evidence=f"every step is in {ROOT / HISTORY}; journalctl -u {SETTLE}",
            code=one.code,
        )
    if not found and is_installed():
        yield ok("no upgrade was cut off")


def _kernel(_: Config) -> Iterator[Finding]:
    if not is_installed():
        return
    wrong = [
        f"{key} = {have or 'unreadable'}, wanted {wanted}"
        for key, wanted in kernel_settings(shipped_units() / "edge-node.sysctl.conf").items()
        if (have := _kernel_value(key)) != wanted
    ]
    if wrong:
        yield warn(
            "kernel settings of the node are not in force",
            "sudo sysctl -p /etc/sysctl.d/60-edge-node.conf",
            evidence="\n".join(wrong),
        )
    else:
        yield ok("kernel settings of the node")


def kernel_settings(path: Path) -> Mapping[str, str]:
    """What a sysctl.d file asks for."""
    rows = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {key.strip(): value.strip() for key, mark, value in rows if mark and not key.lstrip().startswith("#")}


def _kernel_value(key: str) -> str:
    try:
        text = Path("/proc/sys", *key.split(".")).read_text(encoding="ascii")
    except OSError:
        return ""
    return " ".join(text.split())


def _clock(config: Config) -> Iterator[Finding]:
    state = status_reader(config, SystemClock())().clock
    if state is ClockState.SYNCED:
        yield ok("the clock is kept by a time server")
    elif state is ClockState.HOLDOVER:
        remedy = "chronyc tracking; chronyc sources" if shutil.which("chronyc") else "apt-get install chrony"
        yield warn("the clock runs by itself", remedy)
    else:
        yield fail("the clock cannot be right", "set it, then: chronyc makestep", ExitCode.DATA, code="clock-suspect")


def _room(config: Config) -> Iterator[Finding]:
    for path in dict.fromkeys((config.node.state_dir, config.replica.local)):
        free = disk_free_bytes(_nearest(path))
        if free is None:
            yield warn(f"how much room {path} has is not known", f"df {path}")
        elif free < DISK_FREE_FLOOR_BYTES:
            yield fail(
                f"{path} has {spoken_size(free)} left", "make room before writes stop", ExitCode.DATA, code="disk-low"
            )
        else:
            yield ok(f"{path} has {spoken_size(free)} left")
    if is_installed() and _disk(config.replica.local) == _disk(config.node.state_dir / "data"):
        yield warn(
            "the local replica is on the same disk as the databases: one dead disk takes both",
            "replica.local on another disk; until then only what is at a destination survives",
        )


def _nearest(path: Path) -> Path:
    """The path itself, or the closest folder above it that exists."""
    return path if path.exists() else _nearest(path.parent)


def _disk(path: Path) -> int:
    return _nearest(path).stat().st_dev


def _services(config: Config) -> Iterator[Finding]:
    services = status_reader(config, SystemClock())().services
    if all(state is ServiceState.STOPPED for state in services.values()):
        starts = "sudo systemctl start edge-node.target" if is_installed() else "edge-node up"
        yield warn("no service is running", starts, code="service-stopped")
        return
    for name, state in services.items():
        if state is ServiceState.OK:
            yield ok(f"service {name} is running")
        else:
            how = f"journalctl -u edge-{name} -n 20" if is_installed() else f"edge-node run {name} says why"
            yield warn(f"service {name} is {state}", how, code=f"service-{state}")


LOOKS: tuple[Look, ...] = (_programs, _users, _units, _upgrades, _kernel, _clock, _room, _services)
