"""A watcher's files and a node.db to record them in."""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_node.base.clock import utc_text
from edge_node.base.files import ServiceStatus
from edge_node.journal.record import Journal
from edge_node.journal.traces import TraceFolder
from edge_node.store.connection import Connection, connect, transaction
from edge_node.store.databases import DATABASES
from edge_node.store.migrate import create_database
from failover.core.model import LinkState
from failover.probes.outcome import Outcome, Sample
from failover.trace import LinkChange, Moment, TraceWriter
from tests.support.clock import FakeClock

MIN, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BOOT = "8f0c1c5e-0000-4000-8000-00000000000a"


@functools.cache
def _empty_node() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.db"
        create_database(path, DATABASES["node"])
        return path.read_bytes()


@contextlib.contextmanager
def node_database(folder: Path) -> Iterator[Connection]:
    """A connection to the folder's node.db, made if needed."""
    path = folder / "node.db"
    if not path.exists():
        path.write_bytes(_empty_node())
    with contextlib.closing(connect(path)) as conn:
        conn.execute("PRAGMA synchronous=OFF")  # what a test asks is what happens to a process, not to a disk
        yield conn


def writing(conn: Connection) -> Callable[[Callable[[Connection], None]], None]:
    """What the writing thread does with a piece of work."""

    def write(work: Callable[[Connection], None]) -> None:
        with transaction(conn):
            work(conn)

    return write


def dump(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the history. Series are told by their names, since their numbers are of no account."""
    names = {row[0]: (row[1], row[2]) for row in conn.execute("SELECT id, line, target FROM series")}
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in ("transition", "heard", "uncounted", "minute", "hour", "link", "maintenance"):
        rows = [tuple(row) for row in conn.execute(f"SELECT * FROM {table}")]
        if table in ("minute", "hour"):
            rows = [(row[0], *names[row[1]], *row[2:]) for row in rows]
        found[table] = sorted(rows, key=repr)
    return found


class AWatcher:
    """Writes what a watcher writes, in its own formats. Boot time and wall time go together unless a test says so."""

    def __init__(self, folder: Path, *, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(boottime=1000.0)
        self.folder = folder / "links"
        self.folder.mkdir(exist_ok=True)
        self.transitions = self.folder / "transitions.jsonl"
        self.traces = self.folder / "traces"
        self._writer = TraceWriter(self.traces)
        self._seq = 0
        self._started_at = utc_text(self.clock.wall_ms())
        self.blind_s = 0.0
        self.boot_id = BOOT
        self._recorder: Journal | None = None

    def restarts(self) -> None:
        self._started_at = utc_text(self.clock.wall_ms())
        self.blind_s = 0.0

    def loses_its_folder(self) -> None:
        """A new machine: numbers begin anew, in another boot."""
        self.transitions.unlink()
        self._seq, self.boot_id = 0, BOOT.replace("a", "b")

    def tells(self, kind: str, subject: str, before: str, after: str, code: str = "silent", **further: Any) -> None:
        lines = {"from_line": further.pop("from_line", None), "to_line": further.pop("to_line", None)}
        reason = {"code": code, "args": further}
        self.tells_raw(**{"kind": kind, "subject": subject, "from": before, "to": after, **lines, "reason": reason})

    def tells_raw(self, **told: Any) -> None:
        """A transition with these keys alone beside those that every one has."""
        self._seq += 1
        record = {
            "seq": self._seq, "at": utc_text(self.clock.wall_ms()), "boottime": round(self.clock.boottime(), 3),
            "boot_id": self.boot_id, **told,
        }  # fmt: skip
        with self.transitions.open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")

    def sees(self, samples: Sequence[tuple[float, str, str, float | None]]) -> None:
        """A batch: (seconds ago, line, target, seconds or None)."""
        now = self.clock.boottime()
        entries = [
            Sample(now - ago_s, line, target, Outcome.LOST if rtt_s is None else Outcome.ANSWERED, rtt_s)
            for ago_s, line, target, rtt_s in samples
        ]
        self._writer.append(entries, Moment(self.boot_id, now, self.clock.wall_ms()))

    def sees_raw(self, rows: Sequence[list[Any]]) -> None:
        """A batch as a newer watcher may write it: [seconds ago, …] with whatever follows."""
        now = self.clock.boottime()
        head = {"boot_id": self.boot_id, "boottime": round(now, 3), "wall_ms": self.clock.wall_ms()}
        lines = [head, *(["p", round(now - row[0], 4), *row[1:]] for row in rows)]
        day = datetime.fromtimestamp(self.clock.wall_ms() / 1000, UTC).strftime("%Y-%m-%d")
        self.traces.mkdir(exist_ok=True)
        member = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
        with (self.traces / f"{day}.jsonl.gz").open("ab") as file:
            file.write(member)

    def links(self, line: str, *, carrier: bool | None) -> None:
        """The interface of a line changed."""
        now = self.clock.boottime()
        change = LinkChange(now, line, LinkState(present=True, carrier=carrier, has_address=True, has_route=None))
        self._writer.append([change], Moment(self.boot_id, now, self.clock.wall_ms()))

    def status(self) -> ServiceStatus:
        now = utc_text(self.clock.wall_ms())
        return ServiceStatus(
            service="links", pid=1, boot_id=self.boot_id, started_at=self._started_at, written_at=now,
            boottime=self.clock.boottime(), every_s=1.0, stopped=False, state={"blind_seconds": self.blind_s},
        )  # fmt: skip

    def journal(self, conn: Connection, *, batch_samples: int = 40_000) -> Journal:
        return Journal(
            writing(conn), transitions=self.transitions, traces=TraceFolder(self.traces), clock=self.clock,
            batch_samples=batch_samples,
        )  # fmt: skip

    def is_recorded(self, conn: Connection) -> int:
        """One and the same monitor records what is there; returns the present time."""
        self._recorder = self._recorder or self.journal(conn)
        while self._recorder.turn(self.status()).behind:
            pass
        return self.clock.wall_ms()
