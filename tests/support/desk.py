"""Staff at a desk, over HTTP: sign in, register patients, see them and sign their notes.

Whoever is cut off in the middle tries again with the same form, as people press the button again.
"""

from __future__ import annotations

import http.client
import re
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from html import unescape
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

ANSWERS_WITHIN_S = 15.0


@dataclass
class Answer:
    """What came back; `body` is decoded."""

    status: int
    location: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request as the desk saw it. `status` is 0 when the answer did not come; `began_s` is monotonic time."""

    kind: str
    began_s: float
    seconds: float
    status: int

    @property
    def failed(self) -> bool:
        return self.status == 0 or self.status >= 500


@dataclass
class Desk:
    """One browser on one connection. `url` is where the HIS listens.

    `before` is called before each request, and may wait; `heard` is told each one, also those that failed. Who waits at
    most `answers_within_s` for an answer takes it for a failure.
    """

    url: str
    tls: ssl.SSLContext | None = None
    before: Callable[[], object] = lambda: None
    heard: Callable[[Exchange], object] = lambda exchange: None
    answers_within_s: float = ANSWERS_WITHIN_S
    _cookies: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None
    _csrf: str = ""
    _department: str = ""

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, fields: dict[str, str]) -> Answer:
        return self.ask("POST", path, urlencode({"csrf_token": self._csrf, **fields}))

    def cookie(self) -> str:
        """The value of the Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def ask(self, method: str, path: str, body: str | None = None) -> Answer:
        """One request; a broken connection is forgotten and its error raised."""
        self.before()
        began_s, status = time.monotonic(), 0
        try:
            answer = self._ask(method, path, body)
            status = answer.status
            return answer
        finally:
            seconds = time.monotonic() - began_s
            self.heard(Exchange(kind=kind(method, path), began_s=began_s, seconds=seconds, status=status))

    def _ask(self, method: str, path: str, body: str | None) -> Answer:
        connection = self._connection or self._connect()
        headers = {"Cookie": self.cookie()}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = self.url
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.hang_up()
            raise
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            for morsel in SimpleCookie(cookie).values():
                self._cookies[morsel.key] = morsel.value
        return Answer(answer.status, answer.headers.get("Location", ""), text)

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        where = urlsplit(self.url)
        assert where.hostname
        assert where.port
        if self.tls is not None:
            self._connection = http.client.HTTPSConnection(
                where.hostname, where.port, timeout=self.answers_within_s, context=self.tls
            )
        else:
            self._connection = http.client.HTTPConnection(where.hostname, where.port, timeout=self.answers_within_s)
        return self._connection

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


def kind(method: str, path: str) -> str:
    """A request without what is only its own: `POST /encounters/*`."""
    return f"{method} {re.sub(r'/[0-9A-Z]{26}', '/*', urlsplit(path).path)}"


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
    return (date(1940, 1, 1) + timedelta(days=int(phone[3:]) * 7 % 29_000)).isoformat()


def phone_number(number: int) -> str:
    return f"139{number:08d}"
