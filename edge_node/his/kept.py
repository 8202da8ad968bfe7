"""A form that could not be taken, kept: what was typed comes back on the next page, and nothing is lost.

It travels in the page (nothing is stored), leaves out passwords and the old CSRF token, and keeps the request key: if
the first post was saved after all, the second finds its result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge_node.his.forms import posted_json

FIELD = "kept"
# With this the script of a page hands over what was typed at a desk that locked itself: to be kept, never to be done.
LOCKED = "desk_locked"
_LEFT_OUT = ("csrf_token", FIELD, LOCKED)
# Fields that only the program reads; a person is not shown them.
_NOT_READ = ("request_key", "revision", "version", "action", "act", "seen", "corrects")
# What was chosen of a list is a code in the form, and chosen again as quickly as it is read.
_CHOSEN = re.compile(r"sex|id_type|level|pregnant|result|rx-(id|drug|revision|route-\d+|frequency-\d+)|\w+_id")


@dataclass(frozen=True, slots=True)
class KeptForm:
    """Where a form was posted to, and its fields in their order."""

    to: str
    fields: tuple[tuple[str, str], ...]

    def dump(self) -> str:
        """As the text of one hidden field."""
        return json.dumps([self.to, self.fields], ensure_ascii=False, separators=(",", ":"))

    def readable(self) -> list[str]:
        """What a person typed, in the order of the form."""
        return [
            value
            for name, value in self.fields
            if value.strip() and name not in _NOT_READ and not _CHOSEN.fullmatch(name)
        ]


def keep(to: str, fields: Iterable[tuple[str, str]]) -> KeptForm:
    """The fields of a posted form that are to come back."""
    return KeptForm(to, tuple((n, v) for n, v in fields if n not in _LEFT_OUT and "password" not in n))


def load(dumped: str) -> KeptForm | None:
    """The reverse of dump; None for anything that is not a form posted to a page of ours."""
    try:
        to, fields = posted_json(dumped)
        path = local_path(to)
        pairs = [(str(name), str(value)) for name, value in fields]
    except (ValueError, TypeError):
        return None
    return keep(path, pairs) if path else None


def local_path(address: object) -> str | None:
    """The address if it is a path on this server, else None: nobody is sent elsewhere by a link that they followed."""
    if not isinstance(address, str) or not address.startswith("/") or address.startswith(("//", "/\\")):
        return None
    if any(ord(char) <= 0x20 or char == "\\" for char in address):
        return None
    parts = urlsplit(address)
    return None if parts.scheme or parts.netloc else address
