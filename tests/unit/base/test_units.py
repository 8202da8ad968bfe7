from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.base import units


@pytest.mark.parametrize(
    "text, seconds",
    [("200ms", 0.2), ("30s", 30.0), ("5min", 300.0), ("2h", 7200.0), ("7d", 604800.0), ("1.5s", 1.5), (" 30s ", 30.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "parse, text, sentence",
    [
        (units.parse_duration, "5", '"5": a duration needs a unit, such as "5s"'),
        (units.parse_duration, "5 parsecs", '"5 parsecs": not a duration; write it like "5s"'),
        (units.parse_duration, "5m", '"5m": unknown unit "m" of a duration; known are ms, s, min, h, d'),
        (units.parse_duration, "-5s", '"-5s": not a duration; write it like "5s"'),
        (units.parse_size, "20", '"20": a size needs a unit, such as "20MiB"'),
        (
            units.parse_size,
            "20Gb",
            '"20Gb": unknown unit "Gb" of a size; known are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB',
        ),
        (units.parse_rate, "8M", '"8M": unknown unit "M" of a rate; known are bit, kbit, Kbit, Mbit, Gbit'),
    ],
)
def test_a_bad_quantity_says_what_to_write(parse: object, text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)  # type: ignore[operator]
    assert str(caught.value) == sentence


@given(st.integers(min_value=1, max_value=10**9))
def test_what_is_printed_is_read_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert units.parse_duration(units.format_duration(seconds)) == pytest.approx(seconds)
    assert units.parse_size(units.format_size(milliseconds)) == milliseconds
    assert units.parse_rate(units.format_rate(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    "seconds, spoken",
    [
        (0, "0 s"),
        (4.4, "4 s"),
        (59.6, "1 min"),
        (720, "12 min"),
        (5100, "1 h 25 min"),
        (7200, "2 h"),
        (266400, "3 d 2 h"),
    ],
)
def test_spoken_duration(seconds: float, spoken: str) -> None:
    assert units.spoken_duration(seconds) == spoken
