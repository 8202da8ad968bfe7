"""Where a database can be restored from: the local replica, or a destination; listed alike, fetched alike."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_node.base.errors import ReplicaError
from edge_node.replication.at_once import each
from edge_node.replication.destination import (
    Destination,
    DestinationFailed,
    RemoteObject,
    database_prefix,
    listed_files,
    of_one_kind,
)
from edge_node.replication.epoch import folder_name, parse_folder
from edge_node.replication.ltx import LtxFile, level_path, local_path, read_header, scan
from edge_node.replication.sealing import SUFFIX, CannotOpen, Keys


class ObjectUnsound(ReplicaError):
    """`file` is not what was put there: it cannot be opened, or holds something else."""

    def __init__(self, file: LtxFile, message: str, *, context: str, hint: str, is_foreign: bool = False) -> None:
        super().__init__("object-unsound", message, context=context, hint=hint)
        self.file = file
        # Sealed to others: then the identity is at fault, rather than the object.
        self.is_foreign = is_foreign


class NoCopy(ReplicaError):
    """A destination holds nothing of this database."""


class ObjectGone(ReplicaError):
    """`file` was listed and is not there any more: compacted away, or deleted."""

    def __init__(self, file: LtxFile, source: str) -> None:
        super().__init__(
            "restore-failed",
            f"{place(file)} has gone from {source}",
            context="it was listed a moment ago",
            hint="try again: what covers it is found then",
        )
        self.file = file


class Source(Protocol):
    """One database's files somewhere."""

    @property
    def name(self) -> str:
        """How to call it in a sentence."""
        ...

    @property
    def unsealed(self) -> int:
        """How many objects were left out of the last listing, since they lie unsealed among sealed ones."""
        ...

    async def list(self) -> Mapping[LtxFile, int | None]:
        """Every file with the time of its newest commit (UTC ms); None where a listing does not tell it.

        Raises ReplicaError.
        """
        ...

    async def times(self, files: Iterable[LtxFile]) -> Mapping[LtxFile, int]:
        """The times of some of the files that were listed; one is left out when it cannot be told.

        Raises ReplicaError.
        """
        ...

    async def fetch(self, files: Sequence[LtxFile], into: Path) -> None:
        """Bring these files into the folder `into`, where they are not, laid out as a file replica.

        A file that is there is whole. Raises ReplicaError, of it ObjectUnsound and ObjectGone about one file.
        """
        ...

    async def close(self) -> None:
        """Let go of what it took to ask."""
        ...


class LocalSource:
    """The local replica of one database."""

    def __init__(self, replica: Path) -> None:
        self._replica = replica

    @property
    def replica(self) -> Path:
        """The folder that holds `ltx/`."""
        return self._replica

    @property
    def name(self) -> str:
        return f"the local replica {self._replica}"

    @property
    def unsealed(self) -> int:
        return 0

    async def list(self) -> Mapping[LtxFile, int | None]:
        try:
            return dict(await self.times(scan(self._replica)))
        except OSError as error:
            raise self._unreadable(self.name, error) from error

    async def times(self, files: Iterable[LtxFile]) -> Mapping[LtxFile, int]:
        times = {}
        for file in files:
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
                    beside = _beside(to)
                    shutil.copy2(local_path(self._replica, file), beside)
                    beside.rename(to)
            except FileNotFoundError as error:
                raise ObjectGone(file, self.name) from error
            except OSError as error:
                raise self._unreadable(f"{place(file)} of {self.name}", error) from error
            check_file(to, file)

    def _unreadable(self, what: str, error: OSError) -> ReplicaError:
        return ReplicaError(
            "restore-failed",
            f"{what} cannot be read",
            context=error.strerror,
            hint="is the disk failing? see dmesg; a destination holds the same: --from NAME",
        )

    async def close(self) -> None:
        return None


