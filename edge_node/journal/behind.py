"""How far each destination was behind: its worst RPO in steps of five minutes, as the replicator's status file told it.

Sampled with every turn of the recorder, written when a step ends. What was not heard leaves a gap: unknown, not zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edge_node.base.clock import Clock
from edge_node.base.files import ServiceStatus
from edge_node.status import shapes
from edge_node.store.connection import Connection

# A day is 288 steps: as fine as a small chart can show, and one row of each destination at a time is shipped.
STEP_MS = 5 * 60_000
KEEP_MS = 35 * 24 * 3_600_000


class BehindLog:
    """`write` runs a piece of work in one transaction. What a step has gathered is lost with the process: a gap."""

    def __init__(self, write: Callable[[Callable[[Connection], None]], None], clock: Clock, *, boot_id: str) -> None:
        self._write, self._clock, self._boot_id = write, clock, boot_id
        self._step_ms = 0
        self._worst: dict[str, float] = {}

    def turn(self, replica: ServiceStatus | None) -> None:
        """Take a sample of the replicator's status file; write the step that has ended. Raises what `write` raises."""
        now_ms = self._clock.wall_ms()
        step_ms = now_ms // STEP_MS * STEP_MS
        if step_ms != self._step_ms:
            if self._worst:
                ended_ms, worst = self._step_ms, dict(self._worst)
                self._write(lambda conn: record_behind(conn, ended_ms, worst, now_ms=now_ms))
            self._step_ms, self._worst = step_ms, {}
        if replica is None or replica.stopped or replica.is_stale(self._clock.boottime(), this_boot=self._boot_id):
            return
        for name, rpo_s in told_behind(replica.state).items():
            self._worst[name] = max(self._worst.get(name, 0.0), rpo_s)


def told_behind(state: Mapping[str, Any]) -> dict[str, float]:
    """The RPO of each destination that knows its own."""
    rows = ((shapes.words(row.get("name")), shapes.number(row.get("rpo_s"))) for row in
            shapes.objects(state.get("destinations")))  # fmt: skip
    return {name: rpo_s for name, rpo_s in rows if name is not None and rpo_s is not None}


def record_behind(conn: Connection, step_ms: int, worst: Mapping[str, float], *, now_ms: int) -> None:
    """Write a step; what nobody draws any more goes. A clock that was set back leaves the worse of two."""
    conn.executemany(
        "INSERT INTO behind (at, destination, rpo_ms) VALUES (?, ?, ?) "
        "ON CONFLICT (at, destination) DO UPDATE SET rpo_ms = max(rpo_ms, excluded.rpo_ms)",
        [(step_ms, name, round(rpo_s * 1000)) for name, rpo_s in worst.items()],
    )
    conn.execute("DELETE FROM behind WHERE at < ?", (now_ms - KEEP_MS,))


def behind_between(conn: Connection, destination: str, start_ms: int, end_ms: int) -> tuple[tuple[int, float], ...]:
    """When, and how many seconds at worst in the step from then on; in order."""
    rows = conn.execute(
        "SELECT at, rpo_ms FROM behind WHERE destination = ? AND at >= ? AND at < ? ORDER BY at",
        (destination, start_ms, end_ms),
    )
    return tuple((row["at"], row["rpo_ms"] / 1000) for row in rows)
