"""What the screen of the waiting room says: who, where, in which order, and how little of a name."""

from __future__ import annotations

import pytest

from edge_node.his.calling.rules import CALLS_SHOWN, NEXT_SHOWN, ROOM_MAX, Shows, Waiting, board, mask_name, parse_room
from edge_node.his.reception.queries import Department
from edge_node.his.reception.rules import Status

INTERNAL = Department(id="d1", code="internal", mark="内", name="内科", name_en="Internal medicine")
CHILDREN = Department(id="d2", code="paediatrics", mark="儿", name="儿科", name_en="Paediatrics")
NOW = 1_795_000_000_000
MINUTE = 60_000


def waits(no: int, *, level: int | None = None, returns: bool = False, called_at: int | None = None) -> Waiting:
    return Waiting(
        department_id="d1", queue_no=no, name="单雅琴", status=Status.WAITING, level=level, returns=returns,
        called_at=called_at, room="", doctor_id=None, doctor="",
    )  # fmt: skip


def inside(no: int, *, room: str = "", doctor: str = "沈立群", ago: int = 5 * MINUTE) -> Waiting:
    return Waiting(
        department_id="d1", queue_no=no, name="欧阳淑贞", status=Status.WITH_DOCTOR, level=None, returns=False,
        called_at=NOW - ago, room=room, doctor_id=doctor, doctor=doctor,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("单雅琴", "单*琴"), ("张明", "张*"), ("王", "王*"), ("欧阳淑贞", "欧*贞"), ("覃𬭎", "覃*"),
        ("古丽娜尔·买买提", "古*提"), ("José\u0301 Ruiz", "J*z"), ("a\u0301b\u0301c\u0301", "a\u0301*c\u0301"),
        ("单\u200b雅\u202e琴\u2060", "单*琴"), ("  ", "*"), ("", "*"), ("\u0301", "*"),
    ],
)  # fmt: skip
def test_a_name_is_masked(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@pytest.mark.parametrize(
    ("typed", "room"),
    [("3", "3"), ("  3  诊室 ", "3 诊室"), ("", ""), ("\t", ""), ("甲" * ROOM_MAX, "甲" * ROOM_MAX)],
)
def test_a_room(typed: str, room: str) -> None:
    assert parse_room(typed) == room


@pytest.mark.parametrize("typed", ["甲" * (ROOM_MAX + 1), "9" * 100_000, "3\u202e", "3\0", "3\u200b"])
def test_what_no_door_says(typed: str) -> None:
    assert not isinstance(parse_room(typed), str)


def test_the_order_is_that_of_the_calls_to_come() -> None:
    everybody = [
        waits(1, called_at=NOW - MINUTE),
        waits(2),
        waits(3, level=3),
        waits(4, returns=True),
        waits(5, level=2),
    ]
    (row,) = board([INTERNAL, CHILDREN], everybody, shows=Shows.NAMES, now=NOW)
    assert [call.number for call in row.next] == ["内 05", "内 04", "内 02", "内 03"]
    assert (list(row.calls), list(row.missed), row.more) == ([], ["内 01"], 0)


def test_of_each_room_the_newest_call_and_the_newest_first() -> None:
    everybody = [
        inside(1, room="3", ago=9 * MINUTE), inside(2, room="3", ago=30_000), inside(3, doctor="陶然"),
        inside(4, doctor="陶然", ago=2 * MINUTE),
    ]  # fmt: skip
    (row,) = board([INTERNAL], everybody, shows=Shows.NAMES, now=NOW)
    assert [(call.number, call.name, call.where, call.is_new) for call in row.calls] == [
        ("内 02", "欧*贞", "3", True), ("内 04", "欧*贞", "陶然", False),
    ]  # fmt: skip


def test_no_more_than_can_be_read() -> None:
    everybody = [*(inside(n, room=str(n), ago=n) for n in range(1, 9)), *(waits(n) for n in range(10, 20))]
    (row,) = board([INTERNAL], everybody, shows=Shows.NUMBERS, now=NOW)
    assert (len(row.calls), len(row.next), row.more) == (CALLS_SHOWN, NEXT_SHOWN, 10 - NEXT_SHOWN)
    assert {call.name for call in (*row.calls, *row.next)} == {""}, "numbers only"


def test_a_call_of_the_future_is_not_new() -> None:
    (row,) = board([INTERNAL], [inside(1, ago=-MINUTE)], shows=Shows.NUMBERS, now=NOW)
    assert not row.calls[0].is_new, "the clock was set back"
