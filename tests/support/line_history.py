"""Weeks of two lines in a node.db, written as the recorder leaves them: for pictures, pages and their times.

The weather is the same for the same seed: busy evenings, stray losses, an outage now and then, one hour in which nobody
looked. The day before `until_ms` is the one of the design's reference picture: telecom fails twice, the second time is
not over.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_node.journal.spread import packed, spread_of
from edge_node.store.connection import Connection, transaction

MIN, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BOOT = "8f0c1c5e-0000-4000-8000-00000000000b"
TARGETS = ("10.100.0.1", "10.100.0.2")
PER_MINUTE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ALine:
    """A line with its usual delay, and the outages that it had: (minutes before the end, minutes long)."""

    name: str
    usual_ms: float
    outages: Sequence[tuple[float, float]] = ()


LINES = (
    ALine(name="telecom", usual_ms=4.2, outages=((1092.0, 8.2), (12.0, 12.0))),
    ALine(name="unicom", usual_ms=18.0),
)
# Nobody looked: (minutes before the end, minutes long).
BLIND = (870.0, 40.0)


def fill(conn: Connection, *, until_ms: int, days: int, lines: Sequence[ALine] = LINES, outage_every_days: int = 6,
         seed: int = 1) -> None:  # fmt: skip
    """Record `days` days of the lines, up to `until_ms`."""
    start_ms = (until_ms - days * DAY) // HOUR * HOUR
    blind = (until_ms - round(BLIND[0] * MIN), until_ms - round((BLIND[0] - BLIND[1]) * MIN))
    with transaction(conn):
        conn.executemany(
            "INSERT INTO heard (source, start, until) VALUES ('status', ?, ?)",
            [(start_ms, blind[0]), (blind[1], until_ms)],
        )
        told: list[tuple[int, str, str, str, str, str | None, str, str]] = []
        for line in lines:
            outages = _outages(line, start_ms, until_ms, outage_every_days, seed)
            told += _verdicts(line.name, outages, start_ms, blind[1], until_ms)
            if line is lines[0]:
                told += _modes(line.name, lines[-1].name, outages, start_ms, blind[1], until_ms)
            for target in TARGETS:
                _rows(conn, line, target, outages, blind, start_ms, until_ms, seed)
        told.sort(key=lambda row: row[0])
        conn.executemany(
            "INSERT INTO transition (era, seq, at, boottime, boot_id, kind, subject, from_state, to_state, to_line, "
            "reason, args) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(n, row[0], (row[0] - start_ms) / 1000, BOOT, *row[1:]) for n, row in enumerate(told, 1)],
        )


def _outages(line: ALine, start_ms: int, until_ms: int, every_days: int, seed: int) -> list[tuple[int, int]]:
    chance = random.Random(f"{seed} outages {line.name}")
    found = []
    at = start_ms + DAY
    while at < until_ms - 2 * DAY:
        at += round(chance.uniform(0.3, 1.7) * every_days * DAY)
        found.append((at, at + round(chance.uniform(0.5, 30) * MIN)))
    found = [span for span in found if span[1] < until_ms - 2 * DAY]
    for before, minutes in line.outages:
        at = until_ms - round(before * MIN)
        found.append((at, at + round(minutes * MIN)))
    return found


def _verdicts(
    name: str, outages: Sequence[tuple[int, int]], start_ms: int, seen_again_ms: int, until_ms: int
) -> Iterator[tuple[int, str, str, str, str, None, str, str]]:
    yield start_ms, "verdict", name, "unknown", "up", None, "answers", "{}"
    yield seen_again_ms, "verdict", name, "unknown", "up", None, "answers", "{}"
    for start, end in outages:
        yield start, "verdict", name, "up", "down", None, "silent", '{"silent_s": 1.04, "targets": 2}'
        if end < until_ms:
            yield end, "verdict", name, "down", "up", None, "clean", '{"for_s": 10.0}'


def _modes(
    first: str, second: str, outages: Sequence[tuple[int, int]], start_ms: int, seen_again_ms: int, until_ms: int
) -> Iterator[tuple[int, str, str, str, str, str, str, str]]:
    yield start_ms, "mode", "node", "starting", "online", first, "first-line", "{}"
    yield seen_again_ms, "mode", "node", "starting", "online", first, "first-line", "{}"
    for start, end in outages:
        yield start + 900, "mode", "node", "online", "backup", second, "line-down", f'{{"line": "{first}"}}'
        if end + 60_000 < until_ms:
            yield end + 60_000, "mode", "node", "backup", "online", first, "failback", f'{{"line": "{first}"}}'


def _rows(
    conn: Connection, line: ALine, target: str, outages: Sequence[tuple[int, int]], blind: tuple[int, int],
    start_ms: int, until_ms: int, seed: int,
) -> None:  # fmt: skip
    chance = random.Random(f"{seed} {line.name} {target}")
    series = conn.execute("INSERT INTO series (line, target) VALUES (?, ?)", (line.name, target)).lastrowid
    silent = _silent(outages)
    minutes, hours = [], []
    for hour in range(start_ms, until_ms, HOUR):
        values = []
        for at in range(hour, min(hour + HOUR, until_ms // MIN * MIN), MIN):
            if blind[0] <= at < blind[1]:
                continue
            row = _minute(chance, line, at, silent.get(at, 0))
            minutes.append((at, series, *row))
            values.append(row)
        if hour + HOUR <= until_ms and values:
            hours.append((hour, series, *_hour(values)))
    conn.executemany(f"INSERT INTO minute VALUES ({', '.join('?' * 12)})", minutes)
    conn.executemany(f"INSERT INTO hour VALUES ({', '.join('?' * 13)})", hours)


Row = tuple[int, int, int, int, int | None, int | None, int | None, int | None, int | None, int | None]


def _silent(outages: Sequence[tuple[int, int]]) -> dict[int, int]:
    """How much of a minute nothing was answered, of those in which that was."""
    found: dict[int, int] = {}
    for start, end in outages:
        for at in range(start // MIN * MIN, end, MIN):
            found[at] = found.get(at, 0) + min(end, at + MIN) - max(start, at)
    return found


def _minute(chance: random.Random, line: ALine, at: int, silent_ms: int) -> Row:
    """Count, lost, lost on the way out and back, five times and the jitter."""
    silent = round(PER_MINUTE * silent_ms / MIN)
    if silent == PER_MINUTE:
        return PER_MINUTE, PER_MINUTE, 0, 0, None, None, None, None, None, None
    evening = max(0.0, 1 - abs((at // MIN % 1440) - 820) / 45)  # 21:40 in Shanghai
    lost = silent + (chance.choice((1, 2, 4)) if chance.random() < 0.01 else 0)
    lost += round(PER_MINUTE * 0.08 * evening) if line.name == "telecom" and evening > 0.2 else 0
    usual = line.usual_ms * 1000 * chance.uniform(0.96, 1.04) * (1 + 0.9 * evening)
    spread = usual * (0.08 + 0.5 * evening) * chance.uniform(0.6, 1.6)
    times = (usual - spread * 0.8, usual - spread * 0.5, usual, usual + spread, usual + spread * chance.uniform(1.5, 5))
    least, p5, p50, p95, most = (round(us) for us in times)
    return PER_MINUTE, min(lost, PER_MINUTE), lost - lost // 3, lost // 3, least, p5, p50, p95, most, round(spread / 3)


def _hour(rows: Sequence[Row]) -> tuple[object, ...]:
    count, lost, out, back = (sum(row[n] or 0 for row in rows) for n in range(4))
    known = [row for row in rows if row[6] is not None]
    if not known:
        return count, lost, out, back, None, None, None, None, None, None, b""
    figures = [sorted(row[n] or 0 for row in known) for n in range(4, 10)]
    middle = len(known) // 2
    spread = packed(spread_of((row[6] or 0) / 1e6 for row in known))
    return (count, lost, out, back, figures[0][0], figures[1][middle], figures[2][middle], figures[3][middle],
            figures[4][-1], figures[5][middle], spread)  # fmt: skip
