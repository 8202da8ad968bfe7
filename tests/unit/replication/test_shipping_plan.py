"""The order of shipping: at every cut, what a destination holds restores."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.replication.ltx import LtxFile, first_hole, frontier, is_contiguous
from edge_node.replication.shipping_plan import (
    OBJECT_COST_BYTES,
    Held,
    cheapest_chain,
    due_snapshot,
    history,
    restore_chain,
)


def f(text: str, size_bytes: int = 1000) -> LtxFile:
    """A file from "level:min-max"."""
    level, _, span = text.partition(":")
    first, _, last = span.partition("-")
    return LtxFile(level=int(level), min_txid=int(first), max_txid=int(last or first), size_bytes=size_bytes)


def files(text: str) -> list[LtxFile]:
    return [f(part) for part in text.split()]


def litestream_restores(remote: Iterable[LtxFile]) -> int | None:
    """Litestream's own plan: newest snapshot, then the file that reaches farthest; None where it refuses (a hole).

    Written from its behaviour, apart from the code under test; facts/shipping.md, section 1.
    """
    present = list(remote)
    reach = max((file.max_txid for file in present if file.level == 9), default=0)
    while following := [file for file in present if file.min_txid <= reach + 1 and file.max_txid > reach]:
        reach = max(file.max_txid for file in following)
    if any(file.min_txid > reach + 1 for file in present):
        return None
    return reach


@pytest.mark.parametrize(
    ("local", "reached", "chain"),
    [
        pytest.param("0:1 0:2 0:3 9:1-2", 2, "0:3", id="steady-state-is-one-new-file"),
        pytest.param("0:1 0:2 9:1-2", 2, "", id="nothing-is-lacking"),
        pytest.param("", 0, "", id="nothing-is-there"),
        pytest.param("0:1 0:2 0:3 0:4 0:5 1:2-4 9:1-1", 1, "1:2-4 0:5", id="after-an-outage-the-compacted-file"),
        pytest.param("0:6 0:7 9:1-5", 2, "9:1-5 0:6 0:7", id="broken-below-a-snapshot-carries-over"),
        pytest.param("0:6 0:7", 2, "", id="broken-without-a-snapshot-sends-nothing"),
        pytest.param("0:3 0:5 0:6", 2, "0:3", id="stops-before-a-hole"),
        pytest.param("1:2-9", 5, "1:2-9", id="an-overlapping-file-continues"),
        pytest.param("0:1 0:2", 0, "0:1 0:2", id="begins-without-a-snapshot"),
        pytest.param("0:1 1:1-1 9:1-2 0:2 0:3", 0, "9:1-2 0:3", id="begins-with-the-snapshot-where-there-is-one"),
    ],
)
def test_chain(local: str, reached: int, chain: str) -> None:
    assert list(cheapest_chain(files(local), reached)) == files(chain)


def test_weight_decides_between_many_small_and_one_large() -> None:
    small = [f(f"0:{n}", 100) for n in range(2, 12)]
    large = f("1:2-11", 1_000_000)
    assert list(cheapest_chain([*small, large], 1)) == small
    affordable = f("1:2-11", 9 * OBJECT_COST_BYTES)
    assert list(cheapest_chain([*small, affordable], 1)) == [affordable]


@pytest.mark.parametrize(
    ("local", "held", "wanted"),
    [
        pytest.param("0:2 0:3 2:2-3", "9:1-3", "2:2-3 0:3 0:2", id="below-the-frontier-coarse-first"),
        pytest.param("0:4 2:2-4", "9:1-3", "", id="nothing-above-the-frontier"),
        pytest.param("0:1 1:1-2 2:1-3 9:1-3", "9:1-4", "", id="no-whole-copies"),
        pytest.param("0:2 0:3 1:2-3", "9:1-1 0:2 0:3", "", id="no-level-1-where-level-0-is-held"),
        pytest.param("1:2-3", "9:1-1 0:2 2:2-3", "1:2-3", id="level-1-where-level-0-has-gone"),
        pytest.param("0:2 2:2-2", "9:1-3", "0:2", id="no-repetition-of-a-lower-level"),
        pytest.param("0:2 0:3", "9:1-1 0:2 0:3", "", id="nothing-held"),
    ],
)
def test_history(local: str, held: str, wanted: str) -> None:
    assert list(history(files(local), Held.of(files(held)))) == files(wanted)


@pytest.mark.parametrize(
    ("local", "held", "due"),
    [
        pytest.param([f("0:1"), f("9:1-2")], "0:1 0:2", "9:1-2", id="the-destination-has-none"),
        pytest.param([f("9:1-2"), f("0:3", 10)], "9:1-2 0:3", None, id="no-newer-one"),
        pytest.param(
            [f("9:1-2", 10_000), f("9:1-9", 10_000), f("1:3-9", 4_999)], "9:1-2 1:3-9", None, id="the-chain-is-light"
        ),
        pytest.param(
            [f("9:1-2", 10_000), f("9:1-9", 10_000), f("1:3-9", 5_000)], "9:1-2 1:3-9", "9:1-9", id="the-chain-is-heavy"
        ),
        pytest.param([f("9:1-9", 10_000), f("1:3-9", 5)], "9:1-2 1:3-9", "9:1-9", id="the-last-one-was-removed-here"),
    ],
)
def test_due_snapshot(local: list[LtxFile], held: str, due: str | None) -> None:
    found = due_snapshot(local, Held.of(files(held)))
    assert (found and f"{found.level}:{found.min_txid}-{found.max_txid}") == due


@pytest.mark.parametrize(
    ("present", "txid", "chain"),
    [
        pytest.param("9:1-2 0:3 0:4", None, "9:1-2 0:3 0:4", id="newest"),
        pytest.param("9:1-2 9:1-4 0:3 0:4 0:5", 3, "9:1-2 0:3", id="past"),
        pytest.param("9:1-2 0:3 0:5", None, "9:1-2 0:3", id="stops-before-a-hole"),
        pytest.param("9:1-4 0:5", 3, "", id="before-all-history"),
    ],
)
def test_restore_chain(present: str, txid: int | None, chain: str) -> None:
    assert list(restore_chain(files(present), txid=txid)) == files(chain)


SPANS = st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(0, 6)).map(
    lambda t: LtxFile(level=t[0], min_txid=t[1], max_txid=t[1] + t[2], size_bytes=100)
)
SNAPSHOTS = st.integers(1, 40).map(lambda n: LtxFile(level=9, min_txid=1, max_txid=n, size_bytes=100))
LISTINGS = st.lists(st.one_of(SPANS, SNAPSHOTS), max_size=30)


@given(LISTINGS, st.randoms())
def test_held_knows_what_a_listing_knows(listing: list[LtxFile], chance: random.Random) -> None:
    held = Held()
    for file in chance.sample(listing, len(listing)):
        held.add(file)
    assert held.frontier == frontier(listing)
    assert all(held.covers(file) for file in listing)
    assert Held(held.runs()).runs() == held.runs() == Held.of(listing).runs()
    assert not held.covers(LtxFile(level=0, min_txid=50, max_txid=50, size_bytes=1))


@given(LISTINGS, st.integers(0, 45))
def test_a_chain_is_contiguous_and_goes_as_far_as_can_be(listing: list[LtxFile], reached: int) -> None:
    chain = cheapest_chain(listing, reached)
    at = reached
    for file in chain:
        assert file.min_txid <= at + 1
        assert file.max_txid > at
        at = file.max_txid
    farthest = reached
    while following := [x.max_txid for x in listing if x.min_txid <= farthest + 1 and x.max_txid > farthest]:
        farthest = max(following)
    assert at == farthest


@given(st.lists(st.one_of(SPANS, SNAPSHOTS), max_size=8), st.integers(0, 10))
def test_no_other_chain_is_cheaper(listing: list[LtxFile], reached: int) -> None:
    chain = cheapest_chain(listing, reached)
    head = chain[-1].max_txid if chain else reached

    def least(at: int) -> float:
        if at == head:
            return 0
        steps = [x for x in listing if x.min_txid <= at + 1 and at < x.max_txid <= head]
        return min((x.size_bytes + OBJECT_COST_BYTES + least(x.max_txid) for x in steps), default=float("inf"))

    assert sum(x.size_bytes + OBJECT_COST_BYTES for x in chain) == least(reached)


class Litestream:
    """A small Litestream: captures, compacts, snapshots, and removes what is covered and old."""

    def __init__(self, chance: random.Random) -> None:
        self.files: set[LtxFile] = set()
        self.txid = 0
        self._chance = chance

    def capture(self) -> None:
        self.txid += 1
        self.files.add(
            LtxFile(level=0, min_txid=self.txid, max_txid=self.txid, size_bytes=self._chance.randint(1, 9999))
        )

    def compact(self, level: int) -> None:
        done = max((file.max_txid for file in self.files if file.level == level), default=0)
        source = sorted(file for file in self.files if file.level == level - 1 and file.min_txid > done)
        if source and source[0].min_txid == done + 1:
            size_bytes = sum(file.size_bytes for file in source) // 2 + 1
            self.files.add(
                LtxFile(level=level, min_txid=source[0].min_txid, max_txid=source[-1].max_txid, size_bytes=size_bytes)
            )

    def snapshot(self) -> None:
        if self.txid:
            self.files.add(LtxFile(level=9, min_txid=1, max_txid=self.txid, size_bytes=20_000))

    def expire(self) -> None:
        """Level 0 that level 1 covers; and all but the newest snapshot with what lies below it."""
        compacted = max((file.max_txid for file in self.files if file.level == 1), default=0)
        newest = max((file.max_txid for file in self.files if file.level == 9), default=0)
        self.files = {
            file
            for file in self.files
            if not (file.level == 0 and file.max_txid <= compacted and self._chance.random() < 0.8)
            and not (file.level == 9 and file.max_txid < newest)
            and not (0 < file.level < 9 and file.max_txid <= newest and self._chance.random() < 0.5)
        }

    def live(self, moments: int) -> None:
        for _ in range(moments):
            self._chance.choices(
                [self.capture, lambda: self.compact(1), lambda: self.compact(2), self.snapshot, self.expire],
                [70, 12, 6, 4, 8],
            )[0]()


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_cut_restores(chance: random.Random) -> None:
    """The lanes as the shipper runs them, cut after every object, with outages between; history in any order."""
    node = Litestream(chance)
    remote: set[LtxFile] = set()
    held = Held()
    confirmed = 0

    def put(file: LtxFile) -> None:
        nonlocal confirmed
        remote.add(file)
        held.add(file)
        reach = litestream_restores(remote)
        assert reach is not None, f"a hole after {file}: {first_hole(remote)}"
        assert reach >= confirmed, "a restore must never go back"
        assert reach == held.frontier
        confirmed = reach

    for _ in range(chance.randint(1, 12)):
        node.live(chance.randint(1, 40))
        chain = cheapest_chain(node.files, held.frontier)
        for file in chain[: chance.randint(0, len(chain) + 3)]:
            put(file)
        lane = list(history(node.files, held))
        chance.shuffle(lane)
        for file in lane[: chance.randint(0, len(lane))]:
            put(file)
        if chance.random() < 0.3 and (snapshot := due_snapshot(sorted(node.files), held)):
            put(snapshot)
    for file in cheapest_chain(node.files, held.frontier):
        put(file)
    assert confirmed == frontier(node.files)
    assert not remote or is_contiguous(restore_chain(remote))
