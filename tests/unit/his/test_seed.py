"""What a new clinic begins with."""

from __future__ import annotations

import re

import pytest
from pypinyin import Style, pinyin

from edge_node.his.catalogues.icd import DiagnosisKind, IcdEntry
from edge_node.his.catalogues.initials import initials
from edge_node.his.catalogues.training import common_diagnoses
from edge_node.his.seed import default_departments, training_staff
from edge_node.his.staff.model import Role


@pytest.mark.parametrize("attribute", ["code", "mark", "name", "name_en"])
def test_departments_differ(attribute: str) -> None:
    values = [getattr(department, attribute) for department in default_departments()]
    assert len(set(values)) == len(values)


def test_queue_marks_are_one_character() -> None:
    assert all(len(department.mark) == 1 and department.mark in department.name for department in default_departments())


def test_every_role_can_be_tried() -> None:
    assert {role for person in training_staff() for role in person.roles} == set(Role)


def test_every_doctor_has_a_department_that_exists() -> None:
    departments = {department.code for department in default_departments()}
    doctors = [person for person in training_staff() if Role.DOCTOR in person.roles]
    assert len(doctors) >= 3
    assert {doctor.department for doctor in doctors} <= departments


def test_staff_codes_are_plain_and_differ() -> None:
    codes = [person.code for person in training_staff()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z]{3,12}", code) for code in codes)


def diagnoses() -> list[IcdEntry]:
    return [entry for entry in common_diagnoses() if entry.kind is DiagnosisKind.DISEASE]


def test_diagnoses_have_codes_of_the_clinical_edition() -> None:
    catalogue = diagnoses()
    assert 150 <= len(catalogue) == len({entry.code for entry in catalogue}) == len({entry.name for entry in catalogue})
    assert [entry.code for entry in catalogue if not re.fullmatch(r"[A-Z]\d\d\.(\d|x)\d\d", entry.code)] == []
    assert all(re.search(r"[\u4e00-\u9fff]", entry.name) and entry.name_en.isascii() for entry in catalogue)


def test_initials_are_a_reading_of_the_name() -> None:
    for entry in diagnoses():
        characters = re.sub(r"[^\u4e00-\u9fff]", "", entry.name)
        letters = initials(re.sub(r"[\da-zA-Z]", "", entry.name))
        readings = pinyin(characters, style=Style.FIRST_LETTER, heteronym=True)
        assert len(letters) == len(characters), entry
        assert all(letter in possible for letter, possible in zip(letters, readings, strict=True)), entry


@pytest.mark.parametrize(
    "name, letters",
    [
        ("急性支气管炎", "jxzqgy"),
        ("2 型糖尿病", "2xtnb"),
        ("急性鼻咽炎（感冒）", "jxbyygm"),
        ("慢性阻塞性肺疾病", "mxzsxfjb"),
        ("便秘", "bm"),
        ("颈椎病", "jzb"),
    ],
)
def test_initials(name: str, letters: str) -> None:
    assert initials(name) == letters
