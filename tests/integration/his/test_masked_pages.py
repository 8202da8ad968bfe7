"""Phones and addresses are masked on every page but the forms that change them; shown whole on request, and logged.

And newborns, whose record begins with their mother's phone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_node.his.encounters.queries import begin
from edge_node.his.patients import queries
from edge_node.his.patients.queries import Patient
from edge_node.his.permissions import TABLE
from edge_node.his.staff.model import Role
from tests.support.encounters import Clinic
from tests.support.his import a_his, hidden_fields, look_for

PHONE, ADDRESS, CARER = "13805162207", "姑苏区桂花路 12 号 3 幢 502 室", "13912345678"
MASKED = ("138****2207", "姑苏区桂花路***", "139****5678")
WHOLE = re.compile("138[ -]?0516[ -]?2207|139[ -]?1234[ -]?5678|12 号 3 幢")
# Where the work needs it: the forms that change a record, at the desk.
FORMS = {"patients.edit", "patients.new", "reception.index"}
FORM = {
    "name": "李小满", "sex": "1", "birth_date": "2019-06-01", "id_type": "none", "phone": PHONE, "address": ADDRESS,
    "guardian_name": "单雅琴", "guardian_relation": "母亲", "guardian_phone": CARER,
}  # fmt: skip


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.sign_in("zhou")
        yield clinic


def create(clinic: Clinic, **changes: str) -> str:
    answer = clinic.his.post(clinic.his.client, "/patients/new", **{**FORM, **changes})
    assert answer.status_code == 302, answer.text
    return answer.location.split("?")[0].rsplit("/", 1)[1]


def browser(clinic: Clinic, role: Role) -> FlaskClient:
    code = {Role.REGISTRAR: "zhou", Role.DOCTOR: "shen"}.get(role, str(role))
    if role not in (Role.REGISTRAR, Role.DOCTOR):
        clinic.his.add_staff(code, role)
    return clinic.his.sign_in(code, client=clinic.his.browser())


def test_no_page_of_any_role_shows_them_whole_but_the_desks_forms(clinic: Clinic) -> None:
    """Walks every page that there is, with a patient who is in the queue, with a doctor, and found by a search."""
    his = clinic.his
    patient_id = create(clinic)
    other_id = create(clinic, name="李小曼", distinct_from=patient_id)
    his.post(his.client, f"/patients/{patient_id}/merge", other=other_id, kept=patient_id, reason="同一人")
    third_id = create(clinic, name="李小蔓", distinct_from=patient_id)
    clinic.comes("", patient_id=third_id)
    seen, doctor = clinic.comes("", patient_id=other_id), clinic.staff["shen"]
    encounter_id = his.write(lambda conn: begin(conn, seen.registration_id, doctor_id=doctor, at=his.clock.wall_ms()))
    registration = clinic.comes("", patient_id=patient_id)
    known = {"patient_id": patient_id, "registration_id": registration.registration_id}
    known["encounter_id"] = str(encounter_id)
    whole: set[str] = set()
    masked: set[str] = set()
    opened: set[str] = set()
    for role in Role:
        client = browser(clinic, role)
        found = his.post(client, "/patients/find", q="李小满").headers.get("Location", "").partition("?")[2]
        for rule in his.app.url_map.iter_rules():
            if "GET" not in (rule.methods or ()) or rule.endpoint == "static" or not rule.arguments <= set(known):
                continue
            path = re.sub(r"<(?:\w+:)?(\w+)>", lambda name: known[name[1]], rule.rule)
            for asked in ("", f"?{found}&other={third_id}&patient={patient_id}&mother={patient_id}&all=1"):
                answer = client.get(path + asked)
                if answer.status_code == 200:
                    opened.add(rule.endpoint)
                if WHOLE.search(answer.text):
                    whole.add(rule.endpoint)
                    assert role in (TABLE[rule.endpoint] or ())
                    assert "<form" in answer.text
                if MASKED[0] in answer.text:
                    masked.add(rule.endpoint)
    assert whole == FORMS
    assert "encounters.show" in opened
    assert masked >= {"patients.index", "patients.record", "patients.compare", "reception.index"}


@pytest.mark.parametrize(
    ("field", "value", "action", "detail"),
    [
        ("phone", "138 0516 2207", "contact_shown", {"field": "phone"}),
        ("address", ADDRESS, "contact_shown", {"field": "address"}),
        ("guardian_phone", "139 1234 5678", "contact_shown", {"field": "guardian_phone"}),
    ],
)
def test_one_of_them_is_shown_when_asked_and_logged(
    clinic: Clinic, field: str, value: str, action: str, detail: dict[str, str]
) -> None:
    patient_id = create(clinic)
    his, path = clinic.his, f"/patients/{patient_id}/whole"
    masked = his.client.get(f"/patients/{patient_id}").text
    assert [one in masked for one in (*MASKED, value)] == [True, True, True, False]
    page = his.post(his.client, path, field=field).text
    assert value in page
    assert sum(one in page for one in MASKED) == 2
    row = his.conn.execute("SELECT action, object, detail FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
    assert (row["action"], row["object"], json.loads(row["detail"])) == (action, f"patient:{patient_id}", detail)
    for wrong in ("", "name", "id_number_sealed"):
        assert his.post(his.client, path, field=wrong).status_code == 400
    assert his.post(browser(clinic, Role.AUDITOR), path, field=field).status_code == 403


def test_a_newborn_begins_with_its_mother_and_gets_a_name_later(clinic: Clinic) -> None:
    his = clinic.his
    mother = create(clinic, name="单雅琴", sex="2", birth_date="1995-06-01", guardian_name="", guardian_relation="",
                    guardian_phone="")  # fmt: skip
    way = f"/patients/new?mother={mother}"
    assert f'href="{way}"' in his.client.get(f"/patients/{mother}").text
    form = his.client.get(way)
    filled = {**hidden_fields(form.text), **fields(form), "sex": "2"}
    assert filled["name"] == "单雅琴之婴"
    assert filled["birth_date"] == clinic.today.isoformat()
    assert (filled["guardian_name"], filled["guardian_relation"]) == ("单雅琴", "母亲")
    assert (filled["guardian_phone"], filled["phone"]) == ("138 0516 2207", "")
    assert '<option value="none" selected' in form.text
    baby = person(clinic, made(his.post(his.client, "/patients/new", **{**filled, "id_type": "none"})))
    assert (baby.name, baby.guardian_phone, baby.address) == ("单雅琴之婴", PHONE, ADDRESS)
    assert f'href="/patients/new?mother={baby.id}"' not in his.client.get(f"/patients/{baby.id}").text
    # A twin looks like the first one, which somebody has to say.
    twin = his.post(his.client, "/patients/new", **{**filled, "id_type": "none", "request_key": "x" * 22})
    assert twin.status_code == 409
    edit = his.client.get(f"/patients/{baby.id}/edit")
    renamed = {**hidden_fields(edit.text), **fields(edit), "sex": "2", "id_type": "none", "name": "陆一诺"}
    assert his.post(his.client, f"/patients/{baby.id}/edit", **renamed).status_code == 302
    page = his.client.get(look_for(his, his.client, "单雅琴之婴")).text
    assert f'href="/patients/{baby.id}"' in page
    assert "found by" in page
    assert "单雅琴之婴" in his.client.get(f"/patients/{baby.id}").text
    rows = his.conn.execute("SELECT object FROM audit_log WHERE action = 'viewed'").fetchall()
    assert (f"patient:{mother}",) in [tuple(row) for row in rows]


def fields(page: TestResponse) -> dict[str, str]:
    """The text fields of the page's form, as they are filled."""
    found = {}
    for tag in re.findall(r"<input [^>]*>", page.text.partition('id="record-form"')[2]):
        name = re.search(r' name="([^"]+)"', tag)
        if name and 'type="radio"' not in tag and 'type="hidden"' not in tag:
            value = re.search(r' value="([^"]*)"', tag)
            found[name[1]] = value[1] if value else ""
    return found


def made(answer: TestResponse) -> str:
    assert answer.status_code == 302, answer.text
    return answer.location.split("?")[0].rsplit("/", 1)[1]


def person(clinic: Clinic, patient_id: str) -> Patient:
    found = queries.get(clinic.his.conn, patient_id)
    assert found is not None
    assert found.birth_date <= date.today()
    return found
