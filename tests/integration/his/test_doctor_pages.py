"""The doctor's pages through a browser's client: the queue, the note while it is written, and who may see it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_node.his import request_key
from edge_node.his.encounters import queries, versions
from edge_node.his.encounters.note import to_json
from tests.support.doctor_pages import TYPED, actions, get, newest, post, words
from tests.support.encounters import NOTE, Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.sign_in("shen")
        yield clinic


# The queue.


def test_an_empty_queue_says_what_would_be_here(clinic: Clinic) -> None:
    page = words(get(clinic, "/encounters/"))
    assert "Nobody is waiting" in page
    assert "Patients appear here as soon as they are registered" in page


def test_call_next_opens_the_first_patient(clinic: Clinic) -> None:
    clinic.comes("王秀兰")
    clinic.comes("曾国强")
    answer = clinic.his.post(clinic.his.client, "/encounters/call")
    page = clinic.his.client.get(answer.location)
    assert (answer.status_code, page.status_code) == (302, 200)
    assert "王秀兰" in page.text.split("patient__name")[1][:200]
    assert "with you" in words(page)


def test_a_double_click_calls_one_patient(clinic: Clinic) -> None:
    clinic.comes("王秀兰")
    clinic.comes("曾国强")
    key = request_key.new()
    first, second = (
        clinic.his.post(clinic.his.client, "/encounters/call", request_key=key).location for _ in range(2)
    )  # fmt: skip
    assert first == second
    assert clinic.call_next("guo") == "曾国强", "the second patient still waits"


def test_somebody_of_the_queue_is_looked_at_and_then_called_in(clinic: Clinic) -> None:
    entry = clinic.comes("王秀兰")
    path = f"/encounters/queue/{entry.registration_id}"
    assert "any doctor" in words(get(clinic, path))
    assert queries.of_registration(clinic.his.conn, entry.registration_id) is None, "looking begins nothing"
    answer = clinic.his.post(clinic.his.client, path)
    encounter = queries.of_registration(clinic.his.conn, entry.registration_id)
    assert encounter is not None
    assert answer.location == f"/encounters/{encounter.id}"
    assert clinic.his.client.get(path).location == f"/encounters/{encounter.id}"


def test_whoever_is_slower_sees_who_has_the_patient(clinic: Clinic) -> None:
    entry = clinic.comes("王秀兰")
    clinic.call_next("guo")
    answer = clinic.his.post(clinic.his.client, f"/encounters/queue/{entry.registration_id}")
    page = clinic.his.client.get(answer.location, follow_redirects=True)
    assert page.status_code == 200
    encounter = queries.of_registration(clinic.his.conn, entry.registration_id)
    assert encounter is not None
    assert encounter.doctor_name == "郭宁"


def test_a_patient_who_did_not_come_waits_again(clinic: Clinic) -> None:
    encounter_id = clinic.begun("王秀兰")
    assert 'title="Did not come: back to the queue">Did not come<' in get(clinic, f"/encounters/{encounter_id}").text
    answer = clinic.his.post(clinic.his.client, f"/encounters/{encounter_id}/back")
    assert answer.location == "/encounters/"
    assert "1 patient waits for you" in words(get(clinic, "/encounters/"))
    assert actions(clinic) == ["viewed", "encounter_put_back"]


def test_calling_the_next_one_keeps_the_draft(clinic: Clinic) -> None:
    encounter_id = clinic.begun("单雅琴")
    clinic.comes("王秀兰")
    answer = post(clinic, encounter_id, **TYPED | {"action": "call"})
    assert "王秀兰" in clinic.his.client.get(answer.location).text.split("patient__name")[1][:200]
    assert newest(clinic, encounter_id).complaint == TYPED["complaint"]


# The note.


def test_a_draft_is_kept_and_comes_back(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    answer = post(clinic, encounter_id, **TYPED)
    assert (answer.status_code, answer.location) == (302, f"/encounters/{encounter_id}")
    page = get(clinic, answer.location)
    for shown in ('value="cough for 5 days"', 'value="37.6"', 'value="138/86"', "yellow since 3 days"):
        assert shown in page.text
    assert "Draft 1, saved" in words(page)
    assert "Fever, 37.6 ℃" in words(page)


def test_what_is_typed_is_text_and_nothing_else(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    evil = '</textarea><script>alert(1)</script>" onfocus=x'
    for field in ("complaint", "history", "temperature", "diagnosis", "dx"):
        typed: dict[str, Any] = {field: evil, "revision": str(len(versions.drafts(clinic.his.conn, encounter_id)))}
        post(clinic, encounter_id, **typed)
    sought = post(clinic, encounter_id, dx=evil, revision=str(len(versions.drafts(clinic.his.conn, encounter_id))))
    for path in (sought.location, f"/encounters/{encounter_id}/versions"):
        page = get(clinic, path)
        assert page.status_code == 200
        assert "<script>" not in page.text.replace("<script src", "")
        assert '" onfocus=x' not in page.text


def test_a_line_that_begins_a_text_area_stays(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, history="first\r\n\r\nthird")
    page = get(clinic, f"/encounters/{encounter_id}")
    assert re.search(r'<textarea id="history"[^>]*>\nfirst\n\nthird</textarea>', page.text)


@pytest.mark.parametrize(
    "fields, diagnoses, stays",
    [
        pytest.param({"dx": "jxzqgy", "action": "find"}, ["J20.900"], "", id="the-only-match-is-added"),
        pytest.param({"dx": "J06.900", "action": "enter"}, ["J06.900"], "", id="enter-in-the-field"),
        pytest.param({"dx": "jx", "action": "find"}, [], "jx", id="several-are-shown"),
        pytest.param({"dx": "xyzzy", "action": "find"}, [], "xyzzy", id="none-is-said"),
        pytest.param({"dx": "jx", "add": "J02.900|急性咽炎", "action": ""}, ["J02.900"], "", id="one-of-those-shown"),
        pytest.param({"dx": "乏力", "add": "乏力", "action": ""}, [""], "", id="own-words"),
        pytest.param({"dx": "jxzqgy", "action": "save"}, [], "jxzqgy", id="saving-keeps-what-is-typed"),
        pytest.param(
            {"diagnosis": ["A|a", "B|b"], "main": "B|b", "action": ""},
            ["B", "A"],
            "",
            id="another-becomes-the-main-one",
        ),
        pytest.param({"diagnosis": ["A|a", "B|b"], "remove": "A|a", "action": ""}, ["B"], "", id="one-is-removed"),
    ],
)
def test_diagnoses_without_script(clinic: Clinic, fields: dict[str, Any], diagnoses: list[str], stays: str) -> None:
    encounter_id = clinic.begun()
    answer = post(clinic, encounter_id, complaint="cough", **fields)
    page = get(clinic, answer.location)
    assert [diagnosis.code for diagnosis in newest(clinic, encounter_id).diagnoses] == diagnoses
    assert newest(clinic, encounter_id).complaint == "cough", "the note was kept on the way"
    assert (f'id="dx" name="dx" form="note" value="{stays}"' in page.text) is True


def test_enter_keeps_the_draft_and_neither_calls_nor_signs(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    page = get(clinic, f"/encounters/{encounter_id}").text
    tags = [tag for tag in re.findall(r"<button[^>]*>", page) if 'form="note"' in tag]
    buttons = [value for tag in tags for value in re.findall(r'value="([^"]*)"', tag)]
    assert buttons[0] == "enter", "a browser presses the form's first button of the page"
    assert {"call", "find", "save", "sign"} < set(buttons)
    answer = post(clinic, encounter_id, complaint="cough", action="enter")
    assert answer.location == f"/encounters/{encounter_id}"
    assert newest(clinic, encounter_id).complaint == "cough"


def test_matches_are_numbered_and_none_is_a_way_on(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    several = get(clinic, post(clinic, encounter_id, dx="jx", action="find").location).text
    assert [int(key) for key in re.findall(r'data-key="(\d)"', several)] == [1, 2, 3, 4, 5, 6, 7]
    nothing = post(clinic, encounter_id, dx="xyzzy", action="find").location
    assert "Nothing in the catalogue" in words(get(clinic, nothing))


@pytest.mark.parametrize(
    "code, label, shown",
    [
        pytest.param("en", "Remove: Acute bronchitis", True, id="english"),
        pytest.param("zh_Hans_CN", "急性支气管炎", False, id="chinese"),
    ],
)
def test_names_of_diagnoses_follow_the_page(clinic: Clinic, code: str, label: str, shown: bool) -> None:
    encounter_id = clinic.begun()
    clinic.save(encounter_id, NOTE, based_on=0)
    clinic.his.client.set_cookie("lang", code)
    page = get(clinic, f"/encounters/{encounter_id}").text
    assert re.search(rf'aria-label="[^"]*{label}"', page)
    assert ("Acute bronchitis" in page) is shown
    assert "急性支气管炎" in page, "what is signed is the Chinese name"


def test_a_draft_that_is_too_long_is_given_back_whole(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    answer = post(clinic, encounter_id, history="x" * 10_001)
    assert answer.status_code == 422
    assert "10001 characters are more than can be kept" in words(answer)
    assert "x" * 10_001 in answer.text
    assert versions.drafts(clinic.his.conn, encounter_id) == []


# Who may, and what is no page.


def test_a_record_leads_a_doctor_to_the_encounters(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    encounter = queries.get(clinic.his.conn, encounter_id)
    assert encounter is not None
    path, link = f"/patients/{encounter.patient_id}", f'href="/encounters/{encounter_id}"'
    assert link in get(clinic, path).text
    clinic.his.sign_in("zhou")
    assert link not in get(clinic, path).text, "a registrar may not see notes"


def test_more_earlier_visits_than_fit_are_behind_a_link(clinic: Clinic) -> None:
    first = clinic.begun()
    encounter = queries.get(clinic.his.conn, first)
    assert encounter is not None
    for _ in range(5):
        clinic.comes("", patient_id=encounter.patient_id)
        clinic.call_next("shen")
    page = get(clinic, f"/encounters/{first}").text
    assert f'<a href="/patients/{encounter.patient_id}">All visits</a>' in page


@pytest.mark.parametrize("path", ["/{encounter}", "/{encounter}?amend=1", "/{encounter}/versions"])
def test_no_title_carries_a_name(clinic: Clinic, path: str) -> None:
    encounter_id = clinic.begun("单雅琴")
    clinic.sign(encounter_id)
    page = get(clinic, "/encounters" + path.format(encounter=encounter_id)).text
    title = page[page.index("<title>") : page.index("</title>")]
    assert "单雅琴" in page and "单雅琴" not in title, "the browser keeps titles in its history"


def test_what_was_found_is_what_the_page_shows(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    answer = post(clinic, encounter_id, **TYPED, dx="急性", action="find")
    assert answer.location.endswith("#found")
    assert re.search(r'<button[^>]* id="found" autofocus[^>]* data-key="1"', get(clinic, answer.location).text)


@pytest.mark.parametrize("path", ["", "/", "/{encounter}", "/{encounter}/versions"])
def test_only_doctors_see_notes(clinic: Clinic, path: str) -> None:
    encounter_id = clinic.begun()
    clinic.his.sign_in("zhou")
    answer = clinic.his.client.get(f"/encounters{path.format(encounter=encounter_id)}", follow_redirects=True)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/encounters/none", "/encounters/none/versions", "/encounters/queue/none"])
def test_what_is_not_there(clinic: Clinic, path: str) -> None:
    assert clinic.his.client.get(path).status_code == 404
    assert clinic.his.post(clinic.his.client, path).status_code in (404, 405)


@pytest.mark.parametrize(
    "path, fields",
    [
        pytest.param("", {"revision": ""}, id="no-revision"),
        pytest.param("", {"revision": "x"}, id="no-number"),
        pytest.param("/settle", {"revision": "1", "based_on": "0"}, id="nothing-of-mine"),
        pytest.param("/settle", {"revision": "1", "based_on": "0", "mine": "[]"}, id="mine-is-no-note"),
        pytest.param("/settle", {"revision": "1", "based_on": "", "mine": to_json(NOTE)}, id="based-on-nothing"),
    ],
)
def test_a_form_that_is_not_ours_is_refused(clinic: Clinic, path: str, fields: dict[str, str]) -> None:
    encounter_id = clinic.begun()
    answer = clinic.his.post(clinic.his.client, f"/encounters/{encounter_id}{path}", **fields)
    assert answer.status_code == 400
    assert versions.drafts(clinic.his.conn, encounter_id) == []


def test_a_revision_that_does_not_exist(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    assert get(clinic, f"/encounters/{encounter_id}/versions").status_code == 200, (
        "nothing is saved yet, and it says so"
    )
    clinic.save(encounter_id, NOTE, based_on=0)
    assert get(clinic, f"/encounters/{encounter_id}/versions?revision=7").status_code == 404


def test_every_look_at_a_note_is_logged(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    get(clinic, f"/encounters/{encounter_id}")
    get(clinic, f"/encounters/{encounter_id}/versions")
    rows = clinic.his.conn.execute("SELECT staff_id, action, object, detail FROM audit_log WHERE action = 'viewed'")
    assert [(row["staff_id"], row["object"], json.loads(row["detail"])) for row in rows] == [
        (clinic.staff["shen"], f"encounter:{encounter_id}", {}),
        (clinic.staff["shen"], f"encounter:{encounter_id}", {"page": "versions"}),
    ]


def test_no_words_of_the_note_reach_the_audit_log(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED)
    post(clinic, encounter_id, **TYPED | {"action": "sign", "revision": "1"})
    details = [row["detail"] for row in clinic.his.conn.execute("SELECT detail FROM audit_log")]
    assert not [detail for detail in details if "cough" in detail or "J20" in detail]
