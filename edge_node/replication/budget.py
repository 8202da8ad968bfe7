"""What the local replica need not keep, by age; and its share of the disk: what goes first when it must shrink. Pure.

By age (`expired`) goes what leads to states before those that are kept, and of fine captures what a coarser file
repeats. Where the budget or its disk is short (`to_shed`), in this order:

1. The oldest restore points: a snapshot that is not the newest, and what lies below the next one. Instants before the
   next snapshot can then no longer be restored from here; from a destination they can, as far as it has them.
2. Fine captures that a coarser file repeats, the oldest first: the same instants stay, in coarser steps.

Never: the newest snapshot, the chain from it to the newest transaction, and what Litestream still has to compact. Where
that alone is more than the budget, nothing is removed and a person is told: the HIS goes on writing.

Of each level an oldest stretch goes, as with Litestream's own retention: it looks for nothing behind it. One file goes
after another, and stopping after any of them is safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge_node.replication.ltx import SNAPSHOT_LEVEL, LtxFile
from edge_node.replication.shipping_plan import Held
from edge_node.status import DISK_FREE_FLOOR_BYTES

# A person hears of it at these parts of the budget, in time for a larger disk; from the last on restore points go.
TOLD_AT = (0.60, 0.75, 0.85)
SHED_ABOVE, SHED_TO = 0.85, 0.75
# Whatever the budget, with less room than this on its disk the replica gives way: to what is captured next and, where
# the disk is also that of the data, to the HIS. The same figure makes `status` complain of the disk of the data.
ROOM_BELOW_BYTES = DISK_FREE_FLOOR_BYTES
ROOM_AGAIN_BYTES = 2 * ROOM_BELOW_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the local replica holds of what it may; `told_at` is the highest part of TOLD_AT that is reached.

    `free_bytes` is the room on its disk, None where that is not known.
    """

    used_bytes: int
    budget_bytes: int
    free_bytes: int | None = None

    @property
    def part(self) -> float:
        return self.used_bytes / self.budget_bytes

    @property
    def told_at(self) -> float | None:
        return next((part for part in reversed(TOLD_AT) if self.part >= part), None)

    @property
    def lacks_room(self) -> bool:
        return self.free_bytes is not None and self.free_bytes < ROOM_BELOW_BYTES

    @property
    def excess_bytes(self) -> int:
        """How much must go: beyond the last mark down to the one before, and what makes room on the disk again."""
        over = 0 if self.part < SHED_ABOVE else self.used_bytes - int(self.budget_bytes * SHED_TO)
        short = ROOM_AGAIN_BYTES - self.free_bytes if self.free_bytes is not None and self.lacks_room else 0
        return max(over, short)


def to_shed(files: Sequence[LtxFile], excess_bytes: int) -> tuple[LtxFile, ...]:
    """The files of one database's replica that go, in this order, to free so much; fewer where that is all that may."""
    found: list[LtxFile] = []
    freed = 0
    for file in _expendable(files):
        if freed >= excess_bytes:
            break
        found.append(file)
        freed += file.size_bytes
    return tuple(found)


def expired(files: Sequence[LtxFile], *, kept_from: int, fine_from: int) -> tuple[LtxFile, ...]:
    """The files of one database's replica that have had their time, in the order in which they go.

    Every state from the TXID `kept_from` on stays within reach, as finely as it was captured from `fine_from` on. The
    newest snapshot at or below `kept_from` is where all of that begins; while there is none, nothing goes but captures.
    """
    begin = max((file.max_txid for file in files if file.is_snapshot and file.max_txid <= kept_from), default=0)
    may_go = _settled(files)
    below = [file for file in may_go if file.max_txid < begin or (file.max_txid == begin and not file.is_snapshot)]
    captures = [file for file in may_go if file.level == 0 and begin < file.max_txid <= fine_from]
    # Not by one that reaches beyond: captures behind it would lose those that lead to them.
    repeating = [file for file in _oldest_first(files) if file.level == 1 and file.max_txid <= fine_from]
    return (*below, *_repeated([*captures, *repeating]))


def _expendable(files: Sequence[LtxFile]) -> Iterator[LtxFile]:
    """Everything that may go, in the order in which it does."""
    snapshots = _oldest_first(file for file in files if file.is_snapshot)
    left = [file for file in _settled(files) if not file.is_snapshot]
    for number, snapshot in enumerate(snapshots):
        # What lies below a snapshot leads to the one before it, which has gone by then.
        yield from (file for file in left if file.max_txid <= snapshot.max_txid)
        left = [file for file in left if file.max_txid > snapshot.max_txid]
        if number < len(snapshots) - 1:
            yield snapshot
    if snapshots:
        yield from _repeated(left)


def _settled(files: Sequence[LtxFile]) -> list[LtxFile]:
    """The files that Litestream needs no more, the oldest first.

    It needs the newest of each level, by which it knows how far that level has come, and what lies beyond the newest of
    the next level: without that its compaction finds a gap, and fails from then on (seen).
    """
    ordered = _oldest_first(files)
    newest = {file.level: file for file in ordered}

    def is_compacted(file: LtxFile) -> bool:
        above = newest.get(file.level + 1)
        return file.level + 1 >= SNAPSHOT_LEVEL or above is None or file.max_txid <= above.max_txid

    return [file for file in ordered if newest[file.level] is not file and is_compacted(file)]


def _repeated(files: Sequence[LtxFile]) -> Iterator[LtxFile]:
    """Of each level the oldest stretch that the next level repeats; `files` are the oldest first."""
    for level in sorted({file.level for file in files}):
        above = Held.of(file for file in files if file.level == level + 1)
        for file in (file for file in files if file.level == level):
            if not above.covers(replace(file, level=level + 1)):
                break
            yield file


def _oldest_first(files: Iterable[LtxFile]) -> list[LtxFile]:
    return sorted(files, key=lambda file: (file.max_txid, file.level))
