"""Pages that answer a search: posted, and then shown at an address that does not say what was typed.

    redirect(searching.address("patients.index", {"q": typed}))     in answer to the form
    searching.asked().get("q", "")                                   on the page, as often as it is opened

The page is one that the browser can go back to, open in another tab and load again without posting anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flask import g, request, url_for

from edge_node.his.context import context
from edge_node.his.security import current_session_id, current_staff, searches

# In addresses: the key of a search.
FIELD = "find"
# No name, number or diagnosis is longer; what was pasted by mistake is not kept by the megabyte.
LONGEST = 500


def address(endpoint: str, typed: Mapping[str, str], **more: Any) -> str:
    """The address of the page that shows what is found; empty fields are not searched for."""
    filled = {name: value[:LONGEST] for name, value in typed.items() if value}
    key, session_id = None, current_session_id()
    if filled and session_id is not None:
        key = searches().keep(session_id, current_staff().id, filled, now=context().clock.wall_ms())
    values: dict[str, Any] = {FIELD: key, **more}
    return url_for(endpoint, **values)


def asked() -> Mapping[str, str]:
    """What was typed, by field, for the page of this request; empty when its address names no search, or one that is
    over."""
    if "searched" not in g:
        g.searched = _found()
    return cast(Mapping[str, str], g.searched or {})


def key() -> str | None:
    """The key of this request's search, for another address of the same page."""
    return request.args[FIELD] if asked() else None


def is_over() -> bool:
    """Does the address name a search that nobody knows any more? Nothing is found then, for nothing was looked for."""
    return FIELD in request.args and not asked()


def _found() -> Mapping[str, str] | None:
    session_id = current_session_id()
    if session_id is None or FIELD not in request.args:
        return None
    return searches().of(session_id, request.args[FIELD], now=context().clock.wall_ms())
