"""The SLA report as one page that needs nothing else: verdict in words, tables, the picture, incidents, signatures.

Its words are handed in, so that it is written in the language of whoever reads it. It is read in black and white as
well: ✓, ✕ and ? stand beside the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from monitoring.chart_style import CHART_CSS
from monitoring.chart_words import ChartWords, smoke_sentence
from monitoring.charts import PAPER, smoke_svg
from monitoring.figures import availability, clock, milliseconds, percent, promised
from monitoring.report import Drill, LineMonth, SlaMonth, digest
from monitoring.sla import Account, Bar, Exclusion, Incident

# Shorter incidents stand in the files only.
LISTED_FROM_MS = 5 * 60_000
MARKS = {Bar.MET: "✓", Bar.MISSED: "✕", Bar.OPEN: "?", Bar.NO_DATA: "?", Bar.NO_PROMISE: "–"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWords:
    """The words of the report in one language. `%(name)s` places, named behind, are filled here."""

    lang: str
    title: str  # month
    so_far: str
    about: str  # node, start, end, zone, made
    summary: str
    named: str  # line, carrier
    met: str  # line, promise, availability
    missed: str  # line, promise, availability, short
    missed_else: str  # line: availability kept, another promise not
    open: str  # line, promise, availability, unknown
    no_data: str  # line
    no_promise: str  # line, availability
    service_good: str
    service_offline: str  # count, total
    by_line: str
    line: str
    promise: str
    availability: str
    down: str
    down_value: str  # count, total
    degraded: str
    excluded: str
    unknown: str
    rtt_p95: str
    loss: str
    promised_measured: str
    verdict: str
    verdicts: Mapping[Bar, str]
    footnote: str
    details: str
    mttr: str
    mtbf: str
    longest: str
    rtt: str
    jitter: str
    loss_ways: str
    exclusions: Mapping[Exclusion, str]
    announced: str
    announced_by: str  # who, at
    afterwards: str
    felt: str
    mode: str
    time: str
    share: str
    modes: Mapping[str, str]  # online, backup, offline, unknown, excluded
    switches: str  # count
    months: str
    picture: str  # line, day
    picture_note: str
    incidents: str
    no_incidents: str
    shorter: str  # count
    start: str
    end: str
    length: str
    counted: str
    reason: str
    goes_on: str
    before: str
    drills: str
    drill_from: str
    drill_outcomes: Mapping[str, str]  # ok, skipped, failed
    rto: str
    signs: tuple[str, str, str]
    foot: str  # node, version, digest
    chart: ChartWords
    explain: Callable[[str, Mapping[str, Any]], str]
    local: Callable[[int], datetime]


def as_html(month: SlaMonth, words: ReportWords) -> str:
    """The whole page."""
    title = words.title % {"month": month.month}
    body = "".join(
        (
            f"<header><h1>{escape(title)}</h1><p>{escape(_about(month, words))}</p></header>",
            _section(words.summary, "".join(f"<p>{escape(text)}</p>" for text in _summary(month, words))),
            _section(words.by_line, _lines(month.lines, words) + _note(words.footnote)),
            _section(words.details, _details(month.lines, words)),
            _announced(month, words),
            _section(words.felt, _felt(month.service, words) + _note(words.switches % {"count": month.switches})),
            _months(month, words),
            _picture(month, words),
            _section(words.incidents, _incidents(month, words)),
            _drills(month.drills, words),
            '<div class="signs">'
            + "".join(f'<div class="sig">{escape(sign)}</div>' for sign in words.signs)
            + "</div>",
            f'<div class="foot">{escape(_foot(month, words))}</div>',
        )
    )
    return (
        f'<!doctype html>\n<html lang="{escape(words.lang)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · {escape(month.node_name or month.node_id)}</title>"
        f"<style>{PAGE_CSS}{CHART_CSS}</style></head>"
        f'<body><main class="sheet">{body}</main></body></html>\n'
    )


def _section(head: str, content: str) -> str:
    return f"<section><h2>{escape(head)}</h2>{content}</section>"


def _note(text: str) -> str:
    return f'<p class="small">{escape(text)}</p>'


def _about(month: SlaMonth, words: ReportWords) -> str:
    start, end, made = (words.local(ms) for ms in (month.window.start_ms, month.window.end_ms, month.generated_ms))
    node = f"{month.node_name} ({month.node_id})" if month.node_name else month.node_id
    about = words.about % {
        "node": node, "start": f"{start:%Y-%m-%d %H:%M}", "end": f"{end:%Y-%m-%d %H:%M}", "zone": f"{start:%z}",
        "made": f"{made:%Y-%m-%d %H:%M}",
    }  # fmt: skip
    return about if month.is_complete else f"{about} · {words.so_far}"


def _foot(month: SlaMonth, words: ReportWords) -> str:
    return words.foot % {"node": month.node_id, "version": month.version, "digest": digest(month)}


def _summary(month: SlaMonth, words: ReportWords) -> Iterable[str]:
    for line in month.lines:
        yield _said(line, words)
    offline = [incident for incident in month.service_incidents if incident.counted_ms]
    if offline:
        total = sum(incident.counted_ms for incident in offline) / 1000
        yield words.service_offline % {"count": len(offline), "total": words.chart.spoken(total)}
    elif month.service.good_ms:
        yield words.service_good


def _said(line: LineMonth, words: ReportWords) -> str:
    name = line.name if line.carrier is None else words.named % {"line": line.name, "carrier": line.carrier}
    share, promise = line.account.availability, line.promise.availability
    bar = line.bars["availability"]
    if share is None:
        return words.no_data % {"line": name}
    values = {"line": name, "availability": availability(share, promise), "promise": promised(promise or 0.0)}
    if bar is Bar.MISSED and promise is not None:
        short_s = (promise - share) * (line.account.good_ms + line.account.bad_ms) / 1000
        return words.missed % {**values, "short": words.chart.spoken(short_s)}
    if line.verdict is Bar.MISSED:
        return words.missed_else % values
    if bar is Bar.OPEN:
        return words.open % {**values, "unknown": words.chart.spoken(line.account.unknown_ms / 1000)}
    return (words.met if bar is Bar.MET else words.no_promise) % values


def _table(head: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """`head`: each column's words (a bar is a new line), and whether it holds figures. Cells are HTML, the first of a
    row is its head."""
    marks = [' class="num"' if is_figure else "" for _, is_figure in head]
    heads = "".join(
        f"<th{mark}>{escape(text).replace('|', '<br>')}</th>" for (text, _), mark in zip(head, marks, strict=True)
    )
    lines = []
    for row in rows:
        cells = [f"<td{mark}>{cell}</td>" for cell, mark in zip(row[1:], marks[1:], strict=True)]
        lines.append(f'<tr><th scope="row">{row[0]}</th>{"".join(cells)}</tr>')
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _lines(lines: Iterable[LineMonth], words: ReportWords) -> str:
    pair = f"{words.rtt_p95}|{words.promised_measured}", f"{words.loss}|{words.promised_measured}"
    head = [
        (words.line, False), (words.promise, True), (words.availability, True), (words.down, True),
        (words.degraded, True), (words.excluded, True), (f"{words.unknown}*", True), (pair[0], True), (pair[1], True),
        (words.verdict, False),
    ]  # fmt: skip
    return _table(head, ([*_line_row(line, words)] for line in lines))


def _line_row(line: LineMonth, words: ReportWords) -> Iterable[str]:
    account, promise, quality = line.account, line.promise, line.quality
    facts = " ".join(f'<span class="whole">{escape(text)}</span>' for text in (line.carrier, line.circuit) if text)
    verdict = f'<span class="whole">{MARKS[line.verdict]} {escape(words.verdicts[line.verdict])}</span>'
    share = account.availability
    down = words.down_value % {"count": line.repairs.count, "total": clock(account.bad_ms)}
    return (
        f"{escape(line.name)} {facts}",
        _known(promise.availability, promised),
        "–" if share is None else availability(share, promise.availability),
        escape(down) if line.repairs.count else "0",
        clock(account.by_state.get("degraded", 0)),
        clock(account.excluded_ms),
        clock(account.unknown_ms),
        f"{_known(promise.rtt_p95_s, milliseconds)} / {_known(quality.p95_s, milliseconds)} ms",
        f"{_known(promise.loss, promised)} / {_known(quality.loss, percent)}",
        f"<b>{verdict}</b>" if line.verdict is Bar.MISSED else verdict,
    )


def _known(value: float | None, say: Callable[[float], str]) -> str:
    return "–" if value is None else escape(say(value))


def _details(lines: Iterable[LineMonth], words: ReportWords) -> str:
    head = [
        (words.line, False), (words.mttr, True), (words.mtbf, True), (words.longest, True),
        (f"{words.rtt} p50 / p95 / p99", True), (words.jitter, True), (words.loss_ways, True),
        *((words.exclusions[why], True) for why in Exclusion),
    ]  # fmt: skip
    return _table(head, ([*_detail_row(line)] for line in lines))


def _detail_row(line: LineMonth) -> Iterable[str]:
    mended, quality = line.repairs, line.quality
    times = " / ".join(_known(value, milliseconds) for value in (quality.p50_s, quality.p95_s, quality.p99_s))
    ways = " / ".join(_known(value, percent) for value in (quality.loss_out, quality.loss_back))
    return (
        escape(line.name),
        *(_known(value, _clock_of) for value in (mended.mttr_s, mended.mtbf_s, mended.longest_s)),
        f"{times} ms",
        f"{_known(quality.jitter_p95_s, milliseconds)} ms",
        ways,
        *(clock(line.account.excluded.get(why, 0)) for why in Exclusion),
    )


def _announced(month: SlaMonth, words: ReportWords) -> str:
    """Announced work, and above all what was announced afterwards: time that the carrier is spared must be known."""
    told = sorted(((line.name, work) for line in month.lines for work in line.announced), key=lambda e: e[1].start_ms)
    if not told:
        return ""
    head = [(words.line, False), (words.start, False), (words.end, False), (words.reason, False), ("", False)]
    rows = []
    for name, work in told:
        start, end, said = (f"{words.local(ms):%m-%d %H:%M}" for ms in (work.start_ms, work.end_ms, work.announced_ms))
        by = words.announced_by % {"who": work.by, "at": said}
        mark = f"<b>{escape(words.afterwards)}</b> " if work.is_afterwards else ""
        rows.append((escape(name), escape(start), escape(end), escape(work.why), f"{mark}{escape(by)}"))
    return _section(words.announced, _table(head, rows))


def _clock_of(seconds: float) -> str:
    return clock(round(seconds * 1000))


def _felt(account: Account, words: ReportWords) -> str:
    times = {mode: account.by_state.get(mode, 0) for mode in ("online", "backup", "offline")}
    times |= {"unknown": account.unknown_ms, "excluded": account.excluded_ms}
    whole = max(account.window.length_ms, 1)
    rows = (
        (escape(words.modes[mode]), clock(ms), percent_of_month(ms / whole))
        for mode, ms in times.items()
        if ms or mode != "excluded"
    )
    return _table([(words.mode, False), (words.time, True), (words.share, True)], rows)


def percent_of_month(share: float) -> str:
    """What happened never rounds to nothing, nor what did not quite fill the month to all of it."""
    if 0 < share < 0.0001:
        return "<0.01%"
    return ">99.99%" if 0.9999 < share < 1 else f"{share:.2%}"


def _months(month: SlaMonth, words: ReportWords) -> str:
    """Each line's month as a picture, and the same in words."""
    figures = [
        f'<figure><figcaption class="small"><b>{escape(line.name)}</b>&ensp;'
        f"{escape(smoke_sentence(line.smoke, words.chart))}</figcaption>"
        f"{smoke_svg(line.smoke, words.chart, canvas=PAPER, key=f'month-{n}')}</figure>"
        for n, line in enumerate(month.lines)
        if line.smoke is not None
    ]
    return _section(words.months, "".join(figures) + _note(words.picture_note)) if figures else ""


