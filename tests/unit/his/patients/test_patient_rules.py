"""Ages and masks as they are shown."""

from __future__ import annotations

from datetime import date

import pytest

from edge_node.his.patients.identity import Sex
from edge_node.his.patients.rules import age, mask_address, mask_phone, may_be_a_mother, spaced_phone
from edge_node.i18n import ENGLISH, translate


@pytest.mark.parametrize(
    ("born", "on", "words"),
    [
        pytest.param("2026-11-20", "2026-11-20", "0 d old", id="born-today"),
        pytest.param("2026-10-21", "2026-11-20", "30 d old", id="the-day-before-a-month"),
        pytest.param("2026-10-20", "2026-11-20", "1 mo", id="a-month"),
        pytest.param("2024-11-21", "2026-11-20", "23 mo", id="the-day-before-two"),
        pytest.param("2024-11-20", "2026-11-20", "2 y", id="two-years"),
        pytest.param("1980-11-21", "2026-11-20", "45 y", id="the-day-before-a-birthday"),
        pytest.param("1980-11-20", "2026-11-20", "46 y", id="birthday"),
        pytest.param("2004-02-29", "2026-02-28", "21 y", id="leap-day-before"),
        pytest.param("2004-02-29", "2026-03-01", "22 y", id="leap-day-after"),
        pytest.param("2026-11-21", "2026-11-20", "0 d old", id="a-clock-set-back"),
    ],
)
def test_age(born: str, on: str, words: str) -> None:
    assert translate(age(date.fromisoformat(born), date.fromisoformat(on)), ENGLISH) == words


@pytest.mark.parametrize(
    ("phone", "masked", "spaced"),
    [
        ("13805162207", "138****2207", "138 0516 2207"),
        ("051265223344", "051*****3344", "051265223344"),
        ("+4930901820", "+49****1820", "+4930901820"),
        ("02512345", "****2345", "02512345"),
        ("110", "***", "110"),
        ("", "", ""),
    ],
)
def test_phones_for_the_eye(phone: str, masked: str, spaced: str) -> None:
    assert mask_phone(phone) == masked
    assert spaced_phone(phone) == spaced


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        pytest.param("江苏省苏州市姑苏区桂花路 12 号 3 幢 502 室", "江苏省苏州市姑苏区桂花路***", id="street"),
        pytest.param("平江街道桂花新村 7 幢", "平江街道***", id="quarter"),
        pytest.param("北京市东四十条胡同甲 3 号", "北京市东四十条胡同***", id="lane"),
        pytest.param("朝阳小区3栋502", "朝阳小区***", id="estate"),
        pytest.param("西城花园3栋502", "西城花园***", id="no-street-down-to-the-number"),
        pytest.param("桂花里 12 号", "桂花里***", id="space-before-the-number"),
        pytest.param("东山镇渡桥村", "东山镇***", id="village-of-a-town"),
        pytest.param("渡桥村", "渡桥村", id="nothing-behind"),
        pytest.param("12 High Street, London", "** High Street, London", id="number-first"),
        pytest.param("教职工宿舍", "教职***", id="neither"),
        pytest.param("", "", id="none"),
    ],
)
def test_an_address_is_left_down_to_its_street(address: str, masked: str) -> None:
    assert mask_address(address) == masked


@pytest.mark.parametrize(
    ("sex", "born", "offered"),
    [
        pytest.param(Sex.FEMALE, "1995-06-01", True, id="a-woman"),
        pytest.param(Sex.FEMALE, "2014-11-20", True, id="twelve-today"),
        pytest.param(Sex.FEMALE, "2014-11-21", False, id="twelve-tomorrow"),
        pytest.param(Sex.FEMALE, "1966-11-20", False, id="sixty"),
        pytest.param(Sex.MALE, "1995-06-01", False, id="a-man"),
    ],
)
def test_whose_record_offers_a_newborns(sex: Sex, born: str, offered: bool) -> None:
    assert may_be_a_mother(sex, date.fromisoformat(born), date(2026, 11, 20)) is offered
