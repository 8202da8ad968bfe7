"""What every request meets before its view: origin, session, role, token; and the headers of every answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from edge_node.his.permissions import EVERYBODY, SIGNED_IN, TABLE, Permissions
from edge_node.his.security import SECTIONS
from edge_node.his.staff.model import Role
from tests.support.his import PASSWORD, His, a_his, hidden_fields

# Everything that may be asked for without a sign-in; a new one is added here with a thought.
PUBLIC = {
    "calling.index",
    "trust.index",
    "trust.certificate",
    "health.healthz",
    "health.readyz",
    "health.status",
    "language.choose",
    "posture.index",
    "posture.line",
    "staff.login",
    "staff.sign_in",
    "staff.sign_in_code",
    "static",
}


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path) as his:
        his.add_staff("gu", Role.ADMIN)
        his.add_staff("zhou", Role.REGISTRAR)
        yield his


def test_nothing_is_open_unless_it_says_so(his: His) -> None:
    assert {endpoint for endpoint, roles in TABLE.items() if roles is EVERYBODY} == PUBLIC
    assert set(TABLE) == set(his.app.view_functions)


def test_a_route_without_an_entry_and_an_entry_without_a_route_keep_it_from_starting() -> None:
    with pytest.raises(LookupError, match=r"no entry for \['b'\], no route for \['c'\]"):
        Permissions({"a": EVERYBODY, "c": SIGNED_IN}).check(["a", "b"])


@pytest.mark.parametrize("role", list(Role))
def test_every_route_is_for_the_roles_of_the_table_and_no_other(his: His, role: Role) -> None:
    """Something that does not exist is 404 or 422 for whoever may, and 403 for everybody else."""
    his.add_staff("somebody", role)
    client = his.sign_in("somebody", client=his.browser())
    token = his.csrf(client, "/password")
    wrong = []
    for rule in his.app.url_map.iter_rules():
        roles = TABLE[rule.endpoint]
        if roles is EVERYBODY or rule.endpoint == "staff.logout":
            continue
        path = re.sub(r"<[^>]+>", "1", rule.rule)
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            answer = client.open(path, method=method, data={"csrf_token": token} if method == "POST" else None)
            if (answer.status_code == 403) is (role in roles):
                wrong.append((method, path, answer.status_code))
    assert wrong == []


def test_every_address_asks_for_a_sign_in(his: His) -> None:
    wrong = []
    for rule in his.app.url_map.iter_rules():
        if rule.endpoint in PUBLIC:
            continue
        path = re.sub(r"<[^>]+>", "1", rule.rule)
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            answer = his.client.open(path, method=method)
            expected = (302, 308) if method == "GET" else (401,)
            if answer.status_code not in expected:
                wrong.append((method, path, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("role", list(Role))
def test_the_bar_shows_what_the_role_may_open_and_it_opens(his: His, role: Role) -> None:
    his.add_staff("somebody", role)
    client = his.sign_in("somebody", client=his.browser())
    page = client.get("/posture").text
    shown = re.findall(r'<a href="([^"]+)" accesskey="\w"', page)
    expected = [section for section in SECTIONS if role in (TABLE[section.endpoint] or ())]
    assert len(shown) == len(expected)
    for path in shown:
        assert client.get(path, follow_redirects=True).status_code == 200
    assert client.get("/", follow_redirects=True).status_code == 200


def test_a_page_for_other_roles_says_who_may(his: His) -> None:
    answer = his.sign_in("zhou").get("/console")
    assert answer.status_code == 403
    assert "It is for: manager, administrator. You are: registrar." in answer.text


@pytest.mark.parametrize(
    "headers, status",
    [
        pytest.param({}, 302, id="a-browser-that-sends-none"),
        pytest.param({"Origin": "http://localhost"}, 302, id="our-own-page"),
        pytest.param({"Origin": "http://evil.example"}, 403, id="another-site"),
        pytest.param({"Origin": "http://localhost:8081"}, 403, id="another-port"),
        pytest.param({"Origin": "null"}, 403, id="a-page-without-origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="cross-site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="another-host-of-the-site"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, 302, id="same-origin"),
    ],
)
def test_only_our_own_pages_may_post(his: His, headers: dict[str, str], status: int) -> None:
    form = {"csrf_token": his.csrf(his.client), "code": "gu", "password": PASSWORD}
    assert his.client.post("/login", data=form, headers=headers).status_code == status


def test_a_sign_in_without_its_token_is_asked_for_again(his: His) -> None:
    answer = his.client.post("/login", data={"code": "gu", "password": PASSWORD})
    assert answer.status_code == 401
    assert his.client.get("/console").status_code == 302


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_the_cookie(tmp_path: Path, secure: bool) -> None:
    with a_his(tmp_path, secure=secure) as his:
        base = "https://localhost" if secure else "http://localhost"
        headers = his.client.get("/login", base_url=base).headers.getlist("Set-Cookie")
    [cookie] = [header for header in headers if "edge=" in header]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie and "Domain" not in cookie
    assert ("Secure" in cookie, cookie.startswith("__Host-edge=")) == (secure, secure)


@pytest.mark.parametrize("path", ["/login", "/console", "/nope", "/healthz", "/api/status", "/static/app.css"])
def test_the_headers_of_every_answer(his: His, path: str) -> None:
    with his.sign_in("gu").get(path) as answer:
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert ("no-store" in headers["Cache-Control"]) == (not path.startswith("/static"))


def pages(his: His) -> Iterator[tuple[str, str]]:
    gu = his.sign_in("gu", client=his.browser())
    yield "/login", his.browser().get("/login").text
    for path in ("/console", "/password", "/posture", "/nope", "/reception"):
        yield path, gu.get(path).text


def test_pages_hold_no_style_and_no_script_of_their_own_and_nothing_foreign(his: His) -> None:
    for path, page in pages(his):
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*src=)|\son\w+=|javascript:", page), path
        assert re.findall(r'(?:src|href|action)="(?!/|#)([^"]*)"', page) == [], path
        assert len(re.findall("<h1", page)) == 1, path
        assert re.search(r'<html lang="en">', page), path


def test_static_files_are_kept_until_they_change(his: His) -> None:
    found = re.search(r'href="(/static/app\.css\?v=\w+)"', his.client.get("/login").text)
    assert found
    with his.client.get(found[1]) as answer:
        assert answer.status_code == 200 and "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path, leads_to",
    [
        ("/language/zh_Hans_CN?next=/posture", "/posture"),
        ("/language/zh_Hans_CN?next=//evil.example", "/"),
        ("/language/zh_Hans_CN", "/"),
        ("/language/tlh?next=/posture", "/posture"),
    ],
)
def test_the_language_is_this_computers_choice(his: His, path: str, leads_to: str) -> None:
    assert his.client.get(path).location == leads_to
    expected = 'lang="en"' if "tlh" in path else 'lang="zh-Hans-CN"'
    assert f"<html {expected}>" in his.client.get("/posture").text


def test_without_a_choice_the_clinics_language_speaks(his: His) -> None:
    fresh: FlaskClient = his.app.test_client()
    assert "<h1>登录</h1>" in fresh.get("/login").text


def test_the_line_alone_is_the_line_of_the_page(his: His) -> None:
    line = his.client.get("/posture/line").text.strip()
    assert line.startswith('<section class="posture posture--online" id="posture" role="status"')
    assert line in his.client.get("/posture").text


def test_a_form_from_before_the_last_sign_in_comes_back_to_be_confirmed(his: His) -> None:
    his.sign_in("gu")
    old = his.csrf(his.client, "/password")
    his.sign_in("gu")
    answer = his.client.post("/logout", data={"csrf_token": old, "note": "typed <before>"})
    assert answer.status_code == 400 and "typed &lt;before&gt;" in answer.text
    fields = hidden_fields(answer.text)
    again = {name: fields[name] for name in ("csrf_token", "note")}
    assert his.client.post("/logout", data=again).location == "/login"
