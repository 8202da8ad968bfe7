"""The samples that wait to be pushed, and how far they have been: one SQLite file that is never replicated.

Not in node.db, whose every commit is shipped over the lines, and paid for: samples of a node that is lost are of no
use to the next one. Samples, cursor and counts stand in one file, so that they change in one commit: a monitor that is
killed after the receiver's answer and before that commit sends the same samples with the same times again, which the
receiver takes as what it has.

A step is one row: the values of all series at one moment, deflated, and the number of the list of series that they
belong to (some 840 bytes for 177 series). The newest step stays when it has been sent: a series that was there and is
not in the next one ends with a marker.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_node.base.logs import event
from edge_node.push.policy import Outcome, Span
from edge_node.store.connection import Connection, DatabaseError, connect, transaction
from edge_node.store.failures import store_error, store_errors
from monitoring.remote_write import STALE, Series, Step, is_stale

# Of a node with two lines, 55 days; the longest window is 30.
LIMIT_BYTES = 128 * 1024 * 1024
# Lists of series that are remembered; a new one appears when a series begins or ends.
_SHAPES = 8
# What goes at once where there is no room: to drop one for each that comes would be to write twice.
DROPPED_PART = 16

_VERSION = 1
_SCHEMA = (
    # A number is never used again: another connection remembers what it stood for.
    "CREATE TABLE shape (id INTEGER PRIMARY KEY AUTOINCREMENT, series TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TABLE step ("
    "seq INTEGER PRIMARY KEY, at INTEGER NOT NULL UNIQUE, shape INTEGER NOT NULL REFERENCES shape(id), "
    "samples INTEGER NOT NULL, content BLOB NOT NULL) STRICT",
    # One row: every step up to `done` has ended.
    "CREATE TABLE cursor (one INTEGER PRIMARY KEY CHECK (one = 1), done INTEGER NOT NULL) STRICT",
    "INSERT INTO cursor VALUES (1, 0)",
    "CREATE TABLE ended (outcome TEXT PRIMARY KEY, samples INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits. `span` and `oldest_ms` are None when nothing does."""

    span: Span | None
    samples: int
    oldest_ms: int | None


