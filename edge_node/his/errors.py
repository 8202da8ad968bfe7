"""Pages for what went wrong: first what did not happen, then what it means, what was typed, and what to do.

Never a stack, never an apology. A bug and a failed write have a reference number, which stands in the log as well.
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from flask import Flask, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import BadHost, HTTPException, RequestEntityTooLarge

from edge_node.base.clock import parse_utc
from edge_node.base.errors import EdgeError, StoreError
from edge_node.base.logs import event
from edge_node.his import request_key
from edge_node.his.context import context
from edge_node.his.kept import KeptForm, keep
from edge_node.his.language import local, say
from edge_node.his.security import NotAllowed, current_staff, signed_in
from edge_node.his.staff.model import ROLE_NAMES
from edge_node.i18n import Text, text
from edge_node.status.superseded import Superseded

# Letters and digits that cannot be mistaken on the telephone.
_REFERENCE = "23456789ACDEFHJKMNPQRTUVWXY"
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorry:
    """What an error page says. `not_saved` replaces the title where something was to be saved."""

    title: Text
    meaning: Text
    not_saved: Text | None = None
    again: bool = False


PAGES: Mapping[int, Sorry] = {
    400: Sorry(
        title=text("This page was asked for in a way that cannot work"),
        not_saved=text("Not saved: the form did not arrive whole"),
        meaning=text("Go back, look at the form again, and save it once more."),
    ),
    403: Sorry(
        title=text("This is not for your role"),
        not_saved=text("Not saved: this is not for your role"),
        meaning=text("If you need it for your work, a manager can have your roles changed."),
    ),
    404: Sorry(
        title=text("There is no such page"),
        meaning=text("The address may be mistyped, or what stood here has another number."),
    ),
    405: Sorry(
        title=text("This address only takes a form"),
        not_saved=text("Not saved: this address takes no form"),
        meaning=text("Begin again from the page that has the form."),
    ),
    409: Sorry(
        title=text("Somebody else changed this meanwhile"),
        not_saved=text("Not saved: somebody else changed this meanwhile"),
        meaning=text("Open it again to see what it is now; what you typed is below."),
    ),
    413: Sorry(
        title=text("That is too much at once"),
        not_saved=text("Not saved: that is too much at once"),
        meaning=text("A form takes one megabyte. Go back and shorten the text."),
    ),
    429: Sorry(
        title=text("Too many attempts from this computer"),
        meaning=text("Wait a quarter of an hour, then try again."),
    ),
    500: Sorry(
        title=text("This page cannot be shown: the program made a mistake"),
        not_saved=text("Not saved: the program made a mistake"),
        meaning=text("What is saved already is safe. Nothing else on this page was saved."),
        again=True,
    ),
    503: Sorry(
        title=text("This page cannot be shown: the database cannot be used"),
        not_saved=text("Not saved: the database cannot be used"),
        meaning=text("Nothing of this was saved; do not let the patient leave before it is."),
        again=True,
    ),
}
STORE_PAGES: Mapping[str, Sorry] = {
    "disk-full": Sorry(
        title=text("The disk cannot be written"),
        not_saved=text("Not saved: the disk cannot be written"),
        meaning=text(
            "Nothing of this was saved; do not let the patient leave before it is. What you typed is still here: "
            "try again when there is room, it is never saved twice."
        ),
        again=True,
    ),
    "db-busy": Sorry(
        title=text("The database is busy"),
        not_saved=text("Not saved: the database is busy"),
        meaning=text("Nothing of this was saved. Try again now; it is never saved twice."),
        again=True,
    ),
    "superseded": Sorry(
        title=text("This machine was replaced: nothing can be saved here"),
        not_saved=text("Not saved: this machine was replaced"),
        meaning=text("Nothing of this was saved. Work on at the new machine; here everything can still be read."),
    ),
}


def reference(now_ms: int) -> str:
    """A number to say on the telephone: four signs, and the clinic's time of day."""
    return f"E-{''.join(secrets.choice(_REFERENCE) for _ in range(4))}-{local(now_ms):%H%M}"


def error_page(
    sorry: Sorry, status: int, *, detail: Text | None = None, number: str | None = None, kept: KeptForm | None = None
) -> tuple[str, int, dict[str, str]]:
    """An error page with its status."""
    posted = request.method not in ("GET", "HEAD", "OPTIONS")
    body = render_template(
        "errors/error.html", title=(sorry.not_saved if posted else None) or sorry.title, meaning=sorry.meaning,
        detail=detail, number=number, kept=kept if posted else None, again=sorry.again, posted=posted,
    )  # fmt: skip
    return body, status, {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}


