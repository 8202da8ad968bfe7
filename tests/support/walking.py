"""A clinic whose every page and form is found by walking: from the URL map, the links and the forms of the pages.

    walk = a_walk(his)
    for found in walk.atlas.forms: walk.send(found, {"name": "x"})

A page that is added tomorrow is walked tomorrow. What cannot be found or filled fails with what to add here: `VALUES`
for a field, `OPENED_BY_HAND` for an address that no link leads to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.test import TestResponse

from edge_node.his import request_key
from edge_node.his.permissions import TABLE
from edge_node.his.staff.model import Role
from edge_node.simulation.page import Control, Form, Page
from edge_node.store.connection import Connection
from tests.support.his import PASSWORD, His

# Who looked at what, who is signed in, which form was posted: these change without anything having been done. And what
# nobody but an import changes. Everything else is compared row by row.
TRACES = frozenset({"audit_log", "session", "staff_address", "request_key"})
_NOT_COMPARED = TRACES | {"icd", "drug", "price_item"}
_ATTEMPTS = frozenset({"login_attempt"})
# So many pages of one kind are looked at by each role; more of the same shows nothing new.
_OF_ONE_KIND = 5
# Addresses that no link and no form leads to, and why.
OPENED_BY_HAND: Mapping[str, str] = {
    "static": "assets",
    "home": "the address without a path",
    "health.healthz": "for the supervisor",
    "health.readyz": "for the supervisor",
    "health.status": "for monitoring",
    "posture.line": "asked for by script and frame",
    "language.choose": "a link on every page, which the walk does not follow",
    "trust.certificate": "only where the clinic has an authority of its own",
    "staff.sign_in_code": "only after the password of somebody with a second factor",
    "factor.remove": "only with a second factor",
}
# What a field is filled with where the page left it empty, by name or by "endpoint:name"; "" is filled too.
VALUES: Mapping[str, str] = {
    "name": "石敬瑭", "sex": "1", "birth_date": "1985-04-03", "id_type": "none", "id_number": "",
    "phone": "13912345678", "address": "西城街道桂花里 12 号", "occupation": "教师", "guardian_name": "石父",
    "guardian_relation": "父亲", "guardian_phone": "13912345679", "guardian_id_number": "", "reason": "有缘由",
    "reason-*": "有缘由", "refused_note": "患者不愿意", "patients.create:id_type": "none",
    "reception.register:id_type": "none",
    "end_reason": "再问没有", "substance": "花粉", "reaction": "皮疹", "since": "2015", "level": "3",
    "note": "面色好", "temperature": "36.8", "pulse": "80", "respiration": "18", "blood_pressure": "120/80",
    "oxygen": "98", "weight_kg": "60", "height_cm": "165", "complaint": "咳嗽 5 天", "history": "受凉后",
    "examination": "咽红", "onset_date": "", "encounters.save:note": "", "room": "3", "code": "a-registrar",
    "password": PASSWORD, "station": "Desk 9", "new_password": "four other words here",
    "new_password_again": "four other words here", "proof_password": PASSWORD, "why": "the carrier works on it",
    "kept_note": "", "rx-q": "", "od-q": "", "dx": "", "q": "syq", "mrn": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One page that somebody of a role has opened."""

    role: Role | None
    path: str
    endpoint: str
    args: Mapping[str, str]
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One form, as it stood on a page; `endpoint` is where it is posted to."""

    role: Role | None
    page: str
    endpoint: str
    args: Mapping[str, str]
    form: Form

    @property
    def path(self) -> str:
        return self.form.action or self.page

    def controls(self) -> Iterator[Control]:
        """One control of each name; names that only count on (rx-dose-1, rx-dose-2) are one."""
        known = set()
        for control in self.form.controls:
            if control.name and not control.is_button and (kind := shape(control.name)) not in known:
                known.add(kind)
                yield control


@dataclass
class Atlas:
    """Everything that was found: pages by role, one form of each kind."""

    pages: list[Seen] = field(default_factory=list)
    forms: list[Found] = field(default_factory=list)

    def args_of(self, endpoint: str) -> list[Mapping[str, str]]:
        """The parameters with which an address occurs on some page."""
        everywhere: list[Seen | Found] = [*self.pages, *self.forms]
        seen = [one.args for one in everywhere if one.endpoint == endpoint]
        return [dict(pairs) for pairs in {tuple(sorted(args.items())) for args in seen}]


def code_of(role: Role) -> str:
    """What the person of a role signs in with."""
    return f"a-{role}"


def shape(name: str) -> str:
    """A field's name without what counts or names a record."""
    return "reason-*" if name.startswith("reason-") else re.sub(r"-(\d+|[0-9A-Z]{26})$", "-*", name)


