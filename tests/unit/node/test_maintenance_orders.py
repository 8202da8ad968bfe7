"""Announced work in its file: what is written comes back, what a hand writes wrongly is named and loses nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.base.clock import utc_text
from edge_node.base.errors import ServiceError
from edge_node.cli.line_maintenance import refuse_overlap, state
from edge_node.orders import (
    LARGEST_BYTES,
    Maintenance,
    maintenance_path,
    new_maintenance,
    parse_maintenance,
    read_maintenance,
    write_maintenance,
)

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000


def a_work(start_h: float = 1, hours: float = 2, **changes: Any) -> Maintenance:
    start_ms = NOW_MS + round(start_h * HOUR_MS)
    work = new_maintenance(
        "telecom", start_ms=start_ms, until_ms=start_ms + round(hours * HOUR_MS), now_ms=NOW_MS, by="li", why="光缆割接"
    )
    return replace(work, **changes)


def an_entry(**changes: Any) -> dict[str, Any]:
    return {**a_work().as_json(), **changes}


def test_what_is_written_comes_back_also_when_it_was_taken_back(tmp_path: Path) -> None:
    works = (a_work(), a_work(-9).taken_back(now_ms=NOW_MS, by="wang"), a_work(-1).taken_back(now_ms=NOW_MS, by="wang"))
    assert write_maintenance(tmp_path, lambda _: works) == works
    assert read_maintenance(tmp_path).works == works
    assert read_maintenance(tmp_path / "elsewhere").works == ()


@pytest.mark.parametrize(
    ("start_h", "left_h"),
    [
        pytest.param(1, 0, id="before-it-began-it-never-was"),
        pytest.param(-1, 1, id="while-it-runs-it-ends"),
        pytest.param(-9, 0, id="when-it-is-over-it-never-was"),
    ],
)
def test_taking_it_back(start_h: float, left_h: float) -> None:
    back = a_work(start_h).taken_back(now_ms=NOW_MS, by="wang")
    assert back.until_ms - back.start_ms == left_h * HOUR_MS
    assert (back.cancelled_ms, back.cancelled_by) == (NOW_MS, "wang")


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        pytest.param(7, "not an object", id="not-an-object"),
        pytest.param(an_entry(until=utc_text(NOW_MS)), "ends before it begins", id="backwards"),
        pytest.param(an_entry(until=an_entry()["since"]), "ends before it begins", id="nothing-of-it"),
        pytest.param(an_entry(since="tomorrow"), "its time is none", id="no-time"),
        pytest.param(an_entry(announced="2026-11-22T09:00:00"), "has no time zone", id="no-zone"),
        pytest.param(an_entry(until=utc_text(NOW_MS + 40 * 24 * HOUR_MS)), "31 days", id="a-slip-that-hides-a-year"),
        pytest.param(an_entry(why="x" * 201), "why must be text of at most 200", id="long-story"),
        pytest.param(an_entry(line=""), "its id or its line is empty", id="no-line"),
        pytest.param(an_entry(cancelled="now"), "cancelled_by must be text", id="taken-back-by-nobody"),
        pytest.param(an_entry(why="\ud800"), "surrogates not allowed", id="half-a-character"),
    ],
)
def test_a_slip_of_the_hand_is_named_and_stops_nothing_else(tmp_path: Path, entry: object, complaint: str) -> None:
    path = maintenance_path(tmp_path)
    path.parent.mkdir()
    content = json.dumps({"schema": 1, "orders": [entry, an_entry(id="good")]}).encode()
    path.write_bytes(content)
    read = read_maintenance(tmp_path)
    assert [work.id for work in read.works] == ["good"]
    assert len(read.problems) == 1 and complaint in read.problems[0]
    with pytest.raises(ServiceError) as caught:
        write_maintenance(tmp_path, lambda standing: standing)
    assert caught.value.code == "orders-unreadable" and path.read_bytes() == content


def test_a_file_does_not_grow_beyond_what_is_read(tmp_path: Path) -> None:
    works = [replace(a_work(), why="光" * 200) for _ in range(200)]
    with pytest.raises(ServiceError) as caught:
        write_maintenance(tmp_path, lambda _: works)
    assert caught.value.code == "orders-unwritable" and not maintenance_path(tmp_path).exists()
    maintenance_path(tmp_path).write_bytes(b" " * (LARGEST_BYTES + 1))
    assert "is longer than" in read_maintenance(tmp_path).problems[0]


KEYS = st.sampled_from([*an_entry(), "cancelled", "cancelled_by"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=9))
def test_nothing_in_the_file_can_hurt(entry: object) -> None:
    try:
        work = parse_maintenance(entry)
    except ValueError:
        return
    assert parse_maintenance(work.as_json()) == work


@pytest.mark.parametrize(
    ("start_h", "meets"),
    [(-2, False), (-1.5, True), (0.5, True), (1.99, True), (2, False), (-9, False)],
)
def test_overlaps(start_h: float, meets: bool) -> None:
    standing, work = [a_work(0, 2)], a_work(start_h, 2)
    try:
        refuse_overlap(work, standing)
    except Exception as error:
        assert meets and getattr(error, "code", None) == "maintenance-overlaps"
    else:
        assert not meets
    refuse_overlap(replace(work, line="unicom"), standing)
    refuse_overlap(work, [a_work(5, 2).taken_back(now_ms=NOW_MS, by="x")])


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (a_work(1), "to come"),
        (a_work(0), "running"),
        (a_work(-1), "running, announced afterwards"),
        (a_work(-9), "over, announced afterwards"),
        (a_work(1).taken_back(now_ms=NOW_MS, by="x"), "taken back"),
        (a_work(-1).taken_back(now_ms=NOW_MS, by="x"), "over, ended early"),
    ],
)
def test_how_it_stands(work: Maintenance, said: str) -> None:
    assert state(work, NOW_MS) == said
