"""Patients, departments and registrations with one-word defaults, in a database of a test."""

from __future__ import annotations

import hashlib
from datetime import date

from edge_node.his.patients import queries
from edge_node.his.patients.identity import IdType, Sex, check_character, mask
from edge_node.his.patients.queries import Patient, SealedId
from edge_node.his.reception import queries as reception
from edge_node.his.reception.queries import QueueEntry
from edge_node.store.connection import Connection

AT = 1_795_000_000_000
DAY = date(2026, 11, 18)
DEPARTMENTS = (("d1", "IM", "内", "内科", "Internal medicine", 1), ("d2", "PE", "儿", "儿科", "Paediatrics", 2))


def an_id_number(born: str = "1980-03-14", sequence: str = "202", region: str = "320502") -> str:
    """A number with the check character that belongs to it."""
    first_17 = region + born.replace("-", "") + sequence
    return first_17 + check_character(first_17)


def digest(number: str) -> bytes:
    """As good as the cipher's for finding an equal number."""
    return hashlib.sha256(number.encode()).digest()


def departments(conn: Connection) -> None:
    """Two departments: d1 内科, d2 儿科."""
    conn.executemany("INSERT INTO department VALUES (?, ?, ?, ?, ?, ?, 1)", DEPARTMENTS)


def a_registrar(conn: Connection, code: str = "zhoumin") -> str:
    """Somebody who can be named as the one who wrote; cannot sign in."""
    conn.execute(
        "INSERT INTO staff (id, code, name, password_hash, must_change, created_at) VALUES (?, ?, '周敏', '', 0, 0)",
        (f"staff-{code}", code),
    )
    return f"staff-{code}"


def a_doctor(conn: Connection, code: str, department_id: str, *, active: bool = True) -> str:
    """A doctor of a department; cannot sign in."""
    conn.execute(
        "INSERT INTO staff (id, code, name, department_id, password_hash, must_change, active, created_at)"
        " VALUES (?, ?, ?, ?, '', 0, ?, 0)",
        (f"staff-{code}", code, code.title(), department_id, int(active)),
    )
    conn.execute("INSERT INTO staff_role VALUES (?, 'doctor')", (f"staff-{code}",))
    return f"staff-{code}"


def a_patient(
    conn: Connection, name: str = "单雅琴", *, born: str = "1980-03-14", sex: Sex = Sex.FEMALE, phone: str = "",
    id_number: str = "", id_type: IdType = IdType.RESIDENT, address: str = "", at: int = AT, by: str = "staff-zhoumin",
) -> Patient:  # fmt: skip
    """A record with the next number."""
    (count,) = conn.execute("SELECT count(*) FROM patient").fetchone()
    sealed = SealedId(sealed=b"sealed", digest=digest(id_number), masked=mask(id_number)) if id_number else None
    return queries.insert(
        conn, mrn=f"XC42A-26{count:07}0", name=name, sex=sex, birth_date=date.fromisoformat(born), phone=phone,
        id_type=id_type if id_number else IdType.NONE, id_number=sealed, address=address, at=at, by=by,
    )  # fmt: skip


def a_registration(
    conn: Connection,
    patient: Patient,
    *,
    department_id: str = "d1",
    doctor_id: str | None = None,
    day: date = DAY,
    at: int = AT,
    by: str = "staff-zhoumin",
) -> QueueEntry:
    """A place in a queue."""
    (count,) = conn.execute("SELECT count(*) FROM registration").fetchone()
    return reception.register(
        conn,
        patient_id=patient.id,
        department_id=department_id,
        doctor_id=doctor_id,
        queue_date=day,
        visit_no=f"XC42A-V26{count:07}0",
        mode="online",
        at=at,
        by=by,
    )
