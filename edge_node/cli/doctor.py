"""`edge-node doctor`: everything that a service needs, looked at from outside, each with its remedy."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import click

from edge_node.base.clock import ClockState, SystemClock
from edge_node.base.errors import EdgeError, ExitCode
from edge_node.base.files import disk_free_bytes
from edge_node.base.systemd import credential_path
from edge_node.base.units import format_size
from edge_node.cli.main import Where, run_as_owner, where_options
from edge_node.cli.output import answer, answer_json
from edge_node.config.line_schema import ProbeKind
from edge_node.config.schema import Config
from edge_node.orders import read_line_orders
from edge_node.replication import litestream, ltx
from edge_node.replication.shipping_record import ShippingRecord
from edge_node.status import DISK_FREE_FLOOR_BYTES, status_reader
from edge_node.status.superseded import read_superseded
from edge_node.store import inspect, migrate
from edge_node.store.connection import connect_reader, sqlite_version
from edge_node.store.databases import DATABASES, db_path

# Before it two processes that write and checkpoint could corrupt a database (the WAL-reset bug).
SQLITE_MINIMUM = (3, 51, 3)


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `remedy` is the next command or step where something is wrong."""

    level: Level
    what: str
    remedy: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True)
@where_options
@click.pass_obj
def doctor(where: Where, as_json: bool) -> None:
    """Look at everything that the node needs; exit 0 when nothing is wrong, else 4."""
    config = where.load()
    run_as_owner(config)
    findings = [finding for look in LOOKS for finding in _guarded(look, config)]
    if as_json:
        answer_json([{"level": f.level, "what": f.what, "remedy": f.remedy} for f in findings])
    else:
        for finding in findings:
            answer(f"{finding.level:<5} {finding.what}")
            if finding.remedy:
                answer(f"      {finding.remedy}")
    bad = any(finding.level is Level.FAIL for finding in findings)
    raise click.exceptions.Exit(int(ExitCode.DATA if bad else ExitCode.DONE))


def _guarded(look: Callable[[Config], Iterator[Finding]], config: Config) -> Iterator[Finding]:
    """What a look finds; its error is a finding like any other, so that one fault hides no other."""
    try:
        yield from look(config)
    except EdgeError as error:
        yield Finding(level=Level.FAIL, what=f"{error.code}: {error.message}", remedy=error.hint or "")
    except OSError as error:
        yield Finding(level=Level.FAIL, what=str(error))


def _programs(config: Config) -> Iterator[Finding]:
    have = tuple(int(part) for part in sqlite_version.split("."))
    if have < SQLITE_MINIMUM:
        yield Finding(
            level=Level.FAIL,
            what=f"SQLite {sqlite_version} can corrupt a database that Litestream checkpoints",
            remedy="install pysqlite3 0.6.1 or later into the node's environment",
        )
    else:
        yield Finding(level=Level.OK, what=f"SQLite {sqlite_version}")
    yield Finding(level=Level.OK, what=f"Litestream {litestream.version()} at {litestream.binary()}")


def _folders(config: Config) -> Iterator[Finding]:
    state = config.node.state_dir
    for folder in (state, state / "data", state / "credentials"):
        if not folder.is_dir():
            yield Finding(
                level=Level.FAIL, what=f"{folder} is missing", remedy="edge-node init makes the node's folders"
            )
        elif not os.access(folder, os.W_OK):
            yield Finding(
                level=Level.FAIL,
                what=f"{folder} cannot be written by user {os.geteuid()}",
                remedy=f"chown it to the user of the services: ls -ld {folder}",
            )
        else:
            yield Finding(level=Level.OK, what=f"{folder}")


def _credentials(config: Config) -> Iterator[Finding]:
    names = ["data-key", "his-secret", "node-identity"]
    names += [name for destination in config.replica.destination if (name := destination.credential)]
    names += [name for upstream in config.upstream if (name := upstream.credential)]
    names += [name for line in config.line for target in line.target if (name := target.credential)]
    if config.his.tls:
        names += [config.his.tls.certificate, config.his.tls.key]
    for name in dict.fromkeys(names):
        path = credential_path(name, state_dir=config.node.state_dir)
        if not path.exists():
            yield Finding(
                level=Level.FAIL, what=f"credential {name} is missing", remedy=f"put it into {path}, mode 0600"
            )
        elif stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(level=Level.FAIL, what=f"credential {name} can be read by others", remedy=f"chmod 600 {path}")
        else:
            yield Finding(level=Level.OK, what=f"credential {name}")


def _databases(config: Config) -> Iterator[Finding]:
    for name, migrations in DATABASES.items():
        path = db_path(config.node.state_dir, name)
        try:
            migrate.check(path, migrations)
            conn = connect_reader(path)
            try:
                inspect.quick_check(conn)
            finally:
                conn.close()
        except EdgeError as error:
            yield Finding(level=Level.FAIL, what=f"{error.code}: {error.message}", remedy=error.hint or "")
        else:
            size = format_size(inspect.size_bytes(path))
            yield Finding(level=Level.OK, what=f"{name}.db is sound and at this program's version ({size})")


