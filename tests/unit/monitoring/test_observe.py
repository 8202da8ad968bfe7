"""What enforce would have done, from values that can be worked out by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from edge_node.i18n import CHINESE, ENGLISH
from edge_node.journal.observe_words import observe_words
from monitoring.observe import Advice, Decided, Observed, Told, Use, observe
from monitoring.observe_page import advice, as_html
from monitoring.observe_report import COLUMNS, ObserveReport, as_csv, as_document, digest
from monitoring.sla import Excluded, Exclusion, Interval, Reason, Window, timeline

MIN, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SHANGHAI = timezone(timedelta(hours=8))
START = int(datetime(2026, 10, 4, 16, tzinfo=UTC).timestamp() * 1000)
WEEK = Window(start_ms=START, end_ms=START + 7 * DAY)
DAYS = [START + n * DAY for n in range(7)]

Outage = tuple[int, int]  # begins (milliseconds after the start), and lasts


def local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI)


def told(name: str, *outages: Outage, code: str = "silent", cloud: bool = False, known_ms: int = 7 * DAY) -> Told:
    """Up but for its outages; unknown after `known_ms`."""
    spans, reached = [], START
    for begin, length in outages:
        spans.append(Interval(start_ms=reached, end_ms=START + begin, state="up"))
        reached = START + begin + length
        spans.append(
            Interval(
                start_ms=START + begin, end_ms=reached, state="down",
                reason=Reason(code=code, args={"silent_s": 1.0, "targets": 2}), ref=f"1.{begin}",
            )
        )  # fmt: skip
    spans.append(Interval(start_ms=reached, end_ms=START + known_ms, state="up"))
    excluded = [
        Excluded(start_ms=START + begin, end_ms=START + begin + length, why=Exclusion.CLOUD)
        for begin, length in outages
        if cloud
    ]
    return Told(name=name, carrier="中国电信", pieces=timeline(spans, WEEK, excluded))


def decided(after_ms: int, to_line: str | None, code: str = "line-down", *, is_start: bool = False) -> Decided:
    args = {"line": "telecom", "cause": "silent"} if code == "line-down" else {}
    return Decided(at_ms=START + after_ms, to_line=to_line, reason=Reason(code=code, args=args), is_start=is_start)


def uses(*decisions: Decided, until_ms: int = 7 * DAY) -> list[Use]:
    ends = [*(one.at_ms for one in decisions[1:]), START + until_ms]
    return [
        Use(start_ms=one.at_ms, end_ms=end, line=one.to_line)
        for one, end in zip(decisions, ends, strict=True)
        if one.to_line
    ]


def watched(
    *decisions: Decided, lines: tuple[Told, ...], is_enforced: bool = False, known_ms: int = 7 * DAY
) -> Observed:
    first = decided(0, "telecom", "first-line", is_start=True)
    return observe(
        WEEK, is_enforced=is_enforced, main="telecom", is_main_seen=True, lines=lines, decided=(first, *decisions),
        uses=uses(first, *decisions, until_ms=known_ms), known_ms=known_ms, days=DAYS,
    )  # fmt: skip


def left_and_back(begin: int, length: int, *, hold: int = 60_000) -> tuple[Decided, Decided]:
    """As the watcher does: away a second after the beginning, back a hold after the end."""
    return decided(begin + 1000, "unicom"), decided(begin + length + hold, "telecom", "failback")


ELEVEN_MIN, HALF_HOUR = (30 * HOUR, 11 * MIN), (80 * HOUR, 30 * MIN)
GOOD = watched(
    *left_and_back(*ELEVEN_MIN),
    *left_and_back(*HALF_HOUR),
    lines=(told("telecom", ELEVEN_MIN, HALF_HOUR), told("unicom")),
)


def test_outages_that_another_line_would_have_bridged() -> None:
    assert [(one.outage.duration_ms, one.bridged_ms, one.by) for one in GOOD.outages] == [
        (11 * MIN, 11 * MIN - 1000, ("unicom",)),
        (30 * MIN, 30 * MIN - 1000, ("unicom",)),
    ]
    assert (GOOD.switches, GOOD.hasty, GOOD.worst_day) == (4, 0, (DAYS[1], 2))
    assert GOOD.advice is Advice.BRIDGES
    telecom, unicom = GOOD.lines
    assert unicom.used_ms == 41 * MIN + 2 * (60_000 - 1000)
    assert telecom.used_ms + unicom.used_ms == 7 * DAY
    assert (telecom.left, telecom.left_in_a_day, unicom.left) == (2, 1, 2)
    assert advice(GOOD, observe_words(ENGLISH, local=local)) == (
        "Enforce would have bridged 2 of 2 outages of telecom, 40 min in all, with 4 moves; nothing speaks against it."
    )


def test_both_down_is_bridged_by_nobody() -> None:
    both = (30 * HOUR, 10 * MIN)
    seen = watched(
        decided(30 * HOUR + 4000, None, "every-line-down"),
        decided(30 * HOUR + 10 * MIN + 10_000, "telecom", "back-online"),
        lines=(told("telecom", both), told("unicom", both)),
    )
    assert [one.bridged_ms for one in seen.outages] == [0]
    assert (seen.switches, len(seen.moves)) == (0, 1), "offline moves nothing, and is told"
    assert seen.advice is Advice.QUALITY_ONLY


def test_what_the_cloud_broke_is_no_outage_of_the_line() -> None:
    seen = watched(lines=(told("telecom", ELEVEN_MIN, code="cloud-silent", cloud=True), told("unicom")))
    assert seen.outages == () and seen.advice is Advice.QUIET


def test_a_move_back_at_once_was_in_vain_unless_it_bridged_something() -> None:
    blip, outage = (20 * HOUR, 2_000), (40 * HOUR, 30_000)
    seen = watched(
        *left_and_back(*blip), *left_and_back(*outage), lines=(told("telecom", blip, outage), told("unicom"))
    )
    assert [move.is_hasty for move in seen.moves] == [True, False, False, False]
    assert [move.bridged_ms for move in seen.moves] == [1000, 0, 29_000, 0]
    assert seen.hasty == seen.lines[0].left_hastily == 1


def test_a_line_that_flaps_is_to_be_looked_at_first() -> None:
    blips = [(30 * HOUR + n * 20 * MIN, 2_000) for n in range(7)]
    moves = [move for blip in blips for move in left_and_back(*blip)]
    seen = watched(*moves, lines=(told("telecom", *blips), told("unicom")))
    assert seen.advice is Advice.FLAPS
    assert seen.restless is not None and (seen.restless.name, seen.restless.left_in_a_day) == ("telecom", 7)
    assert advice(seen, observe_words(ENGLISH, local=local)) == (
        "telecom flaps: enforce would have left it 7 times, up to 7 times in a day, 7 times in vain: "
        "look at the line before."
    )


@pytest.mark.parametrize(
    "seen, wanted",
    [
        pytest.param(watched(lines=(told("telecom"), told("unicom"))), Advice.QUIET, id="quiet"),
        pytest.param(watched(lines=(told("telecom"),)), Advice.ONE_LINE, id="one-line"),
        pytest.param(watched(lines=(told("telecom"), told("unicom", known_ms=0))), Advice.UNHEARD, id="never-heard-of"),
        pytest.param(
            watched(lines=(told("telecom"), told("unicom")), known_ms=2 * DAY), Advice.TOO_SHORT, id="two-days"
        ),
        pytest.param(
            watched(lines=(told("telecom"), told("unicom")), known_ms=0), Advice.NOTHING_KNOWN, id="nothing-known"
        ),
        pytest.param(
            watched(lines=(told("telecom"), told("unicom")), is_enforced=True), Advice.ENFORCED, id="enforced"
        ),
    ],
)
def test_what_follows(seen: Observed, wanted: Advice) -> None:
    assert seen.advice is wanted
    for language in (ENGLISH, CHINESE):
        assert "%(" not in advice(seen, observe_words(language, local=local))


def test_a_start_of_the_watcher_is_no_move() -> None:
    """In observe a watcher that starts over decides anew, and nothing was moved."""
    seen = watched(
        decided(HOUR, "unicom"),
        decided(2 * HOUR, "telecom", "first-line", is_start=True),
        lines=(told("telecom", (HOUR - 1000, 20 * MIN)), told("unicom")),
    )
    assert [move.left for move in seen.moves] == ["telecom"]


def report(seen: Observed = GOOD) -> ObserveReport:
    return ObserveReport(
        node_id="clinic-0042", node_name="西城门诊部", version="0.1.0", generated_ms=WEEK.end_ms + MIN, observed=seen
    )


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_the_page_needs_nothing_else(language: str) -> None:
    html = as_html(report(), observe_words(language, local=local))
    assert not re.search(r"""(src|href)=|url\((?!#)|@import|<script""", html)
    assert "%(" not in html and digest(report()) in html
    assert html.count("<tr>") == html.count("</tr>") and html.count("<table>") == html.count("</table>") == 4


def test_the_advice_stands_first() -> None:
    html = as_html(report(), observe_words(ENGLISH, local=local))
    assert html.index("nothing speaks against it") < html.index("By line") < html.index("10-06 06:00:00")


def test_hostile_names_stay_text() -> None:
    line = Told(name="telecom", carrier='<script>"x"', pieces=told("telecom", ELEVEN_MIN, code="<b>").pieces)
    seen = watched(lines=(line, told("unicom")))
    html = as_html(report(seen), observe_words(ENGLISH, local=local))
    assert "<script" not in html and "<b>&" not in html and "&lt;script&gt;" in html
    hostile = Told(name="t", carrier="=1+1", pieces=line.pieces)
    (row,) = [row for row in csv.DictReader(io.StringIO(as_csv(report(watched(lines=(hostile, line))))))
              if row["name"] == "t"]  # fmt: skip
    assert row["carrier"] == "'=1+1"


def test_the_files_say_the_same() -> None:
    document = json.loads(json.dumps(as_document(report())))
    assert (document["advice"], document["bridged"], document["switches"]) == ("bridges", 2, 4)
    assert document["bridged_s"] == 41 * 60 - 2
    assert [move["to"] for move in document["moves"]] == ["unicom", "telecom", "unicom", "telecom"]
    assert sum(day["switches"] for day in document["days"]) == document["switches"]
    assert document["sha256"] == digest(report())
    rows = list(csv.DictReader(io.StringIO(as_csv(report()))))
    assert [row["kind"] for row in rows] == ["node", *["line"] * 2, *["move"] * 4, *["outage"] * 2, *["day"] * 7]
    assert set(rows[0]) == set(COLUMNS)
    assert rows[3]["from"] == "telecom" and rows[3]["reason"] == "line-down"
