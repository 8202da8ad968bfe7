"""Writes the history: transitions once each, who was there to see, and closed minutes and hours.

One turn is one transaction at most: the rows and how far the files were read are committed together, so that a process
killed at any instant repeats what is not there and nothing that is. What a turn knows in memory can be lost at any
time; after an error it is thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from edge_node.base.clock import Clock, parse_utc
from edge_node.base.files import ServiceStatus
from edge_node.journal.rollup import AHEAD_MS, HOUR_MS, MINUTE_MS, Place, Presence, Rollup, Row
from edge_node.journal.told import Transition, TransitionTail
from edge_node.journal.traces import Link, TraceSource
from edge_node.orders import Maintenance
from edge_node.store.connection import Connection

T = TypeVar("T")
# Runs a piece of work on a connection in one transaction, and returns after its COMMIT: `Writer.submit`.
Write = Callable[[Callable[[Connection], T]], T]

KEEP_MS = 400 * 24 * HOUR_MS
DAY_MS = 24 * HOUR_MS
# Of one turn: catching up after a day without a monitor must not keep others waiting.
BATCH_SAMPLES = 40_000
# That somebody was there is written this often while nothing else is; a reader allows for it.
HEARD_EVERY_MS = 60_000
# A clock that was set wrong for a while must not delete a year: at most one day's rows an hour.
PRUNE_EVERY_S = 3600.0
# Blind time shorter than this is a tick that came late.
LEAST_BLIND_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a turn did. `unreadable` lines of the watcher's file were left out; `behind`: there is more to read."""

    transitions: int = 0
    rows: int = 0
    unreadable: int = 0
    behind: bool = False


@dataclass(slots=True)
class _Heard:
    """A run of the watcher as its status file tells it."""

    start_ms: int
    until_ms: int
    blind_s: float


