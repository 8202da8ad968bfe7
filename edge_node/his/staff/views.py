"""Signing in and out, and the password."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
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
from edge_node.his.language import local
from edge_node.his.posture import node_status
from edge_node.his.security import Pending, current_staff, signed_in
from edge_node.his.staff import attempts, factors, passwords, queries, second_factor
from edge_node.his.staff.forms import STATION_MAX_LENGTH, SignIn, parse_new_password, parse_sign_in
from edge_node.his.staff.model import SignedIn, Staff
from edge_node.i18n import Text, text
from edge_node.store.connection import Connection

blueprint = Blueprint("staff", __name__)

STATION_COOKIE = "station"
_YEAR_S = 365 * 24 * 3600
Page = str | tuple[str, int] | Response


@blueprint.get("/login")
def login() -> Page:
    """The sign-in; who is signed in already goes on."""
    if signed_in() is not None:
        return redirect(local_path(request.args.get("next")) or security.home())
    return _form(next_page=local_path(request.args.get("next")))


@blueprint.post("/login", endpoint="sign_in")
def sign_in() -> Page:
    """Look at code and password; the answer is the same and takes as long whichever of them is wrong."""
    typed = parse_sign_in(request.form)
    if not isinstance(typed, SignIn):
        return _again(typed, 422)
    now = audit.moment()
    who = audit.Who(staff_id=None, station=typed.station, address=security.address())
    attempt = write_trace(_attempt(typed.code, typed.password, who, now))
    if isinstance(attempt, FieldProblem):
        return _again([attempt], 429, beside=False)
    found = queries.find_by_code(reader(), typed.code)
    stored = queries.password_hash(reader(), found.id) if found and found.active else None
    if not passwords.verify_password(stored, typed.password) or found is None or stored is None:
        write_trace(_failure(typed.code, typed.password, who, now))
        return _again([FieldProblem(field="password", text=text("Code or password is wrong"))], 422, beside=False)
    if passwords.needs_rehash(stored):
        rehashed = passwords.hash_password(typed.password)
        write_trace(lambda conn: queries.set_password(conn, found.id, rehashed, must_change=found.must_change))
    if found.has_second_factor:
        security.begin_pending(Pending(staff_id=found.id, station=typed.station, attempt=attempt, at=now.at))
        return _code_form()
    entered = _enter(found, typed.station, (attempt,), who, now)
    return entered if entered is not None else _again([], 422)


@blueprint.post("/login/code", endpoint="sign_in_code")
def sign_in_code() -> Page:
    """The second step: the code of the telephone, after the password was right."""
    now, pending = audit.moment(), security.pending()
    found = queries.get(reader(), pending.staff_id) if pending else None
    factor = queries.factor(reader(), found.id) if found and found.active and found.has_second_factor else None
    if pending is None or found is None or factor is None:
        return _again(
            [FieldProblem(field="password", text=text("Too long since the password; type it again"))], 422, beside=False
        )
    typed = request.form.get("one_time_code", "")
    who = audit.Who(staff_id=None, station=pending.station, address=security.address())
    guess = second_factor.guess(typed, now=now.at)
    attempt = write_trace(_attempt(found.code, guess, who, now))
    if isinstance(attempt, FieldProblem):
        return _code_form([attempt]), 429
    seed = factors.opened(context().cipher, found.id, factor)
    step = second_factor.step_of(seed, typed, now=now.at, last_step=factor.last_step)
    entered = None
    if step is not None:
        used = factors.Use(factor=factor, step=step)
        entered = _enter(found, pending.station, (pending.attempt, attempt), who, now, used=used)
    if entered is None:
        write_trace(_failure(found.code, guess, who, now))
        return _code_form([FieldProblem(field="one_time_code", text=text("This code does not fit, or was used"))]), 422
    return entered


def _attempt(code: str, typed: str, who: audit.Who, now: audit.Moment) -> Callable[[Connection], int | FieldProblem]:
    """The noting of an attempt, for the writing thread."""
    tries = security.tries()
    return lambda conn: attempts.begin(conn, tries, code=code, typed=typed, address=who.address, now=now.at)


def _failure(code: str, typed: str, who: audit.Who, now: audit.Moment) -> Callable[[Connection], None]:
    tries = security.tries()
    return lambda conn: attempts.failed(conn, tries, code=code, typed=typed, who=who, now=now)


def _enter(
    found: Staff,
    station: str,
    attempts_made: Sequence[int],
    who: audit.Who,
    now: audit.Moment,
    *,
    used: factors.Use | None = None,
) -> Page | None:
    """Begin the session and go on; None when the code was used by somebody quicker."""
    # One that locked itself is over as well, should the settings let it hold longer from tomorrow on.
    session_id, before = secrets.token_urlsafe(32), security.current_session_id() or security.browsers_session_id()

    def begin(conn: Connection) -> bool:
        if used is not None and not queries.use_step(conn, found.id, used.factor, used.step, at=now.at):
            return False
        for attempt in attempts_made:
            queries.attempt_succeeded(conn, attempt)
        if before is not None:
            queries.end_session(conn, before, at=now.at)
        queries.open_session(conn, session_id, staff_id=found.id, station=station, address=who.address, at=now.at)
        _record(conn, replace(who, staff_id=found.id), "signed_in", now)
        return True

    if not write_trace(begin):
        return None
    begun = SignedIn(staff=found, station=station, created_at=now.at, last_seen_at=now.at, confirmed_at=now.at)
    security.begin_session(session_id, begun)
    response = make_response(_onward(found))
    response.set_cookie(
        STATION_COOKIE, station, max_age=_YEAR_S, httponly=True, samesite="Strict", secure=request.is_secure
    )
    return response


def _code_form(problems: Sequence[FieldProblem] = ()) -> str:
    """The page of the second step; where it leads, and the form that waits, travel in it."""
    return render_template(
        "staff/code.html",
        problems=problems,
        errors=by_field(problems),
        next_page=local_path(request.form.get("next")),
        waiting=_waiting(),
        status=node_status(),
        now=context().clock.wall_ms(),
        contact=context().contact,
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
    status, now, locked = node_status(), context().clock.wall_ms(), security.lapsed()
    return render_template(
        "staff/login.html",
        typed=typed or {"code": locked.code if locked else "", "station": request.cookies.get(STATION_COOKIE, "")},
        locked=locked if typed is None else None,
        problems=problems or [],
        errors=errors or {},
        next_page=next_page,
        waiting=waiting,
        stations=queries.stations(reader()),
        station_length=STATION_MAX_LENGTH,
        status=status,
        now=now,
        day=local(now).date(),
        explains_trust=context().authority() is not None,
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
    attempt = write(_attempt(staff.code, typed.old, who, now))
    if isinstance(attempt, FieldProblem):
        return error_page(PAGES[429], 429, detail=attempt.text)
    if not passwords.verify_password(queries.password_hash(reader(), staff.id), typed.old):
        write_trace(_failure(staff.code, typed.old, who, now))
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
