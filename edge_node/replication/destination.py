"""One destination: put what is new, list, read; every call has a deadline, and failures are told apart.

Where things lie is a `Store`'s business: a folder (`file://`), or a bucket (`s3://`). Objects are put whole or not at
all and never replaced. A put that ran into its deadline may still land later, so each one can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import obstore.exceptions

from edge_node.base.users import told
from edge_node.replication.bandwidth import Lane
from edge_node.replication.file_store import FileStore
from edge_node.replication.lanes import Bandwidth, InFlight, Precedence
from edge_node.replication.ltx import HEADER_BYTES, LtxFile, LtxHeader, parse_name, read_header
from edge_node.replication.s3_access import S3Access
from edge_node.replication.s3_store import S3Store
from edge_node.replication.sealing import (
    SMALL_BYTES,
    SUFFIX,
    CannotOpen,
    Keys,
    Sealer,
    Unreadable,
    open_beginning,
    open_sealed,
)
from edge_node.replication.store import CopyState, DestinationFailed, RemoteObject, Store, offload

__all__ = [
    "CopyState",
    "Destination",
    "DestinationFailed",
    "RemoteObject",
    "Sent",
    "database_prefix",
    "listed_files",
    "object_key",
    "of_one_kind",
    "offload",
    "parse_object",
]

T = TypeVar("T")

SMALL_TIMEOUT_S = 5.0
# A store that has a limit of its own says more about why than ours does.
GRACE_S = 0.5
# The deadline of a large transfer grows with its size; slower than this is treated as hanging.
SLOWEST_BYTES_PER_S = 64_000
LIST_TIMEOUT_S = 60.0
# Many are fetched at once and share a slow line; what hangs is found by its silence, where the store can tell.
FETCH_TIMEOUT_S, SLOWEST_FETCH_BYTES_PER_S = 60.0, SLOWEST_BYTES_PER_S / 32
# Of history, so much is on its way at once: on the slowest line it still goes within the deadline of a small object.
HISTORY_IN_FLIGHT, HISTORY_IN_FLIGHT_BYTES = 32, 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that lies at the destination now. `created` is false when an object of this name was there already.

    `took_s` is without the wait for one's turn.
    """

    header: LtxHeader
    sha256: str
    size_bytes: int
    created: bool
    took_s: float


