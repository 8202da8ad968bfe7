"""A patient's form: typed text in, a person or the problem of each field out."""

from __future__ import annotations

from datetime import date

import pytest

from edge_node.his.forms import by_field
from edge_node.his.patients.forms import FIELDS, LABELS, Person, begin, meanwhile, parse, read_date, values_of
from edge_node.his.patients.identity import IdNumber, IdType, Sex, check_character
from edge_node.his.patients.queries import Patient
from edge_node.i18n import ENGLISH, Text, translate

TODAY = date(2026, 11, 20)
NUMBER = "320502198003142022"
GOOD = {
    "name": "单雅琴", "sex": "2", "birth_date": "1980-03-14", "id_type": "resident", "id_number": NUMBER,
    "phone": "138 0516 2207", "address": "桂花里 12 号",
}  # fmt: skip
KEPT = IdNumber(id_type=IdType.RESIDENT, number=NUMBER, birth_date=date(1980, 3, 14), sex=Sex.FEMALE)
ON_RECORD = Patient(
    id="p1", mrn="XC42A-2600000013", name="单雅琴", sex=Sex.FEMALE, birth_date=date(1980, 3, 14), phone="13805162207",
    id_type=IdType.RESIDENT, id_number_masked="3205**********2022", address="桂花里 12 号", version=3,
)  # fmt: skip


def person(**typed: str) -> Person:
    outcome = parse({**GOOD, **typed}, today=TODAY)
    assert isinstance(outcome, Person), outcome
    return outcome


def said(text: Text) -> str:
    values = {key: said(value) if isinstance(value, Text) else value for key, value in text.values.items()}
    return translate(Text(text.message, values), ENGLISH)


def problems(**typed: str) -> dict[str, str]:
    outcome = parse({**GOOD, **typed}, today=TODAY)
    assert isinstance(outcome, list), outcome
    return {problem.field: said(problem.text) for problem in outcome}


def test_a_good_form() -> None:
    assert person() == Person(
        name="单雅琴", sex=Sex.FEMALE, birth_date=date(1980, 3, 14), phone="13805162207", id_type=IdType.RESIDENT,
        id_number=NUMBER, address="桂花里 12 号",
    )  # fmt: skip


@pytest.mark.parametrize("left_out", [{"sex": ""}, {"birth_date": ""}, {"sex": "", "birth_date": " "}])
def test_the_number_fills_what_is_empty(left_out: dict[str, str]) -> None:
    assert person(**left_out) == person()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param({"name": ""}, {"name": "A name is needed; for somebody unknown write what they are called "
                     "meanwhile"}, id="no-name"),
        pytest.param({"name": "123"}, {"name": "A name has letters or characters"}, id="a-number-for-a-name"),
        pytest.param({"name": "a\u202eb"}, {"name": "It holds an invisible character; type it anew"}, id="invisible"),
        pytest.param({"name": "长" * 62}, {"name": "Too long by 2 characters"}, id="long-name"),
        pytest.param({"sex": "1"}, {"sex": "The document number says female"}, id="sex-against-number"),
        pytest.param({"sex": "3", "id_type": "none", "id_number": ""}, {"sex": "Choose one"}, id="no-such-sex"),
        pytest.param({"birth_date": "1980-03-15"}, {"birth_date": "1980-03-15, but the document number says "
                     "1980-03-14"}, id="birth-against-number"),
        pytest.param({"birth_date": "14.3.80"}, {"birth_date": "Not a date; write it like 1980-03-14"}, id="no-date"),
        pytest.param({"birth_date": "2026-11-21", "id_type": "none", "id_number": ""},
                     {"birth_date": "2026-11-21 is yet to come"}, id="born-tomorrow"),
        pytest.param({"birth_date": "1849-01-01", "id_type": "none", "id_number": ""},
                     {"birth_date": "1849-01-01 is too long ago"}, id="born-before-anybody"),
        pytest.param({"birth_date": "", "id_type": "none", "id_number": ""}, {"birth_date": "The birth date is needed; "
                     "if nobody knows it, estimate the year and take 01-01"}, id="no-birth-date"),
        pytest.param({"phone": "1380516220"}, {"phone": "Short by 1: a mobile number has 11 digits"}, id="short-phone"),
        pytest.param({"phone": "138051622077"}, {"phone": "Long by 1: a mobile number has 11 digits"}, id="long-phone"),
        pytest.param({"phone": "23805162207"}, {"phone": "A mobile number begins with 1, a fixed line with 0 and its "
                     "area code"}, id="begins-wrong"),
        pytest.param({"phone": "051-22"}, {"phone": "A fixed line has 10 to 12 digits with its area code"}, id="fixed"),
        pytest.param({"phone": "see note"}, {"phone": "Only digits; a number from abroad begins with +"}, id="words"),
        pytest.param({"id_number": ""}, {"id_number": "The number is missing; without a document choose \"No papers\""},
                     id="no-number"),
        pytest.param({"id_type": "none"}, {"id_type": "A number is given: choose what kind of document it is from"},
                     id="number-without-kind"),
        pytest.param({"id_type": "library"}, {"id_type": "Choose the kind of document"}, id="no-such-kind"),
        pytest.param({"id_number": NUMBER[:-1] + "3"}, {"id_number": "The check does not fit: one character may be "
                     "wrong; compare with the card once more"}, id="check"),
        pytest.param({"address": "x" * 201}, {"address": "Too long by 1 characters"}, id="long-address"),
    ],
)  # fmt: skip
def test_problems_name_the_field_and_what_to_do(typed: dict[str, str], expected: dict[str, str]) -> None:
    assert problems(**typed) == expected


