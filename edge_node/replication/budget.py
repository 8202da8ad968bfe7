"""The local replica and its share of the disk: how full it is, and what goes first when it must shrink. Pure.

In this order, and one file after another, so that stopping after any of them is safe:

1. The oldest restore points: a snapshot that is not the newest, and what lies below the next one. Instants before the
   next snapshot can then no longer be restored from here; from a destination they can, as far as it has them.
2. Fine captures that a coarser file repeats, the oldest first: the same instants stay, in coarser steps.

Never: the newest snapshot, the chain from it to the newest transaction, and what Litestream still has to compact. Where
that alone is more than the budget, nothing is removed and a person is told: the HIS goes on writing.

Of each level an oldest stretch goes, as with Litestream's own retention: it looks for nothing behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge_node.replication.ltx import LtxFile
from edge_node.replication.shipping_plan import Held

# A person hears of it at these parts of the budget, and from the last on restore points go.
TOLD_AT = (0.60, 0.75, 0.85)
SHED_ABOVE, SHED_TO = 0.85, 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the local replica holds of what it may; `told_at` is the highest part of TOLD_AT that is reached."""

    used_bytes: int
    budget_bytes: int

    @property
    def part(self) -> float:
        return self.used_bytes / self.budget_bytes

    @property
    def told_at(self) -> float | None:
        return next((part for part in reversed(TOLD_AT) if self.part >= part), None)

    @property
    def excess_bytes(self) -> int:
        """How much must go: nothing below the last mark, beyond it down to the one before."""
        return 0 if self.part < SHED_ABOVE else self.used_bytes - int(self.budget_bytes * SHED_TO)


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


def _expendable(files: Sequence[LtxFile]) -> Iterator[LtxFile]:
    """Everything that may go, in the order in which it does."""
    snapshots = _oldest_first(file for file in files if file.is_snapshot)
    newest = {file.level: file for file in _oldest_first(files)}
    # By the newest file of a level Litestream knows how far that level has come.
    left = [file for file in _oldest_first(files) if not file.is_snapshot and newest[file.level] is not file]
    for number, snapshot in enumerate(snapshots):
        # What lies below a snapshot leads to the one before it, which has gone by then.
        yield from (file for file in left if file.max_txid <= snapshot.max_txid)
        left = [file for file in left if file.max_txid > snapshot.max_txid]
        if number < len(snapshots) - 1:
            yield snapshot
    if snapshots:
        yield from _repeated(left)


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