def kept_form() -> KeptForm:
    """What this request brought, to give it back; nothing of a form that is too long to be read."""
    try:
        fields = tuple(request.form.items(multi=True))
    except RequestEntityTooLarge:
        fields = ()
    return keep(request.full_path.rstrip("?"), fields)


def _http(error: HTTPException) -> tuple[str, int, dict[str, str]]:
    status = error.code or 500
    if isinstance(error, BadHost):
        return _words(PAGES[400].title, status)
    if isinstance(error, NotAllowed):
        names = say(text(", ")).join(say(ROLE_NAMES[role]) for role in error.roles)
        mine = say(text(", ")).join(say(ROLE_NAMES[role]) for role in sorted(current_staff().roles))
        detail = text("It is for: %(roles)s. You are: %(mine)s.", roles=names, mine=mine or "—")
        return error_page(PAGES[403], 403, detail=detail, kept=kept_form())
    sorry = PAGES.get(status) or Sorry(title=text("Error %(status)d", status=status), meaning=PAGES[400].meaning)
    return error_page(sorry, status, kept=None if status == 413 else kept_form())


def _csrf(error: CSRFError) -> tuple[str, int, dict[str, str]]:
    """A form from before the last sign-in: shown again to be confirmed, with a token of now."""
    if signed_in() is None:
        from edge_node.his.staff.views import sign_in_again

        return (*sign_in_again(), {})
    return render_template("staff/continue.html", kept=kept_form(), signed_in_now=False), 400, {}


def _without_key() -> tuple[str, int, dict[str, str]]:
    """A form that cannot be told from its repetition: a page of an older program, or something in the browser that
    leaves hidden fields out. No fault of the node's. Shown again with a key of now, so that it is saved once."""
    event("form_without_key", level="warning", route=_route())
    kept = kept_form()
    others = (field for field in kept.fields if field[0] != request_key.FIELD)
    fields = (*others, (request_key.FIELD, request_key.new()))
    page = render_template("staff/continue.html", kept=replace(kept, fields=fields), without_key=True)
    return page, 400, {}


def _edge(error: EdgeError) -> tuple[str, int, dict[str, str]]:
    if error.code == request_key.MISSING:
        return _without_key()
    number = reference(context().clock.wall_ms())
    event("request_failed", level="error", code=error.code, message=error.message, route=_route(), reference=number)
    if error.code == "superseded" and (owner := context().superseded()) is not None:
        return error_page(STORE_PAGES["superseded"], 409, detail=replaced(owner), kept=kept_form())
    if isinstance(error, StoreError):
        sorry = STORE_PAGES.get(error.code, PAGES[503])
        return error_page(sorry, 503, detail=_free_space(error.code), number=number, kept=kept_form())
    return error_page(PAGES[500], 500, number=number, kept=kept_form())


def replaced(owner: Superseded) -> Text:
    """Who replaced this machine, when, and why, as far as that is known."""
    since = f"{local(parse_utc(owner.claimed_at)):%Y-%m-%d %H:%M}" if owner.claimed_at else "—"
    if owner.why:
        return text(
            "Replaced by %(machine)s on %(since)s. The reason given: %(why)s",
            machine=owner.by,
            since=since,
            why=owner.why,
        )
    return text("Replaced by %(machine)s on %(since)s.", machine=owner.by, since=since)


def _free_space(code: str) -> Text | None:
    if code != "disk-full":
        return None
    free = context().node_status().disk_free_bytes
    return None if free is None else text("%(free)s bytes are free on the disk of the data.", free=f"{free:,}")


def _bug(error: Exception) -> tuple[str, int, dict[str, str]]:
    number = reference(context().clock.wall_ms())
    # A ValueError or KeyError carries the value, which may be what somebody typed of a patient.
    said = "-" if isinstance(error, ValueError | KeyError) else str(error)
    event(
        "bug", level="error", kind=type(error).__name__, said=said, reference=number, method=request.method,
        route=_route(), trace=_trace(error),
    )  # fmt: skip
    try:
        return error_page(PAGES[500], 500, number=number, kept=kept_form())
    except Exception:
        # Whatever broke the page breaks the error page too (no database, say): then only words.
        return _words(PAGES[500].title, 500, number)


def _words(said: Text, status: int, number: str = "") -> tuple[str, int, dict[str, str]]:
    """A page without a frame, for where not even the address of a link can be made."""
    return f"<!doctype html><meta charset=utf-8><p>{say(said)} {number}", status, {}


def _trace(error: Exception) -> str:
    """Where it happened, innermost first, from our own code on."""
    frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    return " < ".join(reversed(frames))


def _route() -> str:
    return request.url_rule.rule if request.url_rule else "(none)"


def init_app(app: Flask) -> None:
    """The pages of all errors; the last one is for what nobody expected."""
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(EdgeError, _edge)
    app.register_error_handler(Exception, _bug)
