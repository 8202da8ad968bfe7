"""A person's own sessions: where they are signed in, and the ending of what is left open elsewhere."""

from __future__ import annotations

import re

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit
from edge_node.his.context import reader, write_trace
from edge_node.his.security import current_session_id, current_staff, open_sessions, session_limits, who
from edge_node.his.staff import queries
from edge_node.store.connection import Connection

blueprint = Blueprint("sessions", __name__, url_prefix="/sessions")

_DIGEST = re.compile(r"[0-9a-f]{64}")


@blueprint.get("")
def index() -> str:
    """Where this person is signed in."""
    here = queries.session_digest(current_session_id() or "").hex()
    mine = open_sessions(queries.open_sessions(reader(), staff_id=current_staff().id))
    return render_template(
        "staff/sessions.html",
        sessions=sorted(mine, key=lambda one: one.digest != here),
        here=here,
        limits=session_limits(),
        ended=request.args.get("ended", type=int),
    )


@blueprint.post("/end")
def end() -> Response:
    """End one of them; one that has ended meanwhile is as well."""
    digest = request.form.get("session", "")
    if not _DIGEST.fullmatch(digest):
        abort(400)
    staff, by, now = current_staff(), who(), audit.moment()

    def work(conn: Connection) -> int:
        count = int(queries.end_session_of(conn, staff.id, digest, at=now.at))
        record_ended(conn, by, staff.id, count, now)
        return count

    return redirect(url_for(".index", ended=write_trace(work)))


@blueprint.post("/end-others")
def end_others() -> Response:
    """End all of them but this one."""
    staff, by, now, here = current_staff(), who(), audit.moment(), current_session_id()

    def work(conn: Connection) -> int:
        count = queries.end_sessions_of(conn, staff.id, at=now.at, but=here)
        record_ended(conn, by, staff.id, count, now)
        return count

    return redirect(url_for(".index", ended=write_trace(work)))


def record_ended(conn: Connection, by: audit.Who, staff_id: str, count: int, now: audit.Moment) -> None:
    """The trace of sessions that were ended; none where there were none."""
    if count:
        audit.record(
            conn, by, "sessions_ended", f"staff:{staff_id}", {"sessions": count}, at=now.at,
            clock_state=now.clock_state,
        )  # fmt: skip