@dataclass(slots=True)
class DestinationSource:
    """One database in one epoch at an opened destination. `identity` opens what is sealed.

    Of a mixture it uses what is sealed, or with `takes_unsealed` what is not. `unsealed` is how many objects of the
    last listing are not, and were left out for that.
    """

    destination: Destination
    prefix: str
    identity: Keys | None
    takes_unsealed: bool = False
    unsealed: int = 0
    _objects: Mapping[LtxFile, RemoteObject] | None = None

    @property
    def name(self) -> str:
        return f"{self.destination.name} ({self.prefix})"

    async def list(self) -> Mapping[LtxFile, int | None]:
        listed = await self.destination.list(self.prefix)
        found, others = of_one_kind(listed, sealed=not self.takes_unsealed)
        self._objects, self.unsealed = listed_files(found), 0 if self.takes_unsealed else others
        return {file: item.time_ms for file, item in self._objects.items()}

    async def times(self, files: Iterable[LtxFile]) -> Mapping[LtxFile, int]:
        """From the listing, else from the object's attributes, else from the header inside, if it can be opened."""
        objects = await self._listed()
        told: dict[LtxFile, int] = {}

        async def ask(file: LtxFile) -> None:
            if (time_ms := await self._time_ms(objects[file])) is not None:
                told[file] = time_ms

        await each(files, ask)
        return told

    async def _time_ms(self, item: RemoteObject) -> int | None:
        if item.time_ms is not None:
            return item.time_ms
        found = await self.destination.head(item.key)
        if found is not None and found.time_ms is not None:
            return found.time_ms
        if item.key.endswith(SUFFIX) and self.identity is None:
            return None
        try:
            return (await self.destination.header(item, self.identity)).timestamp_ms
        except CannotOpen:
            return None

    async def fetch(self, files: Sequence[LtxFile], into: Path) -> None:
        objects = await self._listed()
        if self.identity is None and any(objects[file].key.endswith(SUFFIX) for file in files):
            raise self._sealed()
        await each(files, lambda file: self._fetch_one(objects[file], file, into))

    async def keys(self, files: Iterable[LtxFile]) -> Mapping[LtxFile, str]:
        """The objects of some of the files that were listed. Raises ReplicaError."""
        objects = await self._listed()
        return {file: objects[file].key for file in files}

    async def look(self, file: LtxFile) -> None:
        """Open the beginning of one object only. Raises ReplicaError as `fetch`."""
        item = (await self._listed())[file]
        if self.identity is None and item.key.endswith(SUFFIX):
            raise self._sealed()
        try:
            header = await self.destination.header(item, self.identity)
        except CannotOpen as error:
            raise _cannot_open(item, file, error) from error
        if (header.min_txid, header.max_txid) != (file.min_txid, file.max_txid):
            raise ObjectUnsound(
                file,
                f"{place(file)} is not what its name says",
                context=f"it holds TXIDs {header.min_txid} to {header.max_txid}",
                hint="restore from another destination, or to a TXID before this file",
            )

    @property
    def epoch(self) -> int:
        """The epoch whose files these are."""
        return parse_folder(self.prefix.split("/")[-2]) or 0

    async def close(self) -> None:
        await self.destination.close()

    def _sealed(self) -> ReplicaError:
        return ReplicaError(
            "identity-missing",
            f"what {self.name} holds is encrypted, and no identity was given",
            context=None,
            hint="give the recovery identity from the safe: --identity FILE",
        )

    async def _listed(self) -> Mapping[LtxFile, RemoteObject]:
        if self._objects is None:
            await self.list()
        assert self._objects is not None
        return self._objects

    async def _fetch_one(self, item: RemoteObject, file: LtxFile, into: Path) -> None:
        to = _make_place(into, file)
        beside = _beside(to)
        try:
            await self.destination.fetch(item, beside, self.identity)
            check_file(beside, file)
            beside.rename(to)
        except CannotOpen as error:
            raise _cannot_open(item, file, error) from error
        except DestinationFailed:
            # Only now is it asked for: a store that has lost the object answers like one that has nothing.
            if await self.destination.head(item.key) is not None:
                raise
            raise ObjectGone(file, self.name) from None
        finally:
            beside.unlink(missing_ok=True)


def _cannot_open(item: RemoteObject, file: LtxFile, error: CannotOpen) -> ObjectUnsound:
    return ObjectUnsound(
        file,
        f"{item.key} cannot be opened",
        context=f"{error}: it is damaged, or not sealed to this identity",
        hint="try the recovery identity, or restore from another destination",
        is_foreign="matching keys" in str(error),
    )


def _make_place(into: Path, file: LtxFile) -> Path:
    level_path(into, file.level).mkdir(mode=0o700, parents=True, exist_ok=True)
    return local_path(into, file)


_tries = itertools.count()


def _beside(to: Path) -> Path:
    """A name of its own for each try: one that ran into its deadline may still be writing."""
    return to.with_name(f"{to.name}.{next(_tries)}.part")


def place(file: LtxFile) -> str:
    """A file as it lies at a destination: "0009/0000000000000001-0000000000000008.ltx"."""
    return f"{file.level:04x}/{file.name}"


def check_file(path: Path, file: LtxFile) -> None:
    """Is it what its name says? Sets its file time, by which Litestream restores a past instant, from its header.

    Raises ObjectUnsound.
    """
    try:
        header = read_header(path)
        if (header.min_txid, header.max_txid) != (file.min_txid, file.max_txid):
            raise ValueError(f"it holds TXIDs {header.min_txid} to {header.max_txid}")
    except ValueError as error:
        raise ObjectUnsound(
            file,
            f"{place(file)} is not what its name says",
            context=str(error),
            hint="restore from another destination, or to a TXID before this file",
        ) from error
    if path.stat().st_nlink == 1:  # A link is Litestream's own file, whose time is right.
        os.utime(path, ns=(header.timestamp_ms * 1_000_000, header.timestamp_ms * 1_000_000))


async def find_source(
    destination: Destination,
    *,
    database: str,
    node_id: str | None,
    identity: Keys | None,
    epoch: int | None = None,
    takes_unsealed: bool = False,
) -> DestinationSource:
    """The newest epoch of a clinic that holds this database at a destination, or `epoch`; opens the destination.

    `node_id` may be None where the destination holds one clinic only. Raises ReplicaError.
    """
    found = await find_sources(
        destination, database=database, node_id=node_id, identity=identity, takes_unsealed=takes_unsealed
    )
    if epoch is None:
        return found[-1]
    for source in found:
        if source.epoch == epoch:
            return source
    raise NoCopy(
        "restore-failed",
        f"{destination.name} holds no copy of {database} of epoch {epoch}",
        context=f"there are epochs {', '.join(str(source.epoch) for source in found)}",
        hint="leave --epoch out for the newest",
    )


async def find_sources(
    destination: Destination,
    *,
    database: str,
    node_id: str | None,
    identity: Keys | None,
    takes_unsealed: bool = False,
) -> list[DestinationSource]:
    """One for each epoch of a clinic that holds this database, the newest last; opens the destination.

    As `find_source` else.
    """
    await destination.open_to_read()
    found: dict[str, list[int]] = {}
    for node in await destination.folders("") if node_id is None else (node_id,):
        for epoch in await destination.folders(node):
            if (number := parse_folder(epoch)) and database in await destination.folders(f"{node}/{epoch}"):
                found.setdefault(node, []).append(number)
    if not found:
        raise NoCopy(
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
    return [
        DestinationSource(
            destination=destination,
            prefix=database_prefix(node, folder_name(number), database),
            identity=identity,
            takes_unsealed=takes_unsealed,
        )
        for number in sorted(numbers)
    ]
