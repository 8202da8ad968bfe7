"""A folder as a destination: a disk beside, a stick, a NAS.

An object gets its name only after it is on the disk: what is confirmed survives a power cut, and a disk that is not
mounted is not filled in place of it. Its file time is the time of what is inside (the LTX header's): by it a past
instant is restored, also by hand, and a replica that was set back is noticed.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import obstore
import obstore.exceptions
from obstore.store import LocalStore

from edge_node.base.files import give_new_name
from edge_node.replication.sealing import CHUNK_BYTES
from edge_node.replication.store import LISTED_AT_ONCE, CopyState, DestinationFailed, RemoteObject, offload

T = TypeVar("T")

STAGED = ".part"
# obstore tells the kinds of a folder's failures in words only.
_REFUSALS = tuple(os.strerror(number) for number in (1, 13, 28, 30, 122))  # EPERM EACCES ENOSPC EROFS EDQUOT


class FileStore:
    """Objects as files below a folder. `name` is the destination's, for sentences."""

    def __init__(self, name: str, root: Path) -> None:
        self._name = name
        self._root = root
        self._store: LocalStore | None = None
        self._token = secrets.token_hex(4)
        self._tries = itertools.count()
        # Device and number of the folder that was opened.
        self._folder: tuple[int, int] | None = None

    async def open(self, *, known: bool | None) -> None:
        """A folder is made only when it was never used: a missing or an empty one is a disk that is not mounted."""
        await offload(lambda: self._open(is_made=known is False, is_filled=known is True))

    async def close(self) -> None:
        self._store = None

    def _open(self, *, is_made: bool, is_filled: bool) -> None:
        self._store = None
        if is_made:
            self._root.mkdir(mode=0o700, exist_ok=True)
        found = self._root.stat()
        if is_filled and not any(self._root.iterdir()):
            raise DestinationFailed(
                CopyState.UNREACHABLE,
                f"{self._name}: {self._root} is empty, but copies were shipped to it before",
                context="an empty folder is what a disk that is not mounted looks like",
                hint=f"mount it; if it was replaced, delete shipping/{self._name}.json in the state folder and restart",
            )
        self._folder = (found.st_dev, found.st_ino)
        self._store = LocalStore(self._root)

    def _ready(self) -> LocalStore:
        """The store, if the folder is still the one that was opened: it would be made anew, on the wrong disk."""
        found = self._root.stat()
        if self._store is None or (found.st_dev, found.st_ino) != self._folder:
            raise DestinationFailed(CopyState.UNREACHABLE, f"{self._name}: {self._root} has gone", context=None)
        return self._store

    async def list(self, prefix: str) -> AsyncIterator[Sequence[RemoteObject]]:
        chunks = await offload(lambda: obstore.list(self._ready(), prefix, chunk_size=LISTED_AT_ONCE))
        while (chunk := await offload(lambda: next(chunks, None))) is not None:
            yield [_remote(meta) for meta in chunk if not meta["path"].endswith(STAGED)]

    async def folders(self, prefix: str) -> Sequence[str]:
        def look() -> Sequence[str]:
            self._ready()
            try:
                return [path.name for path in (self._root / prefix).iterdir() if _holds_objects(path)]
            except FileNotFoundError:
                return []

        return await offload(look)

    async def put(self, key: str, body: bytes, *, time_ms: int | None, replace: bool = False) -> bool:
        def put() -> bool:
            staged = self._staged(key)
            obstore.put(self._ready(), staged, body, use_multipart=False)
            return self._publish(staged, key, time_ms, replace=replace)

        return await offload(put)

    async def put_stream(
        self, key: str, fill: Callable[[Callable[[bytes], object]], T], *, time_ms: int, replace: bool = False
    ) -> tuple[T, bool]:
        def stream() -> tuple[T, bool]:
            staged = self._staged(key)
            writer = obstore.open_writer(self._ready(), staged, buffer_size=8 * CHUNK_BYTES, max_concurrency=2)
            filled = fill(writer.write)
            writer.close()
            return filled, self._publish(staged, key, time_ms, replace=replace)

        return await offload(stream)

    def _staged(self, key: str) -> str:
        """A name of its own for each try: an earlier one that ran into its deadline may still be writing."""
        return f"{key}.{self._token}-{next(self._tries)}{STAGED}"

    def _publish(self, staged: str, key: str, time_ms: int | None, *, replace: bool) -> bool:
        """Give a staged object its name, once it is on the disk; false when the name is taken and not replaced."""
        self._ready()
        path, to = self._root / staged, self._root / key
        if time_ms is not None:
            os.utime(path, ns=(time_ms * 1_000_000, time_ms * 1_000_000))
        _flush(path)
        try:
            path.replace(to) if replace else give_new_name(path, to)
        except FileExistsError:
            path.unlink(missing_ok=True)
            return False
        _flush(path.parent)
        return True

    async def delete(self, key: str) -> None:
        def unlink() -> None:
            self._ready()
            (self._root / key).unlink(missing_ok=True)

        await offload(unlink)

    async def sweep(self, prefix: str) -> int:
        def delete() -> int:
            self._ready()
            mark = f".{self._token}-"
            # By their names alone: to ask a NAS about each of a million files takes it minutes.
            names = (Path(folder, name) for folder, _, found in os.walk(self._root / prefix) for name in found)
            stale = [path for path in names if path.name.endswith(STAGED) and mark not in path.name]
            for path in stale:
                path.unlink(missing_ok=True)
            return len(stale)

        return await offload(delete)

    async def head(self, key: str) -> RemoteObject | None:
        def look() -> RemoteObject | None:
            store = self._ready()
            try:
                return _remote(obstore.head(store, key))
            except FileNotFoundError:
                return None

        return await offload(look)

    async def read(self, key: str) -> bytes | None:
        def get() -> bytes | None:
            store = self._ready()
            try:
                return bytes(obstore.get(store, key).bytes())
            except FileNotFoundError:
                return None

        return await offload(get)

    async def fetch(self, item: RemoteObject, consume: Callable[[Iterator[bytes]], T]) -> T:
        def get() -> T:
            self._ready()
            # Not by obstore: to read a folder costs it more than to read and decrypt costs us (2 to 1 s of CPU a GB).
            with (self._root / item.key).open("rb", buffering=0) as file:
                return consume(iter(partial(file.read, CHUNK_BYTES), b""))

        return await offload(get)

    def failure(self, error: Exception) -> DestinationFailed:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        refused = isinstance(
            error, (PermissionError, obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError)
        ) or any(phrase in text for phrase in _REFUSALS)
        if refused:
            return DestinationFailed(CopyState.REFUSED, f"{self._name} refuses", context=text)
        return DestinationFailed(CopyState.UNREACHABLE, f"{self._name} cannot be reached", context=text)


def _remote(meta: obstore.ObjectMeta) -> RemoteObject:
    time_ms = round(meta["last_modified"].timestamp() * 1000)
    return RemoteObject(key=meta["path"], size_bytes=meta["size"], time_ms=time_ms)


def _holds_objects(folder: Path) -> bool:
    """Is anything finished below it? A folder is made before its first object is."""
    return any(not name.endswith(STAGED) for _, _, names in os.walk(folder) for name in names)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
