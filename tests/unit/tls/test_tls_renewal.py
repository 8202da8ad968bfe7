"""When the node issues its own certificate anew: stories of clocks, names and authorities."""

from __future__ import annotations

import datetime as dt

import pytest

from edge_node.tls.authority import AUTHORITY_LIFE, LEAF_LIFE
from edge_node.tls.found import Found
from edge_node.tls.judged import Shown, problems
from edge_node.tls.names import Names, names_of
from edge_node.tls.renewal import Cause, Decision, Foreign, Issue, Keep, decide, renews_at
from tests.support.authorities import BEGAN, NAMES, NODE, a_leaf, an_authority, days

AUTHORITY = an_authority()
LEAF = a_leaf(AUTHORITY)


def decided(
    found: Found | None = LEAF, *, wanted: Names = NAMES, key_fits: bool = True, now: dt.datetime = BEGAN
) -> Decision:
    return decide(found, AUTHORITY, wanted, key_fits=key_fits, node_id=NODE, now=now)


def cause(decision: Decision) -> Cause | None:
    return decision.cause if isinstance(decision, Issue) else None


def test_a_leaf_lasts_397_days_and_its_authority_ten_years() -> None:
    assert LEAF.ends - LEAF.begins == LEAF_LIFE == days(397)
    assert AUTHORITY.found.ends - BEGAN == AUTHORITY_LIFE
    assert LEAF.begins < BEGAN, "a computer whose clock is behind takes it too"


@pytest.mark.parametrize(
    "after, expected",
    [
        pytest.param(0, None, id="new"),
        pytest.param(260, None, id="a-third-and-some-days-left"),
        pytest.param(265, Cause.DUE, id="less-than-a-third-left"),
        pytest.param(396.5, Cause.DUE, id="ended-while-the-node-was-off"),
        pytest.param(-2, None, id="a-clock-before-the-authority-can-issue-nothing"),
        pytest.param(3651, None, id="an-authority-that-is-over-can-issue-nothing"),
    ],
)
def test_time(after: float, expected: Cause | None) -> None:
    assert cause(decided(now=BEGAN + days(after))) is expected


def test_it_is_renewed_when_a_third_is_left() -> None:
    at = renews_at(LEAF)
    assert (LEAF.ends - at) * 3 == LEAF.ends - LEAF.begins
    assert isinstance(decided(now=at - dt.timedelta(seconds=1)), Keep)
    assert cause(decided(now=at)) is Cause.DUE


def test_one_issued_while_the_clock_was_ahead_is_replaced_when_the_clock_is_right() -> None:
    ahead = a_leaf(AUTHORITY, at=BEGAN + days(700))
    assert cause(decided(ahead, now=BEGAN)) is Cause.NOT_YET_VALID
    assert isinstance(decided(ahead, now=BEGAN + days(700)), Keep)


def test_nothing_there_and_a_key_that_does_not_fit() -> None:
    assert decided(None) == Issue(cause=Cause.MISSING, names=NAMES)
    assert decided(key_fits=False) == Issue(cause=Cause.KEY_UNUSABLE, names=NAMES)


def test_a_new_address_is_a_reason_and_one_that_is_gone_is_none() -> None:
    more = NAMES | names_of(["192.168.1.11"])
    assert decided(wanted=more) == Issue(cause=Cause.NAMES_MISSING, names=more)
    assert isinstance(decided(wanted=names_of([NODE])), Keep), "a cable that is pulled changes no certificate"


def test_a_name_that_the_authority_may_not_certify_is_left_out_and_no_reason() -> None:
    assert isinstance(decided(wanted=NAMES | names_of(["www.bank.example"])), Keep)
    assert decided(None, wanted=NAMES | names_of(["8.8.8.8"])) == Issue(cause=Cause.MISSING, names=NAMES)


def test_after_a_new_authority_of_the_same_node_it_is_issued_by_that() -> None:
    before = a_leaf(an_authority())
    assert cause(decided(before)) is Cause.AUTHORITY_CHANGED


def test_what_somebody_else_issued_is_never_overwritten() -> None:
    other = a_leaf(an_authority(node_id="clinic-0043"))
    for key_fits in (True, False):
        assert decided(other, key_fits=key_fits) == Foreign(issuer="CN=Edge node clinic-0043,O=西城门诊部")


def test_near_the_end_of_its_authority_it_is_not_renewed_in_vain() -> None:
    late = BEGAN + AUTHORITY_LIFE - days(100)
    last = a_leaf(AUTHORITY, at=late)
    assert last.ends == AUTHORITY.found.ends
    assert isinstance(decided(last, now=late + days(99)), Keep)


def codes(shown: Shown, *, now: dt.datetime) -> list[str]:
    return [reason.code for reason in problems(shown, now=now)]


@pytest.mark.parametrize(
    "left, expected",
    [
        pytest.param(31, [], id="a-month-and-a-day"),
        pytest.param(30, ["certificate-expiring"], id="thirty-days"),
        pytest.param(0.001, ["certificate-expiring"], id="its-last-minute"),
        pytest.param(0, ["certificate-expired"], id="over"),
        pytest.param(-400, ["certificate-expired"], id="long-over"),
    ],
)
def test_what_a_person_is_told_of_a_certificate_by_the_days_left(left: float, expected: list[str]) -> None:
    assert codes(Shown(name="bought", found=LEAF), now=LEAF.ends - days(left)) == expected


def test_an_authority_is_told_of_half_a_year_before() -> None:
    shown = Shown(name="ca-cert", found=AUTHORITY.found, is_authority=True)
    assert codes(shown, now=AUTHORITY.found.ends - days(181)) == []
    (told,) = problems(shown, now=AUTHORITY.found.ends - days(180))
    assert (told.code, told.args["certificate"]) == ("certificate-expiring", "ca-cert")


@pytest.mark.parametrize(
    "wanted, missing",
    [
        pytest.param(["www.clinic.lan"], None, id="by-its-wildcard"),
        pytest.param(["a.b.clinic.lan"], "a.b.clinic.lan", id="a-wildcard-is-for-one-label"),
        pytest.param(["clinic.lan"], "clinic.lan", id="a-wildcard-is-not-for-its-base"),
        pytest.param(["192.168.1.10", "192.168.1.11"], "192.168.1.11", id="another-address"),
    ],
)
def test_names_that_a_certificate_lacks_are_told(wanted: list[str], missing: str | None) -> None:
    wild = Names(dns=frozenset({"*.clinic.lan"}), addresses=NAMES.addresses)
    shown = Shown(name="bought", found=a_leaf(AUTHORITY, names=wild), names=names_of(wanted))
    told = [reason.args["names"] for reason in problems(shown, now=BEGAN)]
    assert told == ([missing] if missing else [])
