"""Signing in and out, and the password."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.base.errors import StoreError
from edge_node.base.logs import event
from edge_node.his import audit, kept, security
from edge_node.his.context import context, reader, write, write_trace
from edge_node.his.errors import PAGES, error_page, kept_form
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.kept import KeptForm, local_path
from edge_node.his.language import duration, local
from edge_node.his.posture import node_status
from edge_node.his.security import current_staff, public, signed_in
from edge_node.his.staff import passwords, queries
from edge_node.his.staff.forms import STATION_MAX_LENGTH, SignIn, parse_new_password, parse_sign_in
from edge_node.his.staff.model import SignedIn, Staff
from edge_node.his.staff.rules import FAILURES_PER_ADDRESS, FAILURES_PER_CODE, locked_until
from edge_node.i18n import Text, text
from edge_node.store.connection import Connection

blueprint = Blueprint("staff", __name__)

STATION_COOKIE = "station"
_YEAR_S = 365 * 24 * 3600
Page = str | tuple[str, int] | Response


@blueprint.get("/login")
@public
def login() -> Page:
    """The sign-in; who is signed in already goes on."""
    if signed_in() is not None:
        return redirect(local_path(request.args.get("next")) or security.home())
    return _form(next_page=local_path(request.args.get("next")))


@blueprint.post("/login", endpoint="sign_in")
@public
def sign_in() -> Page:
    """Look at code and password; the answer is the same and takes as long whichever of them is wrong."""
    typed = parse_sign_in(request.form)
    if not isinstance(typed, SignIn):
        return _again(typed, 422)
    now = audit.moment()
    who = audit.Who(staff_id=None, station=typed.station, address=security.address())
    attempt = write_trace(lambda conn: _begin(conn, typed, who, now.at))
    if isinstance(attempt, FieldProblem):
        return _again([attempt], 429, beside=False)
    found = queries.find_by_code(reader(), typed.code)
    stored = queries.password_hash(reader(), found.id) if found and found.active else None
    if not passwords.verify_password(stored, typed.password) or found is None or stored is None:
        write_trace(lambda conn: _failed(conn, typed, who, now))
        return _again([FieldProblem(field="password", text=text("Code or password is wrong"))], 422, beside=False)
    rehashed = passwords.hash_password(typed.password) if passwords.needs_rehash(stored) else None
    session_id = secrets.token_urlsafe(32)
    before = security.current_session_id()

    def begin(conn: Connection) -> None:
        queries.attempt_succeeded(conn, attempt)
        if rehashed is not None:
            queries.set_password(conn, found.id, rehashed, must_change=found.must_change)
        if before is not None:
            queries.end_session(conn, before, at=now.at)
        queries.open_session(conn, session_id, staff_id=found.id, station=typed.station, address=who.address, at=now.at)
        _record(conn, replace(who, staff_id=found.id), "signed_in", now)

    write_trace(begin)
    security.begin_session(
        session_id, SignedIn(staff=found, station=typed.station, created_at=now.at, last_seen_at=now.at)
    )
    response = make_response(_onward(found))
    response.set_cookie(
        STATION_COOKIE, typed.station, max_age=_YEAR_S, httponly=True, samesite="Strict", secure=request.is_secure
    )
    return response


def _begin(conn: Connection, typed: SignIn, who: audit.Who, now: int) -> int | FieldProblem:
    """Note the attempt, unless code or address is locked."""
    until = locked_until(queries.failures_of_code(conn, typed.code, now=now), FAILURES_PER_CODE, now)
    if until is not None:
        wait = duration((until - now) / 1000)
        return FieldProblem(
            field="code", text=text("This code is locked for another %(wait)s after five failures", wait=wait)
        )
    until = locked_until(queries.failures_of_address(conn, who.address, now=now), FAILURES_PER_ADDRESS, now)
    if until is not None:
        wait = duration((until - now) / 1000)
        return FieldProblem(field="code", text=text("Too many failures from this computer; wait %(wait)s", wait=wait))
    return queries.begin_attempt(conn, code=typed.code, address=who.address, at=now)


def _failed(conn: Connection, typed: SignIn, who: audit.Who, now: audit.Moment) -> None:
    # Only codes that exist are written down: people type their password into the wrong field.
    found = queries.find_by_code(conn, typed.code)
    audit.record(
        conn, who, "sign_in_failed", f"staff:{found.id}" if found else "", {}, at=now.at, clock_state=now.clock_state
    )


def _record(conn: Connection, who: audit.Who, action: str, now: audit.Moment) -> None:
    audit.record(conn, who, action, f"staff:{who.staff_id}", {}, at=now.at, clock_state=now.clock_state)


def _onward(staff: Staff) -> str | Response:
    """Where a sign-in leads: to the new password, to the form that was waiting, to the page asked for, or home."""
    waiting = _waiting()
    if staff.must_change:
        return redirect(url_for("staff.password")) if waiting is None else _password_form(waiting=waiting)
    if waiting is not None:
        return render_template("staff/continue.html", kept=waiting, signed_in_now=True)
    return redirect(local_path(request.form.get("next")) or security.home())


def _waiting() -> KeptForm | None:
    """The form that waits inside this one."""
    return kept.load(request.form.get(kept.FIELD, ""))


def sign_in_again() -> tuple[str, int]:
    """The sign-in in answer to a form whose session is gone; what was typed waits inside it."""
    return _form(waiting=kept_form()), 401


def _again(problems: list[FieldProblem], status: int, *, beside: bool = True) -> tuple[str, int]:
    """The form again; not `beside` when no single field is wrong, or nobody may know which."""
    page = _form(
        typed={name: request.form.get(name, "") for name in ("code", "station")},
        problems=problems,
        errors=by_field(problems) if beside else {},
        next_page=local_path(request.form.get("next")),
        waiting=_waiting(),
    )
    return page, status


def _form(
    *,
    typed: dict[str, str] | None = None,
    problems: list[FieldProblem] | None = None,
    errors: Mapping[str, Text] | None = None,
    next_page: str | None = None,
    waiting: KeptForm | None = None,
) -> str:
    status, now = node_status(), context().clock.wall_ms()
    return render_template(
        "staff/login.html",
        typed=typed or {"station": request.cookies.get(STATION_COOKIE, "")},
        problems=problems or [],
        errors=errors or {},
        next_page=next_page,
        waiting=waiting,
        stations=queries.stations(reader()),
        station_length=STATION_MAX_LENGTH,
        status=status,
        now=now,
        day=local(now).date(),
    )


@blueprint.post("/logout")
def logout() -> Response:
    """End the session, here and in the database; the desk is free for the next person."""
    session_id, who, now = security.current_session_id(), security.who(), audit.moment()

    def end(conn: Connection) -> None:
        if session_id is not None:
            queries.end_session(conn, session_id, at=now.at)
        _record(conn, who, "signed_out", now)

    if session_id is not None:
        security.end_browser_session(session_id)
    try:
        write_trace(end)
    except StoreError as error:
        # The desk is locked all the same; the row in the database runs out by itself.
        event("sign_out_not_written", level="warning", code=error.code, staff=who.staff_id)
    return redirect(url_for("staff.login"))


@blueprint.route("/password", methods=["GET", "POST"])
def password() -> Page | tuple[str, int, dict[str, str]]:
    """Choose a new password; all other sessions of the person end."""
    staff = current_staff()
    if request.method == "GET":
        return _password_form()
    waiting = _waiting()
    typed = parse_new_password(request.form, code=staff.code)
    if isinstance(typed, list):
        return _password_again(typed)
    now, who, session_id = audit.moment(), security.who(), security.current_session_id()
    attempt = write(lambda conn: _begin(conn, SignIn(code=staff.code, password="", station=who.station), who, now.at))
    if isinstance(attempt, FieldProblem):
        return error_page(PAGES[429], 429, detail=attempt.text)
    if not passwords.verify_password(queries.password_hash(reader(), staff.id), typed.old):
        return _password_again([FieldProblem(field="password", text=text("That is not your password"))])
    stored = passwords.hash_password(typed.new)

    def change(conn: Connection) -> None:
        queries.attempt_succeeded(conn, attempt)
        queries.set_password(conn, staff.id, stored, must_change=False)
        queries.end_sessions_of(conn, staff.id, at=now.at, but=session_id)
        _record(conn, who, "password_changed", now)

    write(change)
    if waiting is not None:
        return render_template("staff/continue.html", kept=waiting, signed_in_now=True)
    return redirect(security.home() if staff.must_change else url_for("staff.password", done=1))


def _password_again(problems: list[FieldProblem]) -> tuple[str, int]:
    return _password_form(problems, waiting=_waiting()), 422


def _password_form(problems: Sequence[FieldProblem] = (), *, waiting: KeptForm | None = None) -> str:
    errors, done = by_field(problems), "done" in request.args
    return render_template("staff/password.html", problems=problems, errors=errors, done=done, waiting=waiting)
