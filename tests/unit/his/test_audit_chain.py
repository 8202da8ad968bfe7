"""The audit log shows a row that was changed, taken out or put in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.clock import ClockState
from edge_node.his.audit import NO_HASH, Chain, Damage, Who, record, verify, walk
from edge_node.store.connection import Connection, DatabaseError, transaction
from tests.support.databases import his_database

LI = Who(staff_id=None, station="Desk 1", address="192.0.2.7")


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with his_database(tmp_path) as conn:
        yield conn


def _record(conn: Connection, n: int) -> int:
    return record(
        conn, LI, "viewed", f"patient:{n}", {"field": "id_number", "姓名": n}, at=n, clock_state=ClockState.SYNCED
    )


@pytest.fixture
def five_rows(conn: Connection) -> Connection:
    for n in range(1, 6):
        assert _record(conn, n) == n
    # The triggers keep honest programs from it; whoever holds the file can drop them.
    conn.execute("DROP TRIGGER audit_log_kept")
    conn.execute("DROP TRIGGER audit_log_kept_too")
    return conn


def test_an_untouched_chain_is_whole(five_rows: Connection) -> None:
    assert verify(five_rows) is None


def test_an_empty_log_is_whole(conn: Connection) -> None:
    assert verify(conn) is None


@pytest.mark.parametrize(
    "tampering, first_broken",
    [
        pytest.param("UPDATE audit_log SET detail = '{}' WHERE seq = 3", 3, id="detail-changed"),
        pytest.param("UPDATE audit_log SET at = at - 1 WHERE seq = 1", 1, id="time-changed"),
        pytest.param("UPDATE audit_log SET staff_id = 'x' WHERE seq = 5", 5, id="person-changed"),
        pytest.param("UPDATE audit_log SET clock_state = 'suspect' WHERE seq = 2", 2, id="clock-changed"),
        pytest.param("DELETE FROM audit_log WHERE seq = 2", 2, id="row-taken-out"),
        pytest.param("DELETE FROM audit_log WHERE seq = 1", 1, id="first-row-taken-out"),
        pytest.param("UPDATE audit_log SET hash = zeroblob(32) WHERE seq = 4", 4, id="hash-changed"),
    ],
)
def test_tampering_shows_where_it_begins(five_rows: Connection, tampering: str, first_broken: int) -> None:
    five_rows.execute(tampering)
    assert verify(five_rows) == first_broken


@pytest.mark.parametrize(
    "tampering, broken",
    [
        pytest.param("UPDATE audit_log SET detail = '{}' WHERE seq = 3", (3, Damage.CHANGED), id="changed"),
        pytest.param("DELETE FROM audit_log WHERE seq = 2", (2, Damage.MISSING), id="taken-out"),
        pytest.param(
            "UPDATE audit_log SET previous_hash = zeroblob(32) WHERE seq = 4", (4, Damage.OUT_OF_CHAIN), id="unchained"
        ),
        pytest.param("DELETE FROM audit_log WHERE seq > 3", (4, Damage.TAIL_MISSING), id="cut-off"),
        pytest.param("DELETE FROM audit_log", (1, Damage.TAIL_MISSING), id="emptied"),
    ],
)
def test_the_damage_is_named(five_rows: Connection, tampering: str, broken: tuple[int, Damage]) -> None:
    five_rows.execute(tampering)
    found = walk(five_rows)
    assert found.broken is not None and (found.broken.seq, found.broken.damage) == broken
    assert found.rows == broken[0] - 1


def test_the_head_of_a_whole_chain_is_its_last_hash(five_rows: Connection) -> None:
    (head,) = five_rows.execute("SELECT hash FROM audit_log WHERE seq = 5").fetchone()
    assert walk(five_rows) == Chain(rows=5, head=bytes(head), broken=None)


def test_a_cut_that_turns_the_counter_back_shows_against_a_head_noted_before(five_rows: Connection) -> None:
    (head,) = five_rows.execute("SELECT hash FROM audit_log WHERE seq = 5").fetchone()
    five_rows.execute("DELETE FROM audit_log WHERE seq = 5")
    five_rows.execute("UPDATE sqlite_sequence SET seq = 4 WHERE name = 'audit_log'")
    assert verify(five_rows) is None
    assert five_rows.execute("SELECT 1 FROM audit_log WHERE hash = ?", (head,)).fetchone() is None


def test_the_database_refuses_to_change_or_delete_a_row(conn: Connection) -> None:
    _record(conn, 1)
    replace = (
        "REPLACE INTO audit_log (seq, at, clock_state, station, address, action, object, detail, previous_hash, hash) "
        "SELECT seq, at, clock_state, station, address, 'x', object, detail, previous_hash, hash FROM audit_log"
    )
    for statement in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log", replace):
        with pytest.raises(DatabaseError, match="audit log is never"):
            conn.execute(statement)


def test_a_row_goes_with_the_transaction_that_it_tells_of(conn: Connection) -> None:
    _record(conn, 1)
    with contextlib.suppress(ZeroDivisionError), transaction(conn):
        _record(conn, 2)
        _ = 1 / 0
    assert _record(conn, 3) == 2
    assert verify(conn) is None


def test_the_chain_begins_with_nothing(conn: Connection) -> None:
    _record(conn, 1)
    (previous,) = conn.execute("SELECT previous_hash FROM audit_log").fetchone()
    assert bytes(previous) == NO_HASH