@dataclass
class Walk:
    """People of every role at their desks, and what they see."""

    his: His
    # Addresses that come first, since no link leads to them before the walk has seen enough of their kind; and pages
    # that only a post leads to.
    also: list[tuple[Role, str]] = field(default_factory=list)
    shown: list[tuple[Role, str, str]] = field(default_factory=list)
    clients: dict[Role | None, FlaskClient] = field(default_factory=dict)
    _tokens: dict[Role | None, str] = field(default_factory=dict)
    _atlas: Atlas | None = None

    @property
    def atlas(self) -> Atlas:
        if self._atlas is None:
            self._atlas = self.look_around()
        return self._atlas

    @property
    def addresses(self) -> MapAdapter:
        return self.his.app.url_map.bind("localhost")

    def client(self, role: Role | None) -> FlaskClient:
        """The browser of somebody of a role, signed in; of nobody for None."""
        if role not in self.clients:
            self.clients[role] = client = self.his.browser()
            if role is not None:
                self.his.sign_in(code_of(role), client=client)
                assert self.his.last.status_code == 302, self.his.last.text
            self._tokens[role] = self.his.csrf(client, "/password" if role is not None else "/login")
        return self.clients[role]

    def token(self, role: Role | None) -> dict[str, str]:
        """The token of somebody's session, as the only field of a form."""
        self.client(role)
        return {"csrf_token": self._tokens[role]}

    def forget(self, role: Role | None) -> None:
        """The session has ended, or may have: sign in again before the next page."""
        self.clients.pop(role, None)

    def look_around(self) -> Atlas:
        """Everything that people of every role come to by links, from the pages that need no parameter."""
        atlas, kinds = Atlas(), set[tuple[str, ...]]()
        for role in (None, *Role):
            todo = [*(path for who, path in self.also if who is role), *self._beginnings(role)]
            known, counted = set[str](), dict[tuple[str, ...], int]()
            for _, path, html in (one for one in self.shown if one[0] is role):
                self._gather(atlas, kinds, role, Page(path=path, status=200, html=html))
            while todo:
                path = todo.pop(0)
                where = self.locate(path, "GET")
                if path in known or where is None or where[0] in ("static", "language.choose"):
                    continue
                known.add(path)
                kind = (where[0], *sorted(part.partition("=")[0] for part in urlsplit(path).query.split("&")))
                counted[kind] = counted.get(kind, 0) + 1
                if counted[kind] > _OF_ONE_KIND or not self.may(role, where[0]):
                    continue
                answer = self.client(role).get(path)
                assert answer.status_code in (200, 302, 404), (path, answer.status_code)
                if answer.status_code == 302:
                    todo.append(answer.location)
                if answer.status_code != 200 or answer.mimetype != "text/html":
                    continue
                atlas.pages.append(Seen(role=role, path=path, endpoint=where[0], args=where[1], html=answer.text))
                page = Page(path=path, status=200, html=answer.text)
                todo += [link.href.partition("#")[0] for link in page.links if link.href.startswith("/")]
                self._gather(atlas, kinds, role, page)
        return atlas

    def _gather(self, atlas: Atlas, kinds: set[tuple[str, ...]], role: Role | None, page: Page) -> None:
        for found in self._forms(role, page.path, page):
            key = (found.endpoint, *sorted({shape(c.name) for c in found.form.controls}), act(found.form))
            if key not in kinds:
                kinds.add(key)
                atlas.forms.append(found)

    def forms_of(self, role: Role | None, path: str) -> list[Found]:
        """The forms of one page as they are now."""
        answer = self.client(role).get(path)
        return list(self._forms(role, path, Page(path=path, status=answer.status_code, html=answer.text)))

    def again(self, found: Found) -> Found:
        """The same form as its page shows it now; itself where the page shows it no more."""
        same = [one for one in self.forms_of(found.role, found.page) if one.path == found.path]
        alike = [one for one in same if act(one.form) == act(found.form)]
        return (alike or same or [found])[0]

    def _forms(self, role: Role | None, path: str, page: Page) -> Iterator[Found]:
        for form in (*(_own_way(page, one) for one in page.forms), *_other_ways(page)):
            where = self.locate(form.action or path, form.method.upper())
            if where is not None and form.method == "post" and where[0] != "staff.logout":
                yield Found(role=role, page=path, endpoint=where[0], args=where[1], form=form)

    def _beginnings(self, role: Role | None) -> list[str]:
        rules = self.his.app.url_map.iter_rules()
        plain = [rule.rule for rule in rules if "GET" in (rule.methods or ()) and not rule.arguments]
        return sorted(path for path in plain if (found := self.locate(path, "GET")) and self.may(role, found[0]))

    def locate(self, path: str, method: str) -> tuple[str, Mapping[str, str]] | None:
        """Endpoint and parameters of an address; None for one that is not ours."""
        try:
            endpoint, args = self.addresses.match(urlsplit(path).path, method=method)
        except HTTPException:
            return None
        return endpoint, args

    def may(self, role: Role | None, endpoint: str) -> bool:
        roles = TABLE[endpoint]
        return roles is None or role in roles

    def filled(self, found: Found, typed: Mapping[str, str], *, press: Control | None = None) -> list[tuple[str, str]]:
        """What a browser would send of a form: what stands in it, VALUES where it is empty, and over both what is
        `typed`, whether the page offers it or not."""
        sent: list[tuple[str, str]] = []
        radios = {c.name for c in found.form.controls if c.kind == "radio" and c.checked}
        for control in found.form.controls:
            if control.name in typed or not control.name or control.disabled or control.is_button:
                continue
            if control.kind in ("radio", "checkbox"):
                wanted = VALUES.get(control.name)
                if control.checked or (control.kind == "radio" and control.name not in radios and (
                    wanted == control.value or wanted is None
                )):  # fmt: skip
                    sent.append((control.name, control.value))
                    radios.add(control.name)
            elif control.kind == "select" and f"{found.endpoint}:{control.name}" in VALUES:
                sent.append((control.name, VALUES[f"{found.endpoint}:{control.name}"]))
            elif control.kind == "select" and not control.value:
                offered = [value for value, _ in control.options if value]
                wanted = VALUES.get(control.name, offered[0] if offered else "")
                sent.append((control.name, wanted if wanted in offered or not wanted else offered[0]))
            else:
                otherwise = VALUES.get(f"{found.endpoint}:{control.name}", VALUES.get(shape(control.name), ""))
                sent.append((control.name, control.value or otherwise))
        sent += list(typed.items())
        button = press or next((c for c in found.form.controls if c.is_button and not c.disabled), None)
        if button is not None and button.name and button.name not in typed:
            sent.append((button.name, button.value))
        return sent

    def post(self, found: Found, sent: Sequence[tuple[str, str]], *, key: str = "") -> TestResponse:
        """Post a form once, with a token of now and a request key of its own. Whoever was signed out by the post before
        signs in again first."""
        form: dict[str, list[str]] = {}
        for name, value in sent:
            form.setdefault(name, []).append(value)
        if "request_key" in form:
            form["request_key"] = [key or request_key.new()]
        answer = self.client(found.role).post(found.path, data=form | self._token_of(found.role))
        if found.role is None or answer.status_code == 401 or answer.headers.get("Location", "").startswith("/login"):
            self.forget(found.role)
            if found.role is not None:
                return self.client(found.role).post(found.path, data=form | self._token_of(found.role))
        return answer

    def _token_of(self, role: Role | None) -> dict[str, list[str]]:
        return {name: [value] for name, value in self.token(role).items()}

    def send(self, found: Found, typed: Mapping[str, str], *, press: Control | None = None) -> TestResponse:
        """Fill and post."""
        return self.post(found, self.filled(found, typed, press=press))


