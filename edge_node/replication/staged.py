"""A copy together with what Litestream has captured beside its metadata and may not have copied into any replica yet.

Litestream writes each capture there first and keeps it for a day. While the disk of the local replica is out, or full,
this is the only place that holds the latest changes; it lies on the disk of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edge_node.replication.ltx import LtxFile
from edge_node.replication.source import LocalSource, Source


class WithStaged:
    """A source of one epoch, and the folder of Litestream's metadata of the same epoch."""

    def __init__(self, source: Source, meta: Path) -> None:
        self._source, self._staged, self._meta = source, LocalSource(meta), meta
        self._only_here: set[LtxFile] = set()

    @property
    def name(self) -> str:
        return f"{self._source.name}, with what was captured at {self._meta}" if self._only_here else self._source.name

    @property
    def unsealed(self) -> int:
        return self._source.unsealed

    async def list(self) -> Mapping[LtxFile, int | None]:
        there, here = await self._source.list(), await self._staged.list()
        # The size of a sealed object is not that of what it holds.
        spans = {file.span for file in there}
        self._only_here = {file for file in here if file.span not in spans}
        return {**there, **{file: here[file] for file in self._only_here}}

    async def times(self, files: Iterable[LtxFile]) -> Mapping[LtxFile, int]:
        there, here = self._parted(files)
        return {**await self._source.times(there), **await self._staged.times(here)}

    async def fetch(self, files: Sequence[LtxFile], into: Path) -> None:
        there, here = self._parted(files)
        await self._source.fetch(there, into)
        await self._staged.fetch(here, into)

    def _parted(self, files: Iterable[LtxFile]) -> tuple[Sequence[LtxFile], Sequence[LtxFile]]:
        asked = list(files)
        return [file for file in asked if file not in self._only_here], [f for f in asked if f in self._only_here]

    async def close(self) -> None:
        await self._source.close()
