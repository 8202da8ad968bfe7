"""Every address by everybody: who may, what is asked for and is not there, who sends a form unasked.

The addresses are those of the URL map, their parameters those of a clinic in the middle of its day (`walked_clinic`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import pytest
from ulid import ULID

from edge_node.his.permissions import EVERYBODY, TABLE
from edge_node.his.staff.model import Role
from tests.support.his import look_for
from tests.support.walked_clinic import a_walked_clinic
from tests.support.walking import OPENED_BY_HAND, Snapshot, Walk

# Ends the session of whoever posts it: the walk would not get further.
_LEAVES = {"staff.logout"}
# What nobody has: made up, of a wrong shape, of another kind of thing.
MALFORMED = ("1", "x" * 300, "'", "%", "_", "../reception", "\0", "𠮷\u202e", '"><xq>', "0" * 26, str(ULID()))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with a_walked_clinic(tmp_path_factory.mktemp("routes")) as walk:
        yield walk


def addresses(walk: Walk) -> Iterator[tuple[str, str, str]]:
    """Endpoint, method and a real address of everything that there is."""
    for rule in walk.his.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            known = walk.atlas.args_of(rule.endpoint) if rule.arguments else [{}]
            for args in known[:1] or [dict.fromkeys(rule.arguments, "1")]:
                yield rule.endpoint, method, walk.addresses.build(rule.endpoint, dict(args), method=method)


def test_every_page_and_form_is_found(walk: Walk) -> None:
    found = {one.endpoint for one in walk.atlas.pages} | {one.endpoint for one in walk.atlas.forms} | _LEAVES
    missing = sorted(set(TABLE) - found - set(OPENED_BY_HAND))
    assert not missing, (
        f"no link or form of the walked clinic leads to {missing}: let tests/support/walked_clinic.py make what they "
        "show, or name them in tests/support/walking.OPENED_BY_HAND with the reason"
    )
    assert not set(OPENED_BY_HAND) - set(TABLE), "named in OPENED_BY_HAND, and gone"


@pytest.mark.parametrize("role", [None, *Role], ids=str)
def test_every_address_is_for_the_roles_of_the_table(walk: Walk, role: Role | None) -> None:
    """With addresses of things that there are; a post carries a token and nothing else, so that it does nothing."""
    client, before, wrong = walk.client(role), Snapshot(walk.his), []
    for endpoint, method, path in addresses(walk):
        if endpoint in _LEAVES:
            continue
        answer = client.open(path, method=method, data=walk.token(role) if method == "POST" else None)
        roles = TABLE[endpoint]
        if role is None and roles is not EVERYBODY:
            expected = answer.status_code == 401 or (method == "GET" and "/login" in answer.headers.get("Location", ""))
        else:
            expected = (answer.status_code == 403) is not (roles is None or role in roles)
        if not expected or answer.status_code >= 500:
            wrong.append((method, path, endpoint, answer.status_code))
        if method == "POST":
            before.restore()
            if client.get("/password").status_code == 302:
                walk.forget(role)
                client = walk.client(role)
    assert wrong == []


def test_nothing_that_is_not_there_and_nothing_of_another(walk: Walk) -> None:
    """Each parameter made up, malformed or of another kind, one at a time: never a bug, and no name of anybody.

    An address with two parameters is also asked for with one of them taken from elsewhere.
    """
    names = [row[0] for row in walk.his.conn.execute("SELECT name FROM patient")]
    kinds: dict[str, str] = {}
    for rule in walk.his.app.url_map.iter_rules():
        for args in walk.atlas.args_of(rule.endpoint):
            kinds |= args
    wrong = []
    for rule in walk.his.app.url_map.iter_rules():
        if not rule.arguments or rule.endpoint in ("static", "language.choose"):
            continue
        role = next(iter(sorted(TABLE[rule.endpoint] or [None], key=str)))
        before = Snapshot(walk.his)
        real = next(iter(walk.atlas.args_of(rule.endpoint)), {})
        for name in rule.arguments:
            others = [value for kind, value in kinds.items() if kind != name and "/" not in value]
            for value in (*MALFORMED, *others, *_of_somebody_else(walk, rule.endpoint, real, name)):
                args = {**dict.fromkeys(rule.arguments, "1"), **real, name: value}
                path = _path(rule.rule, args)
                for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                    data = {**walk.token(role), "reason": "x", "end_reason": "x"} if method == "POST" else None
                    answer = walk.client(role).open(path, method=method, data=data)
                    told = [person for person in names if person in answer.text]
                    done = method == "POST" and before.changed()
                    if answer.status_code not in (400, 403, 404, 405, 409, 422, 302, 308) or told or done:
                        wrong.append((method, path[:120], answer.status_code, told, done))
                        before.restore()
    assert wrong == []


def _of_somebody_else(walk: Walk, endpoint: str, real: Mapping[str, str], name: str) -> list[str]:
    """Values of this parameter that belong to another value of the address's other one."""
    if len(real) < 2:
        return []
    table = {"allergy_id": ("allergy", "patient_id"), "sheet_id": ("prescription", "encounter_id")}.get(name)
    if table is None:
        return []
    of, owner = table
    rows = walk.his.conn.execute(f"SELECT id FROM {of} WHERE {owner} <> ?", (real[owner],))
    return [row[0] for row in rows]


