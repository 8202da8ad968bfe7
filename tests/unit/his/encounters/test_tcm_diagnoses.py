"""A disease of Chinese medicine and its syndrome: chosen one after the other, kept as one diagnosis."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from edge_node.his.catalogues.icd import DiagnosisKind
from edge_node.his.encounters.forms import diagnosis_value, parse_diagnosis
from edge_node.his.encounters.note import Diagnosis, Note
from edge_node.his.encounters.rules import awaiting_syndrome, remarks, too_long, with_diagnosis, with_syndrome
from edge_node.i18n import ENGLISH, translate

COUGH = Diagnosis(code="A04.01.01", name="咳嗽", kind=DiagnosisKind.TCM_DISEASE)
HEADACHE = Diagnosis(code="A06.03.09", name="头痛", kind=DiagnosisKind.TCM_DISEASE)
BRONCHITIS = Diagnosis(code="J20.900", name="急性支气管炎", insurance_code="J20.900")
PHLEGM = Diagnosis(code="B02.02.04", name="痰热郁肺证")
WHOLE = replace(COUGH, syndrome_code="B02.02.04", syndrome_name="痰热郁肺证")


def a_note(*diagnoses: Diagnosis) -> Note:
    return Note(complaint="咳嗽 5 天", diagnoses=diagnoses)


@pytest.mark.parametrize(
    "diagnoses, waiting",
    [
        pytest.param((), None, id="nothing"),
        pytest.param((BRONCHITIS,), None, id="a-disease-of-the-other-medicine"),
        pytest.param((BRONCHITIS, COUGH), COUGH, id="the-last"),
        pytest.param((COUGH, BRONCHITIS), COUGH, id="not-the-last"),
        pytest.param((COUGH, HEADACHE), HEADACHE, id="the-later-of-two"),
        pytest.param((COUGH, replace(HEADACHE, syndrome_name="气血两虚证")), COUGH, id="the-one-that-lacks-it"),
        pytest.param((WHOLE,), None, id="it-has-one"),
    ],
)
def test_which_disease_waits_for_its_syndrome(diagnoses: tuple[Diagnosis, ...], waiting: Diagnosis | None) -> None:
    assert awaiting_syndrome(a_note(*diagnoses)) == waiting


def test_a_syndrome_goes_to_its_disease_and_moves_nothing() -> None:
    assert with_syndrome(a_note(COUGH, BRONCHITIS), PHLEGM) == a_note(WHOLE, BRONCHITIS)
    own_words = with_syndrome(a_note(COUGH), Diagnosis(code="", name="痰热"))
    assert own_words.diagnoses[0].syndrome_name == "痰热"
    assert with_syndrome(a_note(BRONCHITIS), PHLEGM) == a_note(BRONCHITIS)
    assert with_syndrome(a_note(COUGH), Diagnosis(code="B02", name="")) == a_note(COUGH)


def test_one_diagnosis_stands_once_whatever_the_insurance_calls_it() -> None:
    old = Diagnosis(code="J20.900", name="急性支气管炎")
    assert with_diagnosis(a_note(old), BRONCHITIS) == a_note(old)
    assert with_diagnosis(a_note(WHOLE), COUGH) == a_note(WHOLE, COUGH), "with another syndrome it is another"


@pytest.mark.parametrize(
    "diagnosis",
    [BRONCHITIS, COUGH, WHOLE, replace(WHOLE, name='咳嗽 | "x"')],
    ids=["both-codes", "tcm", "pair", "signs"],
)
def test_all_of_it_survives_its_form_field(diagnosis: Diagnosis) -> None:
    assert parse_diagnosis(diagnosis_value(diagnosis)) == diagnosis


@pytest.mark.parametrize(
    "value", ["{", '{"code":1}', '{"code":"a","name":"b","kind":"tcm_syndrome"}', "{}", "{[", '{"name":"x"}']
)
def test_what_only_looks_like_one_is_somebodys_words(value: str) -> None:
    assert parse_diagnosis(value) == Diagnosis(code="", name=value)


def said(note: Note, *, herbs: bool) -> list[str]:
    day = date(2026, 11, 20)
    return [translate(one, ENGLISH) for one in remarks(note, birth_date=date(1980, 3, 14), today=day, herbs=herbs)]


def test_remarks_on_herbs_and_on_a_syndrome_that_is_not_said() -> None:
    assert said(a_note(BRONCHITIS), herbs=False) == said(a_note(WHOLE), herbs=True) == []
    assert said(a_note(BRONCHITIS), herbs=True) == [
        "Herbs, and no diagnosis of Chinese medicine yet (《中药处方格式及书写规范》)"
    ]
    assert said(a_note(COUGH), herbs=True) == ["咳嗽: its syndrome is not said"]


def test_places_of_a_template_that_are_left_are_remarked_on_field_by_field() -> None:
    note = Note(complaint="咳嗽___ 天", history="受凉后咳嗽", examination="咽___")
    assert said(note, herbs=False) == [
        "Complaint: places of a template are left to fill",
        "Examination: places of a template are left to fill",
    ]


def test_a_syndrome_of_many_pages_is_refused() -> None:
    assert [problem.field for problem in too_long(a_note(replace(WHOLE, syndrome_name="证" * 201)))] == ["dx"]
