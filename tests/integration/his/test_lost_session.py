"""A form posted after the session was lost: not a character is lost, and nothing is saved twice or unasked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from edge_node.his import request_key
from edge_node.his.context import context, write
from edge_node.his.permissions import TABLE, Permissions
from edge_node.his.security import PERMISSIONS
from edge_node.his.staff.model import Role
from tests.support.his import PASSWORD, His, a_his, hidden_fields

TYPED = "5 天前受凉后咳嗽，<b>初为干咳</b>，“夜间重”\n第二行 & more"


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    """The HIS with one form of the kind that every section has."""
    saved = Blueprint("saved", __name__)

    @saved.post("/note")
    def note() -> Response:
        token, text, at = request_key.posted(request.form), request.form["text"], context().clock.wall_ms()
        tags = ",".join(request.form.getlist("tag"))
        return redirect(
            write(lambda conn: request_key.once(conn, token, lambda _: f"/saved/{len(text)}/{tags}", at=at))
        )

    with a_his(tmp_path) as his:
        his.app.register_blueprint(saved)
        his.app.extensions[PERMISSIONS] = Permissions({**TABLE, "saved.note": frozenset({Role.DOCTOR})})
        his.add_staff("shen", Role.DOCTOR)
        his.add_staff("zhou", Role.REGISTRAR)
        yield his


def saved(his: His) -> list[str]:
    return [row["result"] for row in his.conn.execute("SELECT result FROM request_key")]


def lose_the_session(his: His, typed: str = TYPED) -> tuple[str, dict[str, object]]:
    """Sign in, open a form, be idle for too long, post it; the answer's page and what was posted."""
    his.sign_in("shen")
    form: dict[str, object] = {
        "csrf_token": his.csrf(his.client, "/password"),
        "request_key": request_key.new(),
        "text": typed,
        "tag": ["a", "b"],
        "password": "not to be carried",
    }
    his.clock.advance(16 * 60)
    answer = his.client.post("/note?draft=1", data=form)
    assert answer.status_code == 401
    return answer.text, form


def test_the_form_comes_back_after_the_sign_in_and_is_saved_once(his: His) -> None:
    page, form = lose_the_session(his)
    assert "What you typed is kept" in page and "not to be carried" not in page
    assert saved(his) == []

    his.sign_in("shen", kept=hidden_fields(page)["kept"])
    offered = his.last.text
    assert his.last.status_code == 200 and saved(his) == [], "nothing is saved before the person says so"
    assert "第二行 &amp; more" in offered
    action = re.search(r'method="post" action="([^"]+)"', offered.split("<main")[1])
    assert action and action[1] == "/note?draft=1"

    fields = hidden_fields(offered.split("<main")[1])
    assert fields["text"] == TYPED.replace("\n", "\n") and fields["request_key"] == form["request_key"]
    again = {"csrf_token": fields["csrf_token"], "request_key": fields["request_key"], "text": fields["text"]}
    answers = [his.client.post(action[1], data={**again, "tag": ["a", "b"]}).location for _ in range(2)]
    assert answers == [f"/saved/{len(TYPED)}/a,b"] * 2
    assert len(saved(his)) == 1
    assert re.findall(r'name="tag" value="(\w)"', offered) == ["a", "b"]


def test_a_wrong_password_in_between_loses_nothing(his: His) -> None:
    page, _ = lose_the_session(his)
    his.sign_in("shen", password="wrong password", kept=hidden_fields(page)["kept"])
    assert his.last.status_code == 422
    his.sign_in("shen", kept=hidden_fields(his.last.text)["kept"])
    assert "第二行 &amp; more" in his.last.text


def test_somebody_else_who_signs_in_may_look_but_not_save_what_is_not_theirs_to_save(his: His) -> None:
    page, _ = lose_the_session(his)
    his.sign_in("zhou", kept=hidden_fields(page)["kept"])
    fields = hidden_fields(his.last.text.split("<main")[1])
    answer = his.client.post("/note?draft=1", data=fields)
    assert answer.status_code == 403 and "It is for: doctor" in answer.text
    assert "第二行 &amp; more" in answer.text, "still not lost"
    assert saved(his) == []


def test_an_open_page_learns_that_its_desk_has_locked_itself(his: His) -> None:
    assert "Edge-Desk" not in his.client.get("/posture/line").headers, "nobody was here"
    his.sign_in("shen")
    assert "Edge-Desk" not in his.client.get("/posture/line").headers
    his.clock.advance(16 * 60)
    assert his.client.get("/posture/line").headers["Edge-Desk"] == "locked"


def test_what_a_locked_desk_hands_over_is_kept_and_never_done(his: His) -> None:
    """Also when somebody has signed in again in another window in this very moment."""
    his.sign_in("shen")
    answer = his.post(his.client, "/note", text="typed", desk_locked="yes")
    assert answer.status_code == 401 and saved(his) == []
    his.sign_in("shen", kept=hidden_fields(answer.text)["kept"])
    assert "typed" in his.last.text and "desk_locked" not in his.last.text


def test_another_site_cannot_plant_a_form_in_the_sign_in(his: His) -> None:
    answer = his.client.post("/note", data={"text": "planted"}, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403 and 'name="kept"' not in answer.text


def test_a_form_that_leads_elsewhere_is_forgotten(his: His) -> None:
    his.sign_in("shen", kept='["https://evil.example/", [["text", "x"]]]')
    assert his.last.status_code == 302
    assert "evil" not in his.last.location


def test_a_page_that_was_only_asked_for_is_asked_for_again(his: His) -> None:
    his.sign_in("shen")
    his.clock.advance(16 * 60)
    assert his.client.get("/posture?x=1").status_code == 200
    assert his.client.get("/password?x=1").location == "/login?next=/password?x%3D1"


def test_a_form_waits_behind_a_first_password_too(his: His) -> None:
    his.add_staff("lin", Role.DOCTOR, must_change=True)
    page, _ = lose_the_session(his)
    his.sign_in("lin", kept=hidden_fields(page)["kept"])
    assert "Choose one that only you know" in his.last.text
    fields = {"password": PASSWORD, "new_password": "three new words", "new_password_again": "mistyped"}
    refused = his.post(his.client, "/password", **fields, kept=hidden_fields(his.last.text)["kept"])
    assert refused.status_code == 422
    fields["new_password_again"] = "three new words"
    done = his.post(his.client, "/password", **fields, kept=hidden_fields(refused.text)["kept"])
    assert "is this still right?" in done.text and "第二行 &amp; more" in done.text
