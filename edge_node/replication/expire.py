"""What a destination need not keep: by the chain, never by the age of a single object. Pure, and the deleting.

A snapshot is chosen that is older than everything to be kept; what ends at or below it goes. Above it single captures
may be thinned out where a coarser file covers them. So after every single deletion the newest state restores as before,
and so does everything that is to be kept. A bucket's own lifecycle knows ages only, and goes on while a node is silent:
it would delete the last copy.

Ages are those of snapshots, counted in the order of their TXIDs: one is never taken for older than its predecessor, so
that a clock that was set back makes nothing old; and "now" is never later than the newest snapshot, so that neither a
clock ahead nor a silent node does.

An older epoch, of a machine that was replaced, holds the states of its time. Once a newer one restores every instant
that is to be kept, all of it goes; until then it is thinned like the newest, by the same "now". The newest epoch that
restores at all is never touched for being old: it is the clinic.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_node.base.errors import ReplicaError
from edge_node.replication.destination import Destination
from edge_node.replication.ltx import LtxFile
from edge_node.replication.shipping_plan import restore_chain
from edge_node.replication.source import DestinationSource

# The local replica keeps seven days that it has run, and what is deleted sooner would be shipped again: where machines
# are switched off at night, that is two weeks.
LEAST_KEEP_S = 8 * 24 * 3600.0
# Captures are kept locally for a day.
LEAST_FINE_S = 2 * 24 * 3600.0
# What the node keeps where it expires by itself (`expire = true`).
KEEP_S, FINE_S = 90 * 24 * 3600.0, 30 * 24 * 3600.0
# A snapshot of a time so far ahead of ours: one of two clocks is wrong, and nothing may be judged by either.
AHEAD_MS = 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """`goes`, in the order of deletion, and the snapshot from which on everything can be restored.

    `is_whole`: nothing stays of an epoch, since a newer one restores all that is to be kept.
    """

    goes: tuple[LtxFile, ...]
    oldest: LtxFile | None
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a destination holds of one epoch; `snapshots` are those whose time is known."""

    files: tuple[LtxFile, ...]
    snapshots: Mapping[LtxFile, int]


def ages(snapshots: Mapping[LtxFile, int]) -> list[tuple[LtxFile, int]]:
    """Snapshots by TXID, each at the latest time that one of them up to it tells. Pure."""
    found, latest = [], 0
    for file in sorted(snapshots, key=lambda file: file.max_txid):
        latest = max(latest, snapshots[file])
        found.append((file, latest))
    return found


def plan_expiries(
    histories: Sequence[History], *, now_ms: int, keep_s: float = KEEP_S, fine_s: float | None = FINE_S
) -> tuple[Expiry, ...]:
    """What may go of each epoch of a database, given and answered the newest last. Pure.

    Every state of the last `keep_s` can then be restored, and to single captures for `fine_s`. "Now" is that of the
    newest epoch which restores; what is newer than it, and does not restore yet, stays as it is. A snapshot of unknown
    time is never a beginning, and goes with what lies below one.
    """
    nothing = Expiry(goes=(), oldest=None)
    found = [nothing] * len(histories)
    restoring = [place for place, history in enumerate(histories) if restore_chain(history.files)]
    living = restoring[-1] if restoring else None
    if living is None or not (aged := ages(histories[living].snapshots)):
        return tuple(found)
    now_ms = min(now_ms, aged[-1][1])
    is_covered = False
    for place in range(living, -1, -1):
        history = histories[place]
        if is_covered:
            # The newest first: interrupted, it leaves an older state that restores.
            goes = tuple(sorted(history.files, key=lambda file: (-file.max_txid, file.level)))
            found[place] = Expiry(goes=goes, oldest=None, is_whole=True)
        elif aged := ages(history.snapshots):
            found[place] = _plan(history.files, aged, now_ms=now_ms, keep_s=keep_s, fine_s=fine_s)
            is_covered = found[place].oldest is not None and place in restoring
    return tuple(found)


