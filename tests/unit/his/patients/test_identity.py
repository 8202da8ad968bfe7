"""ID numbers: against GB 11643's own words, two foreign implementations, and every slip of one digit."""

from __future__ import annotations

from datetime import date

import pytest
from faker import Faker
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from edge_node.his.patients.identity import (
    IdNumber,
    IdType,
    NotAnId,
    Sex,
    check_character,
    guess_type,
    looks_like_gb_11643,
    mask,
    normalise,
    read,
)

TODAY = date(2026, 11, 20)


def a_number(first_17: str) -> str:
    """A number with the check character that belongs to it."""
    return first_17 + check_character(first_17)


numbers = st.builds(
    lambda region, born, sequence: a_number(f"{region:06}{born:%Y%m%d}{sequence:03}"),
    st.integers(110000, 829999),
    st.dates(date(1900, 1, 1), TODAY),
    st.integers(0, 999),
)


def problem_of(number: str, id_type: IdType = IdType.RESIDENT) -> str:
    """The sentence with its figures, or an empty text where there is nothing to say."""
    outcome = read(id_type, number, today=TODAY)
    return outcome.why.message % outcome.why.values if isinstance(outcome, NotAnId) else ""


@pytest.mark.parametrize(
    ("number", "born", "sex"),
    [
        # The example of the standard itself, and its check character X.
        pytest.param("11010519491231002X", date(1949, 12, 31), Sex.FEMALE, id="of-the-standard"),
        pytest.param("440524188001010014", date(1880, 1, 1), Sex.MALE, id="of-the-standard-too-a-region-of-1880"),
        pytest.param(a_number("13310020240229001"), date(2024, 2, 29), Sex.MALE, id="new-region-xiongan-leap-day"),
        pytest.param(a_number("51230119700101002"), date(1970, 1, 1), Sex.FEMALE, id="abolished-region"),
        pytest.param(a_number("99999920000101003"), date(2000, 1, 1), Sex.MALE, id="a-region-is-not-judged"),
    ],
)
def test_tells_birth_date_and_sex(number: str, born: date, sex: Sex) -> None:
    assert read(IdType.RESIDENT, number, today=TODAY) == IdNumber(
        id_type=IdType.RESIDENT, number=number, birth_date=born, sex=sex
    )


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        pytest.param(
            "110105194912310021",
            "The check does not fit: one character may be wrong; compare with the card once more",
            id="wrong-check",
        ),
        pytest.param("11010519491231002", "Short by 1: this number has 18 characters", id="too-short"),
        pytest.param("11010519491231002X7", "Long by 1: this number has 18 characters", id="too-long"),
        pytest.param("110105491231002", "15 digits are the number of an old card; ask for the one with 18", id="old"),
        pytest.param("1101051949123100AX", "Only digits, and perhaps an X at the end", id="letter-inside"),
        pytest.param("X1010519491231002X", "Only digits, and perhaps an X at the end", id="x-elsewhere"),
        pytest.param(a_number("11010520230229001"), "Its birth date 20230229 does not exist", id="no-leap-year"),
        pytest.param(a_number("11010520991231001"), "Its birth date 2099-12-31 is yet to come", id="future"),
        pytest.param(a_number("11010518491231001"), "Its birth date 1849-12-31 is too long ago", id="too-old"),
    ],
)
def test_says_what_is_wrong_and_never_what_would_fit(number: str, sentence: str) -> None:
    assert problem_of(number) == sentence


def test_the_day_of_birth_is_not_the_future() -> None:
    assert problem_of(a_number(f"110105{TODAY:%Y%m%d}001")) == ""


@pytest.mark.parametrize(
    "typed", ["11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ", " 110105 19491231 002X"]
)
def test_takes_every_way_of_typing(typed: str) -> None:
    outcome = read(IdType.RESIDENT, typed, today=TODAY)
    assert isinstance(outcome, IdNumber)
    assert outcome.number == "11010519491231002X"


