"""Who may do what: sessions, roles, CSRF, and the headers of every answer.

Nothing is open unless `permissions.TABLE` says so: a request without a session ends at the sign-in, one without a role
that may at a page that says who may.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, current_app, g, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from edge_node.base.errors import StoreError
from edge_node.his import kept
from edge_node.his.audit import Who
from edge_node.his.context import context, reader, write_trace
from edge_node.his.permissions import Permissions
from edge_node.his.settings import queries as settings
from edge_node.his.staff import queries, rules
from edge_node.his.staff.model import OpenSession, Role, SignedIn, Staff
from edge_node.his.staff.renewals import Renewals
from edge_node.his.staff.searches import Searches
from edge_node.his.staff.seen import Seen
from edge_node.his.staff.tries import Tries
from edge_node.i18n import Text, text
from edge_node.store.connection import DatabaseError

View = TypeVar("View", bound=Callable[..., Any])

CONTENT_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
# Asked by the page itself, not by the person: they keep no session alive.
PASSIVE = {"posture.line", "calling.index"}
# What a person who must choose a new password may still do.
BEFORE_CHANGE = {"staff.password", "staff.logout", "language.choose"}
# And one whose role needs a second factor, until there is one.
BEFORE_FACTOR = BEFORE_CHANGE | {"factor.index", "factor.begin", "factor.confirm"}
# Between password and code; then the password is asked for again.
PENDING_MS = 5 * 60 * 1000
# The database hears this often that a session is in use; memory knows exactly.
SEEN_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the bar at the top; whoever may not open it does not see it."""

    endpoint: str
    name: Text
    accesskey: str


# In the order of the bar; each keeps its key when others are missing.
SECTIONS = (
    Section(endpoint="reception.index", name=text("Reception"), accesskey="1"),
    Section(endpoint="encounters.index", name=text("Encounters"), accesskey="2"),
    Section(endpoint="orders.index", name=text("Treatments"), accesskey="z"),
    Section(endpoint="patients.index", name=text("Patients"), accesskey="5"),
    Section(endpoint="console.index", name=text("Console"), accesskey="8"),
    Section(endpoint="traces.index", name=text("Audit"), accesskey="9"),
    Section(endpoint="settings.index", name=text("Settings"), accesskey="0"),
)

# Where the application keeps its table.
PERMISSIONS = "edge_permissions"
csrf = CSRFProtect()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Somebody whose password was right and who owes a code; `attempt` counts as failed until then."""

    staff_id: str
    station: str
    attempt: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session holds without a touch and at all, and for how long a proof counts."""

    idle_s: float
    longest_ms: int
    proof_ms: int


class NotAllowed(Forbidden):
    """The person's roles do not include one that may; the page names those that do."""

    def __init__(self, roles: tuple[Role, ...]) -> None:
        super().__init__()
        self.roles = roles


class _User(UserMixin):  # type: ignore[misc]
    """What Flask-Login carries: its id is the session's random id, never the person's."""

    def __init__(self, session_id: str, signed_in: SignedIn) -> None:
        self.session_id = session_id
        self.signed_in = signed_in

    def get_id(self) -> str:
        return self.session_id


def signed_in() -> SignedIn | None:
    """The session of this request, or None."""
    if "signed_in" not in g:
        g.signed_in = cast(_User, current_user).signed_in if current_user.is_authenticated else None
    return cast(SignedIn | None, g.signed_in)


def current_staff() -> Staff:
    """The person who asks. Only in views that need a sign-in."""
    found = signed_in()
    if found is None:
        raise LookupError("nobody is signed in, and this view did not ask for it")
    return found.staff


def may(endpoint: str) -> bool:
    """May the person who asks go there?"""
    found = signed_in()
    return found is not None and _permissions().may(found.staff, endpoint)


def who() -> Who:
    """Who acts, for the audit log; also before a sign-in."""
    found = signed_in()
    return Who(
        staff_id=found.staff.id if found else None, station=found.station if found else "", address=address()
    )  # fmt: skip


def address() -> str:
    """The address of the computer that asks."""
    return request.remote_addr or ""


