"""A form is saved once: a second click, a reload or a retry after a lost answer finds the first one's result.

Every form that creates something carries a random token (macro `form.hidden()`); the handler stores the answer under it
in the transaction of the work.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping

from edge_node.base.errors import UsageError
from edge_node.store.connection import Connection

FIELD = "request_key"
MISSING = "request-key-missing"
# Longer than anybody keeps a form open; older tokens are cleared away.
KEPT_MS = 7 * 24 * 3600 * 1000
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


def new() -> str:
    """A token for one form on one page."""
    return secrets.token_urlsafe(16)


def posted(form: Mapping[str, str]) -> str:
    """The token of a posted form. Raises UsageError request-key-missing: the form was not one of ours."""
    token = form.get(FIELD, "")
    if not _TOKEN.fullmatch(token):
        raise UsageError(MISSING, "a form was posted without its request key", context=None, hint=None)
    return token


def posted_form(form: Mapping[str, str]) -> str:
    """The token together with what was typed, for forms that make or change a record.

    A browser that goes back may show a form with its old token: filled anew it is another form, and the first one's
    result would be an answer to something that was never saved. Raises as `posted` does.
    """
    token = posted(form)
    # What a retry after a lost session or a failed write does not bring again in the same way.
    fields = {
        name: value.replace("\r\n", "\n")
        for name, value in form.items()
        if name != "csrf_token" and "password" not in name
    }
    typed = json.dumps(fields, ensure_ascii=False, sort_keys=True)
    return f"{token}.{hashlib.sha256(typed.encode()).hexdigest()}"


def once(conn: Connection, token: str, work: Callable[[Connection], str], *, at: int) -> str:
    """Do the work unless this token's work was done before, and return its result (usually where to go next).

    Within one function given to the writing thread, so that the work and its token commit together.
    """
    if (found := done(conn, token)) is not None:
        return found
    result = work(conn)
    conn.execute(
        "INSERT INTO request_key (token, result, at) VALUES (:token, :result, :at)",
        {"token": token, "result": result, "at": at},
    )
    return result


def done(conn: Connection, token: str) -> str | None:
    """The result of this token's work, None while it was not done."""
    row = conn.execute("SELECT result FROM request_key WHERE token = :token", {"token": token}).fetchone()
    return None if row is None else str(row["result"])


def forget(conn: Connection, *, now: int) -> int:
    """Clear tokens that nobody can post any more; returns how many."""
    return int(conn.execute("DELETE FROM request_key WHERE at < :before", {"before": now - KEPT_MS}).rowcount)
