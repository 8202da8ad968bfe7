"""Staff at a desk, over HTTP: sign in, register patients, see them and sign their notes.

Whoever is cut off in the middle tries again with the same form, as people press the button again.
"""

from __future__ import annotations

import http.client
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from html import unescape
from urllib.parse import urlencode

from edge_node.simulation.browser import ANSWERS_WITHIN_S, Answer, Browser, Exchange, kind

__all__ = ["ANSWERS_WITHIN_S", "Answer", "Desk", "Exchange", "kind"]


@dataclass
class Desk(Browser):
    """A browser whose forms are made up without their page, as far as that page is known: quick, and exact in what is
    posted when the button is pressed again."""

    _csrf: str = ""
    _department: str = ""

    def post(self, path: str, fields: dict[str, str]) -> Answer:
        return self.ask("POST", path, urlencode({"csrf_token": self._csrf, **fields}))

    def sign_in(self, code: str, password: str, *, station: str = "1") -> None:
        """Sign in at the reception and learn what its form needs."""
        page = self.enter(code, password, station=station, first="/reception")
        departments = re.findall(r'<option value="([0-9A-Z]{26})"', page)
        assert departments, page
        self._department = departments[0]

    def enter(self, code: str, password: str, *, station: str = "1", first: str) -> str:
        """Sign in and open a first page, which is returned."""
        self._csrf = hidden(self.get("/login").body, "csrf_token")
        answer = self.post("/login", {"code": code, "password": password, "station": station})
        assert answer.status == 302, answer.body
        page = self.get(first).body
        self._csrf = hidden(page, "csrf_token")
        return page

    def register(
        self, name: str, phone: str, *, request_key: str | None = None, more: Mapping[str, str] | None = None
    ) -> Answer:
        """Register a new patient without papers; 302 with the registration's id in the address is "answered".

        The birth date follows from the phone, so that nobody looks like somebody else. `more` goes over the fields.
        """
        return self.post(
            "/reception",
            {
                "request_key": request_key or new_key(),
                "department_id": self._department,
                "name": name,
                "sex": "2",
                "birth_date": birth_date(phone),
                "phone": phone,
                "id_type": "none",
                **(more or {}),
            },
        )

    def register_until_answered(self, name: str, phone: str, *, give_up_at: float) -> str | None:
        """Press the button again, with the same form, until there is an answer; the registration's id.

        None when `give_up_at` (monotonic seconds) came first: whether it was saved is then not known.
        """
        key = new_key()
        while time.monotonic() < give_up_at:
            try:
                answer = self.register(name, phone, request_key=key)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            found = re.search(r"registered=([0-9A-Z]{26})", answer.location)
            if answer.status == 302 and found:
                return found[1]
            assert answer.status == 503, f"{answer.status} {answer.location}\n{answer.body}"
            time.sleep(0.05)
        return None


def name_of(phone: str) -> str:
    """A name that sounds like no other: somebody alike would be asked about, as a likely duplicate."""
    return "".join("甲乙丙丁戊己庚辛壬癸"[int(digit)] for digit in phone[3:])


def new_key() -> str:
    return secrets.token_urlsafe(16)


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name} in:\n{page[:2000]}"
    return unescape(found[1])


def birth_date(phone: str) -> str:
    """Of an adult: a child would need a guardian."""
    return (date(1940, 1, 1) + timedelta(days=int(phone[3:]) * 7 % 26_000)).isoformat()


def phone_number(number: int) -> str:
    return f"139{number:08d}"
