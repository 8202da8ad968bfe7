"""What a destination need not keep: by the chain, never by the age of a single object. Pure, and the deleting.

A snapshot is chosen that is older than everything to be kept; what ends at or below it goes. Above it single captures
may be thinned out where a coarser file covers them. So after every single deletion the newest state restores as before,
and so does everything that is to be kept. A bucket's own lifecycle knows ages only, and goes on while a node is silent:
it would delete the last copy.

Ages are those of snapshots, counted in the order of their TXIDs: one is never taken for older than its predecessor, so
that a clock that was set back makes nothing old; and "now" is never later than the newest snapshot, so that neither a
clock ahead nor a silent node does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from edge_node.base.errors import ReplicaError
from edge_node.replication.destination import Destination
from edge_node.replication.ltx import LtxFile
from edge_node.replication.shipping_plan import restore_chain
from edge_node.replication.source import DestinationSource

# The local replica keeps seven days, and what is deleted sooner would be shipped again.
LEAST_KEEP_S = 8 * 24 * 3600.0
# Captures are kept locally for a day.
LEAST_FINE_S = 2 * 24 * 3600.0
# What the node keeps where it expires by itself (`expire = true`).
KEEP_S, FINE_S = 90 * 24 * 3600.0, 30 * 24 * 3600.0
# A snapshot of a time so far ahead of ours: one of two clocks is wrong, and nothing may be judged by either.
AHEAD_MS = 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """`goes`, in the order of deletion, and the snapshot from which on everything can be restored."""

    goes: tuple[LtxFile, ...]
    oldest: LtxFile | None


def ages(snapshots: Mapping[LtxFile, int]) -> list[tuple[LtxFile, int]]:
    """Snapshots by TXID, each at the latest time that one of them up to it tells. Pure."""
    found, latest = [], 0
    for file in sorted(snapshots, key=lambda file: file.max_txid):
        latest = max(latest, snapshots[file])
        found.append((file, latest))
    return found


def plan_expiry(
    files: Iterable[LtxFile],
    snapshots: Mapping[LtxFile, int],
    *,
    now_ms: int,
    keep_s: float = KEEP_S,
    fine_s: float | None = FINE_S,
) -> Expiry:
    """What may go, so that every state of the last `keep_s` can be restored, and to single captures for `fine_s`. Pure.

    `snapshots` are those whose time is known; another one is never a beginning, and goes with what lies below one.
    """
    present = list(files)
    aged = ages(snapshots)
    if not aged:
        return Expiry(goes=(), oldest=None)
    now_ms = min(now_ms, aged[-1][1])
    oldest = _last_before(aged, now_ms - keep_s * 1000)
    below = oldest.max_txid if oldest else 0
    goes = {file for file in present if file.max_txid <= below and file != oldest}
    if fine_s is not None and (edge := _last_before(aged, now_ms - fine_s * 1000)) is not None:
        kept = [file for file in present if file not in goes]
        goes |= {file for file in kept if below < file.max_txid <= edge.max_txid and _is_covered(file, kept)}
    goes -= set(restore_chain(present))
    return Expiry(goes=tuple(sorted(goes, key=lambda file: (file.max_txid, file.level))), oldest=oldest)


def _last_before(aged: Iterable[tuple[LtxFile, int]], at_ms: float) -> LtxFile | None:
    return max((file for file, time_ms in aged if time_ms <= at_ms), key=lambda file: file.max_txid, default=None)


def _is_covered(file: LtxFile, kept: Iterable[LtxFile]) -> bool:
    """Does one coarser file, not a snapshot, hold all of it?"""
    return not file.is_snapshot and any(
        other.level > file.level
        and not other.is_snapshot
        and other.min_txid <= file.min_txid
        and other.max_txid >= file.max_txid
        for other in kept
    )


async def find_expiry(
    source: DestinationSource, *, now_ms: int, keep_s: float, fine_s: float | None
) -> tuple[Expiry, Mapping[LtxFile, str]]:
    """What may go at a destination, with the objects. Raises ReplicaError: of the source; clock-doubtful."""
    listed = await source.list()
    times = await source.times([file for file in listed if file.is_snapshot])
    if ahead := [file for file, time_ms in times.items() if time_ms > now_ms + AHEAD_MS]:
        raise ReplicaError(
            "clock-doubtful",
            f"nothing was deleted: {len(ahead)} snapshots of {source.name} are later than this machine's clock",
            context=f"the newest is {ahead[-1].name}",
            hint="set the clock of this machine right; if the clinic's was ahead, wait until that time has passed",
        )
    expiry = plan_expiry(listed, times, now_ms=now_ms, keep_s=keep_s, fine_s=fine_s)
    return expiry, await source.keys(expiry.goes)


async def expire(
    source: DestinationSource,
    destination: Destination,
    expiry: Expiry,
    keys: Mapping[LtxFile, str],
    *,
    tell: Callable[[int], None] = lambda _: None,
) -> int:
    """Delete, one by one, oldest first; how many went. `destination` has the right to.

    Before the first, what everything will begin with is looked at: it is there, and opens where there is an identity.
    Raises DestinationFailed: refused, without the right; and ObjectUnsound.
    """
    if expiry.oldest is not None and expiry.goes:
        if source.identity is not None:
            await source.look(expiry.oldest)
        elif not (await source.keys([expiry.oldest])).get(expiry.oldest):
            return 0
    for count, file in enumerate(expiry.goes, start=1):
        await destination.delete(keys[file])
        tell(count)
    return len(expiry.goes)
