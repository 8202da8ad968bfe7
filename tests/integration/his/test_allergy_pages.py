"""Allergies on the pages: recorded, shown wherever the person is shown, ended with a reason and never gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_node.his import request_key
from edge_node.his.audit import verify
from edge_node.his.patients import allergies
from edge_node.his.patients.allergies import Face
from edge_node.his.reception.queries import QueueEntry
from edge_node.his.staff.model import Role
from tests.support.encounters import Clinic
from tests.support.his import a_his, look_for

SOLID, OUTLINED, DASHED = 'class="allergy"', "allergy--none", "allergy--unasked"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.add_staff("lin", Role.NURSE, name="林芳")
        his.sign_in("lin")
        yield clinic


@pytest.fixture
def shan(clinic: Clinic) -> QueueEntry:
    return clinic.comes("单雅琴")


def post(clinic: Clinic, path: str, client: FlaskClient | None = None, **fields: str) -> TestResponse:
    return clinic.his.post(client or clinic.his.client, path, **fields)


def records(clinic: Clinic, patient_id: str, substance: str = "青霉素", **fields: str) -> TestResponse:
    return clinic.his.post(
        clinic.his.client, f"/patients/{patient_id}/allergies", substance=substance, **fields
    )  # fmt: skip


def face(clinic: Clinic, patient_id: str) -> Face:
    return allergies.of_patient(clinic.his.conn, patient_id).face


def test_three_faces_one_after_the_other(clinic: Clinic, shan: QueueEntry) -> None:
    person = shan.patient.id
    page = clinic.his.client.get(f"/patients/{person}").text
    assert (DASHED in page, SOLID in page, "nobody has asked yet" in page) == (True, False, True)
    post(clinic, f"/patients/{person}/allergies/none")
    page = clinic.his.client.get(f"/patients/{person}").text
    assert "No known allergy (asked on 2026-11-" in page
    assert (OUTLINED in page, DASHED in page) == (True, False)
    records(clinic, person, reaction="皮疹", since="2019")
    page = " ".join(re.sub("<[^>]+>", "", clinic.his.client.get(f"/patients/{person}").text).split())
    assert "Allergic to: 青霉素 (皮疹 2019)" in page
    assert "No known allergy" not in page


def test_every_list_of_people_shows_it(clinic: Clinic, shan: QueueEntry) -> None:
    records(clinic, shan.patient.id, "磺胺类")
    clinic.comes("王兰")
    registrar = clinic.his.sign_in("zhou", client=clinic.his.browser())
    lists = {
        "the queue at the desk": registrar.get("/reception"),
        "matches at the desk": registrar.get(look_for(clinic.his, registrar, "单雅琴", at="/reception")),
        "matches of a search": registrar.get(look_for(clinic.his, registrar, "单雅琴")),
        "the nurse's queue": clinic.his.client.get("/triage"),
        "likely duplicates": post(
            clinic, "/patients/new", registrar, name="单雅琴", sex="2", birth_date="1980-03-14", id_type="none"
        ),
    }
    assert {where for where, answer in lists.items() if "磺胺类" not in answer.text} == set()
    assert DASHED in lists["the queue at the desk"].text
    header = clinic.his.client.get(f"/triage/{shan.registration_id}").text
    assert 'class="allergy"' in header
    assert "磺胺类" in header


def test_a_list_names_three_of_many_and_says_how_many_more_the_record_all(clinic: Clinic, shan: QueueEntry) -> None:
    many = ["青霉素", "磺胺类", "花生", "碘造影剂", "海鲜"]
    for substance in many[:4]:
        records(clinic, shan.patient.id, substance)
    assert "碘造影剂" in clinic.his.client.get("/triage").text, "one more takes no more room than its name"
    records(clinic, shan.patient.id, many[4])
    queue = " ".join(re.sub("<[^>]+>", "", clinic.his.client.get("/triage").text).split())
    assert "青霉素, 磺胺类, 花生 and 2 more" in queue and "碘造影剂" not in queue
    page = clinic.his.client.get(f"/patients/{shan.patient.id}").text
    header = page.partition('class="allergy"')[2].partition("</header>")[0]
    assert all(substance in header for substance in many)


def test_many_people_cost_as_many_questions_as_one(clinic: Clinic) -> None:
    people = [clinic.comes(f"王兰{'甲乙丙丁戊己庚辛壬癸'[n]}").patient.id for n in range(10)]
    records(clinic, people[3])
    post(clinic, f"/patients/{people[4]}/allergies/none")
    conn = clinic.his.conn
    asked: list[str] = []
    conn.set_trace_callback(asked.append)
    try:
        found = allergies.of_patients(conn, [*people, people[0], "nobody"])
    finally:
        conn.set_trace_callback(None)
    assert len(asked) == 2
    assert [found[person].face for person in people[2:5]] == [Face.UNASKED, Face.KNOWN, Face.NONE]
    assert found["nobody"].face is Face.UNASKED
    assert list(found) == [*people, "nobody"]


def test_an_allergy_is_ended_with_a_reason_and_stays(clinic: Clinic, shan: QueueEntry) -> None:
    person = shan.patient.id
    records(clinic, person)
    (known,) = allergies.of_patient(clinic.his.conn, person).known
    path = f"/patients/{person}/allergies/{known.id}/end"
    refused = post(clinic, path, end_reason="  ")
    assert refused.status_code == 422
    assert f'id="end-{known.id}-note">Write why' in refused.text
    assert face(clinic, person) is Face.KNOWN
    long = post(clinic, path, end_reason="x" * 201)
    assert (long.status_code, 'value="' + "x" * 201 in long.text) == (422, True)
    post(clinic, path, end_reason="皮试阴性，家长记错")
    post(clinic, path, end_reason="a second time")
    assert face(clinic, person) is Face.NONE
    page = clinic.his.client.get(f"/patients/{person}").text
    assert "皮试阴性，家长记错" in page
    assert "a second time" not in page
    assert "林芳" in page
    ended = [row["detail"] for row in clinic.his.conn.execute("SELECT * FROM audit_log WHERE action = 'allergy_ended'")]
    assert len(ended) == 1
    assert verify(clinic.his.conn) is None


def test_the_same_twice_is_one(clinic: Clinic, shan: QueueEntry) -> None:
    token = request_key.new()
    first, again = (records(clinic, shan.patient.id, request_key=token) for _ in range(2))
    assert (first.status_code, again.status_code) == (302, 302)
    other = records(clinic, shan.patient.id, reaction="休克")
    assert (other.status_code, "This is on record already" in other.text, 'value="休克"' in other.text) == (
        409, True, True,
    )  # fmt: skip
    assert len(allergies.all_of(clinic.his.conn, shan.patient.id)) == 1


def test_none_known_is_not_said_over_an_allergy(clinic: Clinic, shan: QueueEntry) -> None:
    records(clinic, shan.patient.id)
    assert "Asked: none known" not in clinic.his.client.get(f"/patients/{shan.patient.id}").text
    answer = post(clinic, f"/patients/{shan.patient.id}/allergies/none")
    assert (answer.status_code, "Meanwhile somebody recorded an allergy" in answer.text) == (409, True)
    assert face(clinic, shan.patient.id) is Face.KNOWN


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"substance": ""}, "substance"),
        ({"substance": "无"}, "substance"),
        ({"substance": "甲" * 41}, "substance"),
        ({"substance": "<script>alert(1)</script>" * 9}, "substance"),
        ({"reaction": "乙" * 61}, "reaction"),
        ({"since": "2999"}, "since"),
        ({"since": "9" * 5000}, "since"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    clinic: Clinic, shan: QueueEntry, fields: dict[str, str], field: str
) -> None:
    answer = records(clinic, shan.patient.id, **{"substance": "青霉素", **fields})
    assert answer.status_code == 422
    assert f'id="{field}-note"' in answer.text
    assert "<title>1 place to mend" in " ".join(answer.text.split())
    assert "<script>alert" not in answer.text
    assert face(clinic, shan.patient.id) is Face.UNASKED


def test_who_may(clinic: Clinic, shan: QueueEntry) -> None:
    """A registrar hears of an allergy and writes it down; that it is none, somebody who treats says."""
    registrar = clinic.his.sign_in("zhou", client=clinic.his.browser())
    clinic.his.add_staff("kuai", Role.CASHIER)
    cashier = clinic.his.sign_in("kuai", client=clinic.his.browser())
    path = f"/patients/{shan.patient.id}/allergies"
    assert post(clinic, path, cashier, substance="青霉素").status_code == 403
    assert post(clinic, path, registrar, substance="青霉素").status_code == 302
    (known,) = allergies.of_patient(clinic.his.conn, shan.patient.id).known
    assert post(clinic, f"{path}/{known.id}/end", registrar, end_reason="x").status_code == 403
    assert "End this allergy" not in registrar.get(f"/patients/{shan.patient.id}").text
    assert "Record the allergy" not in cashier.get(f"/patients/{shan.patient.id}").text


def test_an_allergy_of_somebody_else_or_nobody(clinic: Clinic, shan: QueueEntry) -> None:
    other = clinic.comes("王兰").patient.id
    records(clinic, shan.patient.id)
    (known,) = allergies.of_patient(clinic.his.conn, shan.patient.id).known
    assert post(clinic, f"/patients/{other}/allergies/{known.id}/end", end_reason="x").status_code == 404
    assert records(clinic, "nobody").status_code == 404
    assert face(clinic, shan.patient.id) is Face.KNOWN


def test_the_catalogue_offers_groups_first(clinic: Clinic, shan: QueueEntry) -> None:
    insert = """
        INSERT INTO drug (id, code, name, initials, herbal, unit, pack, pack_unit, price_fen, ingredients, groups,
                          updated_at)
        VALUES ('w1', 'W1', '阿莫西林胶囊', '', 0, 'g', '6', '盒', 1280, '{"阿莫西林": "1000"}', '["青霉素类"]', 0)
    """
    clinic.his.write(lambda conn: conn.execute(insert))
    assert allergies.substances(clinic.his.conn) == ["青霉素类", "阿莫西林"]
    assert '<option value="青霉素类">' in clinic.his.client.get(f"/patients/{shan.patient.id}").text
