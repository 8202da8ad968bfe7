"""What enforce would have done, as one page that needs nothing else: advice in words, lines, outages, moves, days.

Its words are handed in. It is read in black and white as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from monitoring.figures import clock
from monitoring.observe import Advice, Bridged, Moved, Observed, ObservedLine
from monitoring.observe_report import ObserveReport, digest
from monitoring.report_page import PAGE_CSS

# More are in the files only.
MOST_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveWords:
    """The words of the page in one language. `%(name)s` places, named behind, are filled here."""

    lang: str
    title: str  # since, until
    about: str  # node, start, end, zone, made
    summary: str
    advices: Mapping[Advice, str]  # main, line, bridged, outages, total, moves, hasty, left, most, known
    main_seen: str  # main
    main_assumed: str  # main
    known: str  # known, window
    hasty_note: str  # hasty
    worst_day: str  # day, count
    by_line: str
    line: str
    up: str
    degraded: str
    down: str
    unknown: str
    used: str
    left: str
    hasty: str
    footnote: str
    outages: str  # main
    no_outages: str
    start: str
    length: str
    bridged: str
    by: str
    reason: str
    goes_on: str
    moves: str
    no_moves: str
    time: str
    from_line: str
    to_line: str
    stayed: str
    back: str
    offline: str
    by_day: str
    day: str
    count: str
    further: str  # count
    foot: str  # node, version, digest
    explain: Callable[[str, Mapping[str, Any]], str]
    spoken: Callable[[float], str]
    local: Callable[[int], datetime]


def as_html(report: ObserveReport, words: ObserveWords) -> str:
    """The whole page."""
    seen = report.observed
    title = words.title % {"since": _day(seen.window.start_ms, words), "until": _day(seen.window.end_ms - 1, words)}
    body = "".join(
        (
            f"<header><h1>{escape(title)}</h1><p>{escape(_about(report, words))}</p></header>",
            _section(words.summary, _summary(seen, words)),
            _section(words.by_line, _lines(seen.lines, words) + _note(words.footnote)),
            _section(words.outages % {"main": seen.main}, _outages(seen.outages, words)),
            _section(words.moves, _moves(seen.moves, words)),
            _section(words.by_day, _days(seen.by_day, words)),
            f'<div class="foot">{escape(_foot(report, words))}</div>',
        )
    )
    return (
        f'<!doctype html>\n<html lang="{escape(words.lang)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · {escape(report.node_name or report.node_id)}</title>"
        f"<style>{PAGE_CSS}{_CSS}</style></head>"
        f'<body><main class="sheet">{body}</main></body></html>\n'
    )


def advice(seen: Observed, words: ObserveWords) -> str:
    """What follows, in one sentence with its reason."""
    line = seen.unheard if seen.advice is Advice.UNHEARD else seen.restless
    return words.advices[seen.advice] % {
        "main": seen.main,
        "line": "" if line is None else line.name,
        "bridged": len(seen.bridged),
        "outages": len(seen.outages),
        "total": words.spoken(seen.bridged_ms / 1000),
        "moves": seen.switches,
        "hasty": 0 if line is None else line.left_hastily,
        "left": 0 if line is None else line.left,
        "most": 0 if line is None else line.left_in_a_day,
        "known": words.spoken(seen.known_ms / 1000),
    }


def _summary(seen: Observed, words: ObserveWords) -> str:
    facts = [
        (words.main_seen if seen.is_main_seen else words.main_assumed) % {"main": seen.main},
        words.known
        % {"known": words.spoken(seen.known_ms / 1000), "window": words.spoken(seen.window.length_ms / 1000)},
    ]
    if seen.hasty:
        facts.append(words.hasty_note % {"hasty": seen.hasty})
    if seen.worst_day is not None:
        day, count = seen.worst_day
        facts.append(words.worst_day % {"day": _day(day, words), "count": count})
    return f"<p><b>{escape(advice(seen, words))}</b></p>" + "".join(f"<p>{escape(fact)}</p>" for fact in facts)


def _lines(lines: Iterable[ObservedLine], words: ObserveWords) -> str:
    head = [
        (words.line, False), (words.up, True), (words.degraded, True), (words.down, True), (f"{words.unknown}*", True),
        (words.used, True), (words.left, True), (words.hasty, True),
    ]  # fmt: skip
    return _table(head, (_line_row(line) for line in lines))


def _line_row(line: ObservedLine) -> Sequence[str]:
    times = line.account.by_state
    carrier = f' <span class="whole">{escape(line.carrier)}</span>' if line.carrier else ""
    return (
        f"{escape(line.name)}{carrier}",
        *(clock(times.get(state, 0)) for state in ("up", "degraded", "down")),
        clock(line.account.unknown_ms),
        clock(line.used_ms),
        str(line.left),
        str(line.left_hastily),
    )


def _outages(outages: Sequence[Bridged], words: ObserveWords) -> str:
    if not outages:
        return f"<p>{escape(words.no_outages)}</p>"
    longest = sorted(outages, key=lambda one: -one.outage.duration_ms)[:MOST_ROWS]
    head = [
        (words.start, False), (words.length, True), (words.bridged, True), (words.by, False), (words.reason, False),
    ]  # fmt: skip
    rows = (_outage_row(one, words) for one in sorted(longest, key=lambda one: one.outage.start_ms))
    return _table(head, rows) + _further(len(outages), words)


def _outage_row(one: Bridged, words: ObserveWords) -> Sequence[str]:
    outage = one.outage
    length = clock(outage.duration_ms)
    return (
        _moment(outage.start_ms, words),
        f"{length} ({escape(words.goes_on)})" if outage.goes_on else length,
        clock(one.bridged_ms) if one.bridged_ms else "–",
        escape(", ".join(one.by)) or "–",
        escape(words.explain(outage.reason.code, outage.reason.args)),
    )


def _moves(moves: Sequence[Moved], words: ObserveWords) -> str:
    if not moves:
        return f"<p>{escape(words.no_moves)}</p>"
    head = [
        (words.time, False), (words.from_line, False), (words.to_line, False), (words.stayed, True),
        (words.bridged, True), (words.reason, False),
    ]  # fmt: skip
    return _table(head, (_move_row(move, words) for move in moves[:MOST_ROWS])) + _further(len(moves), words)


def _move_row(move: Moved, words: ObserveWords) -> Sequence[str]:
    reason = move.decided.reason
    stayed = "–" if move.stayed_ms is None else clock(move.stayed_ms)
    return (
        _moment(move.decided.at_ms, words),
        escape(move.left or "–"),
        escape(move.decided.to_line or words.offline),
        f'<b>{stayed} <span class="whole">↩ {escape(words.back)}</span></b>' if move.is_hasty else stayed,
        clock(move.bridged_ms) if move.bridged_ms else "–",
        escape(words.explain(reason.code, reason.args)),
    )


def _days(days: Sequence[tuple[int, int]], words: ObserveWords) -> str:
    most = max((count for _, count in days), default=0) or 1
    rows = (
        (_day(day, words), f'{count} <span class="bar" style="width:{round(60 * count / most)}mm"></span>')
        for day, count in days
    )
    return _table([(words.day, False), (words.count, False)], rows)


def _further(count: int, words: ObserveWords) -> str:
    return _note(words.further % {"count": count - MOST_ROWS}) if count > MOST_ROWS else ""


def _table(head: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """`head`: each column's words, and whether it holds figures. Cells are HTML, the first of a row is its head."""
    marks = [' class="num"' if is_figure else "" for _, is_figure in head]
    heads = "".join(f"<th{mark}>{escape(text)}</th>" for (text, _), mark in zip(head, marks, strict=True))
    lines = []
    for row in rows:
        cells = "".join(f"<td{mark}>{cell}</td>" for cell, mark in zip(row[1:], marks[1:], strict=True))
        lines.append(f'<tr><th scope="row">{row[0]}</th>{cells}</tr>')
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _section(head: str, content: str) -> str:
    return f"<section><h2>{escape(head)}</h2>{content}</section>"


