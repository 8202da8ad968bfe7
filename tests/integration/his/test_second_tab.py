"""A doctor's form from another tab, a second click, another doctor meanwhile: nothing is signed past what stands now,
and every sheet that was touched leaves its own trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.training import training_drugs
from edge_node.his.encounters import queries
from edge_node.his.reception import queries as reception
from edge_node.his.reception.rules import Status
from tests.support.doctor_form import Doctor
from tests.support.encounters import Clinic
from tests.support.his import a_his
from tests.support.orders import doctor_of


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with a_his(Path(tmp_path_factory.mktemp("his"))) as his:
        clinic = Clinic(his)
        his.write(lambda conn: catalogues.keep_drugs(conn, training_drugs(), at=1))
        yield clinic


@pytest.fixture
def doctor(clinic: Clinic) -> Doctor:
    """With a note that can be signed, and one medicine."""
    doctor = doctor_of(clinic)
    doctor.ready()
    doctor.add("W035")
    return doctor


def amending(doctor: Doctor) -> str:
    """Signed, and the form of an amendment opened."""
    assert doctor.press("action", "sign").status_code == 302
    doctor.page = doctor.client.get(f"{doctor.path}?amend=1").text
    return doctor.page


def traces(doctor: Doctor, since: int) -> list[tuple[str, str]]:
    rows = doctor.his.conn.execute(
        "SELECT action, object FROM audit_log WHERE action LIKE 'prescription%' AND seq > ? ORDER BY seq", (since,)
    )
    return [(row["action"], row["object"].removeprefix("prescription:")) for row in rows]


def newest(doctor: Doctor) -> int:
    return int(doctor.his.conn.execute("SELECT max(seq) FROM audit_log").fetchone()[0])


def test_a_sheet_is_not_signed_beside_a_note_that_was_amended_meanwhile(doctor: Doctor) -> None:
    first_tab = amending(doctor)
    doctor.press("add", "I10.x00|原发性高血压", reason="补诊断")
    assert doctor.press("action", "sign", reason="补诊断").status_code == 302
    doctor.page = first_tab
    answer = doctor.press("action", "sign", reason="减为三日", **{"rx-days-1": "3"})
    (sheet,) = doctor.sheets()
    assert (answer.status_code, len(sheet.versions)) == (409, 1)
    assert "原发性高血压" in answer.text, "both sides of the note are shown"
    assert sheet.body.lines[0].days == "3", "what was typed is kept as a draft"


def test_a_double_click_that_signs_sheets_alone_ends_where_the_first_did(doctor: Doctor) -> None:
    before = amending(doctor)
    where = []
    for _ in range(2):
        doctor.page = before
        answer = doctor.press("action", "sign", reason="减为三日", **{"rx-days-1": "3"})
        where.append((answer.status_code, answer.headers.get("Location")))
    assert where == [(302, doctor.path)] * 2
    assert len(doctor.sheets()[0].versions) == 2
    doctor.page = doctor.client.get(f"{doctor.path}?amend=1").text
    assert doctor.press("action", "sign", reason="无").status_code == 422, "a new form without a change is none"


def test_what_was_changed_after_going_back_is_not_passed_off_as_signed(doctor: Doctor) -> None:
    before = doctor.page
    assert doctor.press("action", "sign").status_code == 302
    doctor.page = before
    answer = doctor.press("action", "sign", **{"rx-days-1": "3"})
    (sheet,) = doctor.sheets()
    assert (len(sheet.versions), sheet.is_open) == (1, True)
    assert answer.location == f"{doctor.path}?amend=1&rx={sheet.id}", "to the form that says what is missing"
    assert "Say why the signed note is changed" in doctor.page
    assert doctor.press("action", "sign", reason="减为三日").status_code == 302
    assert [version.body.lines[0].days for version in doctor.sheets()[0].versions] == ["3", "5"]


def test_a_sheet_that_was_left_unsigned_beside_a_signed_note_is_told(doctor: Doctor) -> None:
    amending(doctor)
    assert "not signed." not in doctor.client.get(doctor.path).text
    doctor.press("action", "save", **{"rx-days-1": "3"})
    page, (sheet,) = doctor.client.get(doctor.path).text, doctor.sheets()
    assert "A prescription is written and not signed." in page and f"amend=1&amp;rx={sheet.id}" in page


@pytest.mark.parametrize("status, said", [(Status.WAITING, "back in the queue"), (Status.CANCELLED, "was cancelled")])
def test_a_first_note_is_signed_only_while_its_patient_is_there(clinic: Clinic, status: Status, said: str) -> None:
    doctor = Doctor(clinic, clinic.begun())
    stale = doctor.page
    encounter = queries.get(clinic.his.conn, doctor.encounter_id)
    assert encounter is not None
    clinic.his.post(doctor.client, f"{doctor.path}/back")
    if status is Status.CANCELLED:
        clinic.his.write(lambda conn: reception.cancel(conn, encounter.registration_id))
    doctor.page = stale
    doctor.ready()
    answer = doctor.press("action", "sign")
    assert (answer.status_code, said in answer.text, "咳嗽 5 天" in answer.text) == (422, True, True)
    entry = reception.entry(clinic.his.conn, encounter.registration_id)
    assert entry is not None and entry.status is status
    if status is Status.WAITING:
        clinic.his.post(doctor.client, f"/encounters/queue/{encounter.registration_id}")
        assert doctor.press("action", "sign").status_code == 302, "called in again, it is signed"


def test_each_sheet_that_was_touched_has_its_trace(doctor: Doctor) -> None:
    first, since = doctor.sheets()[0].id, newest(doctor)
    doctor.press("rx-open", "herbal", **{"rx-days-1": "4"})
    second = doctor.sheets()[1].id
    assert traces(doctor, since) == [("prescription_saved", first), ("prescription_saved", second)]
    doctor.press("rx-show", first)
    since = newest(doctor)
    doctor.press("rx-show", second, **{"rx-days-1": "3"})
    assert traces(doctor, since) == [("prescription_saved", first)], "of the one that was saved, not of the one shown"


def test_a_discarded_sheet_leaves_a_trace_once(doctor: Doctor) -> None:
    (sheet,), since, before = doctor.sheets(), newest(doctor), doctor.page
    for _ in range(2):
        doctor.page = before
        doctor.press("action", "rx-drop")
    assert traces(doctor, since) == [("prescription_discarded", sheet.id)]


def test_what_another_doctor_has_written_meanwhile_is_not_discarded(doctor: Doctor) -> None:
    other = Doctor(doctor.clinic, doctor.encounter_id, "guo")
    other.add("W052")
    assert doctor.press("action", "rx-drop").status_code == 409
    assert "Somebody else has saved this sheet meanwhile" in doctor.page
    assert [sheet.status for sheet in doctor.sheets()] == ["draft"]
    assert doctor.press("action", "rx-drop").status_code == 302, "who has seen it may"
    assert [sheet.status for sheet in doctor.sheets()] == ["void"]


def test_no_sheet_of_another_visit_is_shown(clinic: Clinic, doctor: Doctor) -> None:
    other = Doctor(clinic, clinic.begun("段玉"), "guo")
    assert other.press("rx-show", doctor.sheets()[0].id).status_code == 400
