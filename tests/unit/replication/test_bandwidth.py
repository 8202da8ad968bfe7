"""The token bucket: a rate is kept over time, and the frontier waits for nobody but itself."""

from __future__ import annotations

import random

import pytest

from edge_node.replication.bandwidth import BURST_S, Bucket, Lane

RATE = 1000.0


@pytest.mark.parametrize(
    ("story", "wait_s"),
    [
        pytest.param([], {Lane.FRONTIER: 0.0, Lane.HISTORY: 0.0}, id="a-full-one-lets-everybody"),
        pytest.param(
            [(0, 3000, Lane.HISTORY)],
            {Lane.FRONTIER: 0.0, Lane.HISTORY: 2.0, Lane.SNAPSHOT: 2.0},
            id="history-in-debt-holds-history-and-not-the-frontier",
        ),
        pytest.param(
            [(0, 3000, Lane.FRONTIER)],
            {Lane.FRONTIER: 2.0, Lane.HISTORY: 2.0},
            id="the-frontier-waits-for-its-own",
        ),
        pytest.param(
            [(0, 3000, Lane.SNAPSHOT), (0, 500, Lane.FRONTIER)],
            {Lane.FRONTIER: 0.0, Lane.HISTORY: 2.5},
            id="the-others-make-good-what-the-frontier-took",
        ),
        pytest.param([(0, 3000, Lane.HISTORY), (2, 0, Lane.HISTORY)], {Lane.HISTORY: 0.0}, id="a-debt-is-paid-by-time"),
        pytest.param(
            [(0, 1000, Lane.HISTORY), (3600, 2000, Lane.HISTORY)],
            {Lane.HISTORY: 1.0},
            id="a-second-is-saved-up-not-more",
        ),
        pytest.param([(5, 1500, Lane.HISTORY), (4, 0, Lane.HISTORY)], {Lane.HISTORY: 0.5}, id="time-never-goes-back"),
    ],
)
def test_waits(story: list[tuple[float, int, Lane]], wait_s: dict[Lane, float]) -> None:
    bucket, now = Bucket.full(RATE, 0.0), 0.0
    for now, size_bytes, lane in story:
        bucket = bucket.taken(size_bytes, now, lane)
    assert {lane: bucket.wait_s(now, lane) for lane in wait_s} == pytest.approx(wait_s)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_sent_the_rate_is_kept(seed: int) -> None:
    """Everybody asks without end. In the long run: no more than the rate, a second's burst, and what was last begun."""
    chance = random.Random(seed)
    bucket, now, sent, largest = Bucket.full(RATE, 0.0), 0.0, 0, 0
    waited_for_first = 0.0
    for _ in range(300):
        lane = chance.choice((Lane.FRONTIER, Lane.HISTORY, Lane.SNAPSHOT))
        # The frontier asks for a tenth of the rate, the others for all there is.
        size_bytes = chance.randrange(1, 100) if lane is Lane.FRONTIER else chance.randrange(1, 5000)
        wait_s = bucket.wait_s(now, lane)
        if lane is Lane.FRONTIER:
            waited_for_first = max(waited_for_first, wait_s)
        now += wait_s
        assert bucket.wait_s(now, lane) == 0.0
        bucket = bucket.taken(size_bytes, now, lane)
        sent, largest = sent + size_bytes, max(largest, size_bytes)
        now += chance.random() * 0.2
    assert waited_for_first == 0.0
    assert sent <= RATE * (now + BURST_S) + 2 * largest
