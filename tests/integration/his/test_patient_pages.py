"""The pages of patients, as a browser uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from edge_node.his import audit, request_key
from edge_node.his.patients import queries
from edge_node.his.staff.model import Role
from tests.support.his import His, a_his, hidden_fields, look_for
from tests.support.people import a_registration, an_id_number, departments

FORM = {
    "name": "单雅琴", "sex": "2", "birth_date": "1980-03-14", "id_type": "resident", "id_number": an_id_number(),
    "phone": "138 0516 2207", "address": "桂花里 12 号",
}  # fmt: skip


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path) as his:
        his.write(departments)
        his.add_staff("zhoumin", Role.REGISTRAR)
        his.add_staff("shen", Role.DOCTOR)
        his.add_staff("root", Role.ADMIN)
        his.sign_in("zhoumin")
        yield his


def create(his: His, **changes: str) -> TestResponse:
    return his.post(his.client, "/patients/new", **{**FORM, **changes})


def made(answer: TestResponse) -> str:
    """The id of the record that an answer leads to."""
    assert answer.status_code == 302, answer.text
    return answer.location.split("?")[0].rsplit("/", 1)[1]


def traces(his: His) -> list[tuple[str, str, dict[str, object]]]:
    rows = his.conn.execute("SELECT action, object, detail FROM audit_log WHERE object LIKE 'patient:%' ORDER BY seq")
    return [(row["action"], row["object"].partition(":")[2], json.loads(row["detail"])) for row in rows]


def patients(his: His) -> int:
    return int(his.conn.execute("SELECT count(*) FROM patient").fetchone()[0])


def test_a_record_is_made_and_shown_with_its_number_masked(his: His) -> None:
    answer = create(his)
    page = his.client.get(answer.location)
    assert page.status_code == 200
    assert "3205**********2022" in page.text
    assert FORM["id_number"] not in page.text
    assert "Record made." in page.text
    assert "Allergies not asked" in page.text
    assert [action for action, _, _ in traces(his)] == ["patient_created", "viewed"]
    assert "单雅琴" not in page.text.partition("</title>")[0]


def test_a_form_shown_again_by_the_back_button_is_not_answered_with_the_first_ones_result(his: His) -> None:
    token = request_key.new()
    first, second = (
        made(create(his, request_key=token, name=name, id_type="none", id_number="", phone=""))
        for name in ("单雅琴", "沈玉清")
    )
    assert first != second and patients(his) == 2
    phones = ("13805162207", "13805162208")
    for version, phone in enumerate(phones, start=1):
        form = {**FORM, "id_type": "none", "id_number": "", "phone": phone, "version": str(version)}
        made(his.post(his.client, f"/patients/{first}/edit", **form, request_key=token))
        assert his.conn.execute("SELECT phone FROM patient WHERE id = ?", (first,)).fetchone()[0] == phone


def test_the_number_is_sealed_in_the_database(his: His) -> None:
    create(his)
    row = his.conn.execute("SELECT * FROM patient").fetchone()
    assert FORM["id_number"].encode() not in b"|".join(str(value).encode() for value in tuple(row))
    assert his.context.cipher.open(bytes(row["id_number_sealed"]), purpose="patient-id-number") == FORM["id_number"]


def test_the_whole_number_is_shown_when_asked_and_logged_first(his: His) -> None:
    patient_id = made(create(his))
    page = his.post(his.client, f"/patients/{patient_id}/whole", field="id_number")
    assert FORM["id_number"] in page.text
    assert "138****2207" in page.text, "one field, and no other"
    assert traces(his)[-1] == ("id_number_shown", patient_id, {})
    assert FORM["id_number"] not in json.dumps(traces(his))
    assert audit.verify(his.conn) is None


def test_an_impossible_number_comes_back_with_the_form_filled_and_the_field_named(his: His) -> None:
    wrong = FORM["id_number"][:-1] + "7"
    answer = create(his, id_number=wrong)
    assert answer.status_code == 422
    assert "Not saved yet: 1 place to mend" in answer.text
    assert '<a href="#id_number">Document number: The check does not fit' in answer.text
    for typed in (wrong, "单雅琴", "1980-03-14", "138 0516 2207", "桂花里 12 号"):
        assert f'value="{typed}"' in answer.text
    assert 'value="2" checked' in answer.text
    assert patients(his) == 0


def test_twice_the_same_form_is_one_record(his: His) -> None:
    token = request_key.new()
    first, second = create(his, request_key=token), create(his, request_key=token)
    assert made(first) == made(second)
    assert patients(his) == 1


def test_possible_duplicates_are_shown_before_a_second_record(his: His) -> None:
    there = made(create(his))
    twin = {**FORM, "id_type": "none", "id_number": "", "name": "单亚芹"}
    held = create(his, **twin)
    assert held.status_code == 409
    assert "perhaps the same person" in held.text
    assert f'name="use" value="{there}"' in held.text
    assert f'name="distinct_from" value="{there}"' in held.text
    assert 'value="单亚芹"' in held.text
    assert patients(his) == 1
    again = create(his, **twin, **{k: hidden_fields(held.text)[k] for k in ("request_key",)}, distinct_from=there)
    assert made(again) != there
    assert patients(his) == 2
    created = [detail for action, _, detail in traces(his) if action == "patient_created"]
    assert created == [{}, {"distinct_from": [there]}]


def test_the_same_number_is_the_same_person_whatever_is_said(his: His) -> None:
    there = made(create(his))
    held = create(his, name="单亚芹", phone="", distinct_from=there)
    assert held.status_code == 409
    assert "same ID number" in held.text
    assert 'name="distinct_from"' not in held.text
    assert "correct the number and:" in held.text
    assert "Save the record <kbd>" in held.text, "a typing error can be mended"
    used = create(his, use=there)
    assert used.location == f"/patients/{there}"
    assert patients(his) == 1


def test_a_change_is_kept_with_who_and_which_fields(his: His) -> None:
    patient_id = made(create(his))
    form = his.client.get(f"/patients/{patient_id}/edit").text
    assert "empty keeps 3205**********2022" in form
    answer = his.post(
        his.client, f"/patients/{patient_id}/edit", **{**FORM, "id_number": "", "version": "1", "phone": "13900000000"}
    )
    assert "139****0000" in his.client.get(answer.location).text
    changed = [detail for action, _, detail in traces(his) if action == "patient_changed"]
    assert changed == [{"fields": ["phone"], "version": 2}]


def test_a_birth_date_against_the_number_on_record_is_a_problem(his: His) -> None:
    patient_id = made(create(his))
    answer = his.post(
        his.client, f"/patients/{patient_id}/edit",
        **{**FORM, "id_number": "", "version": "1", "birth_date": "1980-03-15"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert "1980-03-15, but the document number says 1980-03-14" in answer.text


def test_two_who_change_one_record_see_each_other(his: His) -> None:
    patient_id = made(create(his))
    path, base = f"/patients/{patient_id}/edit", {**FORM, "id_number": "", "version": "1"}
    his.post(his.client, path, **{**base, "phone": "13900000000"})
    held = his.post(his.client, path, **{**base, "phone": "13700000000"})
    assert held.status_code == 409
    assert "Meanwhile saved by somebody else: 13900000000. Saving again puts yours" in held.text
    assert 'value="13700000000"' in held.text
    assert hidden_fields(held.text)["version"] == "2"
    again = his.post(his.client, path, **{**base, "phone": "13700000000", "version": "2"})
    assert again.status_code == 302
    assert "137****0000" in his.client.get(again.location).text


def test_a_change_to_somebody_else_s_number_is_held(his: His) -> None:
    create(his)
    other = made(create(his, name="沈玉清", sex="1", birth_date="1955-07-30", phone="",
                        id_number=an_id_number("1955-07-30", "001")))  # fmt: skip
    held = his.post(his.client, f"/patients/{other}/edit", **{**FORM, "name": "沈玉清", "version": "1"})
    assert held.status_code == 409
    assert "same ID number" in held.text


def test_a_form_without_version_is_not_ours(his: His) -> None:
    patient_id = made(create(his))
    assert his.post(his.client, f"/patients/{patient_id}/edit", **{**FORM, "id_number": ""}).status_code == 400


def test_finding_leads_to_the_record_and_nobody_is_a_way_on(his: His) -> None:
    patient_id = made(create(his))
    found = his.client.get(look_for(his, his.client, "syq")).text
    assert "Shan Yaqin" in found and "138****2207" in found
    assert his.post(his.client, "/patients/find", q="").location == "/patients"
    straight = his.post(his.client, "/patients/find", q=FORM["id_number"])
    assert straight.location == f"/patients/{patient_id}"
    nobody = his.client.get(look_for(his, his.client, "jgyx")).text
    assert "Nobody found" in nobody
    begun = his.post(his.client, "/patients/begin", q=an_id_number("1955-07-30", "001")).text
    assert 'value="1955-07-30"' in begun
    assert 'value="1" id="sex" checked' in begun


@pytest.mark.parametrize(
    "number, shown",
    [(an_id_number("1955-07-30", "001"), "3205**********0019"), ("EB2741836", "******836"), ("H08123456", "******456")],
)
def test_an_id_number_of_nobody_stays_out_of_addresses_and_of_sight(his: His, number: str, shown: str) -> None:
    address = look_for(his, his.client, number)
    assert number not in address
    page = his.client.get(address)
    assert shown in page.text
    # Only to begin a record with it.
    assert page.text.count(number) == 1
    assert hidden_fields(page.text)["q"] == number


def test_visits_are_listed(his: His) -> None:
    patient_id = made(create(his))
    assert "No visit yet" in his.client.get(f"/patients/{patient_id}").text
    staff = his.conn.execute("SELECT id FROM staff WHERE code = 'zhoumin'").fetchone()[0]
    patient = queries.get(his.conn, patient_id)
    assert patient is not None
    his.write(lambda conn: a_registration(conn, patient, by=staff))
    page = his.client.get(f"/patients/{patient_id}").text
    assert "1 visit" in page
    assert "Internal medicine" in page


def test_an_unknown_patient_is_404(his: His) -> None:
    for path in ("/patients/none", "/patients/none/edit"):
        assert his.client.get(path).status_code == 404
    assert his.post(his.client, "/patients/none/whole", field="phone").status_code == 404


def test_roles(his: His) -> None:
    patient_id = made(create(his))
    doctor, admin = his.browser(), his.browser()
    his.sign_in("shen", client=doctor)
    his.sign_in("root", client=admin)
    page = doctor.get(f"/patients/{patient_id}")
    assert page.status_code == 200
    assert "Change the record" not in page.text
    assert doctor.get("/patients/new").status_code == 403
    assert his.post(doctor, f"/patients/{patient_id}/edit", **FORM, version="1").status_code == 403
    assert admin.get(f"/patients/{patient_id}").status_code == 403
    assert admin.get("/patients").status_code == 403


def test_markup_in_a_name_stays_text(his: His) -> None:
    answer = create(his, name="<script>alert(1)</script>单")
    page = his.client.get(answer.location).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
