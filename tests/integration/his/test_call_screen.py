"""The screen of the waiting room: open to the clinic's network once it is switched on, and nothing of a person beside a
masked name; the room of a computer; calling again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.datastructures import MultiDict

from edge_node.his import request_key
from edge_node.his.settings.model import CALL_SCREEN
from edge_node.his.staff.model import Role
from edge_node.simulation.page import Page
from edge_node.store.connection import Connection
from tests.support.doctor_pages import TYPED, actions, post, words
from tests.support.encounters import Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.sign_in("shen")
        yield clinic


def switch(clinic: Clinic, shows: str) -> None:
    def work(conn: Connection) -> None:
        conn.execute(
            "INSERT INTO setting (key, value, updated_at) VALUES (?, ?, 1) ON CONFLICT (key) DO UPDATE SET value = ?2",
            (CALL_SCREEN, shows),
        )

    clinic.his.write(work)


def screen(clinic: Clinic, address: str = "/calling") -> str:
    """What a stranger reads on it, asked from a computer where nobody has signed in."""
    answer = clinic.his.browser().get(address)
    assert answer.status_code == 200
    return words(answer)


def choose_room(clinic: Clinic, room: str) -> None:
    assert clinic.his.post(clinic.his.client, "/calling/room", room=room).location == "/encounters/"


def test_it_says_nothing_until_it_is_switched_on(clinic: Clinic) -> None:
    clinic.comes("单雅琴")
    assert "switched off" in screen(clinic) and "内" not in screen(clinic)
    switch(clinic, "numbers")
    assert "内 01" in screen(clinic) and "琴" not in screen(clinic)
    switch(clinic, "names")
    assert "内 01 单*琴" in screen(clinic)


def test_the_settings_switch_it(clinic: Clinic) -> None:
    clinic.comes("单雅琴")
    clinic.his.add_staff("gu", Role.ADMIN)
    gu = clinic.his.sign_in("gu", client=clinic.his.browser())
    form = Page(path="/settings", status=200, html=gu.get("/settings").text).form("/settings")
    assert form.value("call_screen") == "off"
    assert gu.post("/settings", data=MultiDict(form.filled({"call_screen": "numbers"}))).status_code == 302
    assert "内 01" in screen(clinic) and "琴" not in screen(clinic)


def test_called_to_a_room_and_called_again(clinic: Clinic) -> None:
    switch(clinic, "names")
    clinic.comes("单雅琴")
    clinic.comes("欧阳淑贞")
    choose_room(clinic, " 3  诊室 ")
    his = clinic.his
    encounter = his.post(his.client, "/encounters/call").location
    assert re.search(r"Internal medicine 内 01 单\*琴 → 3 诊室 内 02 欧\*贞", screen(clinic))
    assert "calling__call--new" in his.browser().get("/calling").text
    his.clock.advance(120)
    assert "calling__call--new" not in his.browser().get("/calling").text

    assert "Call again" in his.client.get(encounter).text
    choose_room(clinic, "")
    token = request_key.new()
    answers = [
        his.post(his.client, encounter.replace("encounters", "calling") + "/again", request_key=token) for _ in "ab"
    ]
    assert {answer.location for answer in answers} == {encounter}
    assert actions(clinic).count("called_again") == 1, "a double click is one call"
    page = his.browser().get("/calling").text
    assert "calling__call--new" in page and "沈立群" in page and "3 诊室" not in page


def test_who_does_not_come_is_asked_to_the_desk(clinic: Clinic) -> None:
    switch(clinic, "names")
    clinic.comes("单雅琴")
    clinic.comes("欧阳淑贞")
    his = clinic.his
    encounter = his.post(his.client, "/encounters/call").location
    his.post(his.client, f"{encounter}/back")
    assert re.search(r"— 内 02 欧\*贞 Called, please come to the desk: 内 01$", screen(clinic))
    assert his.post(his.client, encounter.replace("encounters", "calling") + "/again").status_code == 302
    assert "called_again" not in actions(clinic), "who is not with the doctor is called from the queue"


def test_nothing_but_number_and_masked_name(clinic: Clinic) -> None:
    """Whatever is known of a person, none of it is in the page; nor in what a script asks for."""
    switch(clinic, "names")
    zhou = clinic.his.sign_in("zhou", client=clinic.his.browser())
    clinic.his.post(
        zhou, "/reception", name="诸葛孔明", sex="1", birth_date="1981-07-23", id_type="none", phone="13805162207",
        address="西城街道桂花里 12 号", occupation="教师", department_id=clinic.departments["tcm"],
    )  # fmt: skip
    clinic.his.post(clinic.his.client, "/encounters/call", all="1")
    page = clinic.his.browser().get("/calling").text
    assert "诸*明" in page
    (patient_id, mrn, visit_no, registration_id) = clinic.his.conn.execute(
        "SELECT patient.id, mrn, visit_no, registration.id FROM patient JOIN registration ON patient_id = patient.id"
    ).fetchone()
    for secret in ("葛", "孔", "1981", "13805162207", "桂花里", "教师", patient_id, mrn, visit_no, registration_id):
        assert secret not in page, secret


def test_departments_of_the_address(clinic: Clinic) -> None:
    switch(clinic, "numbers")
    clinic.comes("单雅琴")
    clinic.comes("小满", department="paediatrics")
    clinic.comes("陶然", department="tcm")
    assert re.findall("[内儿中] 01", screen(clinic, "/calling?department=tcm&department=paediatrics")) == [
        "儿 01",
        "中 01",
    ]
    assert re.findall("[内儿中] 01", screen(clinic, "/calling?department=nowhere")) == ["内 01", "儿 01", "中 01"]
    clinic.his.clock.advance(86_400)
    assert screen(clinic).endswith("Nobody is waiting"), "yesterday's are not called"


def test_it_comes_again_without_script_and_keeps_no_session_alive(clinic: Clinic) -> None:
    switch(clinic, "names")
    his = clinic.his
    page = his.client.get("/calling").text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert 'id="live" data-from="/calling"' in page and 'id="live-lost"' in page
    for _ in range(4):
        his.clock.advance(5 * 60)
        assert his.client.get("/calling").status_code == 200
    assert his.client.get("/encounters/").status_code == 302, "the desk has locked itself"


@pytest.mark.parametrize("typed", ["甲" * 13, "<b>3</b>\u202e"])
def test_a_room_that_cannot_be(clinic: Clinic, typed: str) -> None:
    answer = clinic.his.post(clinic.his.client, "/calling/room", room=typed)
    assert answer.status_code == 422 and 'href="#room"' in answer.text
    assert "<b>3</b>" not in answer.text
    assert "You call without a room" in clinic.his.client.get("/encounters/").text


def test_a_room_that_somebody_wrote_into_the_cookie(clinic: Clinic) -> None:
    switch(clinic, "names")
    clinic.comes("单雅琴")
    clinic.his.client.set_cookie("room", "x" * 400)
    clinic.his.post(clinic.his.client, "/encounters/call")
    (room,) = clinic.his.conn.execute("SELECT room FROM registration").fetchone()
    assert room == ""


def test_a_call_of_the_release_before_is_shown_without_its_room(clinic: Clinic) -> None:
    switch(clinic, "names")
    clinic.begun()
    clinic.his.write(lambda conn: conn.execute("UPDATE registration SET called_at = NULL, room = ''"))
    assert "内 01 单*琴 → 沈立群" in screen(clinic)


def test_who_is_being_seen_stays_until_the_note_is_signed(clinic: Clinic) -> None:
    switch(clinic, "names")
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED)
    assert "内 01" in screen(clinic)
    clinic.sign(encounter_id, based_on=1)
    assert "内 01" not in screen(clinic)
