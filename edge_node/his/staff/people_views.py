"""The staff as the administrator sees it: who is signed in where, ending that, and locking an account.

Accounts are made on the command line (`edge-node user add`). Locking takes hold at once: each request asks anew whether
its person is active.
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit
from edge_node.his.context import reader, write
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.security import current_staff, may, open_sessions, who
from edge_node.his.staff import proofs, queries
from edge_node.his.staff.model import ROLE_NAMES, Role, Staff
from edge_node.his.staff.session_views import record_ended
from edge_node.i18n import text
from edge_node.store.connection import Connection

UNPROCESSABLE = 422

blueprint = Blueprint("people", __name__, url_prefix="/staff")


@blueprint.get("")
def index() -> str:
    """Everybody, with the sessions that hold now."""
    return _page(done=request.args.get("done", ""))


@blueprint.post("/end-sessions")
def end_sessions() -> Response:
    """Sign somebody out everywhere."""
    person, by, now = _person(), who(), audit.moment()

    def work(conn: Connection) -> None:
        record_ended(conn, by, person.id, queries.end_sessions_of(conn, person.id, at=now.at), now)

    write(work)
    return redirect(url_for(".index", done=person.code))


@blueprint.post("/confirm")
def confirm() -> str | Response | tuple[str, int]:
    """What Enter in the field of the proof does: it proves, and nothing happens to anybody."""
    if (unproven := proofs.prove()) is not None:
        return _page([unproven]), UNPROCESSABLE
    return redirect(url_for(".index"))


@blueprint.post("/lock")
def lock() -> str | Response | tuple[str, int]:
    """Nobody signs in with this account from now on, and who is signed in is out."""
    return _set_active(False)


@blueprint.post("/unlock")
def unlock() -> str | Response | tuple[str, int]:
    """The account works again, with its password."""
    return _set_active(True)


def _set_active(active: bool) -> str | Response | tuple[str, int]:
    person, by, now = _person(), who(), audit.moment()
    problems = [] if (unproven := proofs.prove()) is None else [unproven]
    if person.id == current_staff().id:
        problems.append(FieldProblem(field="people", text=text("Nobody locks their own account; another one can")))
    if problems:
        return _page(problems=problems), UNPROCESSABLE

    def work(conn: Connection) -> None:
        if not queries.set_active(conn, person.id, active):
            return
        record_ended(conn, by, person.id, queries.end_sessions_of(conn, person.id, at=now.at), now)
        action = "staff_unlocked" if active else "staff_locked"
        audit.record(conn, by, action, f"staff:{person.id}", {}, at=now.at, clock_state=now.clock_state)

    write(work)
    return redirect(url_for(".index", done=person.code))


def _person() -> Staff:
    return queries.get(reader(), request.form.get("staff_id", "")) or abort(404)


def _page(problems: Sequence[FieldProblem] = (), *, done: str = "") -> str:
    holding = open_sessions(queries.open_sessions(reader()))
    people = queries.everybody(reader())
    return render_template(
        "staff/people.html",
        people=sorted(people, key=lambda person: not person.active),
        sessions={person.id: [one for one in holding if one.staff_id == person.id] for person in people},
        problems=problems,
        errors=by_field(problems),
        done=next((person for person in people if person.code == done), None),
        roles=list(Role),
        role_names=ROLE_NAMES,
        may_see_settings=may("settings.index"),
    )
