"""The same for many files at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from edge_node.replication.ltx import LtxFile

# As many in flight as the shipper's history lane: round trips, not bytes, are what a restore of small files waits for.
FETCH_IN_FLIGHT = 32


async def each(files: Iterable[LtxFile], work: Callable[[LtxFile], Coroutine[Any, Any, None]]) -> None:
    """Do it for every file, many at once; the first failure ends it."""
    todo = iter(list(files))

    async def worker() -> None:
        for file in todo:
            await work(file)

    workers = [asyncio.create_task(worker()) for _ in range(FETCH_IN_FLIGHT)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
