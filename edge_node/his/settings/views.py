"""The settings over HTTP, and the page that says who may do what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit
from edge_node.his.calling.rules import SHOWS_NAMES
from edge_node.his.context import context, reader, write
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.language import say
from edge_node.his.permissions import TABLE
from edge_node.his.security import current_staff, may, who
from edge_node.his.settings import acts, forms, queries
from edge_node.his.settings.forms import parse, values_of
from edge_node.his.settings.model import Settings
from edge_node.his.staff import proofs
from edge_node.his.staff.model import ROLE_NAMES, Role
from edge_node.store.connection import Connection

UNPROCESSABLE = 422
CONFLICT = 409

blueprint = Blueprint("settings", __name__, url_prefix="/settings")


@blueprint.get("")
def index() -> str:
    """The settings as they hold now."""
    settings = queries.get(reader())
    return _page(values_of(settings), settings.totp_roles)


@blueprint.post("")
def change() -> str | Response | tuple[str, int]:
    """Change the settings, unless somebody else did meanwhile."""
    ticked = request.form.getlist("totp_roles")
    new, unproven = parse(request.form, ticked), proofs.prove()
    if not isinstance(new, Settings) or unproven is not None:
        problems = [*(new if isinstance(new, list) else []), *([unproven] if unproven else [])]
        return _page(request.form, ticked, problems=problems), UNPROCESSABLE
    try:
        based_on = _version(request.form.get("based_on", ""))
    except ValueError:
        based_on = -1
    now, by = audit.moment(), who()
    staff_id = current_staff().id

    def work(conn: Connection) -> bool:
        if queries.version(conn) != based_on:
            return False
        changed = queries.change(conn, new, at=now.at, by=staff_id)
        if changed:
            detail = {key: {"was": was, "is": is_} for key, (was, is_) in changed.items()}
            audit.record(conn, by, "settings_changed", "setting:", detail, at=now.at, clock_state=now.clock_state)
        return True

    if not write(work):
        return _page(request.form, ticked, overtaken=queries.get(reader())), CONFLICT
    return redirect(url_for(".index", done=1))


@blueprint.get("/permissions")
def permissions() -> str:
    """Who may do what, in words; made from the table that the guard asks."""
    return render_template(
        "settings/permissions.html", chapters=acts.chapters(TABLE), roles=list(Role), role_names=ROLE_NAMES
    )


def _version(typed: str) -> int:
    """The version in the form, a time in milliseconds. Raises ValueError for anything else."""
    if len(typed) > 15 or not (typed.isascii() and typed.isdigit()):
        raise ValueError("not a version of ours")
    return int(typed)


def _page(
    values: Mapping[str, str],
    ticked: Collection[str],
    *,
    problems: Sequence[FieldProblem] = (),
    overtaken: Settings | None = None,
) -> str:
    return render_template(
        "settings/index.html",
        values=values,
        ticked=ticked,
        problems=problems,
        errors=by_field(problems),
        overtaken=overtaken,
        based_on=queries.version(reader()),
        done="done" in request.args,
        hours_most=forms.HOURS_MOST,
        skin_test_min=forms.SKIN_TEST_MIN,
        idle_min=forms.IDLE_MIN,
        session_hours=forms.SESSION_HOURS,
        proof_min=forms.PROOF_MIN,
        configured_s=context().idle_lock_s,
        roles=[(str(role), say(ROLE_NAMES[role])) for role in Role],
        role_names=ROLE_NAMES,
        screens=[(str(shows), say(name)) for shows, name in SHOWS_NAMES.items()],
        shows_names=SHOWS_NAMES,
        may_see_permissions=may("settings.permissions"),
        may_see_staff=may("people.index"),
    )
