"""Asking a store again that fell silent: as long as something arrives, or for so many tries without anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from edge_node.base.logs import event
from edge_node.replication.destination import CopyState, DestinationFailed

T = TypeVar("T")

# Between tries; a silence is noticed after 15 s (`s3_store.SILENCE_S`), so that a minute of it is outlasted.
WAITS_S = (1.0, 2.0, 4.0, 8.0)


async def patiently(
    work: Callable[[], Awaitable[T]], *, waits_s: Sequence[float] = WAITS_S, moved: Callable[[], int] = int
) -> T:
    """Do it, again after each wait while the store cannot be reached; the waits begin anew when `moved()` has grown.

    Raises what `work` raises: DestinationFailed at once where the store refuses.
    """
    tries, before = 0, moved()
    while True:
        try:
            return await work()
        except DestinationFailed as error:
            if error.state is not CopyState.UNREACHABLE:
                raise
            if (now := moved()) > before:
                tries, before = 0, now
            if tries >= len(waits_s):
                raise
            event("store_asked_again", level="warning", in_s=waits_s[tries], why=error.message, detail=error.context)
            await asyncio.sleep(waits_s[tries])
            tries += 1