class Spool:
    """One connection to the file, for one thread. Its methods raise StoreError."""

    def __init__(self, path: Path, conn: Connection) -> None:
        self._path, self._conn = path, conn
        self._shapes: dict[int, tuple[Series, ...]] = {}

    def close(self) -> None:
        self._conn.close()

    def record(self, step: Step, *, limit_bytes: int = LIMIT_BYTES) -> bool:
        """Keep a step; false when there is one of that time (a clock that was set back)."""
        with self._changing() as conn:
            if conn.execute("SELECT 1 FROM step WHERE at = ?", (step.at_ms,)).fetchone():
                return False
            before = self._newest()
            alive = {s for s, value in before.values.items() if not is_stale(value)} if before else set()
            values = {**dict.fromkeys(alive - step.values.keys(), STALE), **step.values}
            series = tuple(sorted(values))
            content = zlib.compress(array("d", (values[one] for one in series)).tobytes())
            conn.execute(
                "INSERT INTO step (at, shape, samples, content) VALUES (?, ?, ?, ?)",
                (step.at_ms, self._shape_of(series), len(series), content),
            )
            self._make_room(limit_bytes)
        return True

    def backlog(self) -> Backlog:
        with store_errors(self._path):
            first, last, samples, oldest = self._conn.execute(
                "SELECT min(seq), max(seq), coalesce(sum(samples), 0), min(at) FROM step, cursor WHERE seq > done"
            ).fetchone()
        span = None if first is None else Span(first=first, last=last)
        return Backlog(span=span, samples=samples, oldest_ms=oldest)

    def steps(self, span: Span) -> list[Step]:
        """The steps of a span, by number."""
        with store_errors(self._path):
            rows = self._conn.execute(
                "SELECT at, shape, content FROM step WHERE seq BETWEEN ? AND ? ORDER BY seq", (span.first, span.last)
            ).fetchall()
            return [self._step(*row) for row in rows]

    def newest(self) -> Step | None:
        with store_errors(self._path):
            return self._newest()

    def done(self, seq: int, outcome: Outcome) -> int:
        """Every step up to this number has ended so. Returns the samples that had not ended before."""
        with self._changing():
            return self._done(seq, outcome)

    def end_before(self, at_ms: int, outcome: Outcome) -> int:
        """The steps at the front that are older have ended so."""
        return self._end_front("at >= ?", at_ms, outcome)

    def end_after(self, at_ms: int, outcome: Outcome) -> int:
        """The steps at the front that are newer have ended so."""
        return self._end_front("at <= ?", at_ms, outcome)

    def ended(self) -> Mapping[Outcome, int]:
        """Samples by how they ended, since the file was made."""
        with store_errors(self._path):
            rows = self._conn.execute("SELECT outcome, samples FROM ended").fetchall()
        return {outcome: dict(map(tuple, rows)).get(outcome, 0) for outcome in Outcome}

    # ---

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Connection]:
        with store_errors(self._path), transaction(self._conn) as conn:
            yield conn

    def _newest(self) -> Step | None:
        row = self._conn.execute("SELECT at, shape, content FROM step ORDER BY seq DESC LIMIT 1").fetchone()
        return None if row is None else self._step(*row)

    def _step(self, at: int, shape: int, content: bytes) -> Step:
        if shape not in self._shapes:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            (text,) = self._conn.execute("SELECT series FROM shape WHERE id = ?", (shape,)).fetchone()
            self._shapes[shape] = tuple(tuple((name, value) for name, value in one) for one in json.loads(text))
        values = array("d")
        values.frombytes(zlib.decompress(content))
        return Step(at_ms=at, values=dict(zip(self._shapes[shape], values, strict=True)))

    def _shape_of(self, series: tuple[Series, ...]) -> int:
        text = json.dumps(series, ensure_ascii=False, separators=(",", ":"))
        self._conn.execute("INSERT INTO shape (series) VALUES (?) ON CONFLICT DO NOTHING", (text,))
        (number,) = self._conn.execute("SELECT id FROM shape WHERE series = ?", (text,)).fetchone()
        return int(number)

    def _make_room(self, limit_bytes: int) -> None:
        pages, free, size = (
            self._conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > limit_bytes:
            first, last = self._conn.execute("SELECT min(seq), max(seq) FROM step").fetchone()
            self._done(min(first + (last - first) // DROPPED_PART, last - 1), Outcome.DROPPED)

    def _end_front(self, stays: str, at_ms: int, outcome: Outcome) -> int:
        with self._changing() as conn:
            (first,) = conn.execute(
                f"SELECT (SELECT seq FROM step, cursor WHERE seq > done AND {stays} ORDER BY seq LIMIT 1)", (at_ms,)
            ).fetchone()
            (last,) = conn.execute("SELECT coalesce(max(seq), 0) FROM step").fetchone()
            return self._done(last if first is None else first - 1, outcome)

    def _done(self, seq: int, outcome: Outcome) -> int:
        conn = self._conn
        (samples,) = conn.execute(
            "SELECT coalesce(sum(samples), 0) FROM step, cursor WHERE seq > done AND seq <= ?", (seq,)
        ).fetchone()
        if samples:
            conn.execute("UPDATE cursor SET done = max(done, ?)", (seq,))
            conn.execute(
                "INSERT INTO ended VALUES (?, ?) "
                "ON CONFLICT (outcome) DO UPDATE SET samples = samples + excluded.samples",
                (outcome, samples),
            )
        # Also those that ended before, but for the newest.
        gone = conn.execute(
            "DELETE FROM step WHERE seq <= (SELECT done FROM cursor) AND seq < (SELECT max(seq) FROM step)"
        )
        if gone.rowcount:
            conn.execute("DELETE FROM shape WHERE id NOT IN (SELECT shape FROM step)")
        return int(samples)


def open_spool(path: Path) -> Spool:
    """Open the file, made anew where there is none; one that is damaged, or another version's, is put aside.

    Only the first of a process may: others would go on with the file that was put aside. Raises StoreError, OSError.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists() and (why := _unusable(path)) is not None:
        event("samples_put_aside", level="warning", path=path.with_suffix(".aside"), why=why)
        path.replace(path.with_suffix(".aside"))
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o640))
    with store_errors(path):
        conn = _connected(path)
        conn.execute("PRAGMA journal_mode=WAL")
        with transaction(conn):
            if _version(conn) == 0:
                for statement in _SCHEMA:
                    conn.execute(statement)
                conn.execute(f"PRAGMA user_version={_VERSION}")
    return Spool(path, conn)


def join_spool(path: Path) -> Spool:
    """A further connection to a file that has been opened. Raises StoreError."""
    with store_errors(path):
        return Spool(path, _connected(path))


def _connected(path: Path) -> Connection:
    conn = connect(path)
    # No replicator checkpoints this file.
    conn.execute("PRAGMA wal_autocheckpoint=1000")
    return conn


def _version(conn: Connection) -> int:
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def _unusable(path: Path) -> str | None:
    """Why what is there cannot be used; None where it can. Raises StoreError for a disk that fails."""
    try:
        with contextlib.closing(_connected(path)) as conn:
            if (version := _version(conn)) not in (0, _VERSION):
                return f"it is of version {version}"
            (said,) = conn.execute("PRAGMA quick_check(1)").fetchone()
            return None if said == "ok" else str(said)
    except DatabaseError as error:
        failure = store_error(error, path)
        if failure is not None and failure.code != "db-corrupt":
            raise failure from error
        return str(error)
