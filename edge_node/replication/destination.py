"""One destination: put what is new, list, read; every call has a deadline, and failures are told apart.

Objects are put whole or not at all and never replaced. A put that ran into its deadline may still land later, so each
one can be repeated. In a folder (`file://`) an object gets its name only after it is on the disk: what is confirmed
survives a power cut, and a disk that is not mounted is not filled in place of it. Its file time is the time of what is
inside (the LTX header's): by it a past instant is restored, also by hand, and a replica that was set back is noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import obstore
import obstore.exceptions
from obstore.store import LocalStore

from edge_node.base.errors import ReplicaError
from edge_node.replication.ltx import LtxFile, LtxHeader, parse_name, read_header
from edge_node.replication.sealing import CHUNK_BYTES, SMALL_BYTES, SUFFIX, Identity, Sealer, open_sealed

T = TypeVar("T")

SMALL_TIMEOUT_S = 5.0
# The deadline of a large transfer grows with its size; slower than this is treated as hanging.
SLOWEST_BYTES_PER_S = 64_000
LIST_TIMEOUT_S = 60.0
STAGED = ".part"


class CopyState(StrEnum):
    """What a destination is to us, as status and metrics show it."""

    CURRENT = "current"
    BEHIND = "behind"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    PAUSED = "paused"


class DestinationFailed(ReplicaError):
    """A destination did not do what was asked: it cannot be reached, or it refuses (`state`)."""

    def __init__(self, state: CopyState, message: str, *, context: str | None, hint: str | None = None) -> None:
        code = "replica-refused" if state is CopyState.REFUSED else "replica-unreachable"
        super().__init__(code, message, context=context, hint=hint)
        self.state = state


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObject:
    """An object as the destination lists it.

    The size is that of what is stored, sealed or not; `time_ms` is the header time of an LTX file inside.
    """

    key: str
    size_bytes: int
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that lies at the destination now. `created` is false when an object of this name was there already."""

    header: LtxHeader
    sha256: str
    size_bytes: int
    created: bool


