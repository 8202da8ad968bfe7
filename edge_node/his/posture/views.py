"""The line on every page, the line alone for a page that is open, and the page of what works now.

The line is drawn once for each reading of the status files and language, and every page and every asking shares it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from flask import Blueprint, current_app, g, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from edge_node.his.context import context
from edge_node.his.language import language
from edge_node.his.posture.examples import samples
from edge_node.his.posture.rules import LOST, Line, line
from edge_node.his.posture.works import COLUMNS, functions
from edge_node.his.security import CONTENT_POLICY
from edge_node.status import NodeStatus

blueprint = Blueprint("posture", __name__)

EXTENSION = "edge_posture"
# Without script the frame asks for itself again. With the 0.5 s for which a reading of the files is shared, a change is
# on the screen well within 5 s.
FRAME_EVERY_S = 2
FRAME_POLICY = CONTENT_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """The line of one reading, in one language; durations in it move with the second."""

    status: NodeStatus
    second: int
    line: Line
    html: Markup


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is drawn at the moment, by language. Threads that draw at once draw the same."""

    lines: dict[str, _Drawn] = field(default_factory=dict)
    lost: dict[str, Markup] = field(default_factory=dict)


def node_status() -> NodeStatus:
    """The node's status, read once for this request."""
    if "node_status" not in g:
        g.node_status = context().node_status()
    return cast(NodeStatus, g.node_status)


def current_line() -> Line:
    """The line for this request."""
    return _drawn().line


def _kept() -> _Kept:
    return cast(_Kept, current_app.extensions.setdefault(EXTENSION, _Kept()))


def _drawn() -> _Drawn:
    status, now_ms, lines = node_status(), context().clock.wall_ms(), _kept().lines
    found = lines.get(language())
    if found is None or found.status is not status or found.second != now_ms // 1000:
        shown = line(status, now_ms)
        found = _Drawn(status=status, second=now_ms // 1000, line=shown, html=_draw(shown))
        lines[language()] = found
    return found


def _lost() -> Markup:
    lost = _kept().lost
    if language() not in lost:
        lost[language()] = _draw(LOST)
    return lost[language()]


def _draw(shown: Line) -> Markup:
    # Straight from the template: a page's values (the person, the sections) would cost more than the line.
    macros: Any = current_app.jinja_env.get_template("_macros/posture.html").module
    return Markup(macros.posture(shown, live=True))


@blueprint.app_context_processor
def _line_of_the_page() -> dict[str, Any]:
    return {"posture_html": lambda: _drawn().html, "posture_lost": _lost}


@blueprint.get("/posture/line", endpoint="line")
def line_alone() -> Response:
    """The line alone, for a page that is open: the script asks for it, and without script the frame of `?frame=1`."""
    if "frame" not in request.args:
        return Response(f"{_drawn().html}\n", mimetype="text/html")
    page = render_template("posture/frame.html", shown=current_line())
    return Response(
        page,
        mimetype="text/html",
        headers={"Refresh": str(FRAME_EVERY_S), "Content-Security-Policy": FRAME_POLICY},
    )


@blueprint.get("/posture")
def index() -> str:
    """What works now."""
    status = node_status()
    return render_template(
        "posture/index.html", functions=functions(status), now=COLUMNS.get(status.posture), samples=samples()
    )
