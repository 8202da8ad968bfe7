"""The report of a month, from a value that can be worked out by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest

from edge_node.i18n import CHINESE, ENGLISH
from edge_node.journal.words import report_words
from monitoring.report import (
    COLUMNS,
    Drill,
    LineMonth,
    Picture,
    Promise,
    Quality,
    SlaMonth,
    as_csv,
    as_document,
    digest,
)
from monitoring.report_page import MARKS, as_html
from monitoring.sla import (
    LINE,
    SERVICE,
    Account,
    Bar,
    Excluded,
    Exclusion,
    Incident,
    Interval,
    Reason,
    Window,
    account,
    incidents,
    timeline,
)
from monitoring.smoke import Smoke, Span
from monitoring.steps import Step

MIN, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SHANGHAI = timezone(timedelta(hours=8))
START = int(datetime(2026, 9, 30, 16, tzinfo=UTC).timestamp() * 1000)
OCTOBER = Window(start_ms=START, end_ms=START + 31 * DAY)
VOID = {
    "area",
    "base",
    "br",
    "col",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "rect",
    "line",
    "polyline",
    "polygon",
    "path",
}


def local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI)


def at(day: float) -> int:
    return START + round((day - 1) * DAY)


def intervals(*outages: tuple[float, int], code: str = "silent") -> list[Interval]:
    """Up all month but for outages of so many minutes, by day."""
    found, reached = [], START
    for n, (day, minutes) in enumerate(outages, start=1):
        found.append(Interval(start_ms=reached, end_ms=at(day), state="up", ref=f"1.{2 * n - 1}"))
        reached = at(day) + minutes * MIN
        reason = Reason(code=code, args={"silent_s": 1.0, "targets": 2})
        found.append(Interval(start_ms=at(day), end_ms=reached, state="down", reason=reason, ref=f"1.{2 * n}"))
    return [*found, Interval(start_ms=reached, end_ms=OCTOBER.end_ms, state="up")]


def a_line(
    name: str, told: list[Interval], *, promise: Promise | None = None, quality: Quality | None = None,
    excluded: tuple[Excluded, ...] = (), carrier: str | None = "中国电信",
) -> LineMonth:  # fmt: skip
    pieces = timeline(told, OCTOBER, excluded)
    return LineMonth(
        name=name, carrier=carrier, circuit="SZ-20418837", promise=promise or Promise(),
        account=account(pieces, OCTOBER), incidents=incidents(pieces, OCTOBER), quality=quality or Quality(),
    )  # fmt: skip


def service(*, offline_min: int = 24) -> tuple[Account, tuple[Incident, ...]]:
    told = [
        Interval(start_ms=START, end_ms=at(12), state="online"),
        Interval(start_ms=at(12), end_ms=at(12) + offline_min * MIN, state="offline", ref="1.9"),
        Interval(start_ms=at(12) + offline_min * MIN, end_ms=at(12) + 2 * HOUR, state="backup"),
        Interval(start_ms=at(12) + 2 * HOUR, end_ms=OCTOBER.end_ms - 40 * MIN, state="online"),
    ]
    pieces = timeline(told, OCTOBER, kinds=SERVICE)
    return account(pieces, OCTOBER, kinds=SERVICE), incidents(pieces, OCTOBER, states=("offline",))


def a_month(*lines: LineMonth, picture: Picture | None = None, offline_min: int = 24) -> SlaMonth:
    told, found = service(offline_min=offline_min)
    return SlaMonth(
        node_id="clinic-0042", node_name="西城门诊部", version="0.1.0", month="2026-10", window=OCTOBER,
        is_complete=True, generated_ms=OCTOBER.end_ms + 5 * MIN, lines=lines, service=told,
        service_incidents=found, switches=4, picture=picture,
    )  # fmt: skip


TELECOM = a_line(
    "telecom", intervals((12.59, 47), (19.13, 39), (27.87, 2)),
    promise=Promise(availability=0.999, rtt_p95_s=0.020, loss=0.001),
    quality=Quality(p50_s=0.0041, p95_s=0.006, p99_s=0.011, jitter_p95_s=0.0004, loss=0.0006),
    excluded=(Excluded(start_ms=at(20), end_ms=at(20) + HOUR, why=Exclusion.MAINTENANCE),),
)  # fmt: skip


class _Balanced(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page(month: SlaMonth, language: str = ENGLISH) -> str:
    html = as_html(month, report_words(language, local=local))
    parser = _Balanced()
    parser.feed(html)
    assert parser.open == []
    return html


def shown(html: str) -> str:
    parser = _Balanced()
    parser.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.S))
    return " ".join(" ".join(parser.text).split())


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_the_page_needs_nothing_else(language: str) -> None:
    html = page(a_month(TELECOM), language)
    assert not re.search(r"""(src|href)=|url\((?!#)|@import|<script""", html)
    assert "%(" not in html, "every place of every sentence is filled"


def test_the_verdict_stands_first_in_words() -> None:
    text = shown(page(a_month(TELECOM)))
    # 88 of 44,580 counted minutes; 99.9 % allow 44.58: the rest is 43.4 minutes.
    assert "telecom (中国电信) missed what was agreed (99.9%): 99.80% available, 43 min too little." in text
    assert text.index("missed what was agreed") < text.index("By line")
    assert "3 × 1:28:00" in text
    assert "✕ missed" in text
    assert "The clinic was offline for 24 min (1 ×); it went on working." in text
    assert "2026-10-01 00:00 to 2026-11-01 00:00 (+0800)" in text


def test_what_is_left_out_and_what_is_unknown_is_listed() -> None:
    gap = [Interval(start_ms=START, end_ms=OCTOBER.end_ms - 50 * MIN, state="up")]
    told = page(a_month(TELECOM, a_line("unicom", gap, promise=Promise(availability=0.999))))
    text = shown(told)
    assert "1:00:00" in text, "announced work"
    assert "unicom (中国电信): 100.00% of the known time available, agreed 99.9%; 50 min are unknown" in text
    assert "? cannot be said" in text


def test_a_share_is_never_rounded_up_to_the_promise() -> None:
    """44.7 minutes of a month are 99.8998 %, and not 99.90 %."""
    line = a_line("telecom", intervals((3, 45)), promise=Promise(availability=0.999))
    assert line.verdict is Bar.MISSED
    assert "99.89%" in shown(page(a_month(line)))


def test_long_outages_are_listed_and_short_ones_counted() -> None:
    text = shown(page(a_month(TELECOM)))
    assert "10-12 14:09:36 10-12 14:56:36 0:47:00 0:47:00 silent for 1.0 s on 2 of 2 targets" in text
    assert "10-27" not in text
    assert "Shorter ones, in the CSV and JSON files only: 1." in text
    assert "There was none." in shown(page(a_month(a_line("telecom", intervals()), offline_min=0)))


def test_every_verdict_has_its_words_and_its_mark() -> None:
    short = [Interval(start_ms=START, end_ms=START + DAY, state="up")]
    cases = {
        Bar.MET: a_line("a", intervals(), promise=Promise(availability=0.999)),
        Bar.MISSED: a_line("b", intervals(), promise=Promise(rtt_p95_s=0.02), quality=Quality(p95_s=0.03)),
        Bar.OPEN: a_line("c", short, promise=Promise(availability=0.999)),
        Bar.NO_DATA: a_line("d", [], promise=Promise(availability=0.999)),
        Bar.NO_PROMISE: a_line("e", intervals()),
    }
    for bar, line in cases.items():
        assert line.verdict is bar
        words = report_words(ENGLISH, local=local).verdicts[bar]
        assert f"{MARKS[bar]} {words}" in shown(page(a_month(line)))


def test_the_longest_outage_is_drawn() -> None:
    day = Span(start_ms=at(12), end_ms=at(13))
    steps = tuple(
        Step(start_ms=ms, length_ms=5 * MIN, count=9, lost=0, min_s=0.004, p5_s=0.004, p50_s=0.004, p95_s=0.005,
             max_s=0.006)
        for ms in range(day.start_ms, day.end_ms, 5 * MIN)
    )  # fmt: skip
    smoke = Smoke(window=day, steps=steps, outages=(Span(start_ms=at(12.59), end_ms=at(12.59) + 47 * MIN),))
    html = page(a_month(TELECOM, picture=Picture(line="telecom", day_ms=at(12), smoke=smoke)))
    assert "<svg" in html
    assert "telecom: 2026-10-12, the longest outage" in shown(html)
    assert "outages: 1, 47 min together" in shown(html)


def test_each_lines_month_is_drawn_and_told() -> None:
    whole = Span(start_ms=OCTOBER.start_ms, end_ms=OCTOBER.end_ms)
    steps = tuple(
        Step(start_ms=ms, length_ms=6 * HOUR, count=9, lost=0, min_s=0.004, p5_s=0.004, p50_s=0.004, p95_s=0.005,
             max_s=0.006)
        for ms in range(whole.start_ms, whole.end_ms, 6 * HOUR)
    )  # fmt: skip
    smoke = Smoke(window=whole, steps=steps, outages=(Span(start_ms=at(12.59), end_ms=at(12.59) + 47 * MIN),),
                  uses=(Span(start_ms=at(1), end_ms=at(2)),), promise_s=0.020)  # fmt: skip
    html = page(a_month(replace(TELECOM, smoke=smoke), replace(TELECOM, name="<unicom>", smoke=smoke)))
    assert html.count("<svg") == 2
    assert len(set(re.findall(r'<pattern id="([^"]+)"', html))) == 4, "patterns of two pictures have their own names"
    assert "The month, line by line" in shown(html)
    assert re.search(r"telecom\s+median 4 ms", shown(html)) and re.search(r"<unicom>\s+median 4 ms", shown(html))
    assert "in use for 1 d" in shown(html) and "agreed are 20 ms for 95 in 100" in shown(html)
    assert "<unicom>" not in html
    assert digest(a_month(replace(TELECOM, smoke=smoke))) == digest(a_month(TELECOM)), "figures alone are signed"


def test_hostile_names_stay_text() -> None:
    line = a_line("telecom", intervals((3, 45), code="<b>&"), carrier='<script>"x"')
    html = page(a_month(line))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    (row,) = [row for row in csv.DictReader(io.StringIO(as_csv(a_month(a_line("t", [], carrier="=1+1")))))
              if row["kind"] == "line"]  # fmt: skip
    assert row["carrier"] == "'=1+1"


def test_the_files_say_the_same_as_the_page() -> None:
    month = a_month(TELECOM)
    document = json.loads(json.dumps(as_document(month)))
    (line,) = document["lines"]
    assert line["availability"] == pytest.approx(1 - 88 / 44_580)
    assert line["verdict"] == "missed"
    assert line["bars"]["rtt_p95_s"] == {"promised": 0.02, "verdict": "met"}
    assert line["excluded_seconds"] == {"maintenance": 3600.0, "cloud": 0.0, "blind": 0.0}
    assert sum(line["seconds"].values()) + 3600 + line["unknown_seconds"] == 31 * 86400
    assert [i["id"] for i in line["incidents"]] == ["1.2", "1.4", "1.6"]
    assert line["incidents"][0]["start"] == "2026-10-12T06:09:36.000Z"
    assert document["service"]["seconds"]["offline"] == 24 * 60

    table = list(csv.DictReader(io.StringIO(as_csv(month))))
    assert [row["kind"] for row in table] == ["line", "service", "incident", "incident", "incident", "incident"]
    assert float(table[0]["availability"]) == pytest.approx(line["availability"])
    assert float(table[0]["down_s"]) == 88 * 60
    assert table[2]["reason"] == "silent"
    assert all(set(row) == set(COLUMNS) for row in table)


def test_restore_drills_of_the_month_stand_in_it() -> None:
    drills = (
        Drill(destination="cloud", at_ms=at(4.1), is_ok=True, outcome="ok", rto_s=41.2),
        Drill(destination="<nas>", at_ms=at(11.1), is_ok=False, outcome="failed", rto_s=None, why="403 & more"),
    )
    month = replace(a_month(TELECOM), drills=drills)
    told = re.sub(r"\s+", " ", shown(page(month)))
    assert "Restore drills" in told
    assert "cloud ✓ succeeded 41 s" in told
    assert "<nas> ✕ failed – 403 & more" in told
    assert "Restore drills" not in shown(page(a_month(TELECOM)))
    assert [one["rto_s"] for one in as_document(month)["drills"]] == [41.2, None]
    rows = [row for row in csv.DictReader(io.StringIO(as_csv(month))) if row["kind"] == "drill"]
    assert [(row["name"], row["verdict"], row["rto_s"]) for row in rows] == [
        ("cloud", "ok", "41.2"),
        ("<nas>", "failed", ""),
    ]
    assert digest(month) != digest(a_month(TELECOM)), "how long coming back takes is signed"


def test_the_digest_ties_page_and_file_together() -> None:
    month = a_month(TELECOM)
    assert as_document(month)["sha256"] == digest(month)
    assert digest(month) in page(month)
    assert digest(month) != digest(a_month(a_line("telecom", intervals((12.59, 46)))))


def test_kinds_of_a_line_are_those_of_the_watcher() -> None:
    assert LINE.good | LINE.bad == {"up", "degraded", "down"}
