"""What stands between a note and its signature, and what only wants a look."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from edge_node.his.encounters import rules
from edge_node.his.encounters.note import TEXT_FIELDS, Diagnosis, Note
from edge_node.his.encounters.rules import Vitals, before_amending, before_signing, remarks, vitals
from edge_node.i18n import translate

TODAY, BORN = date(2026, 11, 23), date(1980, 3, 14)
GOUT = Diagnosis(code="M10.900", name="痛风")
SIGNABLE = Note(complaint="咳嗽", diagnoses=(GOUT,))


def said(note: Note) -> list[tuple[str, str]]:
    problems = before_signing(note, today=TODAY, birth_date=BORN)
    return [(problem.field, translate(problem.text, "en")) for problem in problems]


def test_a_complaint_and_a_diagnosis_are_enough() -> None:
    assert said(SIGNABLE) == []


@pytest.mark.parametrize(
    "changes, problems",
    [
        pytest.param({"complaint": ""}, [("complaint", "The complaint is missing")], id="no-complaint"),
        pytest.param({"diagnoses": ()}, [("dx", "A diagnosis is missing")], id="no-diagnosis"),
        pytest.param({"temperature": "376"}, [("temperature", "25 to 45, such as 37.6")], id="lost-the-point"),
        pytest.param({"temperature": "37.65"}, [("temperature", "25 to 45, such as 37.6")], id="two-decimals"),
        pytest.param({"temperature": "warm"}, [("temperature", "25 to 45, such as 37.6")], id="words"),
        pytest.param({"temperature": "24.9"}, [("temperature", "25 to 45, such as 37.6")], id="colder-than-anyone"),
        pytest.param({"temperature": "45"}, [], id="the-warmest"),
        pytest.param({"pulse": "8"}, [("pulse", "10 to 350, such as 88")], id="lost-a-digit"),
        pytest.param({"pulse": "88.5"}, [("pulse", "10 to 350, such as 88")], id="half-a-beat"),
        pytest.param({"respiration": "190"}, [("respiration", "3 to 120, such as 19")], id="too-many-breaths"),
        pytest.param({"blood_pressure": "138"}, [("blood_pressure", "Two numbers, such as 138/86")], id="one-number"),
        pytest.param({"blood_pressure": "13/86"}, [("blood_pressure", "Two numbers, such as 138/86")], id="cut-short"),
        pytest.param(
            {"blood_pressure": "86/138"}, [("blood_pressure", "The higher number first, such as 138/86")], id="swapped"
        ),
        pytest.param({"onset_date": "2026-11-24"}, [("onset_date", "2026-11-24 has not come yet")], id="tomorrow"),
        pytest.param({"onset_date": "2026-11-23"}, [], id="today"),
        pytest.param(
            {"onset_date": "1980-03-13"}, [("onset_date", "The patient was born on 1980-03-14")], id="before-birth"
        ),
        pytest.param({"onset_date": "上周"}, [("onset_date", "A date such as 2026-11-23")], id="no-date"),
        pytest.param(
            {"pulse": "8" * 41},
            [
                ("pulse", "41 characters are more than can be kept (40)"),
                ("pulse", "10 to 350, such as 88"),
            ],
            id="too-long-for-a-value",
        ),
        pytest.param(
            {"history": "长" * 10_001}, [("history", "10001 characters are more than can be kept (10000)")], id="a-book"
        ),
        pytest.param(
            {"diagnoses": tuple(Diagnosis(code="", name=str(n)) for n in range(21))},
            [("dx", "At most 20 diagnoses of 200 characters")],
            id="a-textbook",
        ),
    ],
)
def test_before_signing(changes: dict[str, object], problems: list[tuple[str, str]]) -> None:
    assert said(replace(SIGNABLE, **changes)) == problems  # type: ignore[arg-type]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    bad = Note(temperature="x", pulse="x", respiration="x", blood_pressure="x", onset_date="x")
    assert [field for field, _ in said(bad)] == [
        "complaint",
        "dx",
        "temperature",
        "pulse",
        "respiration",
        "blood_pressure",
        "onset_date",
    ]


@pytest.mark.parametrize(
    "note, reason, fields",
    [
        pytest.param(replace(SIGNABLE, complaint="咳嗽、发热"), "漏写", [], id="a-reason-and-a-change"),
        pytest.param(replace(SIGNABLE, complaint="咳嗽、发热"), "", ["reason"], id="no-reason"),
        pytest.param(SIGNABLE, "漏写", ["complaint"], id="no-change"),
        pytest.param(SIGNABLE, "长" * 501, ["reason", "complaint"], id="a-reason-too-long"),
    ],
)
def test_before_amending(note: Note, reason: str, fields: list[str]) -> None:
    assert [problem.field for problem in before_amending(note, SIGNABLE, reason)] == fields


def test_vitals_are_read_with_their_units() -> None:
    note = Note(temperature="37.6", pulse="88", respiration="19", blood_pressure="138/86")
    assert vitals(note) == Vitals(
        temperature_c=Decimal("37.6"), pulse_per_min=88, respiration_per_min=19, systolic_mmhg=138, diastolic_mmhg=86
    )
    assert vitals(Note(temperature="about 37", pulse="fast")) == Vitals()


@pytest.mark.parametrize(
    "born, measures, sentences",
    [
        pytest.param(BORN, {"temperature": "37.2", "pulse": "72", "blood_pressure": "120/80"}, [], id="all-usual"),
        pytest.param(
            BORN,
            {"temperature": "37.3"},
            ["Fever, 37.3 ℃: the outpatient log asks where the patient was exposed"],
            id="fever-begins",
        ),
        pytest.param(BORN, {"temperature": "34.9"}, ["Temperature 34.9 ℃ is unusually low: measure again?"], id="cold"),
        pytest.param(BORN, {"pulse": "140"}, ["Pulse 140 is unusual at this age"], id="fast-for-an-adult"),
        pytest.param(date(2026, 6, 1), {"pulse": "140", "respiration": "40"}, [], id="usual-for-an-infant"),
        pytest.param(
            date(2014, 11, 23), {"respiration": "28"}, ["Respiration 28 is unusual at this age"], id="twelve-today"
        ),
        pytest.param(date(2014, 11, 24), {"respiration": "28"}, [], id="twelve-tomorrow"),
        pytest.param(BORN, {"blood_pressure": "139/89"}, [], id="just-below"),
        pytest.param(BORN, {"blood_pressure": "138/90"}, ["Blood pressure 138/90 is above 140/90"], id="diastolic"),
        pytest.param(
            BORN,
            {"blood_pressure": "180/95"},
            ["Blood pressure 180/95 is very high: measure again after a rest"],
            id="very-high",
        ),
        pytest.param(BORN, {"blood_pressure": "88/62"}, ["Blood pressure 88/62 is low"], id="low"),
        pytest.param(date(2020, 1, 1), {"blood_pressure": "85/50"}, [], id="a-child-has-other-figures"),
        pytest.param(BORN, {"temperature": "hot", "pulse": "x"}, [], id="what-cannot-be-read-is-no-remark"),
        pytest.param(
            BORN, {"temperature": "376", "blood_pressure": "86/138"}, [], id="what-cannot-be-signed-is-no-remark"
        ),
    ],
)
def test_remarks(born: date, measures: dict[str, str], sentences: list[str]) -> None:
    found = remarks(Note(**measures), birth_date=born, today=TODAY)  # type: ignore[arg-type]
    assert [translate(remark, "en") for remark in found] == sentences


def test_every_field_has_a_name() -> None:
    assert set(rules.FIELD_NAMES) == set(TEXT_FIELDS)


COUGH = Diagnosis(code="", name="咳嗽")


def test_diagnoses_are_added_once_moved_and_removed() -> None:
    note = rules.with_diagnosis(rules.with_diagnosis(SIGNABLE, COUGH), COUGH)
    assert note.diagnoses == (GOUT, COUGH)
    assert rules.with_main(note, COUGH).diagnoses == (COUGH, GOUT)
    assert rules.without_diagnosis(note, GOUT).diagnoses == (COUGH,)


def test_a_diagnosis_that_is_not_there_cannot_become_the_main_one() -> None:
    assert rules.with_main(SIGNABLE, COUGH) == SIGNABLE
    assert rules.with_diagnosis(SIGNABLE, Diagnosis(code="", name="")) == SIGNABLE


@pytest.mark.parametrize(
    "queue_date, left",
    [
        pytest.param(date(2026, 11, 22), True, id="yesterday"),
        pytest.param(date(2025, 12, 31), True, id="last-year"),
        pytest.param(TODAY, False, id="today"),
        pytest.param(date(2026, 11, 24), False, id="the-clock-was-set-back"),
    ],
)
def test_left_open_is_what_an_earlier_day_began(queue_date: date, left: bool) -> None:
    assert rules.is_left_open(queue_date, TODAY) is left
