"""The doctor's pages through a browser's client: from the queue to the signed note, and what must not happen."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_node.base.clock import ClockState
from edge_node.his import audit, request_key
from edge_node.his.encounters import queries, versions
from edge_node.his.encounters.note import Diagnosis, Note, to_json
from edge_node.status import Mode
from tests.support.encounters import BRONCHITIS, NOTE, Clinic
from tests.support.his import a_his, a_node_status

TYPED = {
    "complaint": "cough for 5 days",
    "history": "Dry at first, yellow since 3 days.",
    "temperature": "３７.６",
    "blood_pressure": "138-86",
    "diagnosis": "J20.900|急性支气管炎",
}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.sign_in("shen")
        yield clinic


def words(answer: TestResponse) -> str:
    """What a person reads on a page."""
    main = answer.text[answer.text.index("<main") :]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", main))).strip()


def post(clinic: Clinic, encounter_id: str, *, client: FlaskClient | None = None, **fields: Any) -> TestResponse:
    form = {"revision": "0", "version": "1", "action": "save", **fields}
    return clinic.his.post(client or clinic.his.client, f"/encounters/{encounter_id}", **form)


def get(clinic: Clinic, path: str) -> TestResponse:
    return clinic.his.client.get(path, follow_redirects=True)


def newest(clinic: Clinic, encounter_id: str) -> Note:
    draft = versions.newest_draft(clinic.his.conn, encounter_id)
    return draft.note if draft else Note()


def actions(clinic: Clinic) -> list[str]:
    rows = clinic.his.conn.execute("SELECT action FROM audit_log WHERE object LIKE 'encounter:%' ORDER BY seq")
    return [row["action"] for row in rows]


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
    assert "Did not come: back to the queue" in words(get(clinic, f"/encounters/{encounter_id}"))
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
        post(clinic, encounter_id, revision=str(len(versions.drafts(clinic.his.conn, encounter_id))), **{field: evil})
    for path in (f"/encounters/{encounter_id}?dx=<script>", f"/encounters/{encounter_id}/versions"):
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
    several = get(clinic, f"/encounters/{encounter_id}?dx=jx").text
    assert [int(key) for key in re.findall(r'data-key="(\d)"', several)] == [1, 2, 3, 4, 5, 6, 7]
    assert "Nothing in the catalogue" in words(get(clinic, f"/encounters/{encounter_id}?dx=xyzzy"))


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


# The signature.


def test_a_note_is_signed(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    answer = post(clinic, encounter_id, **TYPED | {"action": "sign"})
    page = words(get(clinic, answer.location))
    assert answer.location == f"/encounters/{encounter_id}"
    for shown in (
        "Signed",
        "Version 1",
        "沈立群",
        "cough for 5 days",
        "37.6 ℃",
        "138/86 mmHg",
        "急性支气管炎",
        "J20.900",
    ):
        assert shown in page
    (version,) = versions.versions(clinic.his.conn, encounter_id)
    assert (version.author_id, version.clock_state, version.mode) == (clinic.staff["shen"], "synced", "online")
    assert actions(clinic) == ["note_signed", "viewed"]
    assert audit.verify(clinic.his.conn) is None


def test_the_sign_button_is_held_with_its_reasons_beside_it(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    page = get(clinic, f"/encounters/{encounter_id}")
    held = re.search(r"<button[^>]*btn--held[^>]*>", page.text)
    assert held is not None
    assert 'aria-disabled="true"' in held[0] and 'aria-describedby="still"' in held[0]
    assert "disabled" not in held[0].replace("aria-disabled", ""), "it can be focused and pressed"
    assert "Cannot be signed yet: The complaint is missing ; A diagnosis is missing" in words(page)
    assert re.search(r'id="still">.*?<a href="#complaint">.*?<a href="#dx">', page.text, re.DOTALL)
    post(clinic, encounter_id, **TYPED)
    assert "btn--held" not in get(clinic, f"/encounters/{encounter_id}").text


def test_pressing_the_held_button_with_everything_typed_signs(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    assert post(clinic, encounter_id, **TYPED | {"action": "sign"}).status_code == 302
    assert len(versions.versions(clinic.his.conn, encounter_id)) == 1


@pytest.mark.parametrize(
    "changes, field, sentence",
    [
        pytest.param({"complaint": ""}, "complaint", "The complaint is missing", id="no-complaint"),
        pytest.param({"diagnosis": ""}, "dx", "A diagnosis is missing", id="no-diagnosis"),
        pytest.param({"temperature": "376"}, "temperature", "25 to 45, such as 37.6", id="a-lost-point"),
        pytest.param({"dx": "gxy"}, "dx", '"gxy" is typed, but not added to the list', id="a-diagnosis-half-typed"),
    ],
)
def test_what_cannot_be_signed_comes_back_as_typed(
    clinic: Clinic, changes: dict[str, str], field: str, sentence: str
) -> None:
    encounter_id = clinic.begun()
    typed = TYPED | changes
    answer = post(clinic, encounter_id, **typed | {"action": "sign"})
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert f'id="{field}"' in answer.text
    assert sentence in words(answer)
    assert typed["history"] in answer.text
    assert answer.text.count('aria-invalid="true"') == 1
    assert re.search(r"<title>\(1\)", answer.text)
    assert versions.versions(clinic.his.conn, encounter_id) == []


def test_a_double_click_signs_once(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    first, second = (post(clinic, encounter_id, **TYPED | {"action": "sign"}) for _ in range(2))
    assert (first.status_code, first.location) == (second.status_code, second.location)
    assert len(versions.versions(clinic.his.conn, encounter_id)) == 1


@pytest.mark.parametrize("state", list(ClockState))
def test_the_signature_carries_the_clock_and_the_mode(clinic: Clinic, state: ClockState) -> None:
    clinic.his.status = a_node_status(clock=state, mode=Mode.OFFLINE)
    encounter_id = clinic.begun()
    warned = "The clock of this node cannot be right." in words(get(clinic, f"/encounters/{encounter_id}"))
    assert warned is (state is ClockState.SUSPECT)
    post(clinic, encounter_id, **TYPED | {"action": "sign"})
    (version,) = versions.versions(clinic.his.conn, encounter_id)
    assert (version.clock_state, version.mode) == (state, "offline")
    assert ("clock suspect" in words(get(clinic, f"/encounters/{encounter_id}"))) is (state is ClockState.SUSPECT)


def test_an_amendment_needs_a_change_and_its_reason(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED | {"action": "sign"})
    form = get(clinic, f"/encounters/{encounter_id}?amend=1")
    assert "Version 1 of 沈立群" in words(form)
    assert "Cannot be signed yet: Say why the signed note is changed" in words(form)
    unchanged = post(clinic, encounter_id, **TYPED | {"action": "sign", "revision": "1", "version": "2"})
    assert unchanged.status_code == 422
    assert "Say why the signed note is changed" in words(unchanged)
    assert "Nothing differs from the signed version" in words(unchanged)
    post(
        clinic, encounter_id,
        **TYPED
        | {"action": "sign", "revision": "1", "version": "2", "complaint": "cough for 6 days", "reason": "misheard"},
    )  # fmt: skip
    page = words(get(clinic, f"/encounters/{encounter_id}"))
    assert "Version 2" in page and "misheard" in page and "cough for 6 days" in page
    trace = words(get(clinic, f"/encounters/{encounter_id}/versions?revision=2"))
    assert "cough for 5 6 days" in trace, "both are readable, one struck and one marked"


def test_a_begun_amendment_keeps_its_reason_and_is_announced(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED | {"action": "sign"})
    answer = post(clinic, encounter_id, **TYPED | {"revision": "1", "complaint": "changed", "reason": "half a reason"})
    assert answer.location == f"/encounters/{encounter_id}?amend=1"
    assert 'value="half a reason"' in get(clinic, answer.location).text
    page = words(get(clinic, f"/encounters/{encounter_id}"))
    assert "A change of this note is begun and not signed." in page
    assert "cough for 5 days" in page, "what counts is the signed version"


def test_a_note_that_is_not_what_was_signed_is_said_to_be(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED | {"action": "sign"})

    def tamper(conn: versions.Connection) -> None:
        conn.execute("DROP TRIGGER note_version_kept")
        conn.execute("UPDATE note_version SET body = replace(body, '5 days', '9 days')")

    clinic.his.write(tamper)
    assert "Version 1 of this note is not what was signed." in words(get(clinic, f"/encounters/{encounter_id}"))


# Two people at one note.


@pytest.fixture
def overtaken(clinic: Clinic) -> tuple[str, TestResponse]:
    """An encounter whose draft guo changed while shen had it open, and the page that shen gets."""
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **TYPED)
    guo = clinic.his.sign_in("guo", client=clinic.his.browser())
    theirs = TYPED | {
        "history": "Dry at first, yellow since 3 days. Hay fever.",
        "diagnosis": ["J20.900|急性支气管炎", "M10.900|痛风"],
    }
    assert post(clinic, encounter_id, client=guo, **theirs | {"revision": "1"}).status_code == 302
    mine = TYPED | {"history": "Dry at first, yellow since 3 days, worse at night.", "pulse": "88"}
    return encounter_id, post(clinic, encounter_id, **mine | {"revision": "1"})


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return html.unescape(found[1])


def test_both_sides_are_shown_and_put_together(clinic: Clinic, overtaken: tuple[str, TestResponse]) -> None:
    encounter_id, answer = overtaken
    assert answer.status_code == 409
    page = words(answer)
    assert "郭宁 saved draft 2 at" in page
    assert re.search(r"<ins>[^<]*Hay fever[^<]*</ins>", answer.text)
    assert re.search(r"<ins>[^<]*worse at night[^<]*</ins>", answer.text)
    assert "Dry at first, yellow since 3 days, worse at night. Hay fever.</textarea>" in answer.text
    assert 'value="M10.900|痛风" checked' in answer.text
    assert [draft.revision for draft in versions.drafts(clinic.his.conn, encounter_id)] == [2, 1], "nothing is written"


@pytest.mark.parametrize(
    "action, history, pulse, gout",
    [
        pytest.param("merged", "together", "88", True, id="merged"),
        pytest.param("mine", "Dry at first, yellow since 3 days, worse at night.", "88", False, id="mine"),
        pytest.param("saved", "Dry at first, yellow since 3 days. Hay fever.", "", True, id="saved"),
    ],
)
def test_three_ways_out(
    clinic: Clinic, overtaken: tuple[str, TestResponse], action: str, history: str, pulse: str, gout: bool
) -> None:
    encounter_id, page = overtaken
    fields = {name: hidden(page.text, name) for name in ("revision", "based_on", "mine", "complaint", "temperature")}
    answer = clinic.his.post(
        clinic.his.client, f"/encounters/{encounter_id}/settle",
        **fields, action=action, history="together", pulse="88", diagnosis=["J20.900|急性支气管炎", "M10.900|痛风"],
    )  # fmt: skip
    assert (answer.status_code, answer.location) == (302, f"/encounters/{encounter_id}")
    note = newest(clinic, encounter_id)
    assert (note.history, note.pulse, Diagnosis(code="M10.900", name="痛风") in note.diagnoses) == (
        history,
        pulse,
        gout,
    )
    everything = [draft.note.history for draft in versions.drafts(clinic.his.conn, encounter_id)]
    assert "Dry at first, yellow since 3 days. Hay fever." in everything
    assert "Dry at first, yellow since 3 days, worse at night." in everything
    assert actions(clinic)[-1] == "note_conflict_settled"


def test_a_third_save_shows_the_conflict_again(clinic: Clinic, overtaken: tuple[str, TestResponse]) -> None:
    encounter_id, page = overtaken
    clinic.save(encounter_id, replace(NOTE, history="third"), based_on=2, doctor="guo")
    fields = {name: hidden(page.text, name) for name in ("revision", "based_on", "mine")}
    answer = clinic.his.post(
        clinic.his.client, f"/encounters/{encounter_id}/settle", **fields, action="mine", complaint="x"
    )
    assert answer.status_code == 409
    assert "worse at night" in answer.text and "third" in answer.text


def test_a_signature_does_not_pass_over_somebody_elses_save(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    clinic.save(encounter_id, NOTE, based_on=0, doctor="guo")
    assert post(clinic, encounter_id, **TYPED | {"action": "sign"}).status_code == 409
    assert versions.versions(clinic.his.conn, encounter_id) == []


def test_somebody_else_signed_meanwhile(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    clinic.sign(encounter_id, NOTE, doctor="guo")
    answer = post(clinic, encounter_id, **TYPED | {"action": "save"})
    assert answer.status_code == 409
    fields = {name: hidden(answer.text, name) for name in ("revision", "based_on", "mine")}
    settled = clinic.his.post(clinic.his.client, f"/encounters/{encounter_id}/settle", **fields, action="mine")
    assert settled.location == f"/encounters/{encounter_id}?amend=1", "what is written now is an amendment"


def test_the_same_words_from_two_people_are_no_conflict(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    note = Note(complaint="cough", diagnoses=(BRONCHITIS,))
    clinic.save(encounter_id, note, based_on=0, doctor="guo")
    answer = post(clinic, encounter_id, complaint="cough", diagnosis="J20.900|急性支气管炎")
    assert answer.status_code == 302


# Who may, and what is no page.


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
