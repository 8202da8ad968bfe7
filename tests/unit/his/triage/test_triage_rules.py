"""What a nurse may save, what wants a second look, and who goes ahead."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest
from werkzeug.datastructures import MultiDict

from edge_node.his.patients.identity import Sex
from edge_node.his.reception.rules import Status, goes_ahead, urgency
from edge_node.his.triage.forms import Triaged, parse
from edge_node.his.triage.rules import Level, Measured, pregnancy_is_asked, remarks
from edge_node.i18n import ENGLISH, translate

TODAY, BORN = date(2026, 11, 20), date(1980, 3, 14)


def triaged(**form: str) -> Triaged:
    found = parse(MultiDict({"level": "3", **form}), today=TODAY, birth_date=BORN)
    assert isinstance(found, Triaged), found
    return found


def problems(**form: str) -> dict[str, str]:
    found = parse(MultiDict({"level": "3", **form}), today=TODAY, birth_date=BORN)
    assert isinstance(found, list), found
    return {problem.field: translate(problem.text, ENGLISH) for problem in found}


def test_measures_are_kept_in_their_one_form() -> None:
    found = triaged(
        temperature="３８,２℃", pulse="110 次/分", blood_pressure="138-86", oxygen="97 %", weight_kg="62.5 公斤",
        height_cm="１６５cm", pregnant="1", note="  面色 苍白 ",
    )  # fmt: skip
    assert found.measured == Measured(
        temperature="38.2", pulse="110", blood_pressure="138/86", oxygen="97", weight_kg="62.5", height_cm="165",
        pregnant=True,
    )  # fmt: skip
    assert (found.level, found.note, found.asked, found.allergy) == (Level.URGENT, "面色 苍白", False, None)


def test_nothing_but_the_level_has_to_be_there() -> None:
    assert triaged().measured == Measured()
    assert problems(level="") == {"level": "Choose one"}
    assert problems(level="5") == {"level": "Choose one"}
    assert problems(level="²") == {"level": "Choose one"}


@pytest.mark.parametrize("huge", ["9" * 5000, "-1", "0", "x", "NaN", "1e9"])
def test_what_nobody_has_is_asked_back_all_at_once(huge: str) -> None:
    names = ("temperature", "pulse", "respiration", "blood_pressure", "oxygen", "weight_kg", "height_cm")
    assert sorted(problems(**dict.fromkeys(names, huge))) == sorted(names)


def test_an_allergy_comes_with_the_measuring_or_a_nothing_not_both() -> None:
    found = triaged(substance="青霉素", reaction="皮疹")
    assert found.allergy is not None
    assert found.allergy.substance == "青霉素"
    assert triaged(asked="1").asked
    assert list(problems(asked="1", substance="青霉素")) == ["asked"]
    assert list(problems(reaction="皮疹")) == ["substance"]


def said(measured: Measured, born: date = BORN) -> str:
    return " | ".join(translate(remark, ENGLISH) for remark in remarks(measured, today=TODAY, birth_date=born))


def test_what_wants_a_second_look_stops_nobody() -> None:
    assert said(Measured(oxygen="94", temperature="36.8", weight_kg="62")) == ""
    assert said(Measured(oxygen="93")) == "Oxygen saturation 93% is low"
    assert "Fever, 38.2" in said(Measured(temperature="38.2"))


@pytest.mark.parametrize("weight, odd", [("7", True), ("10.1", False), ("20", False), ("35.9", False), ("36", True)])
def test_a_childs_weight_in_jin_is_noticed(weight: str, odd: bool) -> None:
    """Six years: near 20 kg. A weight in jin is twice as much, and so would every dose be."""
    assert ("kilograms, or half of that?" in said(Measured(weight_kg=weight), date(2020, 6, 1))) is odd


@pytest.mark.parametrize(
    "sex, born, asked",
    [
        (Sex.FEMALE, "1980-03-14", True), (Sex.MALE, "1980-03-14", False), (Sex.UNKNOWN, "1980-03-14", True),
        (Sex.FEMALE, "2017-01-01", False), (Sex.FEMALE, "2016-11-20", True), (Sex.FEMALE, "1950-01-01", False),
    ],
)  # fmt: skip
def test_whom_a_pregnancy_is_asked(sex: Sex, born: str, asked: bool) -> None:
    assert pregnancy_is_asked(sex, date.fromisoformat(born), TODAY) is asked


@pytest.mark.parametrize("came", list(permutations([1, 2, 3, 4, None])))
def test_levels_one_and_two_go_ahead_and_nobody_else(came: tuple[int | None, ...]) -> None:
    """Whatever the order in which they came: 1, 2, then the others in that order."""
    turn = sorted(came, key=lambda level: urgency(level, Status.WAITING))
    assert turn == [1, 2, *(level for level in came if not goes_ahead(level))]


def test_who_waits_no_more_has_no_turn() -> None:
    assert {urgency(level, status) for level in (1, 4, None) for status in Status if status is not Status.WAITING} == {
        urgency(None, Status.WAITING)
    }
