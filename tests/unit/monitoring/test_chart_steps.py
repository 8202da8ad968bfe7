"""Samples in steps: nothing is lost, and a peak stays a peak."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.steps import POINTS, jitter, merged, overall, quantile, step_of, steps_of

MIN = 60_000
samples = st.lists(
    st.tuples(st.integers(0, 3_600_000), st.one_of(st.none(), st.floats(0.0001, 5.0))), max_size=80
)  # fmt: skip


def test_a_step_has_its_five_figures() -> None:
    (step,) = steps_of([(n * 10, (n + 1) / 1000) for n in range(100)] + [(999, None)], MIN)
    assert (step.count, step.lost, step.loss_ratio) == (101, 1, 1 / 101)
    assert step.times == (0.001, 0.005, 0.050, 0.095, 0.100)


def test_silence_has_no_times() -> None:
    (step,) = steps_of([(5, None), (6, None)], MIN)
    assert step.times is None
    assert step.loss_ratio == 1.0
    assert merged([step], 5 * MIN)[0].times is None
    assert overall([]) is None


@settings(max_examples=40, deadline=None)
@given(samples, st.sampled_from([1000, MIN, 5 * MIN]))
def test_nothing_is_lost_on_the_way(told: list[tuple[int, float | None]], step_ms: int) -> None:
    fine = steps_of(told, step_ms)
    for steps in (fine, merged(fine, 30 * MIN)):
        assert sum(step.count for step in steps) == len(told)
        assert sum(step.lost for step in steps) == sum(rtt is None for _, rtt in told)
        answered = [rtt for _, rtt in told if rtt is not None]
        assert max((s.max_s for s in steps if s.max_s is not None), default=None) == max(answered, default=None)
        assert min((s.min_s for s in steps if s.min_s is not None), default=None) == min(answered, default=None)
        for step in steps:
            assert step.times is None or list(step.times) == sorted(step.times)


def test_merging_finds_the_quantiles_of_all() -> None:
    """Five minutes of an ordinary line; the error is at most one part in POINTS of rank."""
    rng = random.Random(7)
    told = [(n * 200, 0.004 + rng.expovariate(1000)) for n in range(5 * 300)]
    (once,), (twice,) = steps_of(told, 5 * MIN), merged(steps_of(told, MIN), 5 * MIN)
    ordered = sorted(rtt for _, rtt in told)
    assert once.times is not None
    assert twice.times is not None
    for q, found in zip((0.05, 0.5, 0.95), twice.times[1:4], strict=True):
        assert quantile(ordered, max(q - 1 / POINTS, 0.001)) <= found <= quantile(ordered, min(q + 1 / POINTS, 1.0))
    assert twice.times[1] == pytest.approx(once.times[1], rel=0.05)
    assert twice.times[2] == pytest.approx(once.times[2], rel=0.05)


def test_a_bad_minute_shows_in_five() -> None:
    good, bad = step_of(0, MIN, [0.004] * 300, lost=0), step_of(MIN, MIN, [0.4] * 300, lost=0)
    others = [step_of(n * MIN, MIN, [0.004] * 300, lost=0) for n in (2, 3, 4)]
    (step,) = merged([good, bad, *others], 5 * MIN)
    assert step.p50_s == 0.004
    assert step.p95_s == pytest.approx(0.4)


def test_quantiles_are_values_that_occurred() -> None:
    assert [quantile([1.0, 2.0, 3.0, 4.0], q) for q in (0.0, 0.25, 0.5, 0.75, 0.99, 1.0)] == [1, 1, 2, 3, 4, 4]
    assert quantile([7.0], 0.5) == 7.0


def test_jitter() -> None:
    assert jitter([0.004, 0.006, 0.005]) == pytest.approx(0.0015)
    assert jitter([0.004]) is None
