"""Keeps the local replica within its time and its budget, and some room for a clean stop on the disk of the data."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.base.files import disk_free_bytes
from edge_node.base.logs import Repeated, event
from edge_node.replication.budget import ROOM_BELOW_BYTES, SHED_ABOVE, Budget, expired, to_shed
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.ltx import LtxFile, local_path

RESERVE_BYTES = 64 << 20
# With less than this the last capture of a stop, and whoever clears up, may find no room.
RESERVE_FREED_BELOW_BYTES = 32 << 20
# It is not made where it would itself be what fills the disk.
RESERVE_MADE_ABOVE_BYTES = 1 << 30


# What shall go, in this order, by the folder of each database's replica.
Going = Sequence[tuple[Path, Sequence[LtxFile]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shedding:
    """What shall go, and how much would have to."""

    wanted_bytes: int
    files: Going = ()

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for _, files in self.files for file in files)


class LocalDisk:
    """The local replicas of all databases, by name, against one budget.

    `meta_paths` are Litestream's own folders: what it staged there goes with what goes here. By itself it clears only
    what it still finds in the replica.
    """

    def __init__(
        self, replicas: Mapping[str, LocalReplica], *, budget_bytes: int, meta_paths: Mapping[str, Path]
    ) -> None:
        self._by_name = replicas
        self._staged = {replica.path: meta_paths[name] for name, replica in replicas.items()}
        self._replicas = tuple(replicas.values())
        self._budget_bytes = budget_bytes
        self._failures = Repeated()
        self._used: tuple[tuple[int, ...], int] | None = None
        self._is_stuck = False
        self._free_bytes: int | None = None

    @property
    def budget(self) -> Budget:
        versions = tuple(replica.version for replica in self._replicas)
        if self._used is None or self._used[0] != versions:
            self._used = versions, sum(map(_size_bytes, self._replicas))
        return Budget(used_bytes=self._used[1], budget_bytes=self._budget_bytes, free_bytes=self._free_bytes)

    def look(self) -> None:
        """How much room is left on its disk? Waits for the disk, and raises nothing."""
        self._free_bytes = min(
            (free for replica in self._replicas if (free := disk_free_bytes(replica.path)) is not None), default=None
        )

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
        if count := self._remove(shedding.files):
            event("replica_shed", level="warning", files=count, wanted_bytes=shedding.wanted_bytes)
        return count

    def expired(self, *, kept_from: Mapping[str, int], fine_from: Mapping[str, int]) -> Going:
        """What has had its time, by the TXIDs (of each database) from which states and captures are kept."""
        return [
            (replica.path, expired(replica.files, kept_from=kept_from.get(name, 0), fine_from=fine_from.get(name, 0)))
            for name, replica in self._by_name.items()
        ]

    def expire(self, going: Going) -> int:
        """Remove it; how many files went. Waits for the disk, and raises nothing."""
        if count := self._remove(going):
            event("replica_thinned", files=count)
        return count

    def _remove(self, going: Going) -> int:
        count, is_done = 0, True
        for folder, files in going:
            try:
                for file in files:
                    local_path(folder, file).unlink(missing_ok=True)
                    local_path(self._staged[folder], file).unlink(missing_ok=True)
                    count += 1
            except OSError as error:
                # What follows is newer, and must not go before it.
                is_done = False
                if self._failures.failed():
                    event("replica_not_shed", level="error", folder=folder, why=error, times=self._failures.count)
        if count and is_done:
            self._failures.recovered()
        return count

    def problems(self) -> list[dict[str, Any]]:
        """What a person should know, from the first mark on: what is used, and whether anything goes or could go."""
        budget = self.budget
        found: list[dict[str, Any]] = []
        if budget.lacks_room:
            args = {"free_bytes": budget.free_bytes, "floor_bytes": ROOM_BELOW_BYTES}
            found.append({"code": "replica-disk-low", "args": args})
        if budget.told_at is not None:
            code = "replica-budget-filling"
            if budget.part >= SHED_ABOVE:
                code = "replica-budget-stuck" if self._is_stuck else "replica-budget"
            parts = {"percent": round(budget.part * 100), "told_at": round(budget.told_at * 100)}
            args = {"used_bytes": budget.used_bytes, "budget_bytes": budget.budget_bytes, **parts}
            found.append({"code": code, "args": args})
        return found

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
        self._failures = Repeated()

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
            if self._failures.failed():
                event("reserve_not_made", level="warning", path=self.path, why=error, times=self._failures.count)
        else:
            self._failures.recovered()

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