async def offload(work: Callable[[], T], *, timeout_s: float) -> T:
    """Do blocking work in a daemon thread. Raises TimeoutError at the deadline; the thread is then left to itself.

    Not the event loop's executor: its threads are joined at exit, and one that hangs in a dead NAS would hold the
    service up for ever.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(setter: Callable[[], None]) -> None:
        if not future.done():
            setter()

    def run() -> None:
        try:
            result = work()
        except BaseException as caught:
            error = caught  # `caught` is unbound when the callback runs.
            settled: Callable[[], None] = lambda: future.set_exception(error)  # noqa: E731
        else:
            settled = lambda: future.set_result(result)  # noqa: E731
        try:
            loop.call_soon_threadsafe(settle, settled)
        except RuntimeError:
            return  # The loop has closed; nobody waits any more.

    threading.Thread(target=run, name="destination", daemon=True).start()
    # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the result.
    async with asyncio.timeout(timeout_s):
        return await future


class Destination:
    """A store outside the node, given by its URL. Raises ReplicaError replica-refused for a URL that it cannot use."""

    def __init__(self, name: str, url: str, sealer: Sealer) -> None:
        self.name = name
        self.url = url
        self.sealer = sealer
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
            raise DestinationFailed(
                CopyState.REFUSED,
                f"{name}: this version ships to file:// only, not to {url}",
                context=None,
                hint="give a folder, such as file:///mnt/nas/clinic",
            )
        self._root = Path(unquote(parts.path))
        self._store: LocalStore | None = None
        self._token = secrets.token_hex(4)
        self._tries = itertools.count()
        # Device and number of the folder that was opened.
        self._folder: tuple[int, int] | None = None

    async def open(self, *, known: bool) -> None:
        """Connect to ship. A folder is made only when it is not `known` (used before).

        Later, a missing or an empty one is what a disk that is not mounted looks like. Raises DestinationFailed.
        """
        await self._do(lambda: self._open(is_made=not known, is_filled=known), timeout_s=SMALL_TIMEOUT_S)

    async def open_to_read(self) -> None:
        """Connect to restore: nothing is made. Raises DestinationFailed."""
        await self._do(lambda: self._open(is_made=False, is_filled=False), timeout_s=SMALL_TIMEOUT_S)

    def _open(self, *, is_made: bool, is_filled: bool) -> None:
        self._store = None
        if is_made:
            self._root.mkdir(mode=0o700, exist_ok=True)
        found = self._root.stat()
        if is_filled and not any(self._root.iterdir()):
            raise DestinationFailed(
                CopyState.UNREACHABLE,
                f"{self.name}: {self._root} is empty, but copies were shipped to it before",
                context="an empty folder is what a disk that is not mounted looks like",
                hint=f"mount it; if it was replaced, delete shipping/{self.name}.json in the state folder and restart",
            )
        self._folder = (found.st_dev, found.st_ino)
        self._store = LocalStore(self._root)

    def _ready(self) -> LocalStore:
        """The store, if the folder is still the one that was opened: it would be made anew, on the wrong disk."""
        found = self._root.stat()
        if self._store is None or (found.st_dev, found.st_ino) != self._folder:
            raise DestinationFailed(CopyState.UNREACHABLE, f"{self.name}: {self._root} has gone", context=None)
        return self._store

    async def list(self, prefix: str, *, after: str | None = None) -> list[RemoteObject]:
        """The objects below a prefix whose keys come after `after`, ascending; staged ones are left out.

        Raises DestinationFailed.
        """

        def collect() -> list[RemoteObject]:
            found = []
            for chunk in obstore.list(self._ready(), prefix, offset=after):
                for meta in chunk:
                    if not meta["path"].endswith(STAGED):
                        found.append(_remote(meta))
            return sorted(found, key=lambda item: item.key)

        return await self._do(collect, timeout_s=LIST_TIMEOUT_S)

    async def put_new(self, key: str, body: bytes, *, time_ms: int | None = None) -> bool:
        """Put an object where there is none, as it is; false when there is one already. Raises DestinationFailed."""

        def put() -> bool:
            staged = self._staged(key)
            obstore.put(self._ready(), staged, body, use_multipart=False)
            return self._publish(staged, key, time_ms)

        return await self._do(put, timeout_s=SMALL_TIMEOUT_S)

    async def send(self, key: str, path: Path) -> Sent:
        """Seal a local LTX file and put it where there is none.

        Raises FileNotFoundError when the local file has gone, ValueError when it is not what its name says,
        DestinationFailed.
        """
        header = read_header(path)
        size_bytes = path.stat().st_size
        if parse_name(path.name) != (header.min_txid, header.max_txid):
            raise ValueError(f"{path} holds TXIDs {header.min_txid} to {header.max_txid}")
        if size_bytes <= SMALL_BYTES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            created = await self.put_new(key, self.sealer.seal(content), time_ms=header.timestamp_ms)
        else:
            digest, created = await self._send_large(key, path, size_bytes, header.timestamp_ms)
        return Sent(header=header, sha256=digest, size_bytes=size_bytes, created=created)

    async def _send_large(self, key: str, path: Path, size_bytes: int, time_ms: int) -> tuple[str, bool]:
        def stream() -> tuple[str, bool] | None:
            with contextlib.ExitStack() as opened:
                try:
                    file = opened.enter_context(path.open("rb", buffering=0))
                except FileNotFoundError:
                    return None
                staged = self._staged(key)
                writer = obstore.open_writer(self._ready(), staged, buffer_size=8 * CHUNK_BYTES, max_concurrency=2)
                digest = self.sealer.stream(file, writer.write)
                writer.close()
            return digest, self._publish(staged, key, time_ms)

        sent = await self._do(stream, timeout_s=SMALL_TIMEOUT_S + size_bytes / SLOWEST_BYTES_PER_S)
        if sent is None:
            raise FileNotFoundError(path)
        return sent

    def _staged(self, key: str) -> str:
        """A name of its own for each try: an earlier one that ran into its deadline may still be writing."""
        return f"{key}.{self._token}-{next(self._tries)}{STAGED}"

    def _publish(self, staged: str, key: str, time_ms: int | None) -> bool:
        """Give a staged object its name, once it is on the disk; false when the name is taken."""
        store, path = self._ready(), self._root / staged
        if time_ms is not None:
            os.utime(path, ns=(time_ms * 1_000_000, time_ms * 1_000_000))
        _flush(path)
        try:
            obstore.rename(store, staged, key, overwrite=False)
        except obstore.exceptions.AlreadyExistsError:
            path.unlink(missing_ok=True)
            return False
        _flush(path.parent)
        return True

    async def sweep(self, prefix: str) -> int:
        """Delete what a writer that was killed has left staged below a prefix of which this process is the one writer.

        Returns how many there were. Raises DestinationFailed.
        """

        def delete() -> int:
            store, mark = self._ready(), f".{self._token}-"
            keys = [meta["path"] for chunk in obstore.list(store, prefix) for meta in chunk]
            stale = [key for key in keys if key.endswith(STAGED) and mark not in key]
            for key in stale:
                (self._root / key).unlink(missing_ok=True)
            return len(stale)

        return await self._do(delete, timeout_s=LIST_TIMEOUT_S)

    async def head(self, key: str) -> RemoteObject | None:
        """An object's size and time; None when there is none. Raises DestinationFailed."""

        def look() -> RemoteObject | None:
            store = self._ready()
            try:
                return _remote(obstore.head(store, key))
            except FileNotFoundError:
                return None

        return await self._do(look, timeout_s=SMALL_TIMEOUT_S)

    async def read(self, key: str) -> bytes | None:
        """A small object as it is stored; None when there is none. Raises DestinationFailed."""

        def get() -> bytes | None:
            store = self._ready()
            try:
                return bytes(obstore.get(store, key).bytes())
            except FileNotFoundError:
                return None

        return await self._do(get, timeout_s=SMALL_TIMEOUT_S)

    async def fetch(self, item: RemoteObject, to: Path, identity: Identity | None) -> None:
        """Bring one object into a new file, opened with the identity when it is sealed.

        Raises DestinationFailed, and CannotOpen when the identity does not open it.
        """

        def get() -> None:
            chunks = (bytes(chunk) for chunk in obstore.get(self._ready(), item.key).stream(min_chunk_size=CHUNK_BYTES))
            open_sealed(chunks, to, identity if item.key.endswith(SUFFIX) else None)

        await self._do(get, timeout_s=SMALL_TIMEOUT_S + item.size_bytes / SLOWEST_BYTES_PER_S)

    async def _do(self, work: Callable[[], T], *, timeout_s: float) -> T:
        try:
            return await offload(work, timeout_s=timeout_s)
        except TimeoutError as error:
            raise DestinationFailed(
                CopyState.UNREACHABLE, f"{self.name} did not answer within {timeout_s:.0f} s", context=None
            ) from error
        except (OSError, obstore.exceptions.BaseError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> DestinationFailed:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        refused = isinstance(
            error, (PermissionError, obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError)
        ) or any(phrase in text for phrase in _REFUSALS)
        if refused:
            return DestinationFailed(CopyState.REFUSED, f"{self.name} refuses", context=text)
        return DestinationFailed(CopyState.UNREACHABLE, f"{self.name} cannot be reached", context=text)


# obstore tells the kinds of a folder's failures in words only.
_REFUSALS = tuple(os.strerror(number) for number in (1, 13, 28, 30, 122))  # EPERM EACCES ENOSPC EROFS EDQUOT


def _remote(meta: obstore.ObjectMeta) -> RemoteObject:
    time_ms = round(meta["last_modified"].timestamp() * 1000)
    return RemoteObject(key=meta["path"], size_bytes=meta["size"], time_ms=time_ms)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def database_prefix(node_id: str, epoch_folder: str, database: str) -> str:
    """Where the files of one database in one epoch lie."""
    return f"{node_id}/{epoch_folder}/{database}"


def object_key(prefix: str, file: LtxFile, suffix: str) -> str:
    """The key of an LTX file: `<prefix>/0009/<min>-<max>.ltx.age`, levels as Litestream's own S3 client names them."""
    return f"{prefix}/{file.level:04x}/{file.name}{suffix}"


def parse_object(item: RemoteObject) -> LtxFile | None:
    """The LTX file that an object holds; None for every other object. The size is that of the stored object."""
    *_, level, name = ("", *item.key.split("/"))
    txids = parse_name(name.removesuffix(SUFFIX))
    if txids is None or len(level) != 4 or not level.isdecimal():
        return None
    return LtxFile(level=int(level, 16), min_txid=txids[0], max_txid=txids[1], size_bytes=item.size_bytes)


def listed_files(items: Iterable[RemoteObject]) -> dict[LtxFile, RemoteObject]:
    """The LTX files of a listing, each with its object."""
    return {file: item for item in items if (file := parse_object(item)) is not None}
