"""How far one copy is behind, asked every second; what takes long to find out is found out less often."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_node.base.clock import Clock
from edge_node.replication import lag
from edge_node.replication.lag import Lag
from edge_node.replication.local_replica import LocalReplica

# After two weeks (53,000 files) it takes half a second: so much of the time it may take.
MEASURED_PART = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What was found out of these files here and that frontier there, and until when it is good enough."""

    version: int
    frontier: int
    lag: Lag
    lacked_at_ms: int | None
    holds_until_s: float


class LagWatch:
    """Compares a local replica with what a destination reaches."""

    def __init__(self, local: LocalReplica, clock: Clock) -> None:
        self._local, self._clock = local, clock
        self._known: _Measured | None = None

    def look(self, frontier: int, *, confirmed_at_ms: int | None, now_ms: int) -> Lag:
        """The lag of a destination that reaches `frontier`, of the time `confirmed_at_ms` if that is known.

        While nothing new is confirmed, the bytes may be those of a while ago.
        """
        above = self._local.above(frontier)
        if not above:
            return lag.NO_LAG
        began = self._clock.boottime()
        known = self._known
        if (
            known is None
            or known.frontier != frontier
            or (known.version != self._local.version and began >= known.holds_until_s)
        ):
            lacked = lag.oldest_lacked(above, frontier)
            at_ms = self._local.time_ms(lacked) if lacked else None
            if at_ms is None:
                at_ms = confirmed_at_ms
            found = lag.measure(above, frontier, lacked_at_ms=at_ms, now_ms=now_ms)
            ended = self._clock.boottime()
            known = self._known = _Measured(
                version=self._local.version,
                frontier=frontier,
                lag=found,
                lacked_at_ms=at_ms,
                holds_until_s=ended + (ended - began) / MEASURED_PART,
            )
        rpo_s = known.lag.rpo_s
        if known.lacked_at_ms is not None:
            rpo_s = max(0.0, (now_ms - known.lacked_at_ms) / 1000)
        return replace(known.lag, txids=max(file.max_txid for file in above) - frontier, rpo_s=rpo_s)
