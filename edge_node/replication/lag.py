"""How far a destination is behind: TXIDs, bytes, and its RPO. Pure; the time is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_node.replication.ltx import LtxFile
from edge_node.replication.shipping_plan import cheapest_chain

# Something is always on its way while people work (one capture a second): younger than this it is in transit, not late.
IN_TRANSIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """What a destination lacks.

    `size_bytes` is what must be sent until it is current (the cheapest chain, before encryption). `rpo_s` is the age of
    the oldest change that it lacks, 0.0 when it lacks none, None when something is missing whose time is not known.
    """

    txids: int
    size_bytes: int
    rpo_s: float | None

    @property
    def is_current(self) -> bool:
        """Does it lack nothing but what is in transit?"""
        return self.txids == 0 or (self.rpo_s is not None and self.rpo_s <= IN_TRANSIT_S)


NO_LAG = Lag(txids=0, size_bytes=0, rpo_s=0.0)


def oldest_lacked(local: Iterable[LtxFile], frontier: int) -> LtxFile | None:
    """The local file whose header tells the time of the first change above `frontier`; None when none holds it.

    The finest that holds it, since a header's time is that of its newest commit. Compaction keeps level 0 for 24 h: a
    coarser answer is later than the truth by one compaction interval at most.
    """
    first = frontier + 1
    holding = [file for file in local if file.min_txid <= first <= file.max_txid]
    return min(holding, key=lambda file: (file.max_txid, file.level), default=None)


def measure(local: Iterable[LtxFile], frontier: int, *, lacked_at_ms: int | None, now_ms: int) -> Lag:
    """The lag of a destination that reaches `frontier`, against the local files.

    `lacked_at_ms` is the header time of `oldest_lacked`, or of the newest confirmed file where the local chain is
    broken (then the RPO is a little too long, never too short). A clock that was set back gives 0, not a negative age.
    """
    above = [file for file in local if file.max_txid > frontier]
    if not above:
        return NO_LAG
    head = max(file.max_txid for file in above)
    size_bytes = sum(file.size_bytes for file in cheapest_chain(above, frontier))
    rpo_s = None if lacked_at_ms is None else max(0.0, (now_ms - lacked_at_ms) / 1000)
    return Lag(txids=head - frontier, size_bytes=size_bytes, rpo_s=rpo_s)
