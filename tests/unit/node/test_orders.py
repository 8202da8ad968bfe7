"""Orders to the watcher: what a hand may write, what the program writes, and what is never lost."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.base.clock import utc_text
from edge_node.base.errors import ServiceError
from edge_node.orders import (
    LARGEST_BYTES,
    LineOrder,
    LineOrderKind,
    links_path,
    new_order,
    parse_order,
    place,
    read_line_orders,
    release,
    with_order,
)

NOW_MS = 1_795_000_000_000
LINES = ("telecom", "unicom")
HOUR_MS = 3_600_000


def an_order(kind: LineOrderKind = LineOrderKind.PIN, line: str = "telecom", *, for_s: float = 3600) -> LineOrder:
    return new_order(kind, line, now_ms=NOW_MS, for_s=for_s, by="zhoumin", why="works")


def an_entry(**changes: Any) -> dict[str, Any]:
    return {**an_order().as_json(), **changes}


def write(state_dir: Path, content: bytes) -> None:
    links_path(state_dir).parent.mkdir(exist_ok=True)
    links_path(state_dir).write_bytes(content)


def test_an_order_comes_back_until_it_runs_out(tmp_path: Path) -> None:
    order = an_order()
    place(tmp_path, order, lines=LINES, now_ms=NOW_MS)

    assert read_line_orders(tmp_path, lines=LINES, now_ms=NOW_MS).orders == (order,)
    assert read_line_orders(tmp_path, lines=LINES, now_ms=order.until_ms - 1).orders == (order,)
    assert read_line_orders(tmp_path, lines=LINES, now_ms=order.until_ms).orders == ()
    assert links_path(tmp_path).stat().st_mode & 0o777 == 0o640, "the watcher's user reads it by its group"


def test_no_file_means_no_orders(tmp_path: Path) -> None:
    read = read_line_orders(tmp_path, lines=LINES, now_ms=NOW_MS)
    assert (read.orders, read.problems) == ((), ())


PIN, HOLD, REHEARSE = LineOrderKind


@pytest.mark.parametrize(
    ("standing", "given", "left"),
    [
        pytest.param([(PIN, "telecom")], (PIN, "unicom"), [(PIN, "unicom")], id="one-pin-at-a-time"),
        pytest.param([(PIN, "telecom")], (HOLD, "telecom"), [(HOLD, "telecom")], id="one-order-per-line"),
        pytest.param(
            [(HOLD, "telecom")], (REHEARSE, "unicom"), [(HOLD, "telecom"), (REHEARSE, "unicom")], id="others-stay"
        ),
        pytest.param(
            [(REHEARSE, "telecom")], (PIN, "unicom"), [(REHEARSE, "telecom"), (PIN, "unicom")], id="pin-beside-rehearse"
        ),
    ],
)
def test_a_new_order_takes_the_place_of_what_contradicts_it(
    standing: list[tuple[LineOrderKind, str]], given: tuple[LineOrderKind, str], left: list[tuple[LineOrderKind, str]]
) -> None:
    orders = with_order([an_order(*each) for each in standing], an_order(*given))
    assert [(order.kind, order.line) for order in orders] == left


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        pytest.param("pin telecom", "not an object", id="not-an-object"),
        pytest.param(an_entry(kind="drop"), '"drop" is no order; known are pin, hold, rehearse', id="unknown-kind"),
        pytest.param(
            an_entry(line="mobile"), 'there is no line "mobile"; known are telecom, unicom', id="unknown-line"
        ),
        pytest.param(an_entry(until="tomorrow"), "its time is none", id="no-time"),
        pytest.param(an_entry(until="2026-11-22T09:00:00"), "has no time zone", id="no-zone"),
        pytest.param(an_entry(until=utc_text(NOW_MS - 1)), "ends before it begins", id="backwards"),
        pytest.param(an_entry(until=utc_text(NOW_MS + 32 * 24 * HOUR_MS)), "31 days", id="too-long"),
        pytest.param(
            an_entry(since=utc_text(NOW_MS + HOUR_MS), until=utc_text(NOW_MS + 2 * HOUR_MS)), "future", id="not-yet"
        ),
        pytest.param(an_entry(by=7), "by must be text", id="number-for-text"),
        pytest.param(an_entry(why="x" * 300), "why must be text of at most 200", id="long-story"),
        pytest.param({"kind": "pin"}, "id, line, since, until, by, why must be text", id="half"),
    ],
)
def test_a_slip_of_the_hand_is_named_and_stops_nothing_else(tmp_path: Path, entry: object, complaint: str) -> None:
    good = an_entry(line="unicom")
    write(tmp_path, json.dumps({"schema": 1, "orders": [entry, good]}).encode())

    read = read_line_orders(tmp_path, lines=LINES, now_ms=NOW_MS)

    assert [order.line for order in read.orders] == ["unicom"]
    assert len(read.problems) == 1
    assert complaint in read.problems[0]
    with pytest.raises(ValueError, match=r"."):
        parse_order(entry, lines=LINES, now_ms=NOW_MS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": 2, "orders": []}',
        b'{"schema": 1}',
        b"[" * 5000,
        b" " * (LARGEST_BYTES + 1),
        b"\xff",
    ],
    ids=["empty", "torn", "list", "schema", "no-list", "deep", "long", "not-text"],
)
def test_a_file_that_cannot_be_understood_is_kept_and_said(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, content)
    read = read_line_orders(tmp_path, lines=LINES, now_ms=NOW_MS)
    assert read.orders == ()
    assert len(read.problems) == 1

    with pytest.raises(ServiceError) as refused:
        place(tmp_path, an_order(), lines=LINES, now_ms=NOW_MS)
    assert refused.value.code == "orders-unreadable"
    assert links_path(tmp_path).read_bytes() == content


def test_release_takes_back_what_it_names(tmp_path: Path) -> None:
    for line in LINES:
        place(tmp_path, an_order(HOLD, line), lines=LINES, now_ms=NOW_MS)

    assert [order.line for order in release(tmp_path, "telecom", lines=LINES, now_ms=NOW_MS)] == ["telecom"]
    assert [order.line for order in read_line_orders(tmp_path, lines=LINES, now_ms=NOW_MS).orders] == ["unicom"]
    assert [order.line for order in release(tmp_path, None, lines=LINES, now_ms=NOW_MS)] == ["unicom"]
    assert release(tmp_path, None, lines=LINES, now_ms=NOW_MS) == ()


def test_two_hands_at_once_lose_nothing(tmp_path: Path) -> None:
    lines = [f"line-{number}" for number in range(24)]
    hands = [
        threading.Thread(target=place, args=(tmp_path, an_order(HOLD, line)), kwargs={"lines": lines, "now_ms": NOW_MS})
        for line in lines
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert {order.line for order in read_line_orders(tmp_path, lines=lines, now_ms=NOW_MS).orders} == set(lines)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.one_of(st.binary(max_size=200), json_values.map(lambda value: json.dumps(value).encode())))
def test_whatever_stands_there_the_watcher_goes_on(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    state_dir = tmp_path_factory.mktemp("state")
    write(state_dir, content)
    assert read_line_orders(state_dir, lines=LINES, now_ms=NOW_MS).orders == ()
