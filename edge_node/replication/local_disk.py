"""Keeps the local replica within its budget, and some room for a clean stop on the disk of the data."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.base.files import disk_free_bytes
from edge_node.base.logs import Repeated, event
from edge_node.replication.budget import SHED_ABOVE, Budget, to_shed
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.ltx import LtxFile, local_path

RESERVE_BYTES = 64 << 20
# With less than this the last capture of a stop, and whoever clears up, may find no room.
RESERVE_FREED_BELOW_BYTES = 32 << 20
# It is not made where it would itself be what fills the disk.
RESERVE_MADE_ABOVE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Shedding:
    """What shall go, by the folder of each database's replica, and how much would have to."""

    wanted_bytes: int
    files: Sequence[tuple[Path, Sequence[LtxFile]]] = ()

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for _, files in self.files for file in files)


class LocalDisk:
    """The local replicas of all databases against one budget."""

    def __init__(self, replicas: Mapping[str, LocalReplica], *, budget_bytes: int) -> None:
        self._replicas = tuple(replicas.values())
        self._budget_bytes = budget_bytes
        self._failures = Repeated()
        self._used: tuple[tuple[int, ...], int] | None = None
        self._is_stuck = False

    @property
    def budget(self) -> Budget:
        versions = tuple(replica.version for replica in self._replicas)
        if self._used is None or self._used[0] != versions:
            self._used = versions, sum(map(_size_bytes, self._replicas))
        return Budget(used_bytes=self._used[1], budget_bytes=self._budget_bytes)

    def plan(self) -> Shedding | None:
        """What must go now; the largest replica gives first. `None` while nothing must."""
        excess_bytes, left_bytes = self.budget.excess_bytes, self.budget.excess_bytes
        if excess_bytes <= 0:
            self._is_stuck = False
            return None
        found = []
        for replica in sorted(self._replicas, key=_size_bytes, reverse=True):
            files = to_shed(replica.files, left_bytes)
            found.append((replica.path, files))
            left_bytes -= sum(file.size_bytes for file in files)
        shedding = Shedding(wanted_bytes=excess_bytes, files=found)
        self._is_stuck = shedding.size_bytes < excess_bytes
        return shedding

    def shed(self, shedding: Shedding) -> int:
        """Remove it; how many files went. Waits for the disk, and raises nothing."""
        count = 0
        for folder, files in shedding.files:
            try:
                for file in files:
                    local_path(folder, file).unlink(missing_ok=True)
                    count += 1
            except OSError as error:
                # What follows is newer, and must not go before it.
                if self._failures.failed():
                    event("replica_not_shed", level="error", folder=folder, why=error)
        if count:
            event("replica_shed", level="warning", files=count, wanted_bytes=shedding.wanted_bytes)
        return count

    def problems(self) -> list[dict[str, Any]]:
        """What a person must see to: from the last mark on, and whether anything is left that could go."""
        budget = self.budget
        if budget.part < SHED_ABOVE:
            return []
        code = "replica-budget-stuck" if self._is_stuck else "replica-budget"
        args = {
            "used_bytes": budget.used_bytes,
            "budget_bytes": budget.budget_bytes,
            "percent": round(budget.part * 100),
        }
        return [{"code": code, "args": args}]

    def as_json(self) -> dict[str, Any]:
        budget = self.budget
        return {"used_bytes": budget.used_bytes, "budget_bytes": budget.budget_bytes, "told_at": budget.told_at}


def _size_bytes(replica: LocalReplica) -> int:
    return sum(file.size_bytes for file in replica.files)


class Reserve:
    """A file that does nothing but take room, and is removed where room is needed: `state_dir/reserve`.

    On a disk that is full even a deletion fails in SQLite. At a stop the reserve gives way, so that what was
    acknowledged is captured and every file is closed; a person may remove it at any time.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "reserve"

    def keep(self) -> None:
        """Make it where there is none and the disk has plenty. Raises nothing."""
        free = disk_free_bytes(self.path.parent)
        if self.path.exists() or free is None or free < RESERVE_MADE_ABOVE_BYTES:
            return
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, RESERVE_BYTES)
            finally:
                os.close(handle)
        except OSError as error:
            self.path.unlink(missing_ok=True)
            event("reserve_not_made", level="warning", path=self.path, why=error)

    def give_way(self) -> bool:
        """Remove it where the disk is nearly full; true if it was there. Raises nothing."""
        free = disk_free_bytes(self.path.parent)
        if free is None or free >= RESERVE_FREED_BELOW_BYTES:
            return False
        with contextlib.suppress(OSError):
            self.path.unlink()
            event("reserve_removed", level="warning", path=self.path, freed_bytes=RESERVE_BYTES, left_bytes=free)
            return True
        return False
