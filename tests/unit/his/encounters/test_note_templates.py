"""Templates of notes: what they fill, and whose words they may hold."""

from __future__ import annotations

from datetime import date

import pytest

from edge_node.his.encounters.note import Diagnosis, Note
from edge_node.his.encounters.note_templates import filled, problems, prose_of
from edge_node.his.patients.identity import IdType, Sex
from edge_node.his.patients.queries import Patient

TEMPLATE = Note(complaint="咳嗽___ 天", history="___ 天前受凉后咳嗽", examination="咽充血")
SHAN = Patient(
    id="p", mrn="XC42A-2600000018", name="单雅琴", sex=Sex.FEMALE, birth_date=date(1980, 3, 14), phone="13805162207",
    id_type=IdType.NONE, id_number_masked="", address="", version=1, guardian_name="",
)  # fmt: skip


def test_what_is_typed_stays_to_the_letter_and_is_named() -> None:
    typed = Note(complaint=" 咳嗽", temperature="37.6", diagnoses=(Diagnosis(code="", name="乏力"),))
    done = filled(typed, TEMPLATE)
    assert (done.note.complaint, done.note.temperature, done.note.diagnoses) == (" 咳嗽", "37.6", typed.diagnoses)
    assert (done.note.history, done.note.examination) == (TEMPLATE.history, TEMPLATE.examination)
    assert done.left == ("complaint",)


def test_filled_twice_nothing_changes_and_nothing_is_left_out() -> None:
    once = filled(Note(), TEMPLATE)
    assert filled(once.note, TEMPLATE) == once
    assert once.left == ()
    assert filled(Note(history="x"), Note(complaint="y")).left == (), "the template had no words for it"


def test_only_prose_goes_into_a_template() -> None:
    note = Note(complaint="a", temperature="37.6", onset_date="2026-11-15", diagnoses=(Diagnosis(code="", name="b"),))
    assert prose_of(note) == Note(complaint="a")


@pytest.mark.parametrize(
    "name, prose, fields",
    [
        pytest.param("支气管炎", TEMPLATE, [], id="good"),
        pytest.param("", TEMPLATE, ["name"], id="no-name"),
        pytest.param("长" * 41, TEMPLATE, ["name"], id="a-long-name"),
        pytest.param("空", Note(), ["complaint"], id="no-words"),
        pytest.param("单雅琴的", TEMPLATE, ["name"], id="named-after-the-patient"),
        pytest.param("x", Note(history="单雅琴 3 天前咳嗽"), ["history"], id="the-name-in-it"),
        pytest.param("x", Note(examination="电话 13805162207"), ["examination"], id="the-phone-in-it"),
        pytest.param("x", Note(history="长" * 10_001), ["history"], id="more-than-is-kept"),
    ],
)
def test_what_keeps_words_from_becoming_a_template(name: str, prose: Note, fields: list[str]) -> None:
    assert [problem.field for problem in problems(name, prose, SHAN)] == fields
