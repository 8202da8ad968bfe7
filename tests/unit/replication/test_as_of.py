"""Which objects a restore to an instant may use, where a listing does not tell their times."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from edge_node.base.errors import ReplicaError
from edge_node.replication.ltx import LtxFile
from edge_node.replication.restore_points import as_of, plan, points_of


class Told:
    """A source whose listing tells no times; those in `times` are told when asked for."""

    name = "cloud"
    unsealed = 0

    def __init__(self, times: Mapping[LtxFile, int], *, untold: Sequence[LtxFile] = ()) -> None:
        self._times = dict(times)
        self._untold = untold
        self.asked: list[LtxFile] = []

    async def list(self) -> Mapping[LtxFile, int | None]:
        return dict.fromkeys([*self._times, *self._untold])

    async def times(self, files: Iterable[LtxFile]) -> Mapping[LtxFile, int]:
        asked = list(files)
        self.asked += asked
        return {file: self._times[file] for file in asked if file in self._times}

    async def fetch(self, files: Sequence[LtxFile], into: Path) -> None:
        raise AssertionError("nothing is fetched")

    async def close(self) -> None: ...


def ltx(level: int, first: int, last: int) -> LtxFile:
    return LtxFile(level=level, min_txid=first, max_txid=last, size_bytes=100)


def history(txids: int) -> dict[LtxFile, int]:
    """A day in small: captures, two levels above them, snapshots; TXID n at n seconds."""
    files = [ltx(0, n, n) for n in range(1, txids + 1)]
    files += [ltx(1, n, n + 29) for n in range(1, txids - 29, 30)] + [
        ltx(2, n, n + 299) for n in range(1, txids - 299, 300)
    ]
    files += [ltx(9, 1, n) for n in range(100, txids, 700)]
    return {file: file.max_txid * 1000 for file in files}


@pytest.mark.parametrize("seed", range(10))
def test_chooses_what_a_telling_listing_would(seed: int) -> None:
    chance = random.Random(seed)
    times = history(chance.randrange(40, 3000))
    at_ms = chance.randrange(0, 3_100_000)
    source = Told(times)
    chosen = asyncio.run(as_of(source, asyncio.run(source.list()), at_ms))
    assert set(chosen) == {file for file, time_ms in times.items() if time_ms <= at_ms}
    assert plan(chosen)[0] == plan(times, at_ms=at_ms)[0]
    # Four levels, halved: not thousands of questions.
    assert len(source.asked) <= 12 + 8 + 5 + 4


def test_what_a_listing_tells_is_not_asked_for() -> None:
    times = history(200)
    source = Told(times)
    chosen = asyncio.run(as_of(source, times, 50_500))
    assert set(chosen) == {file for file, time_ms in times.items() if time_ms <= 50_500}
    assert source.asked == []


def test_without_any_time_it_is_refused() -> None:
    source = Told({}, untold=[ltx(0, 1, 1), ltx(0, 2, 2)])
    with pytest.raises(ReplicaError, match="does not tell of what time") as refused:
        asyncio.run(as_of(source, asyncio.run(source.list()), 50_000))
    assert "--identity FILE" in (refused.value.hint or "")


def test_points_ask_for_the_ends_only() -> None:
    source = Told({ltx(0, n, n): n * 1000 for n in range(1, 100) if n != 50}, untold=[ltx(9, 1, 7)])
    found = asyncio.run(points_of(source))
    assert [(s.level, s.min_txid, s.max_txid, s.from_ms, s.to_ms) for s in found] == [
        (0, 1, 49, 1000, 49_000),
        (0, 51, 99, 51_000, 99_000),
        (9, 1, 7, None, None),
    ]
    assert len(source.asked) == 5