def _room(config: Config) -> Iterator[Finding]:
    for path in dict.fromkeys((config.node.state_dir, config.replica.local)):
        free = disk_free_bytes(_nearest(path))
        if free is None:
            yield Finding(level=Level.WARN, what=f"how much room {path} has is not known")
        elif free < DISK_FREE_FLOOR_BYTES:
            yield Finding(
                level=Level.FAIL, what=f"{path} has {free >> 20} MiB left", remedy="make room before writes stop"
            )
        else:
            yield Finding(level=Level.OK, what=f"{path} has {free >> 20} MiB left")


def _nearest(path: Path) -> Path:
    """The path itself, or the closest folder above it that exists."""
    return path if path.exists() else _nearest(path.parent)


def _clock(config: Config) -> Iterator[Finding]:
    state = status_reader(config, SystemClock())().clock
    if state is ClockState.SYNCED:
        yield Finding(level=Level.OK, what="the clock is kept by a time server")
    elif state is ClockState.HOLDOVER:
        yield Finding(
            level=Level.WARN, what="the clock runs by itself", remedy="chronyc tracking, or timedatectl status"
        )
    else:
        yield Finding(level=Level.FAIL, what="the clock cannot be right", remedy="set it, then: chronyc makestep")


def _replica(config: Config) -> Iterator[Finding]:
    root = config.replica.local
    for replica in sorted(root.glob("e*/*")):
        files = ltx.scan(replica)
        reach, head = ltx.frontier(files), max((file.max_txid for file in files), default=0)
        told = f"local replica {replica.relative_to(root)}"
        if reach < head:
            yield Finding(
                level=Level.FAIL,
                what=f"{told} restores to TXID {reach} only, of {head}",
                remedy="edge-node replica verify --from local",
            )
        else:
            yield Finding(level=Level.OK, what=f"{told} restores to TXID {reach}")


def _lines(
    config: Config, *, sys: Path = Path("/sys/class/net"), proc: Path = Path("/proc/sys/net")
) -> Iterator[Finding]:
    for line in config.line:
        if (sys / line.interface).exists():
            yield Finding(level=Level.OK, what=f"line {line.name}: interface {line.interface} is there")
        else:
            have = ", ".join(sorted(path.name for path in sys.iterdir() if path.name != "lo")) or "none"
            yield Finding(
                level=Level.FAIL,
                what=f"line {line.name}: there is no interface {line.interface}",
                remedy=f"line.interface names one of: {have}",
            )
    asks_by_icmp = any(target.kind is ProbeKind.ICMP for line in config.line for target in line.target)
    if asks_by_icmp and _closed_to_ping((proc / "ipv4/ping_group_range").read_text(encoding="ascii")):
        yield Finding(
            level=Level.WARN,
            what="no group may send ICMP echo (net.ipv4.ping_group_range): only root can probe",
            remedy="sysctl -w net.ipv4.ping_group_range='0 2147483647'",
        )
    known = tuple(line.name for line in config.line)
    for problem in read_line_orders(config.node.state_dir, lines=known, now_ms=SystemClock().wall_ms()).problems:
        yield Finding(level=Level.FAIL, what=problem, remedy="edge-node order list; mend the file or move it away")


def _closed_to_ping(group_range: str) -> bool:
    """Is the range of groups empty, as the kernel ships it ("1 0")?"""
    low, high = (int(part) for part in group_range.split())
    return low > high


def _services(config: Config) -> Iterator[Finding]:
    for name, state in status_reader(config, SystemClock())().services.items():
        level = Level.OK if state == "ok" else Level.WARN
        yield Finding(level=level, what=f"service {name} is {'running' if state == 'ok' else state}")


def _ownership(config: Config) -> Iterator[Finding]:
    """Is this still the clinic's machine, and could another take its place?"""
    if (owner := read_superseded(config.node.state_dir)) is not None:
        error = owner.refusal()
        yield Finding(level=Level.FAIL, what=error.message, remedy=error.hint or "")
    if config.replica.plain and config.replica.destination:
        yield Finding(
            level=Level.WARN,
            what="no recovery kit is shipped: replica.plain leaves its secrets without a seal",
            remedy="keep copies of the configuration and of credentials/data-key and his-secret elsewhere",
        )
    for destination in config.replica.destination:
        record = ShippingRecord(config.node.state_dir / "shipping" / f"{destination.name}.json")
        if record.kit_number is not None:
            yield Finding(level=Level.OK, what=f"{destination.name} holds recovery kit {record.kit_number}")
        elif record.is_known and not config.replica.plain:
            yield Finding(
                level=Level.WARN,
                what=f"{destination.name} holds no recovery kit yet",
                remedy="edge-node replica status says why; the replicator ships it when it connects",
            )


LOOKS = (_programs, _folders, _credentials, _databases, _room, _clock, _replica, _ownership, _lines, _services)
