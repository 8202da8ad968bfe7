"""Codes of a telephone: which fit, which were used, and what a wrong clock does."""

from __future__ import annotations

import base64

import pyotp
import pytest

from edge_node.his.staff.second_factor import address, digits, grouped, guess, new_seed, step_at, step_of

# RFC 6238, appendix B: the seed of its SHA-1 table, and its codes cut to six digits.
SEED = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    "at_s, code",
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130")],
)
def test_the_codes_of_the_standard(at_s: int, code: str) -> None:
    assert step_of(SEED, code, now=at_s * 1000, last_step=0) == at_s // 30


@pytest.mark.parametrize(
    "off_s, fits", [(-61, False), (-59, True), (-30, True), (0, True), (30, True), (59, True), (61, False)]
)
def test_a_clock_may_be_off_by_half_a_minute_to_either_side(off_s: int, fits: bool) -> None:
    now_s = 1_800_000_000 + (15 if abs(off_s) != 59 else 0 if off_s > 0 else 29)
    code = pyotp.TOTP(SEED).at(now_s + off_s)
    assert (step_of(SEED, code, now=now_s * 1000, last_step=0) is not None) is fits


def test_a_code_that_was_used_does_not_count_again_nor_an_earlier_one() -> None:
    now = 1_800_000_000_000
    this = step_at(now)
    codes = [pyotp.TOTP(SEED).generate_otp(this + n) for n in (-1, 0, 1)]
    assert [step_of(SEED, code, now=now, last_step=this) for code in codes] == [None, None, this + 1]


def test_a_step_from_a_clock_that_was_set_back_holds_nobody_out() -> None:
    now = 1_800_000_000_000
    assert step_of(SEED, pyotp.TOTP(SEED).at(now // 1000), now=now, last_step=step_at(now) + 2880) == step_at(now)


@pytest.mark.parametrize(
    "typed", ["", "12345", "1234567", "12345a", "１２３４５６", "-12345", "1.2345", "9" * 5000, "\0"]
)
def test_what_is_no_code_fits_nothing(typed: str) -> None:
    assert step_of(SEED, typed, now=59_000, last_step=0) is None


def test_spaces_in_a_code_are_taken_away() -> None:
    assert digits(" 287 082\t") == "287082"
    assert step_of(SEED, "287 082", now=59_000, last_step=0) == 1


def test_the_same_digits_half_a_minute_later_are_another_guess() -> None:
    assert guess("287 082", now=0) == guess("287082", now=29_999) != guess("287082", now=30_000)


def test_a_seed_has_160_bits_and_is_shown_so_that_it_can_be_typed() -> None:
    seed = new_seed()
    assert len(base64.b32decode(seed)) == 20 and seed != new_seed()
    assert grouped("ABCDEFGHIJ") == "ABCD EFGH IJ"


def test_the_address_is_what_telephones_read() -> None:
    read = pyotp.parse_uri(address(SEED, code="gu", clinic="西城门诊部"))
    assert isinstance(read, pyotp.TOTP)
    assert (read.secret, read.name, read.issuer, read.digits, read.interval) == (SEED, "gu", "西城门诊部", 6, 30)