@pytest.mark.parametrize(
    ("id_type", "number", "sentence"),
    [
        pytest.param(IdType.HKMT_RESIDENCE, a_number("81000019900101001"), "", id="hong-kong"),
        pytest.param(IdType.HKMT_RESIDENCE, a_number("83000019900101001"), "", id="taiwan"),
        pytest.param(IdType.HKMT_RESIDENCE, a_number("11010519900101001"),
                     "A residence permit's number begins with 810000, 820000 or 830000", id="no-permit"),
        pytest.param(IdType.FOREIGN_RESIDENT, a_number("93115619900101001"), "", id="foreign-of-2023"),
        pytest.param(IdType.FOREIGN_RESIDENT, "USA110081010101", "", id="foreign-before"),
        pytest.param(IdType.FOREIGN_RESIDENT, a_number("11010519900101001"),
                     "A foreign permanent resident's number begins with 9", id="not-foreign"),
        pytest.param(IdType.PASSPORT, "e12345678", "", id="passport"),
        pytest.param(IdType.PASSPORT, "E12", "A passport number has 5 to 17 letters and digits", id="short-passport"),
        pytest.param(IdType.BIRTH_CERTIFICATE, "U320123456", "", id="newborn"),
        pytest.param(IdType.BIRTH_CERTIFICATE, "320123456",
                     "A birth certificate's number is one letter and nine digits", id="not-a-certificate"),
        pytest.param(IdType.OTHER, "军字第0123号", "", id="other"),
        pytest.param(IdType.OTHER, "ab", "A number has 4 to 30 characters", id="other-too-short"),
    ],
)  # fmt: skip
def test_other_documents(id_type: IdType, number: str, sentence: str) -> None:
    assert problem_of(number, id_type) == sentence


@pytest.mark.parametrize(
    ("number", "id_type"),
    [
        (a_number("32050219800314202"), IdType.RESIDENT),
        (a_number("82000019800314202"), IdType.HKMT_RESIDENCE),
        (a_number("93115619800314202"), IdType.FOREIGN_RESIDENT),
    ],
)
def test_the_beginning_tells_the_card(number: str, id_type: IdType) -> None:
    assert guess_type(number) is id_type


# The machine of the tests may be busy: no deadline for one example.
@settings(deadline=None)
@given(numbers)
def test_every_number_of_the_right_build_is_read(number: str) -> None:
    outcome = read(IdType.RESIDENT, number, today=TODAY)
    assert isinstance(outcome, IdNumber)
    assert outcome.birth_date is not None
    assert number[6:14] == f"{outcome.birth_date:%Y%m%d}"
    assert (outcome.sex is Sex.MALE) == (int(number[16]) % 2 == 1)


@settings(deadline=None)
@given(numbers, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_no_slip_of_one_character_passes(number: str, place: int, wrong: str) -> None:
    slipped = number[:place] + wrong + number[place + 1 :]
    assert (problem_of(slipped) == "") == (slipped == number)


@settings(deadline=None)
@given(numbers, st.integers(0, 16))
def test_no_two_neighbours_changed_pass(number: str, place: int) -> None:
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert (problem_of(swapped) == "") == (swapped == number)


@settings(deadline=None)
@given(numbers)
def test_agrees_with_python_stdnum_where_that_knows_the_region(number: str) -> None:
    # It refuses regions that it does not know (and breaks on some); its check character is an independent witness.
    assert ric.calc_check_digit(number) == number[17]
    try:
        ric.validate(number)
    except (ValidationError, KeyError):
        return
    assert problem_of(number) == ""


def test_agrees_with_faker_on_2000_numbers() -> None:
    people = Faker("zh_CN")
    people.seed_instance(20261120)
    refused = [number for number in (people.ssn() for _ in range(2000)) if problem_of(number)]
    assert refused == []


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_breaks_it(typed: str) -> None:
    for id_type in IdType:
        read(id_type, typed, today=TODAY)
    mask(normalise(typed))
    looks_like_gb_11643(typed)


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("11010519491231002X", "1101**********002X"),
        ("USA110081010101", "USA1*******0101"),
        ("E12345678", "******678"),
        ("AB", "**"),
    ],
)
def test_mask(number: str, masked: str) -> None:
    assert mask(number) == masked