def test_all_problems_come_at_once_in_the_order_of_the_form() -> None:
    outcome = parse({"id_type": "passport", "id_number": "x", "phone": "1"}, today=TODAY)
    assert isinstance(outcome, list)
    assert [problem.field for problem in outcome] == ["name", "sex", "birth_date", "id_number", "phone"]
    assert set(by_field(outcome)) <= set(FIELDS) == set(LABELS)


@pytest.mark.parametrize(
    ("typed", "phone"),
    [
        ("１３８ 0516-2207", "13805162207"), ("+86 138 0516 2207", "13805162207"), ("0086 13805162207", "13805162207"),
        ("0512-6522 3344", "051265223344"), ("(010) 6522 3344", "01065223344"), ("+49 30 901820", "+4930901820"),
        ("", ""),
    ],
)  # fmt: skip
def test_phones(typed: str, phone: str) -> None:
    assert person(phone=typed).phone == phone


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (" 单 雅琴 ", "单 雅琴"), ("古丽娜尔 • 买买提", "古丽娜尔·买买提"), ("古丽娜尔・买买提", "古丽娜尔·买买提"),
        ("Ｍａｒｉａ　Garcia", "Maria Garcia"), ("㛃晓𬭎", "㛃晓𬭎"), ("Rene\u0301", "René"),
    ],
)  # fmt: skip
def test_names_are_brought_into_one_form(typed: str, name: str) -> None:
    assert person(name=typed).name == name


def test_the_number_tells_the_kind_of_card() -> None:
    permit = "81000019800314202"
    assert person(id_number=permit + check_character(permit)).id_type is IdType.HKMT_RESIDENCE


def test_a_slip_in_the_number_is_the_only_problem_of_what_it_would_have_filled() -> None:
    assert list(problems(id_number=NUMBER[:-1] + "3", sex="", birth_date="")) == ["id_number"]


def test_no_papers() -> None:
    found = person(id_type="none", id_number="")
    assert (found.id_type, found.id_number) == (IdType.NONE, None)


def test_an_empty_field_keeps_the_number_on_record_and_still_compares_with_it() -> None:
    kept = parse({**GOOD, "id_number": ""}, today=TODAY, kept=KEPT)
    assert isinstance(kept, Person)
    assert kept.id_number is None
    differs = parse({**GOOD, "id_number": "", "birth_date": "1981-03-14"}, today=TODAY, kept=KEPT)
    assert isinstance(differs, list)
    assert [problem.field for problem in differs] == ["birth_date"]


def test_another_kind_of_document_needs_its_number() -> None:
    outcome = parse({**GOOD, "id_type": "passport", "id_number": ""}, today=TODAY, kept=KEPT)
    assert isinstance(outcome, list)
    assert [problem.field for problem in outcome] == ["id_number"]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("1980-03-14", date(1980, 3, 14)), ("19800314", date(1980, 3, 14)), ("1980/3/14", date(1980, 3, 14)),
        ("1980.3.14", date(1980, 3, 14)), ("1980年3月14日", date(1980, 3, 14)),
        ("１９８０-０３-１４", date(1980, 3, 14)),
        ("1980-02-30", None), ("80-3-14", None), ("1980", None), ("", None), ("0000-01-01", None),
    ],
)  # fmt: skip
def test_dates(typed: str, read: date | None) -> None:
    assert read_date(typed) == read


@pytest.mark.parametrize(
    ("typed", "filled"),
    [
        pytest.param(NUMBER.lower(), {"id_type": "resident", "id_number": NUMBER, "birth_date": "1980-03-14",
                     "sex": "2"}, id="id-number"),
        pytest.param(NUMBER[:-1] + "3", {"id_type": "resident", "id_number": NUMBER[:-1] + "3"}, id="wrong-id-number"),
        pytest.param("138 0516 2207", {"phone": "138 0516 2207"}, id="phone"),
        pytest.param("2207", {}, id="end-of-a-phone"),
        pytest.param("单雅琴", {"name": "单雅琴"}, id="name"),
        pytest.param("syq", {}, id="initials-are-no-name"),
        pytest.param("单雅琴 1980", {}, id="narrowed-name"),
        pytest.param("", {}, id="nothing"),
    ],
)  # fmt: skip
def test_a_search_that_found_nobody_begins_the_form(typed: str, filled: dict[str, str]) -> None:
    assert begin(typed, today=TODAY) == filled


def test_a_record_as_its_form_changes_nothing() -> None:
    values = values_of(ON_RECORD)
    assert values["version"] == "3"
    back = parse(values, today=TODAY, kept=KEPT)
    assert isinstance(back, Person)
    assert meanwhile(ON_RECORD, back) == []


def test_what_somebody_else_saved_stands_beside_what_was_typed() -> None:
    mine = person(phone="13900000000", address="", id_number=NUMBER)
    assert {problem.field: said(problem.text) for problem in meanwhile(ON_RECORD, mine)} == {
        "phone": "Meanwhile saved by somebody else: 13805162207. Saving again puts yours",
        "address": "Meanwhile saved by somebody else: 桂花里 12 号. Saving again puts yours",
    }
