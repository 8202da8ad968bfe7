"""How old is a transaction? By the time that the machine has run; whatever the wall clock says, nothing is older."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.replication.ages import MARK_EVERY_S, AgeRecord, Ages, counted, parse, to_json
from tests.support.clock import FakeClock

HOUR_S, DAY_S = 3600.0, 86_400.0
WEEK_S = 7 * DAY_S


def after(hours: int, *, boot_id: str = "one", ages: Ages | None = None, from_txid: int = 0) -> Ages:
    """A machine that ran so long, looked every 30 seconds, and captured 100 transactions an hour."""
    now_s = ages.at_s if ages and ages.boot_id == boot_id else 0.0
    for step in range(hours * 120 + 1):
        heads = {"his": from_txid + step * 100 // 120}
        ages = counted(ages, heads, boot_id=boot_id, now_s=now_s + step * 30, keep_s=WEEK_S)
    assert ages is not None
    return ages


def test_what_was_reached_a_day_ago() -> None:
    ages = after(30)
    assert ages.reached(DAY_S) == {"his": 600}
    assert ages.reached(DAY_S + 30 * 60) == {"his": 500}, "rather too little than too much"
    assert ages.reached(30 * HOUR_S) == {"his": 0}
    assert ages.reached(31 * HOUR_S) == {}


def test_marks_that_nothing_asks_for_are_forgotten() -> None:
    ages = after(200)
    assert ages.reached(WEEK_S) == {"his": 3200}
    assert len(ages.marks) == WEEK_S / MARK_EVERY_S + 1


def test_a_restart_goes_on_and_a_night_switched_off_makes_nothing_older() -> None:
    ages = after(10)
    service_was_restarted = counted(
        parse(to_json(ages)), {"his": 1000}, boot_id="one", now_s=ages.at_s + HOUR_S, keep_s=WEEK_S
    )
    assert service_was_restarted.ran_s == 11 * HOUR_S
    machine_was_off = counted(parse(to_json(ages)), {"his": 1000}, boot_id="two", now_s=60.0, keep_s=WEEK_S)
    assert machine_was_off.ran_s == 10 * HOUR_S
    assert after(20, boot_id="two", ages=machine_was_off, from_txid=1000).reached(DAY_S) == {"his": 600}


def test_a_replica_that_was_set_back_has_no_age_beyond_its_head() -> None:
    ages = after(30)
    back = counted(ages, {"his": 1250}, boot_id="one", now_s=ages.at_s + 30, keep_s=WEEK_S)
    assert max(mark.heads["his"] for mark in back.marks) == 1250
    assert back.reached(17 * HOUR_S) == {"his": 1200}


@pytest.mark.parametrize("by_s", [pytest.param(-3 * HOUR_S, id="three-hours-back"), pytest.param(DAY_S, id="a-day-on")])
def test_a_clock_that_jumps_makes_nothing_older(tmp_path: Path, by_s: float) -> None:
    clock = FakeClock()
    record = AgeRecord(tmp_path / "ages.json", clock, boot_id="one", keep_s=WEEK_S)
    for hour in range(20):
        record.turn({"his": hour * 100})
        clock.advance(HOUR_S)
    clock.step_wall(by_s)
    assert record.turn({"his": 2000}).reached(DAY_S) == {}
    clock.advance(4 * HOUR_S)
    again = AgeRecord(tmp_path / "ages.json", clock, boot_id="one", keep_s=WEEK_S)
    assert again.turn({"his": 2100}).reached(DAY_S) == {"his": 0}


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"boot_id": 1, "at_s": "x", "ran_s": 0, "marks": 3}'])
def test_a_record_that_cannot_be_read_begins_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ages.json"
    path.write_bytes(content)
    ages = AgeRecord(path, FakeClock(), boot_id="one", keep_s=WEEK_S).turn({"his": 7})
    assert ages.reached(0.0) == {"his": 7} and ages.reached(1.0) == {}
    assert parse(path.read_bytes()) == ages


def test_a_disk_that_takes_no_record_costs_nothing_but_the_record(tmp_path: Path) -> None:
    record = AgeRecord(tmp_path / "gone" / "ages.json", FakeClock(), boot_id="one", keep_s=WEEK_S)
    assert record.turn({"his": 7}).reached(0.0) == {"his": 7}
