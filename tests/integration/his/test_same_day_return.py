"""Who was seen today comes back by one press: once, to the same doctor, before those who were not seen yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_node.his import request_key
from edge_node.his.patients import merges
from edge_node.his.prescriptions import situation
from edge_node.his.prescriptions.model import Patient
from edge_node.his.reception import queries as reception
from edge_node.his.reception.queries import QueueEntry
from edge_node.his.triage import queries as triage
from edge_node.his.triage.rules import Level, Measured
from tests.support.doctor_pages import words
from tests.support.encounters import Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        yield Clinic(his)


@pytest.fixture
def zhou(clinic: Clinic) -> FlaskClient:
    return clinic.his.sign_in("zhou", client=clinic.his.browser())


@pytest.fixture
def seen(clinic: Clinic) -> QueueEntry:
    """单雅琴 was seen by shen, though anybody would have done; two others wait."""
    encounter_id = clinic.begun()
    clinic.sign(encounter_id)
    clinic.comes("欧阳淑贞")
    clinic.comes("段玉")
    (registration_id,) = clinic.his.conn.execute("SELECT registration_id FROM encounter").fetchone()
    found = reception.entry(clinic.his.conn, registration_id)
    assert found is not None
    return found


def press(clinic: Clinic, zhou: FlaskClient, entry: QueueEntry, **more: str) -> TestResponse:
    return clinic.his.post(zhou, f"/reception/{entry.registration_id}/return", **more)


def test_one_press_at_the_desk(clinic: Clinic, zhou: FlaskClient, seen: QueueEntry) -> None:
    desk = zhou.get(f"/reception?patient={seen.patient.id}")
    assert "Seen today as 内 01" in words(desk) and f"/reception/{seen.registration_id}/return" in desk.text
    made = press(clinic, zhou, seen).location.partition("registered=")[2]
    back = reception.entry(clinic.his.conn, made)
    assert back is not None
    assert (back.follows, back.doctor_name, back.kind, back.queue_no) == (seen.registration_id, "沈立群", "return", 4)
    queue = reception.queue(
        clinic.his.conn, clinic.today, department_id=clinic.departments["internal"], status=back.status
    )
    assert [entry.patient.name for entry in queue] == ["单雅琴", "欧阳淑贞", "段玉"]
    assert reception.ahead(clinic.his.conn, back) == 0 and reception.ahead(clinic.his.conn, queue[1]) == 1
    assert "levels 1 and 2 first, then who comes back" in words(zhou.get("/reception"))
    assert "comes back, seen today as 内 01" in words(zhou.get(f"/reception/{made}"))
    assert "Seen today" not in words(zhou.get(f"/reception?patient={seen.patient.id}")), "they wait already"


def test_the_doctor_sees_it_and_calls_them_first(clinic: Clinic, zhou: FlaskClient, seen: QueueEntry) -> None:
    press(clinic, zhou, seen)
    clinic.his.sign_in("shen")
    assert re.search(r"单雅琴.{0,60}back today", words(clinic.his.client.get("/encounters/")))
    assert clinic.call_next("guo") == "欧阳淑贞", "it is not for another doctor"
    assert clinic.call_next("shen") == "单雅琴"


def test_an_urgent_one_goes_before(clinic: Clinic, zhou: FlaskClient, seen: QueueEntry) -> None:
    press(clinic, zhou, seen)
    (urgent,) = clinic.his.conn.execute(
        "SELECT registration.id FROM registration JOIN patient ON patient.id = patient_id WHERE name = '段玉'"
    ).fetchone()
    clinic.his.write(
        lambda conn: conn.execute(
            "INSERT INTO triage (id, registration_id, level, at, by) VALUES ('t', ?, 2, 1, ?)",
            (urgent, clinic.staff["zhou"]),
        )
    )
    assert [clinic.call_next("shen") for _ in range(3)] == ["段玉", "单雅琴", "欧阳淑贞"]


def test_a_double_click_and_another_desk(clinic: Clinic, zhou: FlaskClient, seen: QueueEntry) -> None:
    token = request_key.new()
    first, second = (press(clinic, zhou, seen, request_key=token) for _ in range(2))
    assert first.location == second.location
    other = press(clinic, zhou, seen)
    assert other.status_code == 409 and "Already in this queue as 内 04" in words(other)
    (count,) = clinic.his.conn.execute("SELECT count(*) FROM registration WHERE follows IS NOT NULL").fetchone()
    assert count == 1


def test_whoever_returns_twice_returns_to_the_first_visit(clinic: Clinic, zhou: FlaskClient, seen: QueueEntry) -> None:
    for _ in range(2):
        newest = reception.seen_today(clinic.his.conn, seen.patient.id, clinic.today)[0]
        press(clinic, zhou, newest)
        clinic.call_next("shen")
        (encounter_id,) = clinic.his.conn.execute("SELECT id FROM encounter ORDER BY rowid DESC LIMIT 1").fetchone()
        clinic.sign(encounter_id)
        clinic.his.clock.advance(60)
    follows = [row[0] for row in clinic.his.conn.execute("SELECT follows FROM registration WHERE follows IS NOT NULL")]
    assert follows == [seen.registration_id] * 2


def test_a_doctor_who_left_is_not_waited_for(clinic: Clinic, zhou: FlaskClient, seen: QueueEntry) -> None:
    clinic.his.write(lambda conn: conn.execute("UPDATE staff SET active = 0 WHERE code = 'shen'"))
    made = press(clinic, zhou, seen).location.partition("registered=")[2]
    back = reception.entry(clinic.his.conn, made)
    assert back is not None and back.doctor_id is None


@pytest.mark.parametrize("how", ["waiting", "tomorrow", "nowhere"])
def test_only_who_was_seen_today(clinic: Clinic, zhou: FlaskClient, seen: QueueEntry, how: str) -> None:
    entry = clinic.comes("王兰") if how == "waiting" else seen
    if how == "tomorrow":
        clinic.his.clock.advance(86_400)
        zhou = clinic.his.sign_in("zhou", client=zhou)
    path = f"/reception/{entry.registration_id if how != 'nowhere' else 'nowhere'}/return"
    answer = clinic.his.post(zhou, path)
    assert answer.status_code == (404 if how == "nowhere" else 409)
    (count,) = clinic.his.conn.execute("SELECT count(*) FROM registration WHERE follows IS NOT NULL").fetchone()
    assert count == 0


def test_what_the_nurse_heard_in_the_morning_still_counts(clinic: Clinic, zhou: FlaskClient, seen: QueueEntry) -> None:
    def measured(registration_id: str, **said: Any) -> None:
        clinic.his.write(
            lambda conn: triage.insert(
                conn, registration_id, Measured(**said), level=Level.NOT_URGENT, note="",
                at=clinic.his.clock.wall_ms(), by=clinic.staff["shen"],
            )
        )  # fmt: skip
        clinic.his.clock.advance(60)

    def person(registration_id: str) -> Patient:
        return situation.patient(
            clinic.his.conn, seen.patient.id, registration_id=registration_id, now=clinic.his.clock.wall_ms()
        )

    measured(seen.registration_id, weight_kg="52", pregnant=True)
    back = press(clinic, zhou, seen).location.partition("registered=")[2]
    assert (person(back).pregnant, person(back).weight_kg) == (True, Decimal(52))
    measured(back, temperature="36.8")
    assert (person(back).pregnant, person(back).weight_kg) == (True, Decimal(52)), "who is not asked again is as before"
    measured(back, pregnant=False, weight_kg="53")
    assert (person(back).pregnant, person(back).weight_kg) == (False, Decimal(53))
    other = clinic.comes("段玉")
    assert (person(other.registration_id).pregnant, person(other.registration_id).weight_kg) == (False, None)


def test_it_hangs_on_the_record_of_the_visit_and_goes_with_it_when_a_merge_is_undone(
    clinic: Clinic, zhou: FlaskClient, seen: QueueEntry
) -> None:
    kept, by = clinic.comes("欧阳淑珍", department="emergency").patient.id, clinic.staff["zhou"]
    clinic.his.write(
        lambda conn: merges.join(conn, kept_id=kept, merged_id=seen.patient.id, at=1, by=by, reason="看似同一人")
    )
    made = press(clinic, zhou, seen).location.partition("registered=")[2]
    clinic.his.write(lambda conn: merges.part(conn, merged_id=seen.patient.id, at=2, by=by, reason="并非同一人"))
    back = reception.entry(clinic.his.conn, made)
    assert back is not None and back.patient.id == seen.patient.id
