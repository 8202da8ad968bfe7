"""One browser on one connection: cookies, redirects, forms as the page has them, and how long each answer took."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from edge_node.simulation.page import Form, Page

ANSWERS_WITHIN_S = 15.0
# The server ends a connection on which nobody has asked for five seconds; a browser then asks on a new one.
IDLE_S = 4.0
REDIRECTS_MAX = 5
_ID = re.compile(r"/[0-9A-Z]{26}")

SomeBrowser = TypeVar("SomeBrowser", bound="Browser")


@dataclass
class Answer:
    """What came back; `body` is decoded."""

    status: int
    location: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request as the browser saw it. `status` is 0 when the answer did not come; `began_s` is monotonic time."""

    kind: str
    began_s: float
    seconds: float
    status: int

    @property
    def failed(self) -> bool:
        """No answer, or one of a server that has a fault."""
        return self.status == 0 or self.status >= 500


@dataclass
class Browser:
    """A browser at `url`, where the HIS listens. Whoever waits longer than `answers_within_s` takes it for a failure.

    `before` is called before each request, and may wait; `heard` is told each one, also those that failed.
    """

    url: str
    tls: ssl.SSLContext | None = None
    before: Callable[[], object] = lambda: None
    heard: Callable[[Exchange], object] = lambda exchange: None
    answers_within_s: float = ANSWERS_WITHIN_S
    _cookies: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None
    _used_s: float = 0.0

    def __enter__(self: SomeBrowser) -> SomeBrowser:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def open(self, path: str) -> Page:
        """A page, wherever it leads. Raises OSError or HTTPException when no answer comes."""
        return self._follow(path, self.ask("GET", path))

    def submit(self, form: Form, values: Mapping[str, str], *, press: tuple[str, str] | None = None) -> Page:
        """Send a form of a page with what was typed into it, by a button (its name and value) or by Enter.

        Raises NoSuchControl for a field that the form does not have, and what `open` raises.
        """
        body = urlencode(form.filled(values, press=press))
        if form.method == "get":
            return self.open(f"{form.action.partition('#')[0].partition('?')[0]}?{body}")
        return self._follow(form.action, self.ask("POST", form.action, body))

    def get(self, path: str) -> Answer:
        """One answer, redirects left to the caller."""
        return self.ask("GET", path)

    def cookie(self) -> str:
        """The value of the Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def keep_cookie(self, name: str, value: str) -> None:
        """As if the server had set it."""
        self._cookies[name] = value

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

    def hang_up(self) -> None:
        """End the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _follow(self, path: str, answer: Answer) -> Page:
        for _ in range(REDIRECTS_MAX):
            if answer.status not in (301, 302, 303):
                break
            path = _local(answer.location)
            answer = self.ask("GET", path)
        return Page(path=path, status=answer.status, html=answer.body)

    def _ask(self, method: str, path: str, body: str | None) -> Answer:
        if time.monotonic() - self._used_s > IDLE_S:
            self.hang_up()
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
        self._used_s = time.monotonic()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            for morsel in SimpleCookie(cookie).values():
                self._cookies[morsel.key] = morsel.value
        return Answer(answer.status, answer.headers.get("Location", ""), text)

    def _connect(self) -> http.client.HTTPConnection:
        where = urlsplit(self.url)
        assert where.hostname, f"{self.url} names no host"
        if self.tls is not None:
            self._connection = http.client.HTTPSConnection(
                where.hostname, where.port, timeout=self.answers_within_s, context=self.tls
            )
        else:
            self._connection = http.client.HTTPConnection(where.hostname, where.port, timeout=self.answers_within_s)
        return self._connection


def kind(method: str, path: str) -> str:
    """A request without what is only its own: `POST /encounters/*`."""
    return f"{method} {_ID.sub('/*', urlsplit(path).path)}"


def _local(location: str) -> str:
    """A redirect's target on the same server, as a path."""
    where = urlsplit(location)
    return where.path + (f"?{where.query}" if where.query else "")
