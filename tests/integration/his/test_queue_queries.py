"""The queue in a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edge_node.his import numbering
from edge_node.his.reception import page, queries
from edge_node.his.reception.rules import Kind, Status
from edge_node.store.connection import Connection, IntegrityError
from tests.support.databases import his_database
from tests.support.people import AT, DAY, a_doctor, a_patient, a_registrar, a_registration, departments


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with his_database(tmp_path) as conn:
        departments(conn)
        a_registrar(conn)
        yield conn


def names(entries: list[queries.QueueEntry]) -> list[str]:
    return [entry.patient.name for entry in entries]


def test_numbers_count_per_department_and_day_and_are_not_given_again(conn: Connection) -> None:
    patient = a_patient(conn)
    first = a_registration(conn, patient)
    queries.cancel(conn, first.registration_id)
    second = a_registration(conn, patient)
    other = a_registration(conn, patient, department_id="d2")
    tomorrow = a_registration(conn, patient, day=DAY + timedelta(days=1))
    assert [e.queue_no for e in (first, second, other, tomorrow)] == [1, 2, 1, 1]
    assert (second.mark, other.mark) == ("内", "儿")
    assert queries.entry(conn, second.registration_id) == second
    assert queries.entry(conn, "none") is None


def test_a_return_is_a_visit_after_one_that_was_done_in_the_same_department(conn: Connection) -> None:
    patient = a_patient(conn)
    first = a_registration(conn, patient)
    assert first.kind is Kind.FIRST
    assert a_registration(conn, patient).kind is Kind.FIRST
    queries.set_status(conn, first.registration_id, Status.WITH_DOCTOR)
    queries.set_status(conn, first.registration_id, Status.DONE)
    assert a_registration(conn, patient).kind is Kind.RETURN
    assert a_registration(conn, patient, department_id="d2").kind is Kind.FIRST


@pytest.mark.parametrize(("patient", "department"), [("nobody", "d1"), ("", "d9")])
def test_an_unknown_patient_or_department_is_refused(conn: Connection, patient: str, department: str) -> None:
    known = a_patient(conn)
    with pytest.raises(IntegrityError):
        queries.register(
            conn,
            patient_id=patient or known.id,
            department_id=department,
            doctor_id=None,
            queue_date=DAY,
            visit_no="V1",
            mode="online",
            at=AT,
            by="staff-zhoumin",
        )


def test_the_queue_is_in_the_order_of_coming_whatever_the_clock_did(conn: Connection) -> None:
    for n, name in enumerate(("甲", "乙", "丙")):
        a_registration(conn, a_patient(conn, name), at=AT + n * 1000)
    late = a_registration(conn, a_patient(conn, "丁"), department_id="d2", at=AT - 3_600_000)
    assert names(queries.queue(conn, DAY)) == ["甲", "乙", "丙", "丁"]
    assert names(queries.queue(conn, DAY, department_id="d2")) == ["丁"]
    queries.set_status(conn, late.registration_id, Status.WITH_DOCTOR)
    assert names(queries.queue(conn, DAY, status=Status.WITH_DOCTOR)) == ["丁"]
    assert queries.queue(conn, DAY + timedelta(days=1)) == []
    assert queries.counts(conn, DAY) == {
        Status.WAITING: 3,
        Status.WITH_DOCTOR: 1,
        Status.DONE: 0,
        Status.CANCELLED: 0,
    }
    assert queries.waiting_by_department(conn, DAY) == {"d1": 3}


def test_a_doctor_sees_who_asked_for_them_or_for_nobody(conn: Connection) -> None:
    shen, tao = a_doctor(conn, "shen", "d1"), a_doctor(conn, "tao", "d1")
    a_registration(conn, a_patient(conn, "甲"), doctor_id=shen)
    a_registration(conn, a_patient(conn, "乙"), doctor_id=tao)
    third = a_registration(conn, a_patient(conn, "丙"))
    assert names(queries.queue(conn, DAY, doctor_id=shen)) == ["甲", "丙"]
    assert queries.ahead(conn, third) == 2
    fourth = a_registration(conn, a_patient(conn, "丁"), doctor_id=tao)
    assert queries.ahead(conn, fourth) == 2


def test_doctors_of_open_departments_with_who_waits_for_them(conn: Connection) -> None:
    shen = a_doctor(conn, "shen", "d1")
    a_doctor(conn, "gone", "d1", active=False)
    guo = a_doctor(conn, "guo", "d2")
    a_registration(conn, a_patient(conn), doctor_id=shen)
    assert [(d.id, d.department_id, d.waiting) for d in queries.doctors(conn, DAY)] == [(shen, "d1", 1), (guo, "d2", 0)]
    conn.execute("UPDATE department SET active = 0 WHERE id = 'd2'")
    assert [department.id for department in queries.departments(conn)] == ["d1"]
    assert [doctor.id for doctor in queries.doctors(conn, DAY)] == [shen]


def test_who_was_quicker_wins(conn: Connection) -> None:
    entry = a_registration(conn, a_patient(conn))
    assert queries.set_status(conn, entry.registration_id, Status.WITH_DOCTOR)
    assert not queries.set_status(conn, entry.registration_id, Status.WITH_DOCTOR)
    assert not queries.cancel(conn, entry.registration_id)
    after = queries.entry(conn, entry.registration_id)
    assert after is not None
    assert after.status is Status.WITH_DOCTOR
    with pytest.raises(KeyError):
        queries.cancel(conn, "none")


@pytest.mark.parametrize(
    ("args", "first", "last", "page_no"),
    [
        ({}, 1, 15, 1),
        ({"page": "2"}, 16, 17, 2),
        ({"page": "99"}, 16, 17, 2),
        ({"page": "0"}, 1, 15, 1),
        ({"page": "x"}, 1, 15, 1),
        ({"page": "²"}, 1, 15, 1),
        ({"status": "nonsense"}, 1, 15, 1),
        ({"status": "done"}, 0, 0, 1),
        ({"department": "d2"}, 0, 0, 1),
        ({"department": "d9"}, 0, 0, 1),
    ],
)
def test_pages_of_the_queue(conn: Connection, args: dict[str, str], first: int, last: int, page_no: int) -> None:
    patient = a_patient(conn)
    for _ in range(17):
        a_registration(conn, patient)
    queue = page.queue(conn, args, DAY, AT + 150_000)
    assert (queue.first, queue.last, queue.page) == (first, last, page_no)
    assert all(row.waited_s == 120 for row in queue.rows)


def test_the_form_of_a_known_person_is_filled_and_sent_where_they_were_last(conn: Connection) -> None:
    shen = a_doctor(conn, "shen", "d1")
    patient = a_patient(conn, phone="13805162207", address="桂花里 12 号")
    assert "department_id" not in page.filled(conn, patient)
    a_registration(conn, patient, doctor_id=shen)
    values = page.filled(conn, patient)
    assert (values["department_id"], values["doctor_id"], values["phone"]) == ("d1", shen, "138 0516 2207")
    typed = {"name": "单亚芹", "phone": "13900000000", "address": " ", "department_id": "d2", "doctor_id": ""}
    over = page.filled(conn, patient, over=typed)
    assert (over["name"], over["phone"], over["address"]) == ("单雅琴", "13900000000", "桂花里 12 号")
    assert (over["department_id"], over["doctor_id"]) == ("d2", "")


def test_after_a_restore_a_days_queue_goes_on_beyond_all_that_may_have_been_called(conn: Connection) -> None:
    patient = a_patient(conn)
    assert a_registration(conn, patient).queue_no == 1
    for _ in range(2):  # A promotion that is run again skips once.
        numbering.skip_queue_numbers(conn, day=DAY, epoch=2)
    assert [a_registration(conn, patient).queue_no for _ in range(2)] == [501, 502]
    assert a_registration(conn, patient, department_id="d2").queue_no == 501
    numbering.skip_queue_numbers(conn, day=DAY, epoch=3)
    assert a_registration(conn, patient).queue_no == 1001
    assert a_registration(conn, patient, day=DAY + timedelta(days=1)).queue_no == 1