def _picture(month: SlaMonth, words: ReportWords) -> str:
    if month.picture is None:
        return ""
    smoke = month.picture.smoke
    day = f"{words.local(month.picture.day_ms):%Y-%m-%d}"
    head = words.picture % {"line": month.picture.line, "day": day}
    svg = smoke_svg(smoke, words.chart, canvas=PAPER, key="longest")
    return _section(head, _note(smoke_sentence(smoke, words.chart)) + svg)


def _incidents(month: SlaMonth, words: ReportWords) -> str:
    told = [(line.name, incident) for line in month.lines for incident in line.incidents]
    listed = sorted(
        (entry for entry in told if entry[1].duration_ms >= LISTED_FROM_MS), key=lambda entry: entry[1].start_ms
    )
    parts = []
    if listed:
        head = [
            (words.line, False), (words.start, False), (words.end, False), (words.length, True),
            (words.counted, True), (words.reason, False),
        ]  # fmt: skip
        parts.append(_table(head, (_incident_row(name, incident, words) for name, incident in listed)))
    elif not told:
        parts.append(f"<p>{escape(words.no_incidents)}</p>")
    if shorter := len(told) - len(listed):
        parts.append(_note(words.shorter % {"count": shorter}))
    return "".join(parts)


def _drills(drills: Sequence[Drill], words: ReportWords) -> str:
    if not drills:
        return ""
    head = [(words.start, False), (words.drill_from, False), (words.verdict, False), (words.rto, True), ("", False)]
    rows = (
        (
            f"{words.local(one.at_ms):%m-%d %H:%M}",
            escape(one.destination),
            f"{'✓' if one.is_ok else '✕'} {escape(words.drill_outcomes.get(one.outcome, one.outcome))}",
            _known(one.rto_s, words.chart.spoken),
            escape(one.why),
        )
        for one in drills
    )
    return _section(words.drills, _table(head, rows))


