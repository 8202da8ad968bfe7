"""The desk's pages, as a browser uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from edge_node.his import request_key
from edge_node.his.reception import queries
from edge_node.his.reception.rules import Status
from edge_node.his.staff.model import Role
from tests.support.his import His, a_his, hidden_fields, look_for
from tests.support.people import an_id_number, departments

FORM = {
    "department_id": "d1",
    "doctor_id": "",
    "name": "单雅琴",
    "sex": "2",
    "birth_date": "1980-03-14",
    "id_type": "resident",
    "id_number": an_id_number(),
    "phone": "138 0516 2207",
    "address": "",
}


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path) as his:
        his.write(departments)
        his.add_staff("zhoumin", Role.REGISTRAR)
        his.add_staff("shen", Role.DOCTOR, name="沈立群", department_id="d1")
        his.add_staff("manager", Role.MANAGER)
        his.sign_in("zhoumin")
        yield his


def register(his: His, **changes: str) -> TestResponse:
    return his.post(his.client, "/reception", **{**FORM, **changes})


def registered(answer: TestResponse) -> str:
    """The id of the registration that an answer leads to."""
    assert answer.status_code == 302, answer.text
    return str(answer.location.partition("registered=")[2])


def one(his: His, sql: str, *values: object) -> object:
    row = his.conn.execute(sql, values).fetchone()
    return row[0] if row else None


def known_form(his: His, patient_id: str) -> dict[str, str]:
    """The hidden fields of the form filled from a record, with what the page shows beside them."""
    page = his.client.get(f"/reception?patient={patient_id}").text
    form = page.partition('id="registration"')[2].partition("</form>")[0]
    hidden = {
        name: value for name, value in hidden_fields(form).items() if name in ("patient_id", "version", "id_type")
    }
    return {**FORM, "id_number": "", **hidden}


def moved(his: His, registration_id: str, *statuses: Status) -> None:
    for status in statuses:
        assert his.write(partial(queries.set_status, registration_id=registration_id, status=status))


def test_a_new_patient_is_registered_once_and_stands_in_the_queue(his: His) -> None:
    token = request_key.new()
    first, second = register(his, request_key=token), register(his, request_key=token)
    assert registered(first) == registered(second)
    page = his.client.get(first.location).text
    assert "Registered: " in page
    assert "内 01" in page
    assert "1 registered, 1 waiting" in page
    assert (one(his, "SELECT count(*) FROM registration"), one(his, "SELECT count(*) FROM patient")) == (1, 1)
    visit_no, mode, by = his.conn.execute("SELECT visit_no, mode, registered_by FROM registration").fetchone()
    assert visit_no.startswith("0042A-V26")
    assert (mode, by) == ("online", one(his, "SELECT id FROM staff WHERE code = 'zhoumin'"))
    actions = [row[0] for row in his.conn.execute("SELECT action FROM audit_log WHERE action <> 'signed_in'")]
    assert actions[-2:] == ["patient_created", "registered"]


def test_a_known_patient_keeps_number_and_record(his: His) -> None:
    entry = registered(register(his))
    patient_id = str(one(his, "SELECT patient_id FROM registration WHERE id = ?", entry))
    moved(his, entry, Status.WITH_DOCTOR, Status.DONE)
    form = known_form(his, patient_id)
    assert (form["patient_id"], form["version"]) == (patient_id, "1")
    page = his.client.get(f"/reception?patient={patient_id}").text
    assert "3205**********2022" in page
    assert FORM["id_number"] not in page
    assert '<option value="d1" selected>' in page
    again = his.post(his.client, "/reception", **{**form, "phone": "13900000000"})
    assert "Return visit" in his.client.get(again.location).text
    row = his.conn.execute("SELECT phone, version, id_number_masked FROM patient").fetchone()
    assert tuple(row) == ("13900000000", 2, "3205**********2022")


def test_problems_come_back_with_everything_typed(his: His) -> None:
    answer = register(his, department_id="", id_number=FORM["id_number"][:-1] + "7", phone="1380516220")
    assert answer.status_code == 422
    assert "Not saved yet: 3 places to mend" in answer.text
    assert "<title>3 places to mend" in " ".join(answer.text.split())
    for field, sentence in (
        ("department_id", "Department: Choose where the patient is to be seen"),
        ("id_number", "Document number: The check does not fit"),
        ("phone", "Phone: Short by 1: a mobile number has 11 digits"),
    ):
        assert f'<a href="#{field}">{sentence}' in answer.text
        assert f'id="{field}-note"' in answer.text
    assert 'value="1380516220"' in answer.text
    assert 'value="单雅琴"' in answer.text
    assert one(his, "SELECT count(*) FROM patient") == 0


def test_nobody_stands_twice_in_one_queue(his: His) -> None:
    patient_id = str(one(his, "SELECT patient_id FROM registration WHERE id = ?", registered(register(his))))
    held = his.post(his.client, "/reception", **known_form(his, patient_id))
    assert held.status_code == 409
    assert "Already in this queue as 内 01 (Waiting)" in held.text
    other = his.post(his.client, "/reception", **{**known_form(his, patient_id), "department_id": "d2"})
    assert other.status_code == 302


def test_a_likely_duplicate_is_used_with_what_was_typed(his: His) -> None:
    patient_id = str(one(his, "SELECT patient_id FROM registration WHERE id = ?", registered(register(his))))
    typed = {"name": "单亚芹", "id_type": "none", "id_number": "", "department_id": "d2", "phone": "13900000000"}
    held = register(his, **typed)
    assert held.status_code == 409
    assert f'name="use" value="{patient_id}"' in held.text
    assert "name sounds alike, same birth date" in held.text
    assert one(his, "SELECT count(*) FROM patient") == 1
    used = register(his, **typed, use=patient_id)
    assert used.status_code == 200
    assert 'value="单雅琴"' in used.text
    assert 'value="13900000000"' in used.text
    assert '<option value="d2" selected>' in used.text
    separate = register(his, **typed, distinct_from=patient_id)
    assert separate.status_code == 302
    assert one(his, "SELECT count(*) FROM patient") == 2


def test_a_record_changed_meanwhile_is_shown_beside_what_was_typed(his: His) -> None:
    entry = registered(register(his))
    patient_id = str(one(his, "SELECT patient_id FROM registration WHERE id = ?", entry))
    form = {**known_form(his, patient_id), "department_id": "d2"}
    his.post(his.client, f"/patients/{patient_id}/edit", **{**form, "address": "桂花里 12 号"})
    held = his.post(his.client, "/reception", **{**form, "phone": "13900000000"})
    assert held.status_code == 409
    assert "Meanwhile saved by somebody else: 桂花里 12 号" in held.text
    assert hidden_fields(held.text.partition('id="registration"')[2])["version"] == "2"
    assert one(his, "SELECT count(*) FROM registration") == 1


def test_a_form_that_changes_nothing_needs_no_newest_version(his: His) -> None:
    patient_id = str(one(his, "SELECT patient_id FROM registration WHERE id = ?", registered(register(his))))
    form = {**known_form(his, patient_id), "department_id": "d2"}
    his.post(his.client, f"/patients/{patient_id}/edit", **{**form, "address": "桂花里 12 号"})
    assert his.post(his.client, "/reception", **{**form, "address": "桂花里 12 号"}).status_code == 302


def test_the_scan_field_finds_and_never_registers(his: His) -> None:
    patient_id = str(one(his, "SELECT patient_id FROM registration WHERE id = ?", registered(register(his))))

    def scan(typed: str) -> TestResponse:
        return his.post(his.client, "/reception/find", q=typed)

    assert scan(FORM["id_number"]).location == f"/reception?patient={patient_id}"
    assert scan("").location == "/reception"
    matches = his.client.get(scan("syq").location).text
    assert 'data-key="1"' in matches
    assert "1 found" in matches
    unknown = his.client.get(scan(an_id_number("1955-07-30", "001")).location)
    assert "Nobody found." in unknown.text
    assert 'value="1955-07-30"' in unknown.text
    assert one(his, "SELECT count(*) FROM registration") == 1


def test_a_name_that_nobody_has_begins_the_form(his: His) -> None:
    page = his.client.get(look_for(his, his.client, "覃𬭎", at="/reception")).text
    assert 'id="name" name="name"' in page
    assert page.count('value="覃𬭎"') == 2
    assert '<option value="none" selected>' in his.client.get("/reception?id_type=none").text


def test_looking_at_a_record_from_the_desk_is_logged(his: His) -> None:
    patient_id = str(one(his, "SELECT patient_id FROM registration WHERE id = ?", registered(register(his))))
    his.client.get(f"/reception?patient={patient_id}")
    action, object_ = his.conn.execute("SELECT action, object FROM audit_log ORDER BY seq DESC").fetchone()
    assert (action, object_) == ("viewed", f"patient:{patient_id}")


def test_taking_a_registration_back_needs_a_reason(his: His) -> None:
    entry = registered(register(his))
    assert "next in turn" in his.client.get(f"/reception/{entry}").text
    asked = his.post(his.client, f"/reception/{entry}/cancel", reason=" ")
    assert asked.status_code == 422
    assert "Write why, in a few words" in asked.text
    done = his.post(his.client, f"/reception/{entry}/cancel", reason="走错科室")
    assert "Cancelled: " in his.client.get(done.location).text
    row = his.conn.execute("SELECT detail FROM audit_log WHERE action = 'registration_cancelled'").fetchone()
    assert json.loads(row[0]) == {"reason": "走错科室"}
    twice = his.post(his.client, f"/reception/{entry}/cancel", reason="走错科室")
    assert twice.status_code == 302
    assert one(his, "SELECT count(*) FROM audit_log WHERE action = 'registration_cancelled'") == 1


def test_who_is_with_the_doctor_is_not_taken_back(his: His) -> None:
    entry = registered(register(his))
    moved(his, entry, Status.WITH_DOCTOR)
    held = his.post(his.client, f"/reception/{entry}/cancel", reason="走错科室")
    assert held.status_code == 409
    assert "Not cancelled: the patient is with the doctor by now" in held.text
    assert one(his, "SELECT status FROM registration") == "with_doctor"


def test_an_unknown_registration_or_patient_is_404(his: His) -> None:
    assert his.client.get("/reception/none").status_code == 404
    assert his.post(his.client, "/reception/none/cancel", reason="x").status_code == 404
    assert his.client.get("/reception?patient=none").status_code == 404
    assert register(his, patient_id="none").status_code == 404


def test_roles(his: His) -> None:
    entry = registered(register(his))
    manager, doctor = his.browser(), his.browser()
    his.sign_in("manager", client=manager)
    his.sign_in("shen", client=doctor)
    page = manager.get("/reception")
    assert page.status_code == 200
    assert 'id="registration"' not in page.text
    assert "Open" in manager.get(look_for(his, manager, "syq", at="/reception")).text
    assert his.post(manager, "/reception/find", q=FORM["id_number"]).location.startswith("/patients/")
    assert his.post(manager, "/reception", **FORM).status_code == 403
    assert his.post(manager, f"/reception/{entry}/cancel", reason="x").status_code == 403
    assert doctor.get("/reception").status_code == 403


def test_many_desks_at_once_give_each_number_once(his: His) -> None:
    desks = []
    for n in range(4):
        his.add_staff(f"desk{n}", Role.REGISTRAR)
        desks.append(his.sign_in(f"desk{n}", client=his.browser()))
    tokens = [his.csrf(desk, "/reception") for desk in desks]

    def work(n: int) -> list[int]:
        answers = []
        for k in range(6):
            name = f"患者{'甲乙丙丁'[n]}{'一二三四五六'[k]}"
            form = {
                **FORM,
                "csrf_token": tokens[n],
                "request_key": request_key.new(),
                "name": name,
                "id_number": an_id_number(f"19{50 + n * 6 + k}-01-02"),
                "birth_date": "",
                "phone": "",
            }
            answers.append(desks[n].post("/reception", data=form).status_code)
        return answers

    with ThreadPoolExecutor(4) as pool:
        answers = [status for part in pool.map(work, range(4)) for status in part]
    assert answers == [302] * 24
    numbers = [row[0] for row in his.conn.execute("SELECT queue_no FROM registration ORDER BY rowid")]
    assert numbers == list(range(1, 25))
    assert one(his, "SELECT count(DISTINCT visit_no) FROM registration") == 24
