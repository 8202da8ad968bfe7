"""Records in a real database: kept, changed, compared, found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from edge_node.his.patients import queries, search
from edge_node.his.patients.identity import IdType, Sex
from edge_node.his.patients.queries import Likeness, Patient
from edge_node.his.patients.search import Found
from edge_node.his.reception import queries as reception
from edge_node.his.reception.rules import Status
from edge_node.store.connection import Connection, IntegrityError
from tests.support.databases import his_database
from tests.support.people import (
    AT,
    a_doctor,
    a_patient,
    a_registrar,
    a_registration,
    an_id_number,
    departments,
    digest,
)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with his_database(tmp_path) as conn:
        departments(conn)
        a_registrar(conn)
        yield conn


def found(conn: Connection, typed: str, limit: int = 10) -> list[str]:
    return [match.patient.name for match in search.find(conn, typed, digest=digest, limit=limit)]


def change(conn: Connection, patient: Patient, **changes: object) -> Patient | None:
    values: dict[str, object] = {
        "version": patient.version,
        "name": patient.name,
        "sex": patient.sex,
        "birth_date": patient.birth_date,
        "phone": patient.phone,
        "address": patient.address,
        "id_type": patient.id_type,
        "id_number": None,
        "at": AT,
    } | changes
    return queries.update(conn, patient.id, **values)  # type: ignore[arg-type]


def test_what_is_kept_comes_back(conn: Connection) -> None:
    made = a_patient(
        conn,
        "㛃晓𬭎",
        born="2020-02-29",
        sex=Sex.MALE,
        phone="13805162207",
        id_number=an_id_number(),
        address="桂花里 12 号",
    )
    assert queries.get(conn, made.id) == made
    assert made.id_number_masked == "3205**********2022"
    assert queries.sealed_id_number(conn, made.id) == b"sealed"
    assert queries.get(conn, "nobody") is None


def test_an_id_number_belongs_to_one_record(conn: Connection) -> None:
    a_patient(conn, id_number=an_id_number())
    with pytest.raises(IntegrityError):
        a_patient(conn, "单亚琴", id_number=an_id_number())


def test_a_change_needs_the_version_that_was_seen(conn: Connection) -> None:
    seen = a_patient(conn, phone="13805162207")
    first = change(conn, seen, phone="13900000000")
    assert first is not None
    assert (first.version, first.phone) == (2, "13900000000")
    assert change(conn, seen, phone="13700000000") is None
    assert queries.get(conn, seen.id) == first


def test_a_changed_name_is_found_by_both(conn: Connection) -> None:
    """A newborn was the mother's 之婴 for a week; whoever has the old paper finds it all the same."""
    seen = a_patient(conn, "单雅琴之婴")
    assert change(conn, seen, name="覃海洋") is not None
    for typed in ("syqzy", "单雅琴", "单雅琴之婴", "qhy", "海洋"):
        assert found(conn, typed) == ["覃海洋"], typed
    (match,) = search.find(conn, "单雅琴之婴", digest=digest, limit=2)
    assert match.by == "单雅琴之婴"
    named = queries.get(conn, seen.id)
    assert named is not None
    assert change(conn, named, name="单雅琴之婴") is not None
    assert queries.former_names(conn, seen.id) == ["覃海洋"]


