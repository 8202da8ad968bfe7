"""The note's form: what was typed is kept, and what is recognised is written in one way."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import MultiDict

from edge_node.his.encounters.forms import diagnosis_value, parse_diagnosis, parse_note, parse_revision
from edge_node.his.encounters.note import Diagnosis, Note


def parsed(**fields: str) -> Note:
    return parse_note(MultiDict(fields))


@pytest.mark.parametrize(
    "field, typed, kept",
    [
        pytest.param("temperature", "３７.６", "37.6", id="full-width-digits"),
        pytest.param("temperature", "37,6", "37.6", id="comma"),
        pytest.param("temperature", "37.6℃", "37.6", id="with-its-unit"),
        pytest.param("temperature", "37.6 度", "37.6", id="with-its-chinese-unit"),
        pytest.param("temperature", "低热", "低热", id="words-stay"),
        pytest.param("pulse", "88 次/分", "88", id="pulse-with-unit"),
        pytest.param("pulse", "88 bpm", "88", id="pulse-in-english"),
        pytest.param("blood_pressure", "138／86", "138/86", id="full-width-stroke"),
        pytest.param("blood_pressure", "138-86", "138/86", id="dash"),
        pytest.param("blood_pressure", "138 86 mmHg", "138/86", id="space-and-unit"),
        pytest.param("blood_pressure", "138", "138", id="half-stays"),
        pytest.param("onset_date", "20261115", "2026-11-15", id="eight-digits"),
        pytest.param("onset_date", "2026.1.5", "2026-01-05", id="points"),
        pytest.param("onset_date", "2026年11月15日", "2026-11-15", id="chinese"),
        pytest.param("onset_date", "２０２６-１１-１５", "2026-11-15", id="full-width-date"),
        pytest.param("onset_date", "2026-02-30", "2026-02-30", id="no-such-day-stays"),
        pytest.param("onset_date", "2026111", "2026111", id="ambiguous-stays"),
        pytest.param("complaint", "  咳嗽，发热 37，6 ", "咳嗽，发热 37，6", id="prose-keeps-its-signs"),
        pytest.param("history", "一\r\n二", "一\n二", id="lines"),
    ],
)
def test_typed(field: str, typed: str, kept: str) -> None:
    assert getattr(parsed(**{field: typed}), field) == kept


def test_what_was_normalised_stays_so() -> None:
    once = parsed(temperature="３７,６", blood_pressure="138-86", onset_date="20261115", history="a\r\nb")
    again = parsed(**{name: getattr(once, name) for name in ("temperature", "blood_pressure", "onset_date", "history")})
    assert again == once


def test_an_empty_form_is_an_empty_note() -> None:
    assert parse_note(MultiDict()) == Note()


def test_diagnoses_keep_their_order_and_are_there_once() -> None:
    form = MultiDict(
        [("diagnosis", "J20.900|急性支气管炎"), ("diagnosis", "|乏力"), ("diagnosis", "|乏力"), ("diagnosis", "|")]
    )
    assert parse_note(form).diagnoses == (
        Diagnosis(code="J20.900", name="急性支气管炎"),
        Diagnosis(code="", name="乏力"),
    )


@pytest.mark.parametrize(
    "diagnosis",
    [Diagnosis(code="J20.900", name="急性支气管炎"), Diagnosis(code="", name="乏力 | 待查")],
    ids=["catalogue", "own-words-with-a-bar"],
)
def test_a_diagnosis_survives_its_form_field(diagnosis: Diagnosis) -> None:
    assert parse_diagnosis(diagnosis_value(diagnosis)) == diagnosis


def test_words_alone_are_a_diagnosis_without_a_code() -> None:
    assert parse_diagnosis(" 乏力待查 ") == Diagnosis(code="", name="乏力待查")


def test_a_form_without_its_revision_is_not_ours() -> None:
    assert parse_revision(MultiDict({"revision": "3"})) == 3
    for form in (MultiDict(), MultiDict({"revision": "x"})):
        with pytest.raises(ValueError):
            parse_revision(form)
