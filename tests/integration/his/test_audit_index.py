"""The audit page over a large log: each question goes by an index, and a page costs its rows and not the log's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from edge_node.his.traces.queries import STRETCH, Wanted, page, statement
from edge_node.store.connection import Connection, connect
from tests.support.databases import make_his_database

ROWS, PEOPLE, EVERY_MS = 60_000, 6, 20_000
PATIENT = "P7"
SINCE = 1_000 * EVERY_MS
DAY = Wanted(since=SINCE, until=SINCE + 86_400_000)


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    path = tmp_path_factory.mktemp("log") / "his.db"
    make_his_database(path)
    with contextlib.closing(connect(path)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("BEGIN")
        conn.execute(
            "INSERT INTO patient (id, mrn, name, sex, birth_date, id_type, created_at, created_by, updated_at) "
            "VALUES (?, 'M7', 'x', 1, '2000-01-01', 'none', 0, 'S1', 0)",
            (PATIENT,),
        )
        conn.executemany(
            "INSERT INTO audit_log (at, clock_state, staff_id, station, address, action, object, detail, "
            "previous_hash, hash) VALUES (?, 'synced', ?, '', '', ?, ?, '{}', x'', x'')",
            (
                (n * EVERY_MS, f"S{n % PEOPLE}", "settings_changed" if n == 40 else "viewed", f"patient:P{n % 5_000}")
                for n in range(ROWS)
            ),
        )
        conn.execute("COMMIT")
        yield conn


def plan(conn: Connection, asked: str) -> list[str]:
    names = {"before", "staff", "action", "patient", "since", "until", "first", "last", "limit"}
    rows = conn.execute(f"EXPLAIN QUERY PLAN {asked}", dict.fromkeys(names, 1))
    return [row["detail"] for row in rows if "audit_log" in row["detail"]]


@pytest.mark.parametrize("before", [None, 30_000])
@pytest.mark.parametrize(
    "wanted, by",
    [
        pytest.param(Wanted(staff_id="S1"), "audit_log_by_staff", id="person"),
        pytest.param(Wanted(patient_id=PATIENT), "audit_log_by_object", id="record"),
        pytest.param(Wanted(action="settings_changed"), "audit_log_by_action", id="action"),
        pytest.param(DAY, "INTEGER PRIMARY KEY (rowid>", id="day"),
        pytest.param(
            Wanted(staff_id="S1", since=DAY.since, until=DAY.until), "audit_log_by_staff", id="person-and-day"
        ),
        pytest.param(Wanted(patient_id=PATIENT, staff_id="S1"), "audit_log_by_object", id="record-and-person"),
        pytest.param(Wanted(action="viewed", staff_id="S1"), "audit_log_by_staff", id="looked-at-by-a-person"),
    ],
)
def test_no_question_reads_the_whole_log(conn: Connection, wanted: Wanted, by: str, before: int | None) -> None:
    said = plan(conn, statement(wanted, before=before))
    assert said and not [line for line in said if line.startswith("SCAN")], said
    assert any(by in line for line in said), said


def test_a_day_is_found_by_its_index_alone(conn: Connection) -> None:
    assert all("USING COVERING INDEX audit_log_by_time" in line for line in plan(conn, STRETCH))


def steps(conn: Connection, wanted: Wanted, before: int | None) -> tuple[int, int]:
    """What a page costs, in hundreds of SQLite's own steps, and how many rows it has."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    conn.set_progress_handler(tick, 100)
    try:
        return len(page(conn, wanted, before=before, limit=51)), count
    finally:
        conn.set_progress_handler(None, 0)


@pytest.mark.parametrize("before", [None, ROWS // 2, 200])
@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(staff_id="S1"), Wanted(patient_id=PATIENT), Wanted(action="viewed")]
)
def test_a_page_far_back_costs_as_little_as_the_first(conn: Connection, wanted: Wanted, before: int | None) -> None:
    rows, cost = steps(conn, wanted, before)
    assert rows and cost < 100, cost


def test_a_day_long_ago_holds_its_rows_and_one_without_rows_none(conn: Connection) -> None:
    found = page(conn, DAY, before=None, limit=10_000)
    assert len(found) == 86_400_000 // EVERY_MS and found[-1].at == SINCE
    assert page(conn, Wanted(since=10**15, until=10**15 + 1), before=None, limit=10) == []
    rows, cost = steps(conn, Wanted(staff_id="S1", since=DAY.since, until=DAY.until), None)
    assert rows == 51 and cost < 1_000, cost
