"""Two people changed one note: nothing is lost, and no sentence appears that nobody wrote."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.his.encounters.merge import Change, changes, compare, merge_diagnoses, merge_text
from edge_node.his.encounters.note import Diagnosis, Note

BASE = "5 天前受凉后咳嗽，初为干咳。昨日低热 37.8 ℃。无胸痛、咯血、气促。"


@pytest.mark.parametrize(
    "base, saved, mine, merged",
    [
        pytest.param(BASE, BASE, BASE, BASE, id="nobody-changed-anything"),
        pytest.param("a, b", "a, c", "a, b", "a, c", id="only-the-other"),
        pytest.param("a, b", "a, b", "c, b", "c, b", id="only-me"),
        pytest.param("a, b", "c, b", "a, d", "c, d", id="different-places"),
        pytest.param("a, b", "a, c", "a, c", "a, c", id="both-the-same"),
        pytest.param("a, b, c", "a, c", "a, b, c, d", "a, c, d", id="one-took-out-one-added"),
        pytest.param("", "cough", "fever", "cough; fever", id="both-began-empty"),
        pytest.param("", "咳嗽", "发热", "咳嗽；发热", id="both-began-empty-in-chinese"),
        pytest.param("咳嗽", "", "咳嗽 5 天", "咳嗽 5 天", id="deleted-here-changed-there-keeps-the-text"),
        pytest.param(
            BASE,
            BASE.replace("37.8 ℃。", "37.8 ℃。对花粉有季节性鼻炎史。"),
            BASE.replace("37.8 ℃。", "37.8 ℃，自服“感冒灵”无好转。"),
            BASE.replace("37.8 ℃。", "37.8 ℃，自服“感冒灵”无好转。对花粉有季节性鼻炎史。"),
            id="two-sentences-at-one-place",
        ),
        pytest.param(
            "Dry, yellow since 3 days.",
            "Dry, yellow since 3 days. Hay fever.",
            "Dry, yellow since 3 days, worse at night.",
            "Dry, yellow since 3 days, worse at night. Hay fever.",
            id="two-sentences-in-english",
        ),
        pytest.param("", "咳嗽，夜间重", "，发热", "咳嗽，夜间重；发热", id="mine-is-no-part-of-theirs"),
        pytest.param("无胸痛。", "有轻微胸痛。", "胸闷。", "有轻微胸痛；胸闷。", id="both-rewrote-a-clause"),
        pytest.param(
            "无胸痛、咯血。",
            "无胸痛。",
            "无胸痛、咯血、气促。",
            "无胸痛；无胸痛、咯血、气促。",
            id="a-list-keeps-its-no",
        ),
        pytest.param("T 37.8", "T 38.8", "T 37.9", "T 38.8; T 37.9", id="a-number-is-never-mixed-of-two"),
    ],
)
def test_merge(base: str, saved: str, mine: str, merged: str) -> None:
    assert merge_text(base, saved, mine) == merged


CLAUSES = st.lists(
    st.sampled_from(["无胸痛", "咳嗽 5 天", "低热 37.8 ℃", "no rash", "BP 138/86", "，", "。", "; ", "\n"])
)


@settings(deadline=None)
@given(CLAUSES, CLAUSES, CLAUSES)
def test_no_clause_appears_that_nobody_wrote(base: list[str], saved: list[str], mine: list[str]) -> None:
    merged = merge_text("".join(base), "".join(saved), "".join(mine))
    written = "".join(base) + "|" + "".join(saved) + "|" + "".join(mine)
    for clause in merged.replace("。", "\n").replace("，", "\n").replace("；", "\n").replace(";", "\n").split("\n"):
        assert clause.strip() in written


@settings(deadline=None)
@given(st.text(), st.text())
def test_one_sided_changes_are_taken_whole(base: str, other: str) -> None:
    assert merge_text(base, base, other) == other
    assert merge_text(base, other, base) == other


@settings(deadline=None)
@given(st.text(), st.text())
def test_changes_read_as_both_texts(old: str, new: str) -> None:
    pieces = changes(old, new)
    assert "".join(piece.text for piece in pieces if piece.change is not Change.ADDED) == old
    assert "".join(piece.text for piece in pieces if piece.change is not Change.REMOVED) == new


def test_a_number_is_shown_changed_as_a_whole() -> None:
    assert [(piece.change, piece.text) for piece in changes("T 37.8 ℃", "T 38.8 ℃")] == [
        ("same", "T "),
        ("del", "37.8"),
        ("ins", "38.8"),
        ("same", " ℃"),
    ]


BRONCHITIS, PRESSURE, GOUT = (
    Diagnosis(code="J20.900", name="急性支气管炎"),
    Diagnosis(code="I10.x00", name="高血压"),
    Diagnosis(code="M10.900", name="痛风"),
)


@pytest.mark.parametrize(
    "base, saved, mine, merged",
    [
        pytest.param((), (BRONCHITIS,), (PRESSURE,), (BRONCHITIS, PRESSURE), id="both-added"),
        pytest.param((BRONCHITIS,), (BRONCHITIS, GOUT), (), (GOUT,), id="i-took-one-out"),
        pytest.param((BRONCHITIS,), (), (BRONCHITIS, GOUT), (GOUT,), id="the-other-took-one-out"),
        pytest.param((), (GOUT,), (GOUT,), (GOUT,), id="the-same-is-there-once"),
        pytest.param(
            (BRONCHITIS, GOUT), (GOUT, BRONCHITIS), (BRONCHITIS, GOUT), (GOUT, BRONCHITIS), id="order-of-the-saved"
        ),
    ],
)
def test_merge_of_diagnoses(
    base: tuple[Diagnosis, ...], saved: tuple[Diagnosis, ...], mine: tuple[Diagnosis, ...], merged: object
) -> None:
    assert merge_diagnoses(base, saved, mine) == merged


def test_a_value_that_both_changed_stands_as_mine_and_shows_both() -> None:
    base = Note(temperature="37.6", pulse="88")
    conflict = compare(base, replace(base, temperature="38.1", pulse="90"), replace(base, temperature="38.4"))
    assert conflict.merged == Note(temperature="38.4", pulse="90")
    (temperature, pulse) = conflict.fields
    assert (temperature.field, [p.text for p in temperature.saved if p.change is Change.ADDED]) == (
        "temperature",
        ["38.1"],
    )
    assert pulse.merged == "90", "only the other changed it, and I am still shown that"
    assert not conflict.diagnoses_differ


def test_equal_notes_have_no_conflict() -> None:
    note = Note(complaint="咳嗽", diagnoses=(GOUT,))
    conflict = compare(Note(), note, note)
    assert (conflict.fields, conflict.diagnoses_differ, conflict.merged) == ((), False, note)