class Journal:
    """The recorder of one node. Its file reading and its writing happen in `turn`, in the caller's thread."""

    def __init__(
        self,
        write: Write[None],
        *,
        transitions: Path,
        traces: TraceSource,
        clock: Clock,
        batch_samples: int = BATCH_SAMPLES,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` is called now and then while much is read; what it raises ends the turn, of which nothing is kept."""
        self._write = write
        self._batch_samples = batch_samples
        self._tail = TransitionTail(transitions)
        self._traces = traces
        self._clock = clock
        self._check = check
        self._pruned_at = float("-inf")
        self._memory: _Memory | None = None

    def turn(self, links: ServiceStatus | None, works: Sequence[Maintenance] = ()) -> Turn:
        """Read on, and record. `links` is the watcher's status file, stale or not; `works` what was announced.

        Raises StoreError and OSError; nothing is half done then, and the next turn begins where the records end.
        """
        try:
            return self._turn(links, tuple(works))
        except BaseException:
            self._memory = None
            self._tail.forget()
            raise

    def _turn(self, links: ServiceStatus | None, works: tuple[Maintenance, ...]) -> Turn:
        now_ms = self._clock.wall_ms()
        memory = self._memory = self._memory or self._remember(now_ms)
        told = self._tail.read()
        drained = self._feed(memory, now_ms)
        rows = memory.rollup.close(drained_at_ms=now_ms if drained else None)
        run, blind = memory.listen(links)
        is_due = memory.is_heard_due(run)
        done = Turn(transitions=len(told.transitions), rows=len(rows), unreadable=told.unreadable,
                    behind=told.more or not drained)  # fmt: skip
        seen_links, new_works = tuple(memory.links), [work for work in works if work not in memory.works]
        if not (told.transitions or rows or blind or is_due or seen_links or new_works):
            self._tail.advance()
            return done
        spans = memory.presence.changed()
        cursor = memory.rollup.begin_again_at(memory.reached)
        prune = rows and self._clock.boottime() - self._pruned_at >= PRUNE_EVERY_S

        def work(conn: Connection) -> None:
            record_transitions(conn, told.transitions)
            record_heard(conn, spans, run, blind)
            record_rows(conn, rows)
            record_links(conn, seen_links)
            record_maintenance(conn, new_works)
            conn.execute(
                "INSERT INTO trace_cursor (one, day, place, closed_until) VALUES (1, ?, ?, ?) ON CONFLICT (one) DO "
                "UPDATE SET day = excluded.day, place = excluded.place, closed_until = excluded.closed_until",
                (*cursor, memory.rollup.closed_until_ms),
            )
            if prune:
                forget_old(conn, now_ms)

        self._write(work)
        self._tail.advance()
        memory.links.clear()
        memory.works = frozenset(works)
        memory.heard_told_ms = run.until_ms if run else 0
        if prune:
            self._pruned_at = self._clock.boottime()
        return done

    def _remember(self, now_ms: int) -> _Memory:
        """How far the records reach."""
        found: list[_Memory] = []
        self._write(lambda conn: found.append(_Memory.read(conn, now_ms)))
        return found[0]

    def _feed(self, memory: _Memory, now_ms: int) -> bool:
        """Read on in the traces; true when all that was written has been read."""
        room = self._batch_samples
        day, place = memory.reached
        days = [name for name in self._traces.days() if name >= day and name <= _day(now_ms + DAY_MS)]
        for name in days:
            start = place if name == day else 0
            for chunk in self._traces.chunks(name, start):
                if room <= 0:
                    return False
                self._check()
                memory.rollup.feed((name, start), chunk.samples, now_ms=now_ms)
                memory.presence.feed(chunk.samples, now_ms=now_ms)
                memory.links.extend(link for link in chunk.links if link.at_ms <= now_ms + AHEAD_MS)
                start = chunk.next_place
                memory.reached = (name, start)
                room -= len(chunk.samples)
            memory.reached = (name, start)
        return True


class _Memory:
    """What the journal knows without asking; made anew from the records whenever in doubt."""

    def __init__(self, *, place: Place, closed_until_ms: int, seen: tuple[int, int] | None, run: _Heard | None) -> None:
        self.reached = place
        self.rollup = Rollup(closed_until_ms=closed_until_ms)
        self.presence = Presence(seen)
        self.run = run
        self.heard_told_ms = run.until_ms if run else 0
        self.links: list[Link] = []
        self.works: frozenset[Maintenance] = frozenset()

    @classmethod
    def read(cls, conn: Connection, now_ms: int) -> _Memory:
        cursor = conn.execute("SELECT day, place, closed_until FROM trace_cursor").fetchone()
        place, closed = (str(cursor[0]), int(cursor[1])) if cursor else ("", 0), int(cursor[2]) if cursor else 0
        if closed > now_ms + DAY_MS or place[0] > _day(now_ms + DAY_MS):
            # The clock was ahead when this was written: go on from now, or nothing would be taken for years.
            place, closed = (_day(now_ms), 0), now_ms // MINUTE_MS * MINUTE_MS
        spans = {
            source: conn.execute(
                "SELECT start, until, blind_s FROM heard WHERE source = ? AND start <= ? ORDER BY start DESC LIMIT 1",
                (source, now_ms + DAY_MS),
            ).fetchone()
            for source in ("samples", "status")
        }
        seen, run = spans["samples"], spans["status"]
        return cls(
            place=place,
            closed_until_ms=closed,
            seen=(int(seen[0]), int(seen[1])) if seen else None,
            run=_Heard(int(run[0]), int(run[1]), float(run[2])) if run else None,
        )

    def listen(self, links: ServiceStatus | None) -> tuple[_Heard | None, tuple[int, int] | None]:
        """The watcher's run as far as it was heard, and blind time since the last look (put at its end)."""
        if links is None:
            return self.run, None
        try:
            start_ms, until_ms = parse_utc(links.started_at), parse_utc(links.written_at)
            blind_s = float(links.state.get("blind_seconds", 0.0))
        except (ValueError, TypeError, OverflowError):
            return self.run, None
        if until_ms < start_ms:
            return self.run, None  # the clock was set back in between: its samples have to speak for it
        before = self.run
        if before is None or before.start_ms != start_ms:
            before = _Heard(start_ms, start_ms, 0.0)
        grown_s = blind_s - before.blind_s
        blind = None
        if grown_s >= LEAST_BLIND_S:
            blind = (max(until_ms - round(grown_s * 1000), before.until_ms, start_ms), until_ms)
        self.run = _Heard(start_ms, max(until_ms, before.until_ms), max(blind_s, before.blind_s))
        return self.run, blind if blind and blind[0] < blind[1] else None

    def is_heard_due(self, run: _Heard | None) -> bool:
        if run is None:
            return False
        return run.until_ms - self.heard_told_ms >= HEARD_EVERY_MS or self.heard_told_ms < run.start_ms


def record_transitions(conn: Connection, transitions: Sequence[Transition]) -> None:
    """Each once, whatever was recorded before. A number that stands for something else begins a new era."""
    if not transitions:
        return
    last = conn.execute("SELECT era, seq FROM transition ORDER BY era DESC, seq DESC LIMIT 1").fetchone()
    era, newest = (int(last[0]), int(last[1])) if last else (1, 0)
    for told in transitions:
        known = conn.execute(
            "SELECT 1 FROM transition WHERE seq = ? AND boot_id = ? AND boottime = ? LIMIT 1",
            (told.seq, told.boot_id, told.boottime),
        ).fetchone()
        if known:
            continue
        if told.seq <= newest:
            era += 1
        newest = told.seq
        conn.execute(
            "INSERT INTO transition (era, seq, at, boottime, boot_id, kind, subject, from_state, to_state, from_line, "
            "to_line, reason, args) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (era, told.seq, told.at_ms, told.boottime, told.boot_id, told.kind, told.subject, told.from_state,
             told.to_state, told.from_line, told.to_line, told.reason,
             json.dumps(told.args, ensure_ascii=False, separators=(",", ":"))),
        )  # fmt: skip


def record_heard(
    conn: Connection, spans: Iterable[tuple[int, int]], run: _Heard | None, blind: tuple[int, int] | None
) -> None:
    """Somebody was there to see; for a while of it the watcher was blind."""
    heard = [("samples", start, until, 0.0) for start, until in spans]
    heard += [("status", run.start_ms, run.until_ms, run.blind_s)] if run else []
    conn.executemany(
        "INSERT INTO heard (source, start, until, blind_s) VALUES (?, ?, ?, ?) ON CONFLICT (source, start) DO UPDATE "
        "SET until = max(until, excluded.until), blind_s = max(blind_s, excluded.blind_s)",
        heard,
    )
    if blind:
        conn.execute(
            "INSERT INTO uncounted (why, line, start, until) VALUES ('blind', '', ?, ?) "
            "ON CONFLICT (why, line, start) DO UPDATE SET until = max(until, excluded.until)",
            blind,
        )


def record_maintenance(conn: Connection, works: Iterable[Maintenance]) -> None:
    """Announced work on lines is not counted; told again under its number, it is replaced."""
    conn.executemany(
        "INSERT INTO maintenance (id, line, start, until, announced, given_by, reason, cancelled, cancelled_by) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET until = excluded.until, "
        "cancelled = excluded.cancelled, cancelled_by = excluded.cancelled_by",
        [
            (work.id, work.line, work.start_ms, work.until_ms, work.announced_ms, work.by, work.why, work.cancelled_ms,
             work.cancelled_by)
            for work in works
        ],
    )  # fmt: skip


def record_links(conn: Connection, links: Iterable[Link]) -> None:
    """How interfaces were. Read again, it is the same; two in one millisecond: the later one holds."""
    conn.executemany(
        "INSERT OR REPLACE INTO link (line, at, present, carrier, has_address, has_route) VALUES (?, ?, ?, ?, ?, ?)",
        [(link.line, link.at_ms, link.present, link.carrier, link.has_address, link.has_route) for link in links],
    )


def record_rows(conn: Connection, rows: Iterable[Row]) -> None:
    """Closed minutes and hours, each replaced whole."""
    series: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.line, row.target)
        if key not in series:
            conn.execute("INSERT INTO series (line, target) VALUES (?, ?) ON CONFLICT DO NOTHING", key)
            series[key] = conn.execute("SELECT id FROM series WHERE line = ? AND target = ?", key).fetchone()[0]
        times = row.times_us or (None,) * 5
        values = (row.start_ms, series[key], row.count, row.lost, row.lost_out, row.lost_back, *times, row.jitter_us)
        if row.step_ms == MINUTE_MS:
            conn.execute("INSERT OR REPLACE INTO minute VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        else:
            conn.execute("INSERT OR REPLACE INTO hour VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                         (*values, row.spread))  # fmt: skip


def forget_old(conn: Connection, now_ms: int) -> None:
    """Minutes and hours beyond 400 days go, at most a day of them at a time; transitions stay for ever."""
    for table in ("minute", "hour"):
        (oldest,) = conn.execute(f"SELECT min(at) FROM {table}").fetchone()
        if oldest is not None and oldest < now_ms - KEEP_MS:
            conn.execute(f"DELETE FROM {table} WHERE at < ?", (min(now_ms - KEEP_MS, oldest + DAY_MS),))


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
