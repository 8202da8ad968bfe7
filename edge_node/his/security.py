"""Who may do what: sessions, roles, CSRF, and the headers of every answer.

Nothing is open unless it says so: a request without a session ends at the sign-in, except for the endpoints marked
`@public`. A view says which roles it is for with `@require(...)`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, current_app, g, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from edge_node.base.errors import StoreError
from edge_node.his.audit import Who
from edge_node.his.context import context, reader, write_trace
from edge_node.his.staff import queries, rules
from edge_node.his.staff.model import Role, SignedIn, Staff
from edge_node.i18n import Text, text

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
PASSIVE = {"posture.line"}
# What a person who must choose a new password may still do.
BEFORE_CHANGE = {"staff.password", "staff.logout", "language.choose"}
# The database hears this often that a session is in use; memory knows exactly.
SEEN_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the bar at the top; whoever may not open it does not see it."""

    endpoint: str
    name: Text
    roles: tuple[Role, ...]
    accesskey: str


# In the order of the bar; each keeps its key when others are missing.
SECTIONS = (
    Section(endpoint="reception.index", name=text("Reception"), accesskey="1",
            roles=(Role.REGISTRAR, Role.NURSE, Role.MANAGER)),
    Section(endpoint="encounters.index", name=text("Encounters"), accesskey="2", roles=(Role.DOCTOR,)),
    Section(endpoint="patients.index", name=text("Patients"), accesskey="5",
            roles=(Role.REGISTRAR, Role.NURSE, Role.DOCTOR, Role.PHARMACIST, Role.CASHIER, Role.MANAGER)),
    Section(endpoint="console.index", name=text("Console"), accesskey="8", roles=(Role.MANAGER, Role.ADMIN)),
)  # fmt: skip

csrf = CSRFProtect()


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


class _Seen:
    """When sessions were last used, and which have ended: exact in memory, whatever can be written.

    A full disk must neither lock everybody out nor keep a desk open.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self._ended: dict[str, int] = {}

    def last(self, session_id: str, stored: int) -> int | None:
        """When it was last used; None when it has ended."""
        with self._lock:
            return None if session_id in self._ended else max(self._at.get(session_id, stored), stored)

    def touch(self, session_id: str, now: int, *, every_ms: float) -> bool:
        """Note a use; true when the database is to hear of it."""
        with self._lock:
            if session_id not in self._at:
                self._forget_old(now)
            self._at[session_id] = now
            due = now - self._written.get(session_id, 0) >= every_ms
            if due:
                self._written[session_id] = now
            return due

    def end(self, session_id: str, now: int) -> None:
        with self._lock:
            self._ended[session_id] = now

    def _forget_old(self, now: int) -> None:
        for times in (self._at, self._written, self._ended):
            for session_id in [known for known, at in times.items() if now - at > rules.SESSION_MAX_MS]:
                del times[session_id]


def public(view: View) -> View:
    """Mark a view that needs no sign-in; it shows no patient data."""
    view.public = True  # type: ignore[attr-defined]
    return view


def require(*roles: Role) -> Callable[[View], View]:
    """A view for people with any of these roles; others get a page that says who may."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not current_staff().may(*roles):
                raise NotAllowed(roles)
            return view(*args, **kwargs)

        guarded.roles = roles  # type: ignore[attr-defined]
        return cast(View, guarded)

    return decorate


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
    """Give the browser a new session; whatever it held before is gone."""
    session.clear()
    login_user(_User(session_id, found))
    g.signed_in = found


def current_session_id() -> str | None:
    """The random id of this request's session."""
    return cast(_User, current_user).session_id if current_user.is_authenticated else None


def end_browser_session(session_id: str) -> None:
    """End the session here and take it from the browser; ending it in the database is the caller's."""
    _seen().end(session_id, context().clock.wall_ms())
    logout_user()
    session.clear()
    g.signed_in = None


def sections() -> list[Section]:
    """The sections that the person may open."""
    found = signed_in()
    return [section for section in SECTIONS if found.staff.may(*section.roles)] if found else []


def home() -> str:
    """Where a person begins: the first section that is theirs."""
    mine = sections()
    return url_for(mine[0].endpoint) if mine else url_for("posture.index")


def _seen() -> _Seen:
    return cast(_Seen, current_app.extensions["edge_seen"])


def _load_user(session_id: str) -> _User | None:
    ctx = context()
    found = queries.session(reader(), session_id)
    if found is None:
        return None
    now = ctx.clock.wall_ms()
    last = _seen().last(session_id, found.last_seen_at)
    if last is None or not rules.session_holds(
        created_at=found.created_at, last_seen_at=last, now=now, idle_lock_s=ctx.idle_lock_s
    ):  # fmt: skip
        return None
    every_ms = min(SEEN_EVERY_MS, ctx.idle_lock_s * 250)
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
    """Before every request: same origin, a session, a chosen password, the CSRF token; in this order."""
    from edge_node.his.staff.views import sign_in_again

    writes = request.method not in ("GET", "HEAD", "OPTIONS")
    if writes and not _same_origin():
        raise Forbidden("posted from another site")
    if request.endpoint is None or request.endpoint == "static":
        return None
    if not getattr(current_app.view_functions[request.endpoint], "public", False):
        found = signed_in()
        if found is None:
            return sign_in_again() if writes else redirect(url_for("staff.login", next=request.full_path.rstrip("?")))
        if found.staff.must_change and request.endpoint not in BEFORE_CHANGE:
            return redirect(url_for("staff.password"))
    if writes:
        csrf.protect()
    return None


def _headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "static" and response.status_code in (200, 304):
        # The address carries the content's digest.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def init_app(app: Flask, *, secure: bool) -> None:
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
    app.extensions["edge_seen"] = _Seen()
    csrf.init_app(app)
    manager = LoginManager(app)
    manager.session_protection = None
    manager.user_loader(_load_user)
    app.before_request(_guard)
    app.after_request(_headers)
    app.context_processor(lambda: {"signed_in": signed_in(), "sections": sections(), "home": home})