def test_no_papers_takes_the_number_away_and_nothing_keeps_it(conn: Connection) -> None:
    seen = a_patient(conn, id_number=an_id_number())
    kept = change(conn, seen, phone="13805162207")
    assert kept is not None
    assert kept.id_number_masked == seen.id_number_masked
    assert queries.sealed_id_number(conn, seen.id) == b"sealed"
    gone = change(conn, kept, id_type=IdType.NONE)
    assert gone is not None
    assert (gone.id_number_masked, queries.sealed_id_number(conn, seen.id)) == ("", None)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        pytest.param("syq", ["单雅琴", "沈玉清"], id="initials"),
        pytest.param("SYQ", ["单雅琴", "沈玉清"], id="capitals"),
        pytest.param("shanya", ["单雅琴"], id="beginning-of-a-spelling"),
        pytest.param("Shan Yaqin", ["单雅琴"], id="spelling-with-a-space"),
        pytest.param("dyq", ["单雅琴"], id="the-dictionary's-reading-finds-too"),
        pytest.param("单雅琴", ["单雅琴"], id="name"),
        pytest.param("单 雅琴", ["单雅琴"], id="name-with-a-space"),
        pytest.param("雅琴", ["单雅琴"], id="given-name"),
        pytest.param("13805162207", ["单雅琴"], id="phone"),
        pytest.param("138 0516 2207", ["单雅琴"], id="phone-with-spaces"),
        pytest.param("１３８０５", ["沈玉清", "单雅琴"], id="beginning-of-a-phone-in-full-width"),
        pytest.param("2207", ["单雅琴"], id="end-of-a-phone"),
        pytest.param("XC42A-2600000000", ["单雅琴"], id="record-number"),
        pytest.param("xc42a-2600000000", ["单雅琴"], id="record-number-in-small-letters"),
        pytest.param("2600000000", ["单雅琴"], id="its-digits"),
        pytest.param(an_id_number(), ["单雅琴"], id="id-number"),
        pytest.param(an_id_number("1980-03-15"), [], id="somebody-else's-id-number"),
        pytest.param("e12345678", ["Maria Garcia"], id="passport"),
        pytest.param("garcia", ["Maria Garcia"], id="latin-family-name"),
        pytest.param("syq 1955", ["沈玉清"], id="narrowed-by-year-of-birth"),
        pytest.param("syq 2207", ["单雅琴"], id="narrowed-by-phone"),
        pytest.param("单 1981", [], id="narrowed-to-nobody"),
        pytest.param("", [], id="nothing"),
        pytest.param("   ", [], id="spaces"),
        pytest.param("%", [], id="no-wildcard"),
        pytest.param("_", [], id="no-wildcard-either"),
        pytest.param("' OR 1=1 --", [], id="no-sql"),
    ],
)
def test_find(conn: Connection, typed: str, names: list[str]) -> None:
    a_patient(conn, "单雅琴", phone="13805162207", id_number=an_id_number())
    a_patient(conn, "沈玉清", born="1955-07-30", phone="13805160518")
    a_patient(conn, "Maria Garcia", id_number="E12345678", id_type=IdType.PASSPORT)
    assert found(conn, typed) == names


def test_the_likely_reading_comes_first_then_who_was_here_last(conn: Connection) -> None:
    unlikely = a_patient(conn, "王小兰")  # 王 is also read yu: yxl
    old, recent, never = a_patient(conn, "于雪莲"), a_patient(conn, "余晓林"), a_patient(conn, "俞秀丽")
    a_registration(conn, unlikely, at=AT + 9)
    a_registration(conn, old, at=AT + 1)
    a_registration(conn, recent, at=AT + 5)
    assert found(conn, "yxl") == [recent.name, old.name, never.name, unlikely.name]


def test_a_whole_name_comes_before_longer_ones_and_the_limit_holds(conn: Connection) -> None:
    for name in ("李明华", "李明", "李明明"):
        a_patient(conn, name)
    assert found(conn, "李明", limit=2) == ["李明", "李明华"]
    assert found(conn, "lm")[0] == "李明"


def test_a_match_says_by_what_and_when_last(conn: Connection) -> None:
    patient = a_patient(conn, id_number=an_id_number())
    a_registration(conn, patient, at=AT - 1000)
    cancelled = a_registration(conn, patient, department_id="d2", at=AT)
    reception.cancel(conn, cancelled.registration_id)
    (match,) = search.find(conn, an_id_number(), digest=digest, limit=2)
    assert match.why is Found.ID_NUMBER
    assert match.why.is_certain
    assert match.last_visit is not None
    assert (match.last_visit.department_id, match.last_visit.registered_at) == ("d1", AT - 1000)


def test_narrowing_looks_beyond_the_first_thousand(conn: Connection) -> None:
    conn.execute("BEGIN")
    for n in range(search.CANDIDATES_CAP + 5):
        a_patient(conn, "张伟", phone=f"139{n:08}")
    last = a_patient(conn, "张伟", born="1999-09-09", phone="13800009999")
    conn.execute("COMMIT")
    assert len(found(conn, "zw")) == 10
    narrowed = search.find(conn, "zw 1999", digest=digest, limit=10)
    assert last.id in [match.patient.id for match in narrowed]


