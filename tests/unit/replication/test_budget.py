"""How a local replica shrinks, by age and by its budget: every step leaves what a restore reaches as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from edge_node.replication.budget import ROOM_BELOW_BYTES, Budget, expired, to_shed
from edge_node.replication.ltx import SNAPSHOT_LEVEL, LtxFile, first_hole, frontier, is_contiguous
from edge_node.replication.shipping_plan import restore_chain

GB = 1 << 30


def file(level: int, first: int, last: int, size_bytes: int = 100) -> LtxFile:
    return LtxFile(level=level, min_txid=first, max_txid=last, size_bytes=size_bytes)


def snapshot(txid: int, size_bytes: int = 1000) -> LtxFile:
    return file(SNAPSHOT_LEVEL, 1, txid, size_bytes)


@pytest.mark.parametrize(
    ("used_bytes", "told_at", "excess_bytes"),
    [
        (0, None, 0),
        (59, None, 0),
        (60, 0.60, 0),
        (75, 0.75, 0),
        (84, 0.75, 0),
        (85, 0.85, 10),
        (140, 0.85, 65),
    ],
)
def test_marks(used_bytes: int, told_at: float | None, excess_bytes: int) -> None:
    budget = Budget(used_bytes=used_bytes * GB, budget_bytes=100 * GB)
    assert (budget.told_at, budget.excess_bytes) == (told_at, excess_bytes * GB)


@pytest.mark.parametrize(
    ("used_part", "free_bytes", "excess_bytes"),
    [
        pytest.param(0.5, None, 0, id="nobody-knows"),
        pytest.param(0.5, ROOM_BELOW_BYTES, 0, id="room"),
        pytest.param(0.5, ROOM_BELOW_BYTES - 1, ROOM_BELOW_BYTES + 1, id="until-there-is-twice-the-room"),
        pytest.param(0.5, 0, 2 * ROOM_BELOW_BYTES, id="full"),
        pytest.param(0.9, 0, 15 * GB, id="whichever-is-more"),
    ],
)
def test_a_disk_without_room(used_part: float, free_bytes: int | None, excess_bytes: int) -> None:
    budget = Budget(used_bytes=int(used_part * 100) * GB, budget_bytes=100 * GB, free_bytes=free_bytes)
    assert budget.excess_bytes == excess_bytes
    assert budget.lacks_room is (free_bytes is not None and free_bytes < ROOM_BELOW_BYTES)


OLD, BETWEEN, NEW = snapshot(10), [file(0, n, n) for n in range(11, 15)], snapshot(14)
FINE, COARSE = [file(0, n, n) for n in range(15, 20)], [file(1, 15, 17), file(1, 18, 18)]


@pytest.mark.parametrize(
    ("excess_bytes", "gone"),
    [
        pytest.param(0, [], id="nothing-need-go"),
        pytest.param(1, [OLD], id="the-oldest-snapshot-first"),
        pytest.param(1001, [OLD, BETWEEN[0]], id="then-what-leads-from-it"),
        pytest.param(1400, [OLD, *BETWEEN], id="until-the-newest-snapshot-stands-alone"),
        pytest.param(1401, [OLD, *BETWEEN, FINE[0]], id="then-what-a-coarser-file-repeats"),
        pytest.param(9999, [OLD, *BETWEEN, *FINE[:3]], id="never-the-newest-of-a-level-nor-what-is-not-repeated-yet"),
    ],
)
def test_what_goes_first(excess_bytes: int, gone: list[LtxFile]) -> None:
    # The newest of level 1 is the only cover of 18, and of a level the newest never goes: so 18 stays fine, too.
    files = [OLD, *BETWEEN, NEW, *FINE, *COARSE]
    assert list(to_shed(files, excess_bytes)) == gone


def test_without_a_snapshot_nothing_goes() -> None:
    assert to_shed([file(0, n, n) for n in range(1, 9)], 10**9) == ()


def history(chance: random.Random) -> list[LtxFile]:
    """As Litestream leaves it: captures, compacted level by level with some delay, snapshots, and its own retention."""
    head = chance.randrange(5, 120)
    files = [file(0, n, n, chance.randrange(50, 500)) for n in range(1, head + 1)]
    below = files
    for level in (1, 2, 3):
        done, group = [], 0
        while group < len(below):
            size = chance.randrange(1, 8)
            if group + size > len(below) - chance.randrange(0, 4):
                break
            covered = below[group : group + size]
            done.append(file(level, covered[0].min_txid, covered[-1].max_txid, chance.randrange(100, 900)))
            group += size
        files = [*files, *done]
        below = done
    taken = sorted(chance.sample(range(1, head + 1), chance.randrange(1, 5)))
    files += [snapshot(txid, chance.randrange(1000, 5000)) for txid in taken]
    gone = chance.randrange(0, taken[0] + 1)
    return [one for one in files if one.is_snapshot or one.max_txid > gone]


@pytest.mark.parametrize(
    ("kept_from", "fine_from", "gone"),
    [
        pytest.param(0, 0, [], id="nothing-is-old"),
        pytest.param(9, 0, [], id="no-snapshot-is-old-enough-to-begin-with"),
        pytest.param(13, 0, [], id="the-one-to-begin-with-is-the-oldest"),
        pytest.param(14, 0, [OLD, *BETWEEN], id="what-leads-to-older-states-goes"),
        pytest.param(14, 17, [OLD, *BETWEEN, *FINE[:3]], id="and-captures-that-a-coarser-file-repeats"),
        pytest.param(14, 16, [OLD, *BETWEEN], id="but-not-by-a-file-that-reaches-beyond"),
        pytest.param(13, 17, [], id="nor-what-lies-behind-captures-that-nothing-repeats"),
        pytest.param(99, 99, [OLD, *BETWEEN, *FINE[:4]], id="never-the-newest-of-a-level"),
    ],
)
def test_what_has_had_its_time(kept_from: int, fine_from: int, gone: list[LtxFile]) -> None:
    files = [OLD, *BETWEEN, NEW, *FINE, *COARSE]
    assert list(expired(files, kept_from=kept_from, fine_from=fine_from)) == gone


def left_after_each(files: list[LtxFile], going: Sequence[LtxFile]) -> Iterator[list[LtxFile]]:
    left = list(files)
    for one in going:
        left.remove(one)
        yield list(left)


@pytest.mark.parametrize("seed", range(200))
def test_after_every_single_file_the_newest_is_restored_as_before(seed: int) -> None:
    files = history(random.Random(seed))
    reach, newest = frontier(files), max(one.max_txid for one in files if one.is_snapshot)
    ends = {level: max(one.max_txid for one in files if one.level == level) for level in {one.level for one in files}}
    for left in left_after_each(files, to_shed(files, 10**12)):
        assert frontier(left) == reach and first_hole(left) is None
        chain = restore_chain(left)
        assert is_contiguous(chain) and chain[-1].max_txid == reach
        assert snapshot(newest).max_txid in {one.max_txid for one in left if one.is_snapshot}
        assert {level: max(one.max_txid for one in left if one.level == level) for level in ends} == ends


@pytest.mark.parametrize("seed", range(200))
def test_after_every_single_file_all_that_is_kept_is_restored_as_before(seed: int) -> None:
    chance = random.Random(seed)
    files = history(chance)
    head = max(one.max_txid for one in files)
    kept_from, fine_from = sorted((chance.randrange(0, head + 1), chance.randrange(0, head + 1)))
    begin = max((one.max_txid for one in files if one.is_snapshot and one.max_txid <= kept_from), default=1)
    coarse = [one for one in files if one.level > 0]
    asked = chance.sample(range(begin, head + 1), min(5, head + 1 - begin))
    wanted = {txid: reach(files if txid > fine_from else coarse, txid) for txid in asked}
    for left in left_after_each(files, expired(files, kept_from=kept_from, fine_from=fine_from)):
        assert frontier(left) == frontier(files) and first_hole(left) is None
        assert all(reach(left, txid) >= reached for txid, reached in wanted.items())


@pytest.mark.parametrize("seed", range(200))
def test_what_litestream_has_to_compact_stays(seed: int) -> None:
    """A level's next compaction begins behind its newest file: of the level below nothing of that may be missing."""
    chance = random.Random(seed)
    files = history(chance)
    head = max(one.max_txid for one in files)
    gone = {*to_shed(files, 10**12), *expired(files, kept_from=chance.randrange(1, head + 1), fine_from=head)}
    for level in (1, 2, 3):
        ends = [one.max_txid for one in files if one.level == level]
        if ends:
            assert not [one for one in gone if one.level == level - 1 and one.max_txid > max(ends)]


def reach(files: list[LtxFile], txid: int) -> int:
    """The newest state up to a TXID that can be restored; 0 without one."""
    chain = restore_chain(files, txid=txid)
    return chain[-1].max_txid if chain else 0


def test_the_histories_shed_something() -> None:
    assert sum(bool(to_shed(history(random.Random(seed)), 10**12)) for seed in range(200)) > 150