def _incident_row(name: str, incident: Incident, words: ReportWords) -> Sequence[str]:
    start = f"{words.local(incident.start_ms):%m-%d %H:%M:%S}"
    end = words.goes_on if incident.goes_on else f"{words.local(incident.end_ms):%m-%d %H:%M:%S}"
    return (
        escape(name),
        f"{escape(words.before)} {start}" if incident.began_before else start,
        escape(end),
        clock(incident.duration_ms),
        clock(incident.counted_ms),
        escape(words.explain(incident.reason.code, incident.reason.args)),
    )


# A4: the sheet has its own edge on the screen; on paper the page has it, since a report may go on to a second one.
PAGE_CSS = """\
* { box-sizing: border-box; }
html { font: 10pt/1.45 "Segoe UI", "PingFang SC", "Microsoft YaHei UI", "Noto Sans CJK SC", "Source Han Sans SC",
       "WenQuanYi Micro Hei", sans-serif; color: #000; background: #cdd3d8; font-variant-numeric: tabular-nums; }
html:lang(en) { font-family: "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, "Noto Sans CJK SC",
                sans-serif; }
body { margin: 0; }
h1, h2, p { margin: 0; }
.sheet { width: 210mm; min-height: 297mm; margin: 8mm auto; padding: 14mm 15mm 12mm; background: #fff; display: grid;
         gap: 4.2mm; align-content: start; overflow: hidden; }
h1 { font-size: 17pt; line-height: 1.3; }
h2 { font-size: 11.5pt; line-height: 1.4; border-bottom: 1.4px solid #000; padding-bottom: 1mm; break-after: avoid; }
.small { font-size: 9pt; }
table { width: 100%; border-collapse: collapse; font-size: 9pt; }
th, td { padding: 2px 4px; text-align: left; font-weight: 400; border-bottom: .6px solid #888; vertical-align: top; }
thead { display: table-header-group; }
thead th { font-size: 8.5pt; border-bottom: 1px solid #000; vertical-align: bottom; }
tr { break-inside: avoid; }
.num { text-align: right; white-space: nowrap; }
thead .num { white-space: normal; }
.whole { white-space: nowrap; }
svg { break-inside: avoid; margin: 1mm 0; }
figure { margin: 1mm 0 2mm; break-inside: avoid; }
.signs { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 8mm; margin-top: 6mm; break-inside: avoid; }
.sig { display: flex; align-items: flex-end; white-space: nowrap; }
.sig::after { content: ""; flex: 1; height: 6mm; border-bottom: 1px solid #000; }
.foot { border-top: .6px solid #888; padding-top: 2mm; font-size: 8.5pt; overflow-wrap: anywhere; }
@page { size: A4; margin: 14mm 15mm 12mm; }
@media print {
  html { background: #fff; }
  th, td { padding: 1px 4px; }
  .signs { margin-top: 2mm; }
  .sheet { width: auto; min-height: 0; margin: 0; padding: 0; gap: 2.8mm; overflow: visible;
           print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