@pytest.mark.parametrize(
    ("name", "born", "phone", "id_number", "why"),
    [
        pytest.param("王五", "2000-01-01", "", an_id_number(), Likeness.SAME_ID_NUMBER, id="id-number"),
        pytest.param("单雅琴", "1980-03-14", "", "", Likeness.SAME_NAME_AND_BIRTH, id="name-and-birth"),
        pytest.param("王五", "1980-03-14", "13805162207", "", Likeness.SAME_PHONE_AND_BIRTH, id="phone-and-birth"),
        pytest.param("单雅琴", "1990-01-01", "13805162207", "", Likeness.SAME_NAME_AND_PHONE, id="name-and-phone"),
        pytest.param("单亚芹", "1980-03-14", "", "", Likeness.SOUNDS_ALIKE_SAME_BIRTH, id="sounds-alike"),
        pytest.param("单雅琴", "1990-01-01", "", "", None, id="a-name-alone-is-nothing"),
        pytest.param("王五", "1990-01-01", "13805162207", "", None, id="a-phone-alone-is-a-family"),
        pytest.param("沈玉清", "1980-03-14", "", "", None, id="initials-alone-are-nothing"),
    ],
)
def test_same_person(conn: Connection, name: str, born: str, phone: str, id_number: str, why: Likeness | None) -> None:
    there = a_patient(conn, phone="13805162207", id_number=an_id_number())
    twins = queries.same_person(
        conn,
        name=name,
        birth_date=date.fromisoformat(born),
        phone=phone,
        id_digest=digest(id_number) if id_number else None,
    )
    assert [(twin.patient.id, twin.why) for twin in twins] == ([(there.id, why)] if why else [])
    assert queries.same_person(conn, name=name, birth_date=date.fromisoformat(born), except_id=there.id) == []


def test_visits_newest_first_with_what_was_signed_last(conn: Connection) -> None:
    patient, doctor = a_patient(conn), a_doctor(conn, "shen", "d1")
    first = a_registration(conn, patient, at=AT, doctor_id=doctor)
    a_registration(conn, patient, department_id="d2", at=AT + 1000)
    conn.execute(
        "INSERT INTO encounter (id, registration_id, patient_id, doctor_id, started_at) VALUES ('e1', ?, ?, ?, 0)",
        (first.registration_id, patient.id, doctor),
    )
    for n, names in ((1, ["咳嗽"]), (2, ["急性支气管炎", "高血压"])):
        conn.execute(
            "INSERT INTO note_version (encounter_id, n, revision, body, author_id, signed_at, clock_state, mode,"
            " previous_hash, hash) VALUES ('e1', ?, ?, '{}', ?, 0, 'synced', 'online', x'00', x'00')",
            (n, n, doctor),
        )
        for rank, name in enumerate(names):
            conn.execute(
                "INSERT INTO diagnosis (encounter_id, n, rank, code, name) VALUES ('e1', ?, ?, 'X', ?)", (n, rank, name)
            )
    newer, older = queries.visits(conn, patient.id)
    assert (newer.department_id, newer.encounter_id, newer.diagnoses) == ("d2", None, ())
    assert (older.encounter_id, older.diagnoses) == ("e1", ("急性支气管炎", "高血压"))
    assert (older.doctor_id, older.status) == (doctor, Status.WAITING)
    assert queries.last_visits(conn, [patient.id, "nobody"])[patient.id].department_id == "d2"


def test_fast_enough_with_many(conn: Connection) -> None:
    """No search reads the whole table where an index can answer; bench_search.py measures 100,000."""
    plans = []
    conn.set_trace_callback(lambda sql: plans.append(sql) if "max(registered_at)" in sql else None)
    a_patient(conn, phone="13805162207", id_number=an_id_number())
    for typed in ("syq", "13805162207", "138", an_id_number(), "XC42A-2600000000", "单雅琴"):
        search.find(conn, typed, digest=digest, limit=1)
    conn.set_trace_callback(None)
    assert len(plans) >= 6
    for sql in plans:
        details = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert not any(detail.startswith("SCAN patient") for detail in details), (sql, details)
