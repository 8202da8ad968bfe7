"""The operator's pages: everything at a glance, and a page for each line. They show and change nothing; the page of the
copies, which takes orders, is in `copy_views`."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request

from edge_node.his.console import line_rules, rules
from edge_node.his.context import context
from edge_node.his.language import language
from edge_node.his.line_history import NotRecorded, Period, Place
from edge_node.his.posture import node_status
from edge_node.i18n import Text, reason_text, text

blueprint = Blueprint("console", __name__, url_prefix="/console")

PERIODS: dict[Period, Text] = {
    Period.HOURS: text("3 hours"),
    Period.DAY: text("24 hours"),
    Period.WEEK: text("7 days"),
    Period.MONTH: text("30 days"),
}
# Of a line that fails every minute the newest tell the story; the command line has all.
LISTED = 30


@blueprint.get("")
def index() -> str:
    """Everything at a glance."""
    status, now, period = node_status(), context().clock.wall_ms(), _period()
    lines, history = rules.lines(status), context().line_history
    return render_template(
        "console/index.html",
        status=status,
        now=now,
        services=rules.services(status, now),
        copies=rules.copies(status),
        lines=lines,
        pictures={line.name: history.shown(line.name, period, Place.ROW, language=language()) for line in lines},
        is_missing=_is_missing,
        period=period,
        periods=PERIODS,
        why_now=rules.why_now(status),
        orders=rules.orders(status),
        upstreams=rules.upstreams(status, now),
        last_delivered=rules.last_delivered(status),
        problems=[(problem.code, reason_text(problem.code, problem.args)) for problem in status.problems],
        mode_words=rules.mode_words(status),
    )


@blueprint.get("/lines/<name>")
def line(name: str) -> str:
    """One line: how it is, why it is used or not, how it was, and what happened to it."""
    status, period, history = node_status(), _period(), context().line_history
    page = line_rules.line_page(status, name)
    if page is None:
        abort(404)
    past = history.past(name)
    missing = past if isinstance(past, NotRecorded) else None
    found = [] if isinstance(past, NotRecorded) else line_rules.incidents(past)
    return render_template(
        "console/line.html",
        status=status,
        now=context().clock.wall_ms(),
        page=page,
        line=page.row,
        agreed=history.agreed(name),
        picture=history.shown(name, period, Place.PAGE, language=language()),
        is_missing=_is_missing,
        period=period,
        periods=PERIODS,
        why_now=rules.why_now(status),
        missing=missing,
        incidents=found[:LISTED],
        incident_count=len(found),
    )


def _period() -> Period:
    """The period that was asked for; a day for whatever else stands in the address."""
    asked = request.args.get("period", "")
    return Period(asked) if asked in tuple(Period) else Period.DAY


def _is_missing(answer: object) -> bool:
    return isinstance(answer, NotRecorded)
