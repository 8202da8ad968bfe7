"""When a code is locked, when a session ends, what a password must be, and the forms of both."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from edge_node.his.staff.forms import NewPassword, SignIn, parse_new_password, parse_sign_in
from edge_node.his.staff.passwords import NOBODYS_HASH, first_password, hash_password, needs_rehash, verify_password
from edge_node.his.staff.rules import (
    FAILURES_PER_CODE,
    LOCK_MS,
    SESSION_MAX_MS,
    locked_until,
    password_problem,
    session_holds,
)

NOW = 10 * LOCK_MS
MINUTE = 60_000


@pytest.mark.parametrize(
    "minutes_ago, until_in_minutes",
    [
        pytest.param([], None, id="no-failure"),
        pytest.param([0, 1, 2, 3], None, id="four-failures"),
        pytest.param([0, 1, 2, 3, 4], 15, id="fifth-failure-just-now"),
        pytest.param([5, 6, 7, 8, 9], 10, id="locked-five-minutes-ago"),
        pytest.param([14, 14, 14, 14, 14], 1, id="nearly-over"),
        pytest.param([15, 15, 15, 15, 15], None, id="over"),
        pytest.param([0, 1, 2, 3, 16], None, id="one-is-too-old-to-count"),
    ],
)
def test_the_lock_runs_a_quarter_of_an_hour_from_the_last_failure(
    minutes_ago: list[int], until_in_minutes: int | None
) -> None:
    failures = [NOW - ago * MINUTE for ago in minutes_ago]
    expected = None if until_in_minutes is None else NOW + until_in_minutes * MINUTE
    assert locked_until(failures, FAILURES_PER_CODE, NOW) == expected


def test_failures_of_a_clock_that_ran_ahead_lock_nobody_out() -> None:
    assert locked_until([NOW + MINUTE] * 9, FAILURES_PER_CODE, NOW) is None


@pytest.mark.parametrize(
    "created_ago_ms, seen_ago_s, holds",
    [
        pytest.param(0, 0, True, id="new"),
        pytest.param(1_000_000, 900, True, id="idle-for-as-long-as-may-be"),
        pytest.param(1_000_000, 900.001, False, id="idle-too-long"),
        pytest.param(SESSION_MAX_MS, 1, True, id="twelve-hours"),
        pytest.param(SESSION_MAX_MS + 1, 1, False, id="longer-than-a-day's-work"),
        pytest.param(-60_000, -60, True, id="a-clock-put-right-by-a-minute"),
        pytest.param(-1_000_000, -901, False, id="last-used-in-a-future-that-a-clock-was-set-back-from"),
        pytest.param(-901_000, 0, False, id="begun-in-that-future"),
    ],
)
def test_a_session_ends_idle_or_old(created_ago_ms: int, seen_ago_s: float, holds: bool) -> None:
    now = 10 * SESSION_MAX_MS
    assert holds is session_holds(
        created_at=now - created_ago_ms, last_seen_at=now - round(seen_ago_s * 1000), now=now, idle_lock_s=900
    )


@pytest.mark.parametrize(
    "password, message",
    [
        pytest.param("three words apart", None, id="good"),
        pytest.param("十个汉字也可以当密码用", None, id="good-in-chinese"),
        pytest.param("short", "are too few", id="too-short"),
        pytest.param("", "are too few", id="empty"),
        pytest.param("aaaaaaaaaabb", "Too few different", id="all-the-same"),
        pytest.param("x" * 201, "Longer than", id="too-long"),
        pytest.param("my ZhouMin 2026", "staff code", id="contains-the-code"),
    ],
)
def test_what_a_password_must_be(password: str, message: str | None) -> None:
    problem = password_problem(password, code="zhoumin")
    assert (problem is None) if message is None else (problem is not None and message in problem.message)


@pytest.mark.parametrize(
    "form, wrong",
    [
        pytest.param({"code": " ZhouMin ", "password": "secret", "station": " Desk  1 "}, [], id="good"),
        pytest.param({}, ["code", "password"], id="empty"),
        pytest.param({"code": "zhoumin"}, ["password"], id="no-password"),
        pytest.param({"code": "  ", "password": "x"}, ["code"], id="blank-code"),
        pytest.param({"code": "z" * 41, "password": "x"}, ["code"], id="code-too-long"),
        pytest.param({"code": "z", "password": "x" * 201}, ["password"], id="password-too-long"),
    ],
)
def test_the_sign_in_form(form: dict[str, str], wrong: list[str]) -> None:
    parsed = parse_sign_in(form)
    if wrong:
        assert isinstance(parsed, list) and [problem.field for problem in parsed] == wrong
    else:
        assert parsed == SignIn(code="zhoumin", password="secret", station="Desk 1")


@pytest.mark.parametrize(
    "old, new, again, wrong",
    [
        pytest.param("old password", "three words apart", "three words apart", [], id="good"),
        pytest.param("", "three words apart", "three words apart", ["password"], id="no-old"),
        pytest.param("old password", "short", "short", ["new_password"], id="too-short"),
        pytest.param("old password", "old password", "old password", ["new_password"], id="the-same"),
        pytest.param(
            "old password", "three words apart", "three words", ["new_password_again"], id="typed-differently"
        ),
        pytest.param("", "short", "", ["password", "new_password"], id="everything-wrong-at-once"),
    ],
)
def test_the_form_of_a_new_password(old: str, new: str, again: str, wrong: list[str]) -> None:
    form = {"password": old, "new_password": new, "new_password_again": again}
    parsed = parse_new_password(form, code="zhoumin")
    if wrong:
        assert isinstance(parsed, list) and [problem.field for problem in parsed] == wrong
    else:
        assert parsed == NewPassword(old=old, new=new)


def test_a_password_fits_its_own_hash_only() -> None:
    stored = hash_password("three words apart")
    assert verify_password(stored, "three words apart")
    assert not verify_password(stored, "three words apart ")
    assert not needs_rehash(stored)
    assert needs_rehash(stored.replace("t=2", "t=1"))


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=19456,t=2,p=1$broken"])
def test_no_password_fits_nobody(stored: str | None) -> None:
    assert not verify_password(stored, "")
    assert not verify_password(stored, "three words apart")


def test_first_passwords_differ_and_are_good_enough() -> None:
    made = {first_password() for _ in range(100)}
    assert len(made) == 100
    assert all(password_problem(password, code="zhoumin") is None for password in made)


def test_the_hash_of_nobody_costs_as_much_as_any_other() -> None:
    assert not needs_rehash(NOBODYS_HASH)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(NOBODYS_HASH, "three words apart")
