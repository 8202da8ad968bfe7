"""The words of charts and of the SLA report, in a language of the clinic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from edge_node.i18n import ENGLISH, Text, duration, reason_text, text, translate
from monitoring.chart_words import ChartWords
from monitoring.report_page import ReportWords
from monitoring.rpo_chart import RpoWords
from monitoring.sla import Bar, Exclusion

_TAGS = {ENGLISH: "en"}

Local = Callable[[int], datetime]
# How a restore drill ended, by its code.
DRILL_OUTCOMES: Mapping[str, Text] = {
    "ok": text("succeeded"),
    "skipped": text("skipped"),
    "failed": text("failed"),
}


def machine_time(at_ms: int) -> datetime:
    """UTC milliseconds in the zone of this machine, as it was at that time."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone()


def _said(language: str) -> Callable[[Text], str]:
    """The sentence with its places left open: whoever draws fills them."""
    return lambda sentence: translate(Text(sentence.message), language)


def _spoken(language: str) -> Callable[[float], str]:
    return lambda seconds: translate(duration(seconds), language)


def chart_words(language: str, *, local: Local = machine_time) -> ChartWords:
    """Of the smoke chart."""
    say = _said(language)
    return ChartWords(
        name=say(text("Round-trip time (ms) and loss")),
        loss=say(text("loss")),
        use=say(text("use")),
        outage=say(text("down %(for_)s")),
        no_data=say(text("no data")),
        no_targets=say(text("no targets: judged by carrier and route alone")),
        limit=say(text("degraded above %(ms)s ms")),
        promise=say(text("agreed for 95 in 100: %(ms)s ms")),
        now=say(text("now")),
        told=say(
            text(
                "median %(p50)s ms, 95 in 100 within %(p95)s ms, slowest %(max)s ms at %(at)s; "
                "%(loss)s of the probes lost"
            )
        ),
        told_nothing=say(text("not one answer outside the outages")),
        told_worst=say(text("at worst %(loss)s lost, at %(at)s")),
        told_promise=say(text("agreed are %(ms)s ms for 95 in 100")),
        told_outages=say(text("outages: %(count)s, %(total)s together")),
        told_no_outage=say(text("no outage")),
        told_no_data=say(text("no data for %(total)s, which is not the same as good")),
        told_use=say(text("in use for %(total)s")),
        told_no_use=say(text("not in use")),
        stop=say(text("; ")),
        spoken=_spoken(language),
        local=local,
    )


def rpo_words(language: str, *, local: Local = machine_time) -> RpoWords:
    """Of the chart of a destination."""
    say = _said(language)
    return RpoWords(
        name=say(text("How far behind (RPO)")),
        second=say(text("1 s")),
        minute=say(text("1 min")),
        hour=say(text("1 h")),
        now=say(text("now")),
        told=say(text("at worst %(worst)s behind at %(at)s; beyond the goal for %(over)s")),
        told_nothing=say(text("no data, which is not the same as good")),
        spoken=_spoken(language),
        local=local,
    )


