"""What a chart shows, read back from the drawing: where the strips lie, what is interrupted, what is said in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from monitoring.chart_style import CHART_CSS
from monitoring.chart_words import ChartWords, smoke_sentence
from monitoring.charts import NARROW, PAPER, ROW, WIDE, Canvas, loss_class, scale_s, smoke_svg
from monitoring.figures import availability, clock, milliseconds, percent, promised
from monitoring.rpo_chart import Rpo, RpoWords, rpo_sentence, rpo_svg
from monitoring.smoke import Smoke, Span, blind_spans, step_length_ms
from monitoring.steps import Step
from monitoring.svg import Frame

MIN = 60_000
HOUR = 60 * MIN
START = int(datetime(2026, 11, 19, 1, 0, tzinfo=UTC).timestamp() * 1000)
SHANGHAI = timezone(timedelta(hours=8))
SVG = "{http://www.w3.org/2000/svg}"


def local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI)


WORDS = ChartWords(
    name="RTT & loss", loss="loss", use="use", outage="down %(for_)s", no_data="no data", no_targets="no targets",
    limit="degraded above %(ms)s ms", now="now", told="median %(p50)s p95 %(p95)s max %(max)s at %(at)s loss %(loss)s",
    told_nothing="no answer", told_outages="down %(count)s times, %(total)s", told_no_outage="never down",
    told_no_data="no data for %(total)s", told_worst="worst %(loss)s at %(at)s", told_promise="agreed %(ms)s ms",
    told_use="used for %(total)s", told_no_use="not used", promise="agreed %(ms)s", stop=". ",
    spoken=lambda s: f"{s / 60:g} min", local=local,
)  # fmt: skip


def a_step(at_ms: int, median_ms: float = 4.0, *, lost: int = 0, count: int = 100, length_ms: int = 5 * MIN) -> Step:
    median = median_ms / 1000
    return Step(
        start_ms=at_ms, length_ms=length_ms, count=count, lost=lost, min_s=median * 0.9, p5_s=median * 0.95,
        p50_s=median, p95_s=median * 1.2, max_s=median * 1.5,
    )  # fmt: skip


def span(start_min: float, end_min: float) -> Span:
    return Span(start_ms=START + round(start_min * MIN), end_ms=START + round(end_min * MIN))


def a_day(keep: Callable[[int], bool] = lambda _: True, **further: object) -> Smoke:
    """24 h at 4 ms in steps of 5 minutes; `keep` says which minutes of the day have a step."""
    steps = tuple(a_step(START + m * MIN) for m in range(0, 1440, 5) if keep(m))
    return Smoke(window=span(0, 1440), steps=steps, **further)  # type: ignore[arg-type]


def drawn(smoke: Smoke, canvas: Canvas = WIDE, **further: object) -> ElementTree.Element:
    svg = smoke_svg(smoke, WORDS, canvas=canvas, **further)  # type: ignore[arg-type]
    return ElementTree.fromstring(svg.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [e for e in root.iter() if name in (e.get("class") or "").split()]


def texts(root: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in root.iter(f"{SVG}text")]


def points(line: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in (line.get("points") or "").split())]


@pytest.mark.parametrize("canvas", [WIDE, ROW, NARROW, PAPER])
def test_every_size_is_a_named_picture_with_nothing_inline(canvas: Canvas) -> None:
    smoke = a_day(lambda m: not 600 <= m < 640, outages=(span(300, 308),), uses=(span(0, 300),), limit_s=0.005)
    svg = smoke_svg(smoke, WORDS, canvas=canvas, key="telecom")
    root = drawn(smoke, canvas)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "RTT & loss"
    assert "style=" not in svg
    assert "<script" not in svg
    assert not re.search(r"\bon\w+=", svg)
    for element in root.iter():
        for name in ("x", "x1", "x2"):
            if element.get(name) is not None and not element.tag.endswith("pattern"):
                assert -1 <= float(element.get(name, "0")) <= canvas.width


def test_every_class_has_a_style_and_every_style_a_use() -> None:
    smoke = a_day(
        lambda m: not 600 <= m < 640, outages=(span(300, 308),), uses=(span(0, 300),), holds=(span(308, 330),),
        limit_s=0.005, promise_s=0.0055,
    )  # fmt: skip
    lossy = [a_step(START + n * 5 * MIN, lost=lost) for n, lost in enumerate((0, 1, 5, 40, 0))]
    peak = Step(start_ms=START + 25 * MIN, length_ms=5 * MIN, count=9, lost=0, min_s=0.004, p5_s=0.004, p50_s=0.004,
                p95_s=0.004, max_s=3.0)  # fmt: skip
    whole = smoke_svg(smoke, WORDS) + smoke_svg(Smoke(window=span(0, 30), steps=(*lossy, peak)), WORDS)
    whole += rpo_svg(an_rpo(), RPO_WORDS)
    used = {name for names in re.findall(r'class="([^"]+)"', whole) for name in names.split()}
    styled = set(re.findall(r"\.(c[\w-]+)", CHART_CSS))
    assert used == styled


def test_an_outage_interrupts_the_line() -> None:
    """It neither falls to zero nor is it drawn across."""
    root = drawn(a_day(outages=(span(600, 612),)))
    (strip,) = of_class(root, "c-out")
    left, right = float(strip.get("x", "0")), float(strip.get("x", "0")) + float(strip.get("width", "0"))
    frame = Frame(width=930, height=270, start_ms=START, end_ms=START + 24 * HOUR, top_value=1)
    assert left == pytest.approx(frame.x(START + 600 * MIN), abs=0.1)
    assert right == pytest.approx(frame.x(START + 612 * MIN), abs=0.1)
    lines = [points(line) for line in of_class(root, "c-med")]
    assert len(lines) == 2
    for line in lines:
        assert all(x <= left + 0.1 or x >= right - 0.1 for x, _ in line)
        assert len({y for _, y in line}) == 1, "4 ms all day: it never dips"
    assert "down 12 min" in texts(root)


def test_a_short_outage_is_still_seen() -> None:
    (strip,) = of_class(drawn(a_day(outages=(span(600, 600.02),))), "c-out")
    assert float(strip.get("width", "0")) == 4
    (last,) = of_class(drawn(a_day(outages=(span(1439.98, 1440),))), "c-out")
    assert float(last.get("x", "0")) + float(last.get("width", "0")) <= 922.01


def test_missing_data_is_hatched_and_never_joined_across() -> None:
    smoke = a_day(lambda m: not 600 <= m < 640)
    assert blind_spans(smoke) == (span(600, 640),)
    root = drawn(smoke)
    (hole,) = of_class(root, "c-blind")
    assert len(of_class(root, "c-med")) == 2
    assert float(hole.get("width", "0")) == pytest.approx(878 * 40 / 1440, abs=0.1)
    assert "no data" in texts(root)


def test_no_data_at_all_is_not_good() -> None:
    empty = Smoke(window=span(0, 1440))
    root = drawn(empty)
    assert len(of_class(root, "c-blind")) == 1
    assert not of_class(root, "c-med")
    assert smoke_sentence(empty, WORDS) == "no data for 1440 min"


def test_a_line_without_targets_is_not_without_data() -> None:
    bare = Smoke(window=span(0, 1440), has_targets=False, uses=(span(0, 1440),))
    root = drawn(bare)
    assert not of_class(root, "c-blind")
    assert "no targets" in texts(root)
    assert smoke_sentence(bare, WORDS) == "no targets. never down. used for 1440 min"


def test_the_median_takes_the_colour_of_its_steps_loss() -> None:
    steps = tuple(a_step(START + n * 5 * MIN, lost=lost) for n, lost in enumerate((0, 0, 1, 5, 40, 0)))
    root = drawn(Smoke(window=span(0, 30), steps=steps))
    lines = of_class(root, "c-med")
    assert [(e.get("class") or "").split()[1] for e in lines] == ["c-l0", "c-l1", "c-l2", "c-l3", "c-l0"]
    ends = [(points(line)[0][0], points(line)[-1][0]) for line in lines]
    assert all(end == start for (_, end), (start, _) in pairwise(ends)), "joined within a run"
    heights = [float(e.get("height", "0")) for n in (1, 2, 3) for e in of_class(root, f"c-b{n}")]
    assert heights == sorted(heights)
    assert len(heights) == 3


def test_one_step_alone_is_seen() -> None:
    root = drawn(a_day(lambda m: m == 700))
    (line,) = of_class(root, "c-med")
    (x1, _), (x2, _) = points(line)
    assert x2 > x1


def test_a_stray_answer_does_not_press_the_line_flat() -> None:
    steps = [a_step(START + m * MIN) for m in range(0, 1440, 5)]
    steps[100] = Step(start_ms=steps[100].start_ms, length_ms=5 * MIN, count=100, lost=0, min_s=0.004, p5_s=0.004,
                      p50_s=0.004, p95_s=0.005, max_s=2.0)  # fmt: skip
    smoke = Smoke(window=span(0, 1440), steps=tuple(steps))
    assert scale_s((smoke,)) < 0.010
    root = drawn(smoke)
    assert len(of_class(root, "c-over-top")) == 1, "its peak is marked at the top"
    assert "max 2000 at 17:20" in smoke_sentence(smoke, WORDS), "and told in words"


def test_a_limit_out_of_sight_is_not_drawn() -> None:
    assert of_class(drawn(a_day(limit_s=0.014)), "c-limit")
    assert not of_class(drawn(a_day(limit_s=0.200)), "c-limit")


def test_the_ribbon_says_nothing_where_nothing_is_known() -> None:
    root = drawn(a_day(no_data=(span(0, 60),), uses=(span(60, 600),), holds=(span(700, 720),)))
    (pale,), (use,), (hold,) = (of_class(root, name) for name in ("c-noact", "c-act", "c-hold"))
    assert float(pale.get("x", "0")) == pytest.approx(float(use.get("x", "0")))
    assert float(pale.get("x", "0")) > 60
    assert float(hold.get("x", "0")) > float(use.get("x", "0")) + float(use.get("width", "0"))


def test_labels_do_not_lie_on_one_another() -> None:
    outages = tuple(span(m, m + 8) for m in range(600, 700, 12))
    root = drawn(a_day(outages=outages))
    labels = of_class(root, "c-lab")
    assert len(of_class(root, "c-out")) == len(outages)
    assert 1 <= len(labels) <= 2


def test_times_are_local_and_the_right_edge_is_now() -> None:
    root = drawn(a_day(), now_ms=START + 24 * HOUR)
    shown = texts(root)
    assert "10:00" in shown
    assert "now" in shown
    assert "09:00" not in shown, "two-hourly ticks stand at even hours of the clinic's clock"
    week = Smoke(window=span(0, 7 * 1440))
    assert [t for t in texts(drawn(week)) if "-" in t][:2] == ["11-20", "11-21"]


@pytest.mark.parametrize("hours, minutes", [(1, 1), (6, 1), (24, 5), (168, 30), (31 * 24, 360)])
def test_the_step_follows_the_window(hours: int, minutes: int) -> None:
    assert step_length_ms(span(0, hours * 60)) == minutes * MIN


def test_words_for_figures() -> None:
    assert [milliseconds(s) for s in (0.00006, 0.0041, 0.018, 0.212, 2.0)] == ["0.06", "4.1", "18", "212", "2000"]
    assert [percent(r) for r in (0, 0.00001, 0.0006, 0.14, 1.0)] == ["0%", "<0.01%", "0.06%", "14%", "100%"]
    shares = (1.0, 0.9999, 0.99899, 0.999999, 0.5, 0.99895, 0.0)
    assert [availability(a) for a in shares] == [
        "100.00%", "99.99%", "99.89%", "99.99%", "50.00%", "99.89%", "0.00%",
    ]  # fmt: skip
    assert availability(0.99996, 0.9995) == "99.996%"
    assert [promised(a) for a in (0.999, 0.99, 1.0, 0.9995)] == ["99.9%", "99%", "100%", "99.95%"]
    assert [clock(ms) for ms in (0, 1, 61_000, 7_771_000)] == ["0:00:00", "0:00:01", "0:01:01", "2:09:31"]
    assert [loss_class(r) for r in (None, 0.0, 0.001, 0.02, 0.0999, 0.1, 1.0)] == [0, 0, 1, 2, 2, 3, 3]


def test_outages_have_figures_of_their_own() -> None:
    smoke = a_day(outages=(span(600, 610), span(700, 705)))
    lost = tuple(
        Step(start_ms=s.start_ms, length_ms=s.length_ms, count=100, lost=100)
        if s.start_ms - START in (600 * MIN, 605 * MIN)
        else s
        for s in smoke.steps
    )
    said = smoke_sentence(Smoke(window=smoke.window, steps=lost, outages=smoke.outages), WORDS)
    assert "loss 0%" in said
    assert "down 2 times, 15 min" in said


# RPO

RPO_WORDS = RpoWords(
    name="RPO", second="1 s", minute="1 min", hour="1 h", now="now", told="worst %(worst)s at %(at)s, over %(over)s",
    told_nothing="no data", spoken=lambda s: f"{s:g} s", local=local,
)  # fmt: skip


def an_rpo() -> Rpo:
    """Two seconds behind, ten minutes above the goal at 02:00 of the window, and an hour of which nothing is known."""
    readings = dict.fromkeys(range(0, 360, 5), 2.0)
    readings |= {120: 300.0, 125: 600.0}
    known = tuple((START + m * MIN, s) for m, s in readings.items() if not 200 < m < 260)
    return Rpo(window=span(0, 360), points=known, goal_s=60.0)


def test_rpo_is_thick_above_its_goal_and_hatched_where_nothing_is_known() -> None:
    svg = rpo_svg(an_rpo(), RPO_WORDS)
    root = ElementTree.fromstring(svg.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))
    (over,) = of_class(root, "c-over")
    frame = Frame(width=440, height=74, start_ms=START, end_ms=START + 360 * MIN, top_value=1)
    assert (over.get("d") or "").startswith(f"M{frame.x(START + 120 * MIN):.1f}")
    (hole,) = of_class(root, "c-blind")
    assert float(hole.get("x", "0")) == pytest.approx(frame.x(START + 200 * MIN), abs=0.1)
    assert len(of_class(root, "c-step")) == 2
    assert rpo_sentence(an_rpo(), RPO_WORDS) == "worst 600 s at 11:05, over 600 s"


def test_the_rpo_axis_is_logarithmic_and_ends() -> None:
    window = span(0, 60)
    heights = []
    for seconds in (0.2, 1.0, 60.0, 3600.0, 1e9):
        svg = rpo_svg(Rpo(window=window, points=((START, seconds),), gap_ms=HOUR), RPO_WORDS)
        (path,) = re.findall(r'class="c-step" d="M[\d.]+ ([\d.]+)', svg)
        heights.append(float(path))
    assert heights[0] == heights[1] == 57
    assert heights[1] - heights[2] == pytest.approx(heights[2] - heights[3], abs=0.2)
    assert heights[4] == 3
    assert rpo_sentence(Rpo(window=window, points=()), RPO_WORDS) == "no data"
