"""Waiting for one's turn at a destination.

The rate that all its lanes share, how much of history is in flight, and who goes first after an outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from edge_node.replication.bandwidth import Bucket, Lane

LOOK_EVERY_S = 1.0


class Bandwidth:
    """A rate shared by everything that is sent to one destination; without one, nobody waits."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self._whole = self._bytes_per_s = bytes_per_s
        self._bucket: Bucket | None = None

    @property
    def is_limited(self) -> bool:
        """May anybody have to wait?"""
        return self._bytes_per_s is not None

    def restrain(self, part: float) -> None:
        """Of the rate only this part from now on; 1.0 for all of it. Who waits already waits for the new rate."""
        if self._whole is None or self._whole * part == self._bytes_per_s:
            return
        self._bytes_per_s = self._whole * part
        if self._bucket is not None:
            self._bucket = replace(self._bucket, bytes_per_s=self._bytes_per_s)

    async def take(self, size_bytes: int, lane: Lane) -> float:
        """Wait until this many bytes may be sent, and count them as sent; how long it took."""
        if self._bytes_per_s is None:
            return 0.0
        loop = asyncio.get_running_loop()
        began = now = loop.time()
        bucket = self._bucket or Bucket.full(self._bytes_per_s, now)
        while (wait_s := bucket.wait_s(now, lane)) > 0:
            await asyncio.sleep(min(wait_s, LOOK_EVERY_S))  # The rate may be another one meanwhile.
            now = loop.time()
            bucket = self._bucket or bucket  # Others have taken meanwhile.
        self._bucket = bucket.taken(size_bytes, now, lane)
        return now - began


class InFlight:
    """At most so many objects and so many bytes on their way at once; what is larger goes alone."""

    def __init__(self, *, objects: int, size_bytes: int) -> None:
        self._most = (objects, size_bytes)
        self._objects = self._bytes = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def sending(self, size_bytes: int) -> AsyncIterator[None]:
        """Wait for room, and hold it."""
        objects, most_bytes = self._most
        async with self._changed:
            await self._changed.wait_for(
                lambda: not self._objects or (self._objects < objects and self._bytes + size_bytes <= most_bytes)
            )
            self._objects += 1
            self._bytes += size_bytes
        try:
            yield
        finally:
            self._objects -= 1
            self._bytes -= size_bytes
            async with self._changed:
                self._changed.notify_all()


class Precedence:
    """What extends a frontier goes first where it is much: on a thin line, every connection beside it takes its share.

    Without a `bandwidth` nobody else would see to that. What is on its way already goes on.
    """

    def __init__(self, *, much_bytes: int) -> None:
        self._much_bytes = much_bytes
        self._ahead = 0
        self._none_ahead = asyncio.Event()
        self._none_ahead.set()

    @contextmanager
    def ahead(self, size_bytes: int) -> Iterator[None]:
        """So much is to be sent first while this lasts."""
        is_much = size_bytes > self._much_bytes
        self._ahead += is_much
        if is_much:
            self._none_ahead.clear()
        try:
            yield
        finally:
            self._ahead -= is_much
            if not self._ahead:
                self._none_ahead.set()

    async def wait(self) -> None:
        """Until nobody has much to send first."""
        await self._none_ahead.wait()