def _plan(
    present: Sequence[LtxFile], aged: Sequence[tuple[LtxFile, int]], *, now_ms: int, keep_s: float, fine_s: float | None
) -> Expiry:
    oldest = _last_before(aged, now_ms - keep_s * 1000)
    below = oldest.max_txid if oldest else 0
    goes = {file for file in present if file.max_txid <= below and file != oldest}
    if fine_s is not None and (edge := _last_before(aged, now_ms - fine_s * 1000)) is not None:
        kept = [file for file in present if file not in goes]
        coarser = _Coarser(kept)
        goes |= {file for file in kept if below < file.max_txid <= edge.max_txid and coarser.holds(file)}
    goes -= set(restore_chain(present))
    return Expiry(goes=tuple(sorted(goes, key=lambda file: (file.max_txid, file.level))), oldest=oldest)


def _last_before(aged: Iterable[tuple[LtxFile, int]], at_ms: float) -> LtxFile | None:
    return max((file for file, time_ms in aged if time_ms <= at_ms), key=lambda file: file.max_txid, default=None)


class _Coarser:
    """Of some files those that may stand in for finer ones; found by halving, since months are millions of captures."""

    def __init__(self, files: Iterable[LtxFile]) -> None:
        # By level: where files begin, ascending, and how far the one that reaches farthest of those up to each does.
        self._levels: dict[int, tuple[list[int], list[int]]] = {}
        for file in sorted(file for file in files if not file.is_snapshot):
            begins, reaches = self._levels.setdefault(file.level, ([], []))
            begins.append(file.min_txid)
            reaches.append(max(file.max_txid, reaches[-1] if reaches else 0))

    def holds(self, file: LtxFile) -> bool:
        """Does one coarser file, not a snapshot, hold all of it?"""
        return not file.is_snapshot and any(
            level > file.level
            and (upto := bisect_right(begins, file.min_txid)) > 0
            and reaches[upto - 1] >= file.max_txid
            for level, (begins, reaches) in self._levels.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What may go of one epoch at a destination, and under which keys.

    `begins` is the snapshot that everything which stays rests on, with the epoch's source that holds it.
    """

    source: DestinationSource
    expiry: Expiry
    keys: Mapping[LtxFile, str]
    begins: tuple[DestinationSource, LtxFile] | None


async def find_expiries(
    sources: Sequence[DestinationSource], *, now_ms: int, keep_s: float, fine_s: float | None
) -> list[Found]:
    """What may go at a destination of each epoch, the newest last.

    Raises ReplicaError: of the source; clock-doubtful.
    """
    histories = []
    for source in sources:
        listed = await source.list()
        times = await source.times([file for file in listed if file.is_snapshot])
        if ahead := [file for file, time_ms in times.items() if time_ms > now_ms + AHEAD_MS]:
            raise ReplicaError(
                "clock-doubtful",
                f"nothing was deleted: {len(ahead)} snapshots of {source.name} are later than this machine's clock",
                context=f"the newest is {ahead[-1].name}",
                hint="set the clock of this machine right; if the clinic's was ahead, wait until that time has passed",
            )
        histories.append(History(files=tuple(listed), snapshots=times))
    expiries = plan_expiries(histories, now_ms=now_ms, keep_s=keep_s, fine_s=fine_s)
    found, begins = [], None
    for source, expiry in reversed(list(zip(sources, expiries, strict=True))):
        begins = (source, expiry.oldest) if expiry.oldest is not None else begins
        found.append(Found(source=source, expiry=expiry, keys=await source.keys(expiry.goes), begins=begins))
    return found[::-1]


async def expire(found: Found, destination: Destination, *, tell: Callable[[int], None] = lambda _: None) -> int:
    """Delete, one by one; how many went. `destination` has the right to.

    Before the first, what everything will begin with is looked at: it is there, and opens where there is an identity.
    Raises DestinationFailed: refused, without the right; and ObjectUnsound.
    """
    if found.begins is not None and found.expiry.goes:
        source, first = found.begins
        if source.identity is not None:
            await source.look(first)
        elif not (await source.keys([first])).get(first):
            return 0
    for count, file in enumerate(found.expiry.goes, start=1):
        await destination.delete(found.keys[file])
        tell(count)
    return len(found.expiry.goes)
