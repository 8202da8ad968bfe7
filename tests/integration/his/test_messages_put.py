"""What the HIS tells the upstreams: the message and what it tells of are kept together, or neither is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_node.his.context import EXTENSION
from edge_node.his.encounters import versions
from edge_node.his.staff.model import Role
from edge_node.outbox.model import Route
from edge_node.store.connection import Connection
from tests.support.doctor_pages import TYPED, post
from tests.support.encounters import Clinic
from tests.support.his import His, a_his
from tests.support.people import an_id_number

SIGN = TYPED | {"action": "sign"}
UPSTREAMS = (
    Route(upstream="platform", topics=("patient", "encounter")),
    Route(upstream="bureau", topics=("encounter",)),
)
PERSON = {
    "name": "单雅琴", "sex": "2", "birth_date": "1980-03-14", "id_type": "resident", "id_number": an_id_number(),
    "phone": "138 0516 2207", "address": "桂花里 12 号",
}  # fmt: skip


def tell(his: His, *upstreams: Route) -> None:
    """The HIS with these upstreams."""
    his.app.extensions[EXTENSION] = replace(his.context, upstreams=upstreams)


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        tell(his, *UPSTREAMS)
        his.sign_in("shen")
        yield clinic


def messages(his: His, upstream: str = "platform") -> list[tuple[str, str, dict[str, Any]]]:
    rows = his.conn.execute("SELECT topic, key, body FROM outbox WHERE upstream = ? ORDER BY seq", (upstream,))
    return [(row["topic"], row["key"], json.loads(row["body"])) for row in rows]


def refuse(clinic: Clinic, table: str, when: str = "1") -> None:
    """From now on nothing can be inserted into this table."""

    def work(conn: Connection) -> None:
        conn.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )

    clinic.his.write(work)


def test_a_signature_tells_every_upstream_what_was_signed_and_of_whom(clinic: Clinic) -> None:
    encounter_id = clinic.begun("单雅琴")
    post(clinic, encounter_id, **SIGN)
    (version,) = versions.versions(clinic.his.conn, encounter_id)
    ((topic, key, body),) = messages(clinic.his)
    row = clinic.his.conn.execute("SELECT id, mrn FROM patient").fetchone()
    visit = clinic.his.conn.execute("SELECT visit_no FROM registration").fetchone()
    assert (topic, key) == ("encounter", row["id"])
    assert body == {
        "schema": 1, "encounter": encounter_id, "version": 1, "visit_no": visit["visit_no"], "department": "internal",
        "doctor": "shen", "signed_at": body["signed_at"], "clock": "synced", "reason": "", "hash": version.hash.hex(),
        "patient": {
            "id": row["id"], "mrn": row["mrn"], "name": "单雅琴", "sex": 2, "birth_date": "1980-03-14",
        },
        "diagnoses": [{"code": "J20.900", "name": "急性支气管炎"}],
        "note": {
            "complaint": "cough for 5 days", "history": "Dry at first, yellow since 3 days.", "temperature": "37.6",
            "blood_pressure": "138/86",
        },
    }  # fmt: skip
    assert body["signed_at"].endswith("Z")
    assert [found[2] for found in messages(clinic.his, "bureau")] == [body]


def test_an_amendment_is_the_next_version_of_the_same_and_a_second_click_is_none(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    for _ in range(2):
        post(clinic, encounter_id, **SIGN)
    for _ in range(2):
        amended = {"revision": "1", "version": "2", "complaint": "cough for 6 days", "reason": "misheard"}
        post(clinic, encounter_id, **SIGN | amended)
    told = [body for _, _, body in messages(clinic.his)]
    assert [(body["version"], body["reason"], body["note"]["complaint"]) for body in told] == [
        (1, "", "cough for 5 days"),
        (2, "misheard", "cough for 6 days"),
    ]


@pytest.mark.parametrize(
    "changes", [pytest.param({"complaint": ""}, id="unfinished"), pytest.param({"revision": "7"}, id="overtaken")]
)
def test_what_is_not_signed_is_not_told(clinic: Clinic, changes: dict[str, str]) -> None:
    encounter_id = clinic.begun()
    if "revision" in changes:
        post(clinic, encounter_id, **TYPED | {"complaint": "saved by somebody else"})
    assert post(clinic, encounter_id, **SIGN | changes).status_code in (409, 422)
    assert versions.versions(clinic.his.conn, encounter_id) == [] and messages(clinic.his) == []


def test_a_signature_that_fails_leaves_no_message(clinic: Clinic) -> None:
    """It fails in its very last statement, when the message is in the table already."""
    encounter_id = clinic.begun()
    clinic.his.app.testing = False
    refuse(clinic, "audit_log", "NEW.action = 'note_signed'")
    assert post(clinic, encounter_id, **SIGN).status_code == 500
    assert versions.versions(clinic.his.conn, encounter_id) == [] and messages(clinic.his) == []


def test_a_message_that_cannot_be_put_signs_nothing(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    clinic.his.app.testing = False
    refuse(clinic, "outbox")
    assert post(clinic, encounter_id, **SIGN).status_code == 500
    assert versions.versions(clinic.his.conn, encounter_id) == [] and messages(clinic.his) == []
    status = clinic.his.conn.execute("SELECT status FROM registration").fetchone()["status"]
    assert status == "with_doctor", "the encounter goes on"


def test_without_an_upstream_nothing_is_put(clinic: Clinic) -> None:
    tell(clinic.his)
    encounter_id = clinic.begun()
    post(clinic, encounter_id, **SIGN)
    assert len(versions.versions(clinic.his.conn, encounter_id)) == 1
    assert clinic.his.conn.execute("SELECT count(*) FROM outbox").fetchone()[0] == 0


@pytest.fixture
def reception(clinic: Clinic) -> His:
    clinic.his.add_staff("zhoumin", Role.REGISTRAR)
    clinic.his.sign_in("zhoumin")
    return clinic.his


def test_a_new_patient_is_told_once_without_number_phone_or_address(reception: His) -> None:
    answer = reception.post(reception.client, "/patients/new", **PERSON)
    patient_id = answer.location.split("?")[0].rsplit("/", 1)[1]
    ((topic, key, body),) = messages(reception)
    assert (topic, key, body["schema"], body["version"]) == ("patient", patient_id, 1, 1)
    assert body["patient"] == {
        "id": patient_id, "mrn": body["patient"]["mrn"], "name": "单雅琴", "sex": 2, "birth_date": "1980-03-14",
    }  # fmt: skip
    assert all(secret not in json.dumps(body, ensure_ascii=False) for secret in (an_id_number(), "0516", "桂花里"))
    assert messages(reception, "bureau") == []
    assert reception.post(reception.client, "/patients/new", **PERSON).status_code == 409
    assert len(messages(reception)) == 1, "who may be the same person is not told before somebody decides"


def test_a_changed_record_is_told_as_its_next_version(reception: His) -> None:
    answer = reception.post(reception.client, "/patients/new", **PERSON)
    patient_id = answer.location.split("?")[0].rsplit("/", 1)[1]
    path = f"/patients/{patient_id}/edit"
    for _ in range(2):
        reception.post(reception.client, path, **PERSON | {"name": "单雅芹", "version": "1"})
    told = [(body["version"], body["patient"]["name"]) for _, _, body in messages(reception)]
    assert told == [(1, "单雅琴"), (2, "单雅芹")]


def test_a_patient_registered_at_the_reception_is_told_before_the_encounter(reception: His, clinic: Clinic) -> None:
    department = clinic.departments["internal"]
    reception.post(reception.client, "/reception", **PERSON, department_id=department)
    reception.sign_in("shen")
    reception.post(reception.client, "/encounters/call")
    (encounter_id,) = reception.conn.execute("SELECT id FROM encounter").fetchone()
    post(clinic, encounter_id, **SIGN)
    told = messages(reception)
    assert [topic for topic, _, _ in told] == ["patient", "encounter"]
    assert told[0][1] == told[1][1] and told[0][2]["patient"] == told[1][2]["patient"]
