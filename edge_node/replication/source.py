"""Where a database can be restored from: the local replica, or a destination; listed alike, fetched alike."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_node.base.errors import ReplicaError
from edge_node.replication.destination import Destination, RemoteObject, database_prefix, listed_files
from edge_node.replication.epoch import folder_name, parse_folder
from edge_node.replication.ltx import LtxFile, level_path, local_path, read_header, scan
from edge_node.replication.sealing import SUFFIX, CannotOpen, Identity

# As many in flight as the shipper's history lane: round trips, not bytes, are what a restore of small files waits for.
FETCH_IN_FLIGHT = 32


class Source(Protocol):
    """One database's files somewhere."""

    @property
    def name(self) -> str:
        """How to call it in a sentence."""
        ...

    async def list(self) -> Mapping[LtxFile, int]:
        """Every file with the time of its newest commit (UTC ms). Raises ReplicaError."""
        ...

    async def fetch(self, files: Sequence[LtxFile], into: Path) -> None:
        """Bring these files into the empty folder `into`, laid out as a file replica. Raises ReplicaError."""
        ...


class LocalSource:
    """The local replica of one database."""

    def __init__(self, replica: Path) -> None:
        self._replica = replica

    @property
    def name(self) -> str:
        return f"the local replica {self._replica}"

    async def list(self) -> Mapping[LtxFile, int]:
        times = {}
        for file in scan(self._replica):
            try:
                times[file] = local_path(self._replica, file).stat().st_mtime_ns // 1_000_000
            except FileNotFoundError:
                continue  # Compacted away since.
        return times

    async def fetch(self, files: Sequence[LtxFile], into: Path) -> None:
        """Links where it can: Litestream may go on and remove its own."""
        for file in files:
            to = _make_place(into, file)
            try:
                try:
                    os.link(local_path(self._replica, file), to)
                except FileNotFoundError:
                    raise
                except OSError:
                    shutil.copy2(local_path(self._replica, file), to)
            except OSError as error:
                raise ReplicaError(
                    "restore-failed",
                    f"{file.name} of level {file.level} cannot be read from {self.name}",
                    context=error.strerror,
                    hint="try again: Litestream may just have compacted it",
                ) from error
            check_file(to, file)


@dataclass(slots=True)
class DestinationSource:
    """One database in one epoch at an opened destination. `identity` opens what is sealed."""

    destination: Destination
    prefix: str
    identity: Identity | None
    _objects: Mapping[LtxFile, RemoteObject] | None = None

    @property
    def name(self) -> str:
        return f"{self.destination.name} ({self.prefix})"

    async def list(self) -> Mapping[LtxFile, int]:
        self._objects = listed_files(await self.destination.list(self.prefix))
        return {file: item.time_ms for file, item in self._objects.items()}

    async def fetch(self, files: Sequence[LtxFile], into: Path) -> None:
        if self._objects is None:
            await self.list()
        assert self._objects is not None
        if self.identity is None and any(self._objects[file].key.endswith(SUFFIX) for file in files):
            raise ReplicaError(
                "identity-missing",
                f"what {self.name} holds is encrypted, and no identity was given",
                context=None,
                hint="give the recovery identity from the safe: --identity FILE",
            )
        todo = iter(files)

        async def worker() -> None:
            for file in todo:
                await self._fetch_one(file, into)

        workers = [asyncio.create_task(worker()) for _ in range(FETCH_IN_FLIGHT)]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()

    async def _fetch_one(self, file: LtxFile, into: Path) -> None:
        assert self._objects is not None
        item, to = self._objects[file], _make_place(into, file)
        try:
            await self.destination.fetch(item, to, self.identity)
        except CannotOpen as error:
            raise ReplicaError(
                "object-unsound",
                f"{item.key} cannot be opened",
                context=f"{error}: it is damaged, or not sealed to this identity",
                hint="try the recovery identity, or restore from another destination",
            ) from error
        check_file(to, file)


def _make_place(into: Path, file: LtxFile) -> Path:
    level_path(into, file.level).mkdir(mode=0o700, parents=True, exist_ok=True)
    return local_path(into, file)


def check_file(path: Path, file: LtxFile) -> None:
    """Is it what its name says? Sets its file time, by which Litestream restores a past instant, from its header.

    Raises ReplicaError object-unsound.
    """
    try:
        header = read_header(path)
        if (header.min_txid, header.max_txid) != (file.min_txid, file.max_txid):
            raise ValueError(f"it holds TXIDs {header.min_txid} to {header.max_txid}")
    except ValueError as error:
        raise ReplicaError(
            "object-unsound",
            f"{file.name} of level {file.level} is not what its name says",
            context=str(error),
            hint="restore from another destination, or to a TXID before this file",
        ) from error
    if path.stat().st_nlink == 1:  # A link is Litestream's own file, whose time is right.
        os.utime(path, ns=(header.timestamp_ms * 1_000_000, header.timestamp_ms * 1_000_000))


async def find_source(
    destination: Destination, *, database: str, node_id: str | None, identity: Identity | None
) -> DestinationSource:
    """The newest epoch of a clinic that holds this database at a destination; opens the destination.

    `node_id` may be None where the destination holds one clinic only. Raises ReplicaError.
    """
    await destination.open_to_read()
    found: dict[str, set[int]] = {}
    for item in await destination.list(node_id or ""):
        parts = item.key.split("/")
        if len(parts) == 5 and parts[2] == database and (number := parse_folder(parts[1])):
            found.setdefault(parts[0], set()).add(number)
    if not found:
        raise ReplicaError(
            "restore-failed",
            f"{destination.name} holds no copy of {database}" + (f" of {node_id}" if node_id else ""),
            context=f"looked below {destination.url}",
            hint="is it the right address? its folder holds one folder per clinic",
        )
    if len(found) > 1:
        raise ReplicaError(
            "restore-failed",
            f"{destination.name} holds copies of several clinics",
            context=", ".join(sorted(found)),
            hint="say which one: --node ID",
        )
    (node, numbers), *_ = found.items()
    prefix = database_prefix(node, folder_name(max(numbers)), database)
    return DestinationSource(destination=destination, prefix=prefix, identity=identity)
