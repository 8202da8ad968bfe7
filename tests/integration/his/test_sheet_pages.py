"""The doctor's page with a sheet beside the note: one form, one signature, and nothing that is typed is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.training import training_drugs
from edge_node.his.triage import queries as triage
from edge_node.his.triage.rules import Level, Measured
from edge_node.store.connection import Connection
from tests.support.doctor_form import Doctor
from tests.support.encounters import Clinic
from tests.support.his import a_his
from tests.support.orders import doctor_of


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.write(lambda conn: catalogues.keep_drugs(conn, training_drugs(), at=1))
        yield clinic


@pytest.fixture
def doctor(clinic: Clinic) -> Doctor:
    return doctor_of(clinic)


def test_initials_that_mean_one_drug_add_it_with_what_is_usual(doctor: Doctor) -> None:
    answer = doctor.press("action", "rx-find", rx__q="W035", complaint="咳嗽")
    assert answer.status_code == 302
    assert "盐酸氨溴索片" in doctor.page
    (sheet,) = doctor.sheets()
    assert [(line.dose, line.frequency, line.days) for line in sheet.body.lines] == [("30", "tid", "5")]
    assert 'value="咳嗽"' in doctor.page, "the note's field is kept by the sheet's button"


def test_what_may_be_several_is_shown_numbered(doctor: Doctor) -> None:
    doctor.press("action", "rx-find", rx__q="tb")
    assert doctor.page.count('name="rx-add"') > 1
    doctor.press("action", "rx-find", rx__q="xxxxx")
    assert "Nothing in the catalogue" in doctor.page


def test_enter_in_the_drug_field_never_signs(doctor: Doctor) -> None:
    doctor.ready()
    doctor.press("action", "enter", rx__q="W035")
    (sheet,) = doctor.sheets()
    assert (len(sheet.body.lines), sheet.status) == (1, "draft")


def test_one_signature_signs_note_and_sheets_each_with_its_number(doctor: Doctor) -> None:
    doctor.ready()
    doctor.add("W035")
    doctor.press("rx-open", "herbal")
    doctor.add("甘草")
    answer = doctor.press("action", "sign", rx__doses="3")
    assert answer.status_code == 302
    first, second = doctor.sheets()
    assert [sheet.status for sheet in (first, second)] == ["signed", "signed"]
    numbers = [sheet.versions[0].rx_no for sheet in (first, second)]
    assert len(set(numbers)) == 2
    assert all(re.fullmatch(r"0042A-R\d{10}", number) for number in numbers)
    assert all(number in doctor.page for number in numbers)
    assert "盐酸氨溴索片" in doctor.page and "甘草" in doctor.page


def test_a_stop_keeps_everything_from_being_signed_and_every_character(doctor: Doctor) -> None:
    doctor.ready()
    doctor.add("W001")
    assert "no skin test yet" in doctor.page
    answer = doctor.press("action", "sign", history="夜间重，<b>不</b>发热")
    assert answer.status_code == 422
    assert "Prescription 1: 1 to change, 0 without a reason" in doctor.page
    assert "夜间重，&lt;b&gt;不&lt;/b&gt;发热" in doctor.page
    (sheet,) = doctor.sheets()
    assert sheet.status == "draft"
    assert doctor.his.conn.execute("SELECT count(*) FROM note_version").fetchone()[0] == 0


def test_what_is_wrong_with_a_line_stands_beneath_that_line(doctor: Doctor) -> None:
    doctor.ready()
    doctor.add("W035")
    doctor.add("W052")
    doctor.press("action", "save", **{"rx-dose-1": "viel"})
    places = [doctor.page.index(mark) for mark in ('id="rx-dose-1"', 'id="rx-dose-1-note"', 'id="rx-dose-2"')]
    assert places == sorted(places)
    assert 'value="viel"' in doctor.page


def test_a_question_passes_with_a_reason_which_is_signed_with_the_sheet(doctor: Doctor) -> None:
    doctor.ready()
    doctor.add("W052")
    assert "28 days; at most 7 without a reason" in doctor.page
    assert doctor.press("action", "sign").status_code == 422
    reason = "高血压长期服药，血压平稳"
    assert doctor.press("action", "sign", **{"reason-supply-too-long:1": reason}).status_code == 302
    (sheet,) = doctor.sheets()
    assert sheet.versions[0].body.reasons == {"supply-too-long:1": reason}
    assert reason in doctor.page


def test_a_double_click_opens_one_sheet_and_signs_once(doctor: Doctor) -> None:
    doctor.ready()
    entry = catalogues.find_drugs(doctor.his.conn, "W035", herbal=False)[0]
    before = doctor.page
    doctor.press("rx-add", entry.id)
    after, doctor.page = doctor.page, before
    doctor.press("rx-add", entry.id)
    assert len(doctor.sheets()) == 1
    doctor.page = after
    doctor.press("action", "sign")
    doctor.page = after
    assert doctor.press("action", "sign").status_code == 302
    (sheet,) = doctor.sheets()
    assert len(sheet.versions) == 1
    assert doctor.his.conn.execute("SELECT count(*) FROM note_version").fetchone()[0] == 1


def test_two_doctors_on_one_sheet_both_keep_what_they_wrote(doctor: Doctor) -> None:
    doctor.ready()
    doctor.add("W035")
    other = Doctor(doctor.clinic, doctor.encounter_id, "guo")
    other.press("action", "save", **{"rx-dose-1": "60"})
    answer = doctor.press("action", "save", **{"rx-dose-1": "15"})
    assert answer.status_code == 409
    assert "Somebody else has saved this sheet meanwhile" in doctor.page
    assert 'name="rx-dose-1" value="15"' in doctor.page
    assert doctor.press("action", "save").status_code == 302
    (sheet,) = doctor.sheets()
    assert sheet.body.lines[0].dose == "15"
    doses = doctor.his.conn.execute("SELECT body FROM prescription_draft ORDER BY revision").fetchall()
    assert ['"dose":"60"' in row["body"] for row in doses][-2:] == [True, False]


@pytest.mark.parametrize(
    "field, typed, said",
    [
        ("rx-dose-1", "三十", "A number above zero"),
        ("rx-days-1", "0", "A whole number from 1 to 366"),
        ("rx-packs-1", "1.5", "A whole number from 1 to 999"),
        ("rx-until", "2026-02-30", "A date such as"),
        ("rx-until", "2020-01-01", "The day is past"),
        ("rx-hint-1", "长" * 201, "At most 200 characters"),
        ("rx-dose-1", "9" * 41, "At most 40 characters"),
    ],
)
def test_a_field_that_cannot_be_read_says_so_and_signs_nothing(
    doctor: Doctor, field: str, typed: str, said: str
) -> None:
    doctor.ready()
    doctor.add("W035")
    answer = doctor.press("action", "sign", **{field: typed})
    assert answer.status_code == 422
    assert said in doctor.page
    (sheet,) = doctor.sheets()
    assert sheet.status == "draft"


def test_a_drug_that_there_is_not_is_no_form_of_ours(doctor: Doctor) -> None:
    assert doctor.press("rx-add", "01ARZ3NDEKTSV4RRFFQ69G5FAV").status_code == 400
    assert doctor.press("rx-show", "x", rx__id="01ARZ3NDEKTSV4RRFFQ69G5FAV").status_code == 400


def test_an_earlier_sheet_is_written_again_without_its_reasons(clinic: Clinic, doctor: Doctor) -> None:
    doctor.ready()
    doctor.add("W052")
    doctor.press("action", "sign", **{"reason-supply-too-long:1": "长期服药"})
    (old,) = doctor.sheets()
    entry = clinic.comes("单雅琴", patient_id=old.patient_id)
    again = Doctor(clinic, _begun(clinic, entry.registration_id))
    assert "苯磺酸氨氯地平片" in again.page, "the history offers it"
    again.press("rx-repeat", old.id)
    (sheet,) = again.sheets()
    assert [line.dose for line in sheet.body.lines] == ["5"]
    assert sheet.body.reasons == {}
    assert "without a reason" in again.page


def _begun(clinic: Clinic, registration_id: str) -> str:
    from edge_node.his.encounters import queries

    encounter_id = clinic.his.write(
        lambda conn: queries.begin(conn, registration_id, doctor_id=clinic.staff["shen"], at=clinic.his.clock.wall_ms())
    )
    assert encounter_id is not None
    return encounter_id


def test_a_signed_sheet_is_changed_as_the_next_version_while_the_note_stays(doctor: Doctor) -> None:
    doctor.ready()
    doctor.add("W035")
    doctor.press("action", "sign")
    doctor.page = doctor.client.get(f"{doctor.path}?amend=1").text
    assert doctor.press("action", "sign", **{"rx-days-1": "3"}).status_code == 422, "a reason is needed"
    answer = doctor.press("action", "sign", **{"rx-days-1": "3"}, reason="改为三日量")
    assert answer.status_code == 302
    (sheet,) = doctor.sheets()
    assert [version.n for version in sheet.versions] == [2, 1]
    assert sheet.versions[0].rx_no != sheet.versions[1].rx_no
    assert doctor.his.conn.execute("SELECT count(*) FROM note_version").fetchone()[0] == 1


def test_a_sheet_that_was_not_signed_can_be_discarded(doctor: Doctor) -> None:
    doctor.add("W035")
    doctor.press("action", "rx-drop")
    (sheet,) = doctor.sheets()
    assert sheet.status == "void"
    assert "盐酸氨溴索片" not in doctor.page.partition("Earlier visits")[0]


def test_a_note_begins_with_what_the_nurse_measured_and_the_queue_shows_allergies(clinic: Clinic) -> None:
    entry = clinic.comes("曾国强")
    by = clinic.staff["zhou"]

    def measured(conn: Connection) -> None:
        triage.insert(
            conn, entry.registration_id, Measured(temperature="38.2", pulse="96"), level=Level(3), note="", at=1, by=by
        )
        conn.execute(
            "INSERT INTO allergy (id, patient_id, substance, recorded_at, recorded_by) VALUES ('a', ?, '磺胺', 1, ?)",
            (entry.patient.id, by),
        )

    clinic.his.write(measured)
    doctor = Doctor(clinic, _begun(clinic, entry.registration_id))
    fields = dict(doctor.fields())
    assert (fields["temperature"], fields["pulse"], fields["complaint"]) == ("38.2", "96", "")
    assert doctor.page.count("磺胺") >= 2, "in the header and in the queue"
