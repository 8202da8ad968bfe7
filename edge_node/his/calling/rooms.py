"""The room to which this computer calls. It belongs to the computer, as the station does: whoever sits there calls so.

Kept in a cookie, so that nothing has to be chosen again after a sign-in; what it holds is shown in the waiting room and
written down with each call, so it is judged anew at each reading.
"""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from edge_node.his.calling.rules import parse_room

COOKIE = "room"
_YEAR_S = 365 * 24 * 3600


def room() -> str:
    """The room of this computer; "" where none was chosen."""
    chosen = parse_room(request.cookies.get(COOKIE, ""))
    return chosen if isinstance(chosen, str) else ""


def keep(response: Response, chosen: str) -> Response:
    """Let this computer remember its room; "" forgets it."""
    if chosen:
        response.set_cookie(
            COOKIE, chosen, max_age=_YEAR_S, httponly=True, samesite="Strict", secure=request.is_secure
        )  # fmt: skip
    else:
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict", secure=request.is_secure)
    return response
