"""What every kind of destination offers: whole objects below keys, put where there is none, listed, read.

A `Store` does what it is asked and raises what its library raises; deadlines, sealing and the two kinds of failure are
`destination.py`'s. Objects are put whole or not at all, and never replaced where the store can refuse it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from edge_node.base.errors import ReplicaError

T = TypeVar("T")


# File times of a destination may be this coarse (FAT keeps 2 s).
TIME_GRAIN_MS = 2_000
# What one answer of an S3 store holds.
LISTED_AT_ONCE = 1000


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
    """An object as the destination tells it.

    The size is that of what is stored, sealed or not. `time_ms` is the header time of an LTX file inside; None where it
    was not told: a listing of S3 knows only when an object was uploaded.
    """

    key: str
    size_bytes: int
    time_ms: int | None


class Store(Protocol):
    """A place for objects. Every method raises OSError, an obstore error or DestinationFailed when it fails."""

    async def open(self, *, known: bool | None) -> None:
        """Connect anew; `known` says whether it was shipped to before, None that it is only read."""
        ...

    async def close(self) -> None: ...

    def list(self, prefix: str) -> AsyncIterator[Sequence[RemoteObject]]:
        """The finished objects below a prefix, in any order, so many at a time as the store tells at once."""
        ...

    async def folders(self, prefix: str) -> Sequence[str]:
        """The names right below a prefix under which finished objects lie, without looking at each of those."""
        ...

    async def put(self, key: str, body: bytes, *, time_ms: int | None, replace: bool = False) -> bool:
        """Put where there is none; false when there is one. `replace` puts in any case."""
        ...

    async def put_stream(
        self, key: str, fill: Callable[[Callable[[bytes], object]], T], *, time_ms: int, replace: bool = False
    ) -> tuple[T, bool]:
        """Put what `fill` hands to the function that it is given; `fill` blocks, and runs in a thread of its own."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; no error when there is none. It takes a right that a node's own key need not have."""
        ...

    async def head(self, key: str) -> RemoteObject | None:
        """One object, its header time included where the store keeps it; None when there is none."""
        ...

    async def read(self, key: str) -> bytes | None: ...

    async def fetch(self, item: RemoteObject, consume: Callable[[Iterator[bytes]], T]) -> T:
        """What `consume` makes of the object's bytes; it blocks, and runs in a thread of its own."""
        ...

    async def sweep(self, prefix: str) -> int:
        """Delete what killed writers left staged; how many there were."""
        ...

    def failure(self, error: Exception) -> DestinationFailed:
        """What an error of this store means."""
        ...


async def offload(work: Callable[[], T]) -> T:
    """Do blocking work in a daemon thread; who is cancelled (a deadline) leaves the thread to itself.

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
    return await future
