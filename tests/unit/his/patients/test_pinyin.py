"""Names found from a keyboard: the difficult surnames above all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.his.patients.pinyin import KEYS_CAP, SURNAMES, display, is_likely, keys, query_key
from tests.support.surnames import CASES


@pytest.mark.parametrize(("name", "spelling", "initials"), CASES, ids=[" ".join(case) for case in CASES])
def test_difficult_names_are_found(name: str, spelling: str, initials: str) -> None:
    assert {spelling, initials} <= keys(name)


def test_there_are_enough_difficult_surnames() -> None:
    assert len({name for name, _, _ in CASES}) >= 55
    assert len(SURNAMES) >= 30


@pytest.mark.parametrize(
    ("name", "key"),
    [
        pytest.param("古丽娜尔·买买提", "maimaiti", id="the-second-part-of-a-uyghur-name"),
        pytest.param("古丽娜尔·买买提", "mmt", id="its-initials"),
        pytest.param("Maria Garcia", "mariagarcia", id="latin"),
        pytest.param("Maria Garcia", "mg", id="latin-initials"),
        pytest.param("Maria Garcia", "garcia", id="family-name-alone"),
        pytest.param("O'Neil", "oneil", id="apostrophe"),
        pytest.param("王Amy", "wangamy", id="mixed"),
    ],
)
def test_parts_and_latin_names(name: str, key: str) -> None:
    assert key in keys(name)


@pytest.mark.parametrize("name", ["", " ", "·", "123", "□"])
def test_what_cannot_be_read_has_no_keys(name: str) -> None:
    assert keys(name) == frozenset()


@settings(deadline=None)
@given(
    st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x2FFFF, exclude_categories=["Cs"]), max_size=20)
)
def test_keys_are_plain_and_bounded(name: str) -> None:
    found = keys(name)
    parts = max(1, len(name))
    assert len(found) <= 2 * KEYS_CAP * parts
    assert all(key.isascii() and key.isalpha() and key.islower() for key in found)


def test_the_usual_reading_survives_the_cap() -> None:
    # Nine characters with two readings and more each: far over the cap.
    name = "单乐曾解朴盖区查种"
    assert "shanlecengjiepugaiquchazhong" in keys(name)
    assert len(keys(name)) <= 2 * KEYS_CAP


@pytest.mark.parametrize(
    ("typed", "key"),
    [("SYQ", "syq"), ("Shan Ya-qin", "shanyaqin"), ("lü", "lv"), ("s y q", "syq"), ("12", "")],
)
def test_query_key(typed: str, key: str) -> None:
    assert query_key(typed) == key


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("单雅琴", "Shan Yaqin"),
        ("欧阳淑贞", "Ouyang Shuzhen"),
        ("诸葛孔明", "Zhuge Kongming"),
        ("𠮷安", "Ji An"),
        ("覃𬭎", "Qin Hong"),
        ("吕布", "Lü Bu"),
        ("古丽娜尔·买买提", "Gulinaer Maimaiti"),
        ("Maria Garcia", ""),
        ("", ""),
        ("·", ""),
    ],
)
def test_display(name: str, spelling: str) -> None:
    assert display(name) == spelling


@pytest.mark.parametrize(
    ("name", "key", "likely"),
    [("王秀兰", "wxl", True), ("王秀兰", "wangx", True), ("王秀兰", "yxl", False), ("单雅琴", "dyq", False)],
)
def test_is_likely(name: str, key: str, likely: bool) -> None:
    assert is_likely(name, key) is likely