class Destination:
    """A store outside the node, given by its URL. Raises ReplicaError replica-refused for a URL that it cannot use.

    `bandwidth_bits` (a second) is what everything that is sent to it shares.
    """

    def __init__(
        self, name: str, url: str, sealer: Sealer, *, s3: S3Access | None = None, bandwidth_bits: int | None = None
    ) -> None:
        self.name = name
        self.url = url
        # Where it is reached, in one line: another address may be another store.
        self.address = f"{url} {s3.endpoint}" if s3 is not None and s3.endpoint else url
        self.sealer = sealer
        self._store = _store(name, url, s3 or S3Access())
        self._bandwidth = Bandwidth(None if bandwidth_bits is None else bandwidth_bits / 8)
        self._history = InFlight(objects=HISTORY_IN_FLIGHT, size_bytes=HISTORY_IN_FLIGHT_BYTES)
        self._precedence = Precedence(much_bytes=HISTORY_IN_FLIGHT_BYTES)

    @property
    def is_beyond_the_lines(self) -> bool:
        """Does what is sent there travel over a carrier's line? A folder lies on this machine or in the building."""
        return not self.url.startswith("file:")

    def restrain(self, part: float) -> None:
        """Send at this part of its bandwidth from now on."""
        self._bandwidth.restrain(part)

    async def open(self, *, known: bool) -> None:
        """Connect to ship; what must be there if it is `known` (used before) is not made anew.

        Raises DestinationFailed.
        """
        await self._do(self._store.open(known=known), timeout_s=SMALL_TIMEOUT_S)

    async def open_to_read(self) -> None:
        """Connect to restore: nothing is made. Raises DestinationFailed."""
        await self._do(self._store.open(known=None), timeout_s=SMALL_TIMEOUT_S)

    async def close(self) -> None:
        """Let go of what connecting took."""
        await self._store.close()

    async def list(self, prefix: str, *, timeout_s: float = LIST_TIMEOUT_S) -> list[RemoteObject]:
        """The objects below a prefix, ascending by key; staged ones are left out.

        The store tells so many at a time, and has `timeout_s` for each answer: a month is a thousand of them.
        Raises DestinationFailed.
        """
        found: list[RemoteObject] = []
        answers = self._store.list(prefix)
        while (answer := await self._do(anext(answers, None), timeout_s=timeout_s)) is not None:
            found += answer
        return sorted(found, key=lambda item: item.key)

    async def folders(self, prefix: str) -> Sequence[str]:
        """The names right below a prefix under which objects lie, in any order. Raises DestinationFailed."""
        return await self._do(self._store.folders(prefix), timeout_s=LIST_TIMEOUT_S)

    async def delete(self, key: str) -> None:
        """Delete an object. Raises DestinationFailed: refused, where the key has no right to."""
        await self._do(self._store.delete(key), timeout_s=SMALL_TIMEOUT_S)

    async def put_new(self, key: str, body: bytes, *, time_ms: int | None = None) -> bool:
        """Put an object where there is none, as it is; false when there is one already. Raises DestinationFailed.

        A store that ignores the condition replaces it: look before, where another may have put it.
        """
        return await self._do(self._store.put(key, body, time_ms=time_ms), timeout_s=_deadline_s(len(body)))

    def ahead_of_history(self, size_bytes: int) -> AbstractContextManager[None]:
        """Meanwhile, that so much is to extend the frontier: history and snapshots are not begun if it is much."""
        return self._precedence.ahead(size_bytes)

    async def send(
        self,
        key: str,
        path: Path,
        lane: Lane = Lane.FRONTIER,
        *,
        replace: bool = False,
        handed: Callable[[int], None] = lambda _bytes: None,
    ) -> Sent:
        """Seal a local LTX file and put it where there is none; in place of what is there, if that is known to be bad.

        `handed` is told each time how much more of a large file the client has taken, in a thread of its own.

        Raises FileNotFoundError when the local file has gone, ValueError when it is not what its name says, of that
        Unreadable when its disk does not give it, and DestinationFailed.
        """
        if lane is not Lane.FRONTIER:
            await self._precedence.wait()
        with _reading():
            header = read_header(path)
            size_bytes = path.stat().st_size
        if parse_name(path.name) != (header.min_txid, header.max_txid):
            raise ValueError(f"{path} holds TXIDs {header.min_txid} to {header.max_txid}")
        turn = self._history.sending(size_bytes) if lane is Lane.HISTORY else contextlib.nullcontext()
        loop = asyncio.get_running_loop()
        async with turn:
            began = loop.time()
            digest, created = await self._send(
                key, path, size_bytes, header.timestamp_ms, lane, replace=replace, handed=handed
            )
            took_s = loop.time() - began
        return Sent(header=header, sha256=digest, size_bytes=size_bytes, created=created, took_s=took_s)

    async def _send(
        self,
        key: str,
        path: Path,
        size_bytes: int,
        time_ms: int,
        lane: Lane,
        *,
        replace: bool,
        handed: Callable[[int], None],
    ) -> tuple[str, bool]:
        if size_bytes > SMALL_BYTES:
            return await self._send_large(key, path, size_bytes, time_ms, lane, replace=replace, handed=handed)
        with _reading():
            content = path.read_bytes()
        sealed = self.sealer.seal(content)
        await self._bandwidth.take(len(sealed), lane)
        putting = self._store.put(key, sealed, time_ms=time_ms, replace=replace)
        return hashlib.sha256(content).hexdigest(), await self._do(putting, timeout_s=_deadline_s(len(sealed)))

    async def _send_large(
        self,
        key: str,
        path: Path,
        size_bytes: int,
        time_ms: int,
        lane: Lane,
        *,
        replace: bool,
        handed: Callable[[int], None],
    ) -> tuple[str, bool]:
        loop = asyncio.get_running_loop()
        deadline = asyncio.timeout(_deadline_s(size_bytes) + GRACE_S)
        with _reading():
            file = path.open("rb", buffering=0)

        turn: Future[None] | None = None
        unread: Unreadable | None = None
        has_begun, is_over = threading.Event(), threading.Event()

        async def wait_for_turn(size: int) -> None:
            waited_s = await self._bandwidth.take(size, lane)
            if waited_s and (when := deadline.when()) is not None and not deadline.expired():
                deadline.reschedule(when + waited_s)  # Waiting for one's turn is not hanging.

        def fill(write: Callable[[bytes], object]) -> str:
            nonlocal unread
            has_begun.set()

            def write_in_turn(chunk: bytes) -> None:
                nonlocal turn
                if is_over.is_set():
                    raise OSError("the upload has ended")
                if self._bandwidth.is_limited:
                    turn = asyncio.run_coroutine_threadsafe(wait_for_turn(len(chunk)), loop)
                    if is_over.is_set():
                        turn.cancel()  # It ended in this very moment, and cancelled the turn before.
                    turn.result()
                write(chunk)
                handed(len(chunk))

            with file:
                try:
                    return self.sealer.stream(file, write_in_turn)
                except Unreadable as error:
                    unread = error  # Some clients make an error of theirs of it.
                    raise

        try:
            async with deadline:
                return await self._store.put_stream(key, fill, time_ms=time_ms, replace=replace)
        except TimeoutError as error:
            raise self._silent(_deadline_s(size_bytes)) from error
        except (OSError, obstore.exceptions.BaseError) as error:
            raise unread or self._store.failure(error) from error
        finally:
            # The thread that fills is told, wherever it is.
            is_over.set()
            if turn is not None:
                turn.cancel()
            if not has_begun.is_set():
                file.close()  # No thread was given it: the store failed before.

    async def sweep(self, prefix: str) -> int:
        """Delete what a writer that was killed has left staged below a prefix of which this process is the one writer.

        Returns how many there were. Raises DestinationFailed.
        """
        return await self._do(self._store.sweep(prefix), timeout_s=LIST_TIMEOUT_S)

    async def head(self, key: str) -> RemoteObject | None:
        """An object's size and header time; None when there is none. Raises DestinationFailed."""
        return await self._do(self._store.head(key), timeout_s=SMALL_TIMEOUT_S)

    async def read(self, key: str) -> bytes | None:
        """A small object as it is stored; None when there is none. Raises DestinationFailed."""
        return await self._do(self._store.read(key), timeout_s=SMALL_TIMEOUT_S)

    async def fetch(self, item: RemoteObject, to: Path, identity: Keys | None) -> None:
        """Bring one object into a new file, opened with the identity when it is sealed.

        Raises DestinationFailed, and CannotOpen when the identity does not open it.
        """
        opener = identity if item.key.endswith(SUFFIX) else None
        fetching = self._store.fetch(item, lambda chunks: open_sealed(chunks, to, opener))
        await self._do(fetching, timeout_s=FETCH_TIMEOUT_S + item.size_bytes / SLOWEST_FETCH_BYTES_PER_S)

    async def header(self, item: RemoteObject, identity: Keys | None) -> LtxHeader:
        """What the LTX file in an object says of itself; only its beginning is fetched.

        Raises DestinationFailed, and CannotOpen when the identity does not open it, or when it is no LTX file.
        """
        opener = identity if item.key.endswith(SUFFIX) else None
        fetching = self._store.fetch(item, lambda chunks: open_beginning(chunks, opener, HEADER_BYTES))
        begun = await self._do(fetching, timeout_s=FETCH_TIMEOUT_S)
        try:
            return read_header(begun)
        except ValueError as error:
            raise CannotOpen(str(error)) from error

    async def _do(self, work: Awaitable[T], *, timeout_s: float) -> T:
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the result.
            async with asyncio.timeout(timeout_s + GRACE_S):
                return await work
        except TimeoutError as error:
            raise self._silent(timeout_s) from error
        except (OSError, obstore.exceptions.BaseError) as error:
            raise self._store.failure(error) from error

    def _silent(self, timeout_s: float) -> DestinationFailed:
        return DestinationFailed(
            CopyState.UNREACHABLE, f"{self.name} did not answer within {timeout_s:.0f} s", context=None
        )


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """What goes wrong here is the local disk's doing."""
    try:
        yield
    except FileNotFoundError:
        raise  # Compacted away.
    except OSError as error:
        raise Unreadable(told(error)) from error


