"""Ages and masks as they are shown."""

from __future__ import annotations

from datetime import date

import pytest

from edge_node.his.patients.rules import age, mask_phone, spaced_phone
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
        ("", "", ""),
    ],
)
def test_phones_for_the_eye(phone: str, masked: str, spaced: str) -> None:
    assert mask_phone(phone) == masked
    assert spaced_phone(phone) == spaced
