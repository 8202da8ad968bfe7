"""Samples to minutes and hours: once each, whatever the order of reading."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.journal.rollup import (
    ABANDONED_MS,
    AHEAD_MS,
    GRACE_MS,
    HOUR_MS,
    MINUTE_MS,
    SILENT_MS,
    Place,
    Presence,
    Rollup,
    Row,
)
from edge_node.journal.spread import added, packed, quantile, spread_of, unpacked
from edge_node.journal.traces import Direction, Sample
from monitoring.steps import quantile as exact_quantile

START = 1_795_000_000_000 // HOUR_MS * HOUR_MS
LATER = START + 100 * HOUR_MS


def sample(at_ms: float, rtt_s: float | None = 0.004, *, line: str = "telecom", late: bool = False) -> Sample:
    return Sample(at_ms=START + round(at_ms), line=line, target="10.100.0.1", rtt_s=rtt_s, is_late=late)


def rolled(samples: list[Sample], *, now_ms: int = LATER, abandon: bool = True) -> list[Row]:
    rollup = Rollup(closed_until_ms=0)
    rollup.feed(("d", 0), samples, now_ms=now_ms)
    return rollup.close(drained_at_ms=now_ms if abandon else None)


def of(rows: list[Row], step_ms: int = MINUTE_MS) -> list[Row]:
    return [row for row in rows if row.step_ms == step_ms]


def test_a_minute_has_its_figures() -> None:
    row, *_ = of(rolled([sample(n * 200, (n + 1) / 1000 if n % 10 else None) for n in range(300)]))
    assert (row.start_ms, row.count, row.lost) == (START, 300, 30)
    assert row.times_us is not None
    assert row.times_us[0] == 2000
    assert row.times_us[4] == 300_000
    assert row.jitter_us == pytest.approx(1100, abs=20)
    assert row.spread == b""


def test_silence_is_a_row_too() -> None:
    row, *_ = of(rolled([sample(0, None), sample(500, None)]))
    assert (row.count, row.lost, row.times_us, row.jitter_us) == (2, 2, None, None)


def test_a_minute_is_closed_by_what_comes_after_it() -> None:
    rollup = Rollup(closed_until_ms=START)
    rollup.feed(("d", 0), [sample(0)], now_ms=LATER)
    assert rollup.close() == []
    rollup.feed(("d", 1), [sample(MINUTE_MS + GRACE_MS - 1)], now_ms=LATER)
    assert rollup.close() == []
    rollup.feed(("d", 2), [sample(59_999), sample(MINUTE_MS + GRACE_MS)], now_ms=LATER)
    (row,) = rollup.close()
    assert (row.step_ms, row.count) == (MINUTE_MS, 2), "an answer that came a little late is in it"
    rollup.feed(("d", 3), [sample(59_000)], now_ms=LATER)
    assert rollup.close(drained_at_ms=START + 3 * MINUTE_MS) == [], "one that came too late is not"


def test_what_a_stopped_watcher_left_is_closed_after_a_while() -> None:
    rollup = Rollup(closed_until_ms=START)
    rollup.feed(("d", 0), [sample(0)], now_ms=LATER)
    assert rollup.close(drained_at_ms=START + MINUTE_MS + ABANDONED_MS - 1) == []
    (minute,) = rollup.close(drained_at_ms=START + MINUTE_MS + ABANDONED_MS)
    assert minute.step_ms == MINUTE_MS
    (hour,) = rollup.close(drained_at_ms=START + HOUR_MS + ABANDONED_MS)
    assert (hour.step_ms, hour.count) == (HOUR_MS, 1)


def test_an_answer_after_all_is_no_loss() -> None:
    told = [sample(1000, None), sample(2000), sample(1000, 1.4, late=True), sample(3000, 1.2, late=True)]
    row, *_ = of(rolled(told))
    assert (row.count, row.lost) == (3, 0), "the third was never told as lost: nobody had listened"


def test_the_direction_of_a_loss_is_kept() -> None:
    ways = (Direction.OUT, Direction.OUT, Direction.BACK, None)
    told = [Sample(at_ms=START + n, line="a", target="t", rtt_s=None, lost=way) for n, way in enumerate(ways)]
    row, *_ = rolled(told)
    assert (row.lost, row.lost_out, row.lost_back) == (4, 2, 1)


def test_a_clock_that_was_ahead_closes_nothing() -> None:
    """A sample of the year 2036 must not close what is measured today."""
    now = START + 30_000
    rollup = Rollup(closed_until_ms=START)
    rollup.feed(("d", 0), [sample(1000), sample(30_000 + AHEAD_MS + 1), sample(2000)], now_ms=now)
    rollup.feed(("d", 0), [sample(MINUTE_MS + GRACE_MS)], now_ms=now + MINUTE_MS)
    (row,) = rollup.close()
    assert row.count == 2


def test_lines_and_targets_are_kept_apart() -> None:
    rows = of(rolled([sample(0), sample(1, line="unicom"), sample(2)]))
    assert [(row.line, row.count) for row in rows] == [("telecom", 2), ("unicom", 1)]


def weather(seed: int, minutes: int) -> list[Sample]:
    """Samples nearly in order, of two lines, with losses and late answers."""
    rng = random.Random(seed)
    told = []
    for n in range(minutes * 12):
        at = n * 5000 - rng.randrange(0, GRACE_MS // 2)
        line = rng.choice(("telecom", "unicom"))
        if rng.random() < 0.1:
            told.append(sample(at, None, line=line))
            if rng.random() < 0.3:
                told.append(sample(at, 1.5, line=line, late=True))
        else:
            told.append(sample(at, 0.004 + rng.random() / 1000, line=line))
    return told


def read_in(told: list[Sample], stops: set[int], chunk: int) -> Iterator[Row]:
    """Read in chunks; at every stop the process dies after it has recorded, and begins again from its records."""
    chunks = [told[n : n + chunk] for n in range(0, len(told), chunk)]
    rollup = Rollup(closed_until_ms=0)
    n = 0
    while n < len(chunks):
        rollup.feed(("d", n), chunks[n], now_ms=LATER)
        n += 1
        yield from rollup.close()
        if n in stops:
            stops.discard(n)
            place: Place = rollup.begin_again_at(("d", n))
            n = place[1]
            rollup = Rollup(closed_until_ms=rollup.closed_until_ms)
    yield from rollup.close(drained_at_ms=LATER)


@pytest.mark.parametrize("seed", range(2))
def test_the_rows_do_not_depend_on_where_reading_stopped(seed: int) -> None:
    told = weather(seed, 65)
    once = list(read_in(told, set(), 25))
    assert sorted(map(repr, once)) == sorted(map(repr, rolled(told)))
    assert len(of(once, HOUR_MS)) >= 4
    for stop in range(1, len(told) // 25):
        again = list(read_in(told, {stop, stop + 3}, 25))
        assert sorted(map(repr, again)) == sorted(map(repr, once)), stop


def test_no_row_is_given_twice() -> None:
    rows = list(read_in(weather(9, 130), {5, 17, 40}, 37))
    keys = [(row.line, row.target, row.step_ms, row.start_ms) for row in rows]
    assert len(keys) == len(set(keys))


# Who was there


def test_a_gap_in_the_samples_is_a_gap() -> None:
    presence = Presence(None)
    presence.feed([sample(0), sample(5_000), sample(4_000), sample(5_000 + SILENT_MS)], now_ms=LATER)
    presence.feed([sample(60_000)], now_ms=LATER)
    assert presence.changed() == [(START, START + 15_000), (START + 60_000, START + 60_000)]
    assert presence.changed() == []
    presence.feed([sample(61_000)], now_ms=LATER)
    assert presence.changed() == [(START + 60_000, START + 61_000)]


def test_reading_again_makes_no_span_of_its_own() -> None:
    presence = Presence((START + 60_000, START + 61_000))
    presence.feed([sample(0), sample(5_000), sample(60_000), sample(61_000)], now_ms=LATER)
    assert presence.changed() == []


# Spreads


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1e-5, 30.0), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_is_told_to_one_part_in_a_hundred(times: list[float], q: float) -> None:
    parts = [times[n::3] for n in range(3)]
    whole = added(unpacked(packed(spread_of(part))) for part in parts)
    told = quantile(whole, q)
    assert told == pytest.approx(exact_quantile(sorted(times), q), rel=0.0101)


def test_an_hour_takes_few_bytes() -> None:
    rng = random.Random(3)
    times = [0.004 + rng.expovariate(800) for _ in range(18_000)]
    assert len(packed(spread_of(times))) < 1500
    assert quantile({}, 0.5) is None
