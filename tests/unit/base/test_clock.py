from __future__ import annotations

import pytest

from edge_node.base.clock import (
    EARLIEST_SANE_MS,
    ClockState,
    SystemClock,
    clock_state,
    kernel_synchronised,
    parse_utc,
    utc_text,
)

NOW = EARLIEST_SANE_MS + 10_000_000


@pytest.mark.parametrize(
    "wall_ms, synchronised, newest, expected",
    [
        pytest.param(NOW, True, NOW - 5000, ClockState.SYNCED, id="a-time-server-disciplines-it"),
        pytest.param(NOW, False, NOW - 5000, ClockState.HOLDOVER, id="it-runs-on-by-itself"),
        pytest.param(NOW, None, None, ClockState.HOLDOVER, id="nobody-knows-is-not-synced"),
        pytest.param(EARLIEST_SANE_MS - 1, True, None, ClockState.SUSPECT, id="earlier-than-this-program"),
        pytest.param(NOW, True, NOW + 1_500, ClockState.SYNCED, id="a-small-correction-is-forgiven"),
        pytest.param(NOW, True, NOW + 60_000, ClockState.SUSPECT, id="earlier-than-what-was-written"),
    ],
)
def test_clock_state(wall_ms: int, synchronised: bool | None, newest: int | None, expected: ClockState) -> None:
    assert clock_state(wall_ms, synchronised=synchronised, newest_record_ms=newest) is expected


def test_times_are_written_in_utc_and_read_back() -> None:
    assert utc_text(1_795_000_000_123) == "2026-11-18T11:06:40.123Z"
    assert parse_utc("2026-11-18T11:06:40.123Z") == 1_795_000_000_123
    assert parse_utc("2026-11-18T19:06:40.123+08:00") == 1_795_000_000_123


def test_a_time_without_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match="has no time zone; write it as"):
        parse_utc("2026-11-18T19:06:40")


def test_the_machine_answers() -> None:
    clock = SystemClock()
    assert clock.boottime() > 0
    assert clock.wall_ms() > EARLIEST_SANE_MS
    assert kernel_synchronised() in (True, False, None)