def begin_session(session_id: str, found: SignedIn) -> None:
    """Give the browser a new session; what it held before is gone, but for the searches of the same person."""
    if (before := browsers_session_id()) is not None:
        searches().hand_over(before, session_id, found.staff.id)
    session.clear()
    login_user(_User(session_id, found))
    g.signed_in = found


def renew_session(new_id: str, *, at: int) -> None:
    """Give the browser the new id of its session, whose person has just proved who it is; its forms stay good."""
    found = signed_in()
    if found is None:
        raise LookupError("nobody is signed in")
    found = replace(found, confirmed_at=at)
    if (before := current_session_id()) is not None:
        searches().hand_over(before, new_id, found.staff.id)
    _seen().touch(new_id, at, every_ms=SEEN_EVERY_MS)
    login_user(_User(new_id, found))
    g.signed_in = found


def current_session_id() -> str | None:
    """The random id of this request's session."""
    return cast(_User, current_user).session_id if current_user.is_authenticated else None


def browsers_session_id() -> str | None:
    """The id that the browser came with, whether it still holds or not."""
    return cast("str | None", session.get("_user_id"))


def lapsed() -> Staff | None:
    """Whose session locked itself in this browser, if nobody has ended it: the sign-in then asks them first."""
    return cast(Staff | None, g.get("lapsed")) if signed_in() is None else None


def session_limits() -> Limits:
    """How long sessions and proofs hold, as the settings say, else the configuration."""
    chosen = settings.of_sessions(reader())
    return Limits(
        idle_s=context().idle_lock_s if chosen.idle_lock_min is None else chosen.idle_lock_min * 60.0,
        longest_ms=chosen.session_hours * 3_600_000,
        proof_ms=chosen.proof_min * 60_000,
    )


def open_sessions(found: Iterable[OpenSession]) -> list[OpenSession]:
    """Those of them that hold now. Their last use is written down once a minute, so it may be a little later."""
    limits, now = session_limits(), context().clock.wall_ms()
    return [
        one
        for one in found
        if rules.session_holds(
            created_at=one.created_at,
            last_seen_at=one.last_seen_at,
            now=now,
            idle_lock_s=limits.idle_s,
            longest_ms=limits.longest_ms,
        )
    ]


def renewals() -> Renewals:
    """Sessions that got a new id a moment ago."""
    return cast(Renewals, current_app.extensions["edge_renewals"])


def begin_pending(half: Pending) -> None:
    """Keep in the browser, signed, that the password was right."""
    session["pending"] = [half.staff_id, half.station, half.attempt, half.at]


def pending() -> Pending | None:
    """Who owes a code in this browser; None when nobody does, or the password is too long ago."""
    if "pending" not in session:
        return None
    staff_id, station, attempt, at = session["pending"]
    if not 0 <= context().clock.wall_ms() - at <= PENDING_MS:
        return None
    return Pending(staff_id=staff_id, station=station, attempt=attempt, at=at)


def needs_second_factor(staff: Staff) -> bool:
    """Has the person a role for which the clinic asks for one?"""
    return staff.may(*settings.totp_roles(reader()))


def searches() -> Searches:
    """What was searched for in each session."""
    return cast(Searches, current_app.extensions["edge_searches"])


def tries() -> Tries:
    """What was typed wrongly of late."""
    return cast(Tries, current_app.extensions["edge_tries"])


def end_browser_session(session_id: str) -> None:
    """End the session here and take it from the browser; ending it in the database is the caller's."""
    _seen().end(session_id, context().clock.wall_ms())
    searches().end(session_id)
    logout_user()
    session.clear()
    g.signed_in = None


def sections() -> list[Section]:
    """The sections that the person may open."""
    found = signed_in()
    return [section for section in SECTIONS if _permissions().may(found.staff, section.endpoint)] if found else []


def home() -> str:
    """Where a person begins: the first section that is theirs."""
    mine = sections()
    return url_for(mine[0].endpoint) if mine else url_for("posture.index")


def _permissions() -> Permissions:
    return cast(Permissions, current_app.extensions[PERMISSIONS])


