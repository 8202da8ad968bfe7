"""How far behind is the local replica, and with it every copy? Never less than the truth, and nothing when idle."""

from __future__ import annotations

import pytest

from edge_node.replication.capture import Capture, CaptureWatch
from edge_node.replication.lag import NO_LAG, Lag

SECOND_MS = 1000
HOUR_MS = 3_600_000


def looks(*moments: tuple[int, int, int | None]) -> list[float | None]:
    """The ages at these looks: the time, when the WAL was written last, and when it was captured last."""
    watch = CaptureWatch(every_s=1.0)
    return [
        watch.look(written_ms=written_ms, captured_ms=captured_ms, now_ms=now_ms).uncaptured_s
        for now_ms, written_ms, captured_ms in moments
    ]


def test_an_idle_database_lacks_nothing() -> None:
    assert looks((HOUR_MS, 900, 1000), (2 * HOUR_MS, 900, 1000)) == [0.0, 0.0]


def test_a_write_after_an_idle_night_is_as_old_as_the_last_look() -> None:
    night = 8 * HOUR_MS
    assert looks((night, 900, 1000), (night + 1000, night + 400, 1000), (night + 2000, night + 400, night + 1300)) == [
        0.0, 1.0, 0.0,
    ]  # fmt: skip


def test_while_people_work_it_is_as_old_as_the_last_capture() -> None:
    assert looks((10_000, 9_990, 9_500), (11_000, 10_980, 10_500), (12_000, 11_990, 11_500)) == [0.5, 0.5, 0.5]


def test_a_capture_that_stops_is_not_forgiven_by_later_writes() -> None:
    moments = [(10_000 + n * SECOND_MS, 9_990 + n * SECOND_MS, 9_500) for n in range(61)]
    assert looks(*moments)[-1] == 60.5
    idle_since = [(71_000, 69_990, 9_500), (72_000, 69_990, 71_500)]
    assert looks(*moments, *idle_since)[-2:] == [61.5, 0.0]


def test_what_was_missing_at_the_start_is_as_old_as_the_last_capture_at_the_most() -> None:
    assert looks((HOUR_MS, HOUR_MS - 500, 1000)) == [3599.0]


def test_without_any_capture_nothing_is_known() -> None:
    assert looks((10_000, 9_000, None), (11_000, 10_990, 10_900)) == [None, 0.1]


def test_a_clock_that_was_set_back_gives_no_negative_age() -> None:
    assert looks((HOUR_MS, HOUR_MS - 1, HOUR_MS - 100), (1000, 900, HOUR_MS - 100)) == [0.1, 0.0]
    assert looks((HOUR_MS, HOUR_MS + 5, HOUR_MS + 1)) == [0.0]


@pytest.mark.parametrize(
    ("lag", "uncaptured_s", "rpo_s"),
    [
        pytest.param(NO_LAG, 0.0, 0.0, id="it-has-all"),
        pytest.param(NO_LAG, 0.7, 0.7, id="it-has-all-that-is-captured"),
        pytest.param(NO_LAG, 60.0, 60.0, id="nothing-is-captured-any-more"),
        pytest.param(Lag(txids=3, size_bytes=1, rpo_s=30.0), 0.7, 31.0, id="the-oldest-of-a-capture-is-older-than-it"),
        pytest.param(Lag(txids=3, size_bytes=1, rpo_s=30.0), 60.0, 60.0, id="both"),
        pytest.param(Lag(txids=3, size_bytes=1, rpo_s=None), 60.0, None, id="unknown-stays-unknown"),
        pytest.param(Lag(txids=3, size_bytes=1, rpo_s=30.0), None, 30.0, id="no-local-replica"),
    ],
)
def test_what_a_copy_lacks(lag: Lag, uncaptured_s: float | None, rpo_s: float | None) -> None:
    assert Capture(every_s=1.0, uncaptured_s=uncaptured_s).rpo_s(lag) == rpo_s


@pytest.mark.parametrize(
    ("every_s", "uncaptured_s", "is_late"),
    [
        (1.0, 0.0, False),
        (1.0, 5.9, False),
        (1.0, 6.1, True),
        (60.0, 60.0, False),
        (60.0, 66.0, True),
        (1.0, None, False),
    ],
)
def test_late_is_more_than_what_is_always_on_its_way(every_s: float, uncaptured_s: float | None, is_late: bool) -> None:
    assert Capture(every_s=every_s, uncaptured_s=uncaptured_s).is_late is is_late