def _path(rule: str, args: Mapping[str, str]) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: quote(args[found[1]], safe=""), rule)


def test_a_post_without_its_token_or_with_anothers_does_nothing(walk: Walk) -> None:
    other = walk.his.csrf(walk.his.sign_in("a-manager", client=walk.his.browser()), "/password")
    before, wrong = Snapshot(walk.his), []
    for found in walk.atlas.forms:
        form: dict[str, list[str]] = {}
        for name, value in walk.filled(found, {}):
            form.setdefault(name, []).append(value)
        for token in ([], [""], ["x"], [other]):
            answer = walk.client(found.role).post(found.path, data=form | {"csrf_token": token})
            changed = before.changed()
            if answer.status_code not in (400, 401) or changed:
                wrong.append((found.path, token, answer.status_code, changed))
                before.restore()
    assert wrong == []


EVIL = (
    "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
    "javascript:xq()", "/x\r\nSet-Cookie: xq=1", "/x%0d%0aSet-Cookie:%20xq=1", " //evil.example",
    "///evil.example", "/@evil.example:x",
)  # fmt: skip


@pytest.mark.parametrize("target", EVIL)
def test_nobody_is_sent_elsewhere_and_no_header_is_written(walk: Walk, target: str) -> None:
    client = walk.his.browser()
    token = {"csrf_token": walk.his.csrf(client, "/login")}
    fields = {"code": "a-cashier", "password": "three words apart", "station": "1", "next": target, **token}
    answers = [
        client.get("/language/en", query_string={"next": target}),
        client.get("/login", query_string={"next": target}),
        client.post("/login", data=fields),
        client.get("/login", query_string={"next": target}),
    ]
    for answer in answers:
        location = answer.headers.get("Location", "/")
        assert location.startswith("/") and not re.match(r"/[/\\]", location), location
        written = {cookie.partition("=")[0] for cookie in answer.headers.getlist("Set-Cookie")}
        assert written <= {"edge", "lang", "station"}


def test_a_session_that_was_planted_is_worth_nothing_after_the_sign_in(walk: Walk) -> None:
    """Before the sign-in and at each further one: always a new id, and the old one has ended."""
    browser = walk.his.browser()
    browser.get("/login")
    planted = browser.get_cookie("edge")
    assert planted is not None
    walk.his.sign_in("a-nurse", client=browser)
    mine = browser.get_cookie("edge")
    assert mine is not None and mine.value != planted.value
    attacker = walk.his.browser()
    attacker.set_cookie("edge", planted.value)
    assert attacker.get("/triage").status_code == 302
    walk.his.sign_in("a-nurse", client=browser)
    attacker.set_cookie("edge", mine.value)
    assert attacker.get("/triage").status_code == 302, "signing in again has ended the session before"


LIKE = (
    "%",
    "_",
    "%%",
    "_____",
    "' OR 1=1 --",
    "';DROP TABLE patient;--",
    "\\",
    '"',
    "*",
    "[a-z]",
    "x' UNION SELECT 1 --",
)


@pytest.mark.parametrize("typed", LIKE)
def test_a_search_takes_every_sign_for_itself(walk: Walk, typed: str) -> None:
    """Searches of all kinds: nobody is found by a sign that stands for others in SQL."""
    names = [row[0] for row in walk.his.conn.execute("SELECT name FROM patient")]
    before = Snapshot(walk.his)
    for role, path, field in (
        (Role.REGISTRAR, "/patients", "find"), (Role.REGISTRAR, "/reception", "find"),
        (Role.AUDITOR, "/audit", "person"), (Role.AUDITOR, "/audit", "patient"), (Role.NURSE, "/triage", "department"),
    ):  # fmt: skip
        page = walk.client(role).get(path, query_string={field: typed})
        assert page.status_code == 200
    for path in ("/patients", "/reception"):
        found = walk.client(Role.REGISTRAR).get(look_for(walk.his, walk.client(Role.REGISTRAR), typed, at=path))
        assert found.status_code == 200
        if path == "/patients":
            assert not [name for name in names if name in found.text.partition("<main")[2]], typed
    assert not before.changed()
