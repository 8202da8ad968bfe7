"""What a line's chart says in words, and the two lines of its promises; the style of the pages is the charts' own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from monitoring.chart_style import CHART_CSS
from monitoring.chart_words import smoke_sentence
from monitoring.charts import PAPER, WIDE, loss_class
from monitoring.smoke import Smoke, Span, seconds_within
from tests.unit.monitoring.test_charts import MIN, START, WORDS, a_day, a_step, drawn, of_class, span, texts

STATIC = Path(__file__).resolve().parents[3] / "edge_node/his/static"


def said(smoke: Smoke) -> list[str]:
    return smoke_sentence(smoke, WORDS).split(". ")


def test_the_pages_have_the_style_of_the_charts() -> None:
    """chart.css is CHART_CSS word for word, so that a report and a page look alike; nothing else styles a chart."""
    assert (STATIC / "chart.css").read_text(encoding="utf-8") == CHART_CSS
    others = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("app.css", "console.css"))
    twice = set(re.findall(r"\.(c-[\w-]+)", CHART_CSS)) & set(re.findall(r"\.(c-[\w-]+)", others))
    assert not twice, "defined twice"


def test_the_agreed_delay_is_a_line_of_its_own() -> None:
    root = drawn(a_day(limit_s=0.008, promise_s=0.006))
    (limit,), (promise,) = of_class(root, "c-limit"), of_class(root, "c-promise")
    assert float(promise.get("y1", "0")) > float(limit.get("y1", "0"))
    assert {"degraded above 8 ms", "agreed 6"} <= set(texts(root))


def test_labels_of_two_limits_do_not_lie_on_each_other() -> None:
    heights = [float(e.get("y", "0")) for e in of_class(drawn(a_day(limit_s=0.0061, promise_s=0.006)), "c-note")]
    assert len(heights) == 2 and abs(heights[0] - heights[1]) >= 14


def test_an_agreed_delay_out_of_sight_is_told_all_the_same() -> None:
    smoke = a_day(promise_s=0.200)
    assert not of_class(drawn(smoke), "c-promise")
    assert "agreed 200 ms" in said(smoke)


def test_which_line_was_in_use_is_told_within_the_window() -> None:
    before = Span(start_ms=START - 600 * MIN, end_ms=START + 120 * MIN)
    assert seconds_within([before, span(1400, 1500)], span(0, 1440)) == (120 + 40) * 60
    assert "used for 160 min" in said(a_day(uses=(before, span(1400, 1500))))
    assert "not used" in said(a_day(uses=(span(-9, 0),)))
    assert not [words for words in said(Smoke(window=span(0, 1440))) if "used" in words], "of nothing known nothing"


def test_the_worst_step_is_named_where_its_colour_differs() -> None:
    steps = list(a_day().steps)
    steps[24] = replace(steps[24], lost=14)
    assert "worst 14% at 12:00" not in " ".join(said(a_day())), "two hours after 09:00 is 11:00"
    assert "worst 14% at 11:00" in said(Smoke(window=span(0, 1440), steps=tuple(steps)))
    steps[24] = replace(steps[24], lost=1)
    assert not [words for words in said(Smoke(window=span(0, 1440), steps=tuple(steps))) if "worst" in words]


def test_times_of_several_days_have_their_date() -> None:
    steps = tuple(a_step(START + n * 30 * MIN, length_ms=30 * MIN) for n in range(96))
    slow = replace(steps[50], max_s=0.5)
    told = said(Smoke(window=span(0, 2880), steps=(*steps[:50], slow, *steps[51:])))
    assert "max 500 at 11-20 10:00" in told[0]


def test_steps_that_an_outage_touches_are_left_out() -> None:
    steps = tuple(replace(step, lost=50) if n in (120, 121) else step for n, step in enumerate(a_day().steps))
    told = " ".join(said(Smoke(window=span(0, 1440), steps=steps, outages=(span(603, 607),))))
    assert "loss 0%" in told and "worst" not in told


def test_unknown_time_is_not_free_of_outages() -> None:
    assert "never down" not in smoke_sentence(
        Smoke(window=span(0, 60), no_data=(span(0, 60),), has_targets=False), WORDS
    )
    assert "never down" in smoke_sentence(Smoke(window=span(0, 60), no_data=(span(0, 59),), has_targets=False), WORDS)


def test_a_long_step_stays_calm_below_one_in_a_thousand() -> None:
    """Of six hours nearly every step has lost something; its bar is drawn, its median keeps its colour."""
    smoke = Smoke(window=span(0, 30), steps=tuple(a_step(START + n * 5 * MIN, lost=1, count=5000) for n in range(6)))
    root = drawn(smoke)
    assert [e.get("class") for e in of_class(root, "c-med")] == ["c-med c-l0"]
    assert len(of_class(root, "c-b1")) == 6
    assert [loss_class(r) for r in (0.0002, 0.001)] == [0, 1]


def test_paper_is_drawn_as_wide_as_the_sheet() -> None:
    """180 mm between the margins: scaled down, its 12 px would be smaller than the 8 pt that paper may have."""
    assert PAPER.width <= 180 / 25.4 * 96
    assert WIDE.width / PAPER.width > 1.17