def _store(name: str, url: str, access: S3Access) -> Store:
    parts = urlsplit(url)
    match parts.scheme:
        case "s3":
            return S3Store(name, url, access)
        case "file" if parts.netloc in ("", "localhost"):
            # A path as it is, as in the configuration: a # or a % in the name of a folder means itself.
            return FileStore(name, Path(url.removeprefix("file://").removeprefix("localhost")))
        case "file":
            raise DestinationFailed(
                CopyState.REFUSED,
                f"{name}: {url} names a machine, {parts.netloc}, and no folder here",
                context=None,
                hint=f"a folder has three slashes: file:///{parts.netloc}{parts.path}",
            )
    raise DestinationFailed(
        CopyState.REFUSED,
        f"{name}: this version ships to s3:// and file:// only, not to {url}",
        context=None,
        hint="give a bucket, such as s3://clinic-copies/edge, or a folder, such as file:///mnt/nas/clinic",
    )


def _deadline_s(size_bytes: int) -> float:
    """Within which so much is put; what is small has the deadline of a question."""
    return SMALL_TIMEOUT_S + max(0.0, size_bytes - HISTORY_IN_FLIGHT_BYTES) / SLOWEST_BYTES_PER_S


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


def of_one_kind(items: Iterable[RemoteObject], *, sealed: bool) -> tuple[Sequence[RemoteObject], int]:
    """Of LTX objects those that are sealed, or those that are not, where there are any; and how many that leaves out.

    A copy is one or the other. Whoever may write at a destination can put an unsealed one among sealed ones.
    """
    present = list(items)
    files = [item for item in present if parse_object(item) is not None]
    kind = [item for item in files if item.key.endswith(SUFFIX) is sealed]
    return (kind, len(files) - len(kind)) if kind else (files, 0)


def listed_files(items: Iterable[RemoteObject]) -> dict[LtxFile, RemoteObject]:
    """The LTX files of a listing, each with its object."""
    return {file: item for item in items if (file := parse_object(item)) is not None}