def _elsewhere(page: Page) -> Iterator[tuple[str, Control]]:
    """The buttons that have an address of their own, with it."""
    for tag in re.findall(r"<button\b[^>]*\bformaction=[^>]*>", page.html):
        given = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        yield given["formaction"], Control(name=given.get("name", ""), kind="submit", value=given.get("value", ""))


def _other_ways(page: Page) -> Iterator[Form]:
    """The forms of the page as buttons with an address of their own send them."""
    for address, button in _elsewhere(page):
        for form in page.forms:
            if form.buttons(button.name, button.value):
                fields = [control for control in form.controls if not control.is_button]
                yield Form(action=address, method=form.method, controls=[*fields, button])


def _own_way(page: Page, form: Form) -> Form:
    """A form without the nameless button that sends it elsewhere."""
    elsewhere = any(not button.name for _, button in _elsewhere(page))
    controls = [one for one in form.controls if not (elsewhere and one.is_button and not one.name)]
    return Form(action=form.action, method=form.method, controls=controls)


def act(form: Form) -> str:
    """Forms to one address that do different things say which in a hidden field."""
    return next((c.value for c in form.controls if c.name == "act"), "")


Tables = dict[str, list[tuple[object, ...]]]


@dataclass
class Snapshot:
    """All rows of the database as they were; what differs now, and the way back."""

    his: His
    rows: Tables = field(default_factory=dict)
    _without_rowid: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rows = self._read()

    def changed(self, *, but: frozenset[str] = _ATTEMPTS) -> dict[str, list[tuple[object, ...]]]:
        """The tables that differ, with the rows that are new or were changed in them."""
        now, found = self._read(), {}
        for table, rows in now.items():
            if table not in but and rows != self.rows.get(table):
                before = set(self.rows.get(table, ()))
                found[table] = [row for row in rows if row not in before]
        return found

    def restore(self) -> None:
        """Put every row back, past the triggers that keep what was signed; sessions and traces stay."""
        tables = list(self.changed(but=frozenset()))
        if tables:
            self.his.write(lambda conn: self._put_back(conn, tables))

    def _put_back(self, conn: Connection, tables: Sequence[str]) -> None:
        conn.execute("PRAGMA defer_foreign_keys = ON")
        triggers = [
            tuple(row)
            for row in conn.execute("SELECT name, sql, tbl_name FROM sqlite_master WHERE type = 'trigger'")
            if row["tbl_name"] in tables
        ]
        for name, _, _ in triggers:
            conn.execute(f'DROP TRIGGER "{name}"')
        for table in tables:
            columns = [row["name"] for row in conn.execute(f'PRAGMA table_info("{table}")')]
            if table not in self._without_rowid:
                columns = ["rowid", *columns]
            names, places = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
            conn.execute(f'DELETE FROM "{table}"')
            conn.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({places})', self.rows[table])
        for _, sql, _ in triggers:
            conn.execute(str(sql))

    def _read(self) -> Tables:
        conn = self.his.conn
        tables = conn.execute("SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type = 'table'").fetchall()
        self._without_rowid = {name for name, sql in tables if "WITHOUT ROWID" in sql}
        return {
            name: [
                tuple(row)
                for row in conn.execute(
                    f'SELECT * FROM "{name}" ORDER BY 1, 2'
                    if name in self._without_rowid
                    else f'SELECT rowid, * FROM "{name}" ORDER BY rowid'
                )
            ]
            for name, _ in tables
            if name not in _NOT_COMPARED and not name.startswith("sqlite_")
        }
