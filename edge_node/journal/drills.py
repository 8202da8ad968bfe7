"""Restore drills in the history: how long each took, and whether everything came back.

Whoever drills tells of it in `run_dir/drill/status.json`, the last of each destination, which goes with a reboot. The
recorder samples that file and keeps each drill once; they are few, and stay for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.base.files import ServiceStatus
from edge_node.status import shapes
from edge_node.store.connection import Connection

OK = "ok"
# A drill makes a dozen checks; what is much more was not written by this program.
MOST_CHECKS = 40
LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillCheck:
    """One thing that a drill looked at: ok, finding, skipped or failed, and what was seen, in English."""

    name: str
    outcome: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDrill:
    """A drill from a destination. Where nothing came back `rto_s` and `newest_at_ms` (the newest change) are None."""

    destination: str
    at_ms: int
    outcome: str
    rto_s: float | None
    txid: int | None
    newest_at_ms: int | None
    size_bytes: int | None
    checks: tuple[DrillCheck, ...]

    @property
    def is_ok(self) -> bool:
        return self.outcome == OK

    @property
    def why(self) -> str:
        """What made it other than ok; empty for one that was."""
        return next((check.text for check in self.checks if not self.is_ok and check.outcome == self.outcome), "")


class DrillLog:
    """Keeps what the status file of drills tells. `write` runs a piece of work in one transaction."""

    def __init__(self, write: Callable[[Callable[[Connection], None]], None]) -> None:
        self._write = write
        self._kept: set[tuple[str, int]] = set()

    def turn(self, file: ServiceStatus | None) -> int:
        """Record what is new; how many drills that were. Raises what `write` raises, and then keeps them for later."""
        new = [one for one in told_drills(file) if (one.destination, one.at_ms) not in self._kept]
        if new:
            self._write(lambda conn: record_drills(conn, new))
            self._kept.update((one.destination, one.at_ms) for one in new)
        return len(new)


def told_drills(file: ServiceStatus | None) -> tuple[PastDrill, ...]:
    """The drills in a status file; one that cannot be understood is left out."""
    results = shapes.mapping(file.state.get("results")) if file else {}
    found = (_told(str(name), shapes.mapping(raw)) for name, raw in results.items())
    return tuple(one for one in found if one is not None)


def _told(destination: str, raw: Mapping[str, Any]) -> PastDrill | None:
    at_ms, outcome = shapes.moment_ms(raw.get("at")), shapes.words(raw.get("outcome"))
    if at_ms is None or outcome is None:
        return None
    return PastDrill(
        destination=destination[:LONGEST_TEXT],
        at_ms=at_ms,
        outcome=outcome[:LONGEST_TEXT],
        rto_s=shapes.number(raw.get("rto_s")),
        txid=shapes.count(raw.get("txid")),
        newest_at_ms=shapes.moment_ms(raw.get("newest_at")),
        size_bytes=shapes.count(raw.get("size_bytes")),
        checks=_checks(raw.get("checks")),
    )


def _checks(raw: object) -> tuple[DrillCheck, ...]:
    found = []
    for entry in shapes.objects(raw)[:MOST_CHECKS]:
        name, outcome, text = (shapes.words(entry.get(key)) for key in ("name", "outcome", "text"))
        if name and outcome:
            found.append(DrillCheck(name=name, outcome=outcome, text=(text or "")[:LONGEST_TEXT]))
    return tuple(found)


def record_drills(conn: Connection, drills: Iterable[PastDrill]) -> None:
    """Each once: a drill is known by its destination and its beginning."""
    conn.executemany(
        "INSERT OR IGNORE INTO drill (at, destination, outcome, rto_ms, txid, newest, size_bytes, checks) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (one.at_ms, one.destination, one.outcome, None if one.rto_s is None else round(one.rto_s * 1000), one.txid,
             one.newest_at_ms, one.size_bytes,
             json.dumps([[check.name, check.outcome, check.text] for check in one.checks], ensure_ascii=False))
            for one in drills
        ],
    )  # fmt: skip


def last_drills(conn: Connection, *, limit: int) -> tuple[PastDrill, ...]:
    """The newest drills of all destinations, the newest first."""
    return _read(conn, "ORDER BY at DESC, destination LIMIT ?", (limit,))


def drills_between(conn: Connection, start_ms: int, end_ms: int) -> tuple[PastDrill, ...]:
    """The drills that began in a window, in their order."""
    return _read(conn, "WHERE at >= ? AND at < ? ORDER BY at, destination", (start_ms, end_ms))


def _read(conn: Connection, condition: str, values: tuple[int, ...]) -> tuple[PastDrill, ...]:
    rows = conn.execute(
        f"SELECT at, destination, outcome, rto_ms, txid, newest, size_bytes, checks FROM drill {condition}", values
    )
    return tuple(
        PastDrill(
            destination=row["destination"],
            at_ms=row["at"],
            outcome=row["outcome"],
            rto_s=None if row["rto_ms"] is None else row["rto_ms"] / 1000,
            txid=row["txid"],
            newest_at_ms=row["newest"],
            size_bytes=row["size_bytes"],
            checks=tuple(
                DrillCheck(name=name, outcome=outcome, text=text) for name, outcome, text in json.loads(row["checks"])
            ),
        )
        for row in rows
    )