def _seen() -> Seen:
    return cast(Seen, current_app.extensions["edge_seen"])


def _load_user(session_id: str) -> _User | None:
    now = context().clock.wall_ms()
    found = queries.session(reader(), session_id)
    if found is None and (new_id := renewals().of(session_id, now=now)) is not None:
        # The proof was not for whoever still has the old id.
        found, session_id = queries.session(reader(), new_id), new_id
        found = replace(found, confirmed_at=0) if found is not None else None
    if found is None:
        return None
    limits = session_limits()
    last = _seen().last(session_id, found.last_seen_at)
    if last is None:
        return None
    if not rules.session_holds(
        created_at=found.created_at, last_seen_at=last, now=now, idle_lock_s=limits.idle_s, longest_ms=limits.longest_ms
    ):  # fmt: skip
        g.lapsed = found.staff
        return None
    every_ms = min(SEEN_EVERY_MS, limits.idle_s * 250)
    if request.endpoint not in PASSIVE and _seen().touch(session_id, now, every_ms=every_ms):
        # The disk may be full: reading goes on, and the writer's failure shows where it belongs.
        with contextlib.suppress(StoreError):
            write_trace(lambda conn: queries.session_seen(conn, session_id, at=now))
    return _User(session_id, found)


def _same_origin() -> bool:
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
    try:
        return urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def _guard() -> Response | str | tuple[str, int] | None:
    """Before every request: same origin, a session, a chosen password, a role, the CSRF token; in this order."""
    from edge_node.his.staff.views import sign_in_again

    writes = request.method not in ("GET", "HEAD", "OPTIONS")
    if writes and not _same_origin():
        raise Forbidden("posted from another site")
    if request.endpoint is None or request.endpoint == "static":
        return None
    if not _permissions().is_open(request.endpoint):
        found = signed_in()
        if found is None:
            return sign_in_again() if writes else redirect(url_for("staff.login", next=request.full_path.rstrip("?")))
        if writes and kept.LOCKED in request.form:
            return sign_in_again()
        if found.staff.must_change and request.endpoint not in BEFORE_CHANGE:
            return redirect(url_for("staff.password"))
        # A form that is posted is saved first; the page after it leads to the setting up.
        if not writes and request.endpoint not in BEFORE_FACTOR and _owes_second_factor(found.staff):
            return redirect(url_for("factor.index"))
        if not _permissions().may(found.staff, request.endpoint):
            raise NotAllowed(_permissions().roles_of(request.endpoint))
    if writes:
        csrf.protect()
    return None


def _owes_second_factor(staff: Staff) -> bool:
    return not staff.has_second_factor and needs_second_factor(staff)


def _headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # A page that is open asks for the posture anyway, and learns from it that its desk has locked itself.
    if request.endpoint == "posture.line" and browsers_session_id() is not None:
        with contextlib.suppress(StoreError, DatabaseError):
            if signed_in() is None:
                response.headers["Edge-Desk"] = "locked"
    if request.endpoint == "static" and response.status_code in (200, 304):
        # The address carries the content's digest.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def init_app(app: Flask, permissions: Permissions, *, secure: bool) -> None:
    """Sessions, CSRF, guard and headers. `secure` when the node serves TLS: then cookies travel no other way."""
    app.config.update(
        SESSION_COOKIE_NAME="__Host-edge" if secure else "edge",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        # The guard asks for the token itself, after it has looked for a session: a lost one keeps the form.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        # Our own comparison of origins holds without TLS too.
        WTF_CSRF_SSL_STRICT=False,
    )
    app.extensions[PERMISSIONS] = permissions
    app.extensions["edge_seen"] = Seen()
    app.extensions["edge_searches"] = Searches()
    app.extensions["edge_tries"] = Tries()
    app.extensions["edge_renewals"] = Renewals()
    csrf.init_app(app)
    manager = LoginManager(app)
    manager.session_protection = None
    manager.user_loader(_load_user)
    app.before_request(_guard)
    app.after_request(_headers)
    app.context_processor(lambda: {"signed_in": signed_in(), "sections": sections(), "home": home})