def report_words(language: str, *, local: Local = machine_time) -> ReportWords:
    """Of the SLA report."""
    say = _said(language)

    def explain(code: str, args: Mapping[str, Any]) -> str:
        return translate(reason_text(code, args), language)

    return ReportWords(
        lang=_TAGS.get(language, "zh-Hans-CN"),
        title=say(text("Service levels of the lines, %(month)s")),
        so_far=say(text("the month so far")),
        about=say(text("%(node)s · %(start)s to %(end)s (%(zone)s) · made %(made)s · from this node's journal")),
        summary=say(text("Summary")),
        named=say(text("%(line)s (%(carrier)s)")),
        met=say(text("%(line)s kept what was agreed (%(promise)s): %(availability)s available.")),
        missed=say(
            text("%(line)s missed what was agreed (%(promise)s): %(availability)s available, %(short)s too little.")
        ),
        missed_else=say(
            text("%(line)s was available for %(availability)s, but missed another promise: see the table.")
        ),
        open=say(
            text(
                "%(line)s: %(availability)s of the known time available, agreed %(promise)s; "
                "%(unknown)s are unknown and could decide either way."
            )
        ),
        no_data=say(text("%(line)s: nothing is known of it, which is not the same as good.")),
        no_promise=say(text("%(line)s: %(availability)s available; nothing was agreed.")),
        service_good=say(text("The clinic was never offline.")),
        service_offline=say(text("The clinic was offline for %(total)s (%(count)s ×); it went on working.")),
        by_line=say(text("By line")),
        line=say(text("Line")),
        promise=say(text("Agreed")),
        availability=say(text("Available")),
        down=say(text("Down")),
        down_value=say(text("%(count)s × %(total)s")),
        degraded=say(text("Degraded")),
        excluded=say(text("Not counted")),
        unknown=say(text("Unknown")),
        rtt_p95=say(text("RTT p95")),
        loss=say(text("Loss")),
        promised_measured=say(text("agreed / measured")),
        verdict=say(text("Verdict")),
        verdicts={
            Bar.MET: say(text("kept")),
            Bar.MISSED: say(text("missed")),
            Bar.OPEN: say(text("cannot be said")),
            Bar.NO_DATA: say(text("not measured")),
            Bar.NO_PROMISE: say(text("nothing agreed")),
        },
        footnote=say(
            text(
                "* Nobody was there to see: counted neither as good nor as down. Available = up and degraded time "
                "÷ known time that counts. Times are h:mm:ss. Delays over the month, to one part in a hundred; losses "
                "outside the outages."
            )
        ),
        details=say(text("In detail")),
        mttr=say(text("To repair")),
        mtbf=say(text("Between outages")),
        longest=say(text("Longest")),
        rtt=say(text("RTT")),
        jitter=say(text("Jitter p95")),
        loss_ways=say(text("Lost on the way out / back")),
        exclusions={
            Exclusion.MAINTENANCE: say(text("Announced work")),
            Exclusion.CLOUD: say(text("Fault of the cloud")),
            Exclusion.BLIND: say(text("Watcher blind")),
        },
        announced=say(text("Announced work")),
        announced_by=say(text("announced by %(who)s on %(at)s")),
        afterwards=say(text("Afterwards:")),
        felt=say(text("What the clinic felt")),
        mode=say(text("Mode")),
        time=say(text("Time")),
        share=say(text("Share")),
        modes={
            "online": say(text("online (preferred line)")),
            "backup": say(text("backup line")),
            "offline": say(text("offline")),
            "unknown": say(text("unknown")),
            "excluded": say(text("not counted")),
        },
        switches=say(text("Moves of traffic to another line: %(count)s.")),
        months=say(text("The month, line by line")),
        picture=say(text("%(line)s: %(day)s, the longest outage")),
        picture_note=say(
            text(
                "Line: median round-trip time (ms); grey: p5 to p95; dense hatch: down; pale hatch: no data; "
                "bars beneath: loss; dark band at the foot: in use. It can be read in black and white."
            )
        ),
        incidents=say(text("Outages of five minutes and more")),
        no_incidents=say(text("There was none.")),
        shorter=say(text("Shorter ones, in the CSV and JSON files only: %(count)s.")),
        start=say(text("Start")),
        end=say(text("End")),
        length=say(text("Length")),
        counted=say(text("Counted")),
        reason=say(text("Reason")),
        goes_on=say(text("goes on")),
        before=say(text("before")),
        drills=say(text("Restore drills")),
        drill_from=say(text("From")),
        drill_outcomes={code: say(words) for code, words in DRILL_OUTCOMES.items()},
        rto=say(text("Took (RTO)")),
        signs=(say(text("For the clinic:")), say(text("For the carrier:")), say(text("Date:"))),
        foot=say(text("%(node)s · edge-node %(version)s · SHA-256 of the JSON file: %(digest)s")),
        chart=chart_words(language, local=local),
        explain=explain,
        local=local,
    )