def _note(text: str) -> str:
    return f'<p class="small">{escape(text)}</p>'


def _about(report: ObserveReport, words: ObserveWords) -> str:
    window = report.observed.window
    start, end, made = (words.local(ms) for ms in (window.start_ms, window.end_ms, report.generated_ms))
    node = f"{report.node_name} ({report.node_id})" if report.node_name else report.node_id
    return words.about % {
        "node": node, "start": f"{start:%Y-%m-%d %H:%M}", "end": f"{end:%Y-%m-%d %H:%M}", "zone": f"{start:%z}",
        "made": f"{made:%Y-%m-%d %H:%M}",
    }  # fmt: skip


def _foot(report: ObserveReport, words: ObserveWords) -> str:
    return words.foot % {"node": report.node_id, "version": report.version, "digest": digest(report)}


def _day(at_ms: int, words: ObserveWords) -> str:
    return f"{words.local(at_ms):%Y-%m-%d}"


def _moment(at_ms: int, words: ObserveWords) -> str:
    return f"{words.local(at_ms):%m-%d %H:%M:%S}"


_CSS = """\
.bar { display: inline-block; height: 2.6mm; background: #44515c; vertical-align: baseline; margin-left: 2mm;
       print-color-adjust: exact; -webkit-print-color-adjust: exact; }
"""
