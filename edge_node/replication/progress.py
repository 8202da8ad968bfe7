"""How far a restore is: bytes that have arrived, counted where they lie, and the time that the rest will take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_node.base.clock import Clock, SystemClock
from edge_node.base.units import spoken_duration, spoken_size

LOOKED_AT_EVERY_S = 0.5
# A rate over less time than this says nothing yet.
RATED_AFTER_S = 2.0


class Step(StrEnum):
    """What a restore is doing."""

    FETCHING = "fetching"
    RESTORING = "restoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One moment of a step. The total of a fetch is that of the stored objects: a little more than arrives."""

    step: Step
    done_bytes: int
    total_bytes: int
    elapsed_s: float

    @property
    def left_s(self) -> float | None:
        """How long the rest takes at the rate so far; None while that cannot be told."""
        if self.elapsed_s < RATED_AFTER_S or self.done_bytes <= 0:
            return None
        return max(0, self.total_bytes - self.done_bytes) / (self.done_bytes / self.elapsed_s)

    def sentence(self) -> str:
        """For a person who waits."""
        left = f", {spoken_duration(self.left_s)} left" if self.left_s is not None else ""
        done = min(self.done_bytes, self.total_bytes)
        return f"{self.step}: {spoken_size(done)} of {spoken_size(self.total_bytes)}{left}"


Told = Callable[[Progress], None]


def nobody(_: Progress) -> None:
    """For who does not want to be told."""


@contextlib.asynccontextmanager
async def watched(
    step: Step, folder: Path, *, total_bytes: int, tell: Told, clock: Clock | None = None
) -> AsyncIterator[None]:
    """While the block runs, tell how many bytes lie below `folder` more than at its beginning."""
    clock = clock or SystemClock()
    began, before = clock.boottime(), size_below(folder)

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOKED_AT_EVERY_S)
            done = await asyncio.to_thread(size_below, folder) - before
            tell(Progress(step=step, done_bytes=done, total_bytes=total_bytes, elapsed_s=clock.boottime() - began))

    if tell is nobody:
        yield
        return
    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def size_below(folder: Path) -> int:
    """Bytes in the files below a folder; what goes meanwhile counts for nothing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                total += path.stat().st_size
    return total
