from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.errors import OutboxError, UsageError
from edge_node.outbox import queue
from edge_node.outbox.model import Outcome, Result, Route, Settlement, State
from edge_node.store.connection import Connection, IntegrityError, transaction
from tests.support.databases import his_database
from tests.support.messages import AT, PLATFORM, a_body, put, states

BUREAU = Route(upstream="bureau", topics=("encounter",))


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with his_database(tmp_path) as conn:
        conn.execute("PRAGMA synchronous=OFF")
        yield conn


def settled(seq: int, state: State, *, at: int = AT, next_at: int | None = None) -> Settlement:
    return Settlement(
        seq=seq, state=state, tried_at=at, next_at=next_at, outcome=Outcome(result=Result.BUSY, words="x")
    )


def settle(conn: Connection, *settlements: Settlement) -> None:
    with transaction(conn):
        queue.settle(conn, settlements)


def due(conn: Connection, *, now_ms: int = AT, limit: int = 99, **more: object) -> list[int]:
    return [message.seq for message in queue.due(conn, "platform", now_ms=now_ms, limit=limit, **more)]  # type: ignore[arg-type]


def kill(conn: Connection, seq: int) -> str:
    settle(conn, settled(seq, State.DEAD))
    return str(conn.execute("SELECT id FROM outbox WHERE seq = ?", (seq,)).fetchone()[0])


def test_every_upstream_that_wants_a_topic_gets_a_message_of_its_own(conn: Connection) -> None:
    ids = put(conn, "p1", routes=(PLATFORM, BUREAU))
    assert len(set(ids)) == 2
    assert put(conn, "p1", topic="patient", routes=(BUREAU,)) == []
    messages = [queue.get(conn, message_id) for message_id in ids]
    assert [message and message.upstream for message in messages] == ["platform", "bureau"]


def test_the_body_is_frozen_with_its_digest(conn: Connection) -> None:
    (message_id,) = put(conn, "p1")
    message = queue.get(conn, message_id)
    assert message is not None and message.is_whole and json.loads(message.body) == a_body("p1", n=0)
    assert "单雅琴" in message.body
    with pytest.raises(IntegrityError, match="never changed"):
        conn.execute("UPDATE outbox SET body = '{}'")
    with pytest.raises(IntegrityError, match="only a sent message"):
        conn.execute("DELETE FROM outbox")


@pytest.mark.parametrize("work", ["put", "settle", "revive", "bury"])
def test_nothing_is_written_outside_of_a_transaction(conn: Connection, work: str) -> None:
    ids = put(conn, "p1")
    kill(conn, 1)
    with pytest.raises(OutboxError) as caught:
        match work:
            case "put":
                queue.put(conn, topic="encounter", key="p1", body={}, upstreams=[PLATFORM], at=AT)
            case "settle":
                queue.settle(conn, [settled(1, State.SENT)])
            case _:
                getattr(queue, work)(conn, ids[0], by="li", why="x", at=AT)
    assert caught.value.code == "no-transaction"
    assert list(states(conn).values()) == ["dead"]


def test_a_rollback_takes_the_message_with_it(conn: Connection) -> None:
    with pytest.raises(ZeroDivisionError), transaction(conn):
        queue.put(conn, topic="encounter", key="p1", body={}, upstreams=[PLATFORM], at=AT)
        _ = 1 / 0
    assert states(conn) == {}


def test_of_each_key_the_first_that_is_not_done(conn: Connection) -> None:
    put(conn, "p1", "p1", "p2", "p3", "p2")
    assert due(conn) == [1, 3, 4]
    settle(conn, settled(1, State.SENT), settled(3, State.WAITING, next_at=AT + 5000), settled(4, State.DEAD))
    assert due(conn) == [2]
    assert due(conn, now_ms=AT + 5000) == [2, 3]
    assert due(conn, limit=1) == [2]


def test_another_upstreams_messages_hold_nothing_back(conn: Connection) -> None:
    put(conn, "p1", "p1", routes=(BUREAU, PLATFORM))
    settle(conn, settled(1, State.DEAD))
    assert due(conn) == [2]
    assert [message.seq for message in queue.due(conn, "bureau", now_ms=AT, limit=9)] == []


def test_the_drain_order_is_by_rank_then_by_seq_and_never_within_a_key(conn: Connection) -> None:
    put(conn, "p1", topic="statistics.day")
    put(conn, "p2")
    put(conn, "p3", topic="public-health.card")
    put(conn, "p1", topic="public-health.card")
    put(conn, "p4", topic="payment")
    assert due(conn) == [3, 5, 2, 1]
    settle(conn, settled(1, State.SENT))
    assert due(conn) == [3, 4, 5, 2]


def test_what_is_in_hand_is_not_taken_and_what_was_delivered_holds_nothing_back(conn: Connection) -> None:
    put(conn, "p1", "p1", "p2", "p2")
    assert due(conn, held=(1,)) == [3]
    assert due(conn, passed=(1,), held=(3,)) == [2]
    assert due(conn, passed=(1, 3)) == [2, 4]


def test_after_a_recovery_nobody_sits_out_a_wait(conn: Connection) -> None:
    put(conn, "p1", "p2")
    settle(conn, settled(1, State.WAITING, at=AT, next_at=AT + 60_000))
    settle(conn, settled(2, State.WAITING, at=AT + 2000, next_at=AT + 60_000))
    assert due(conn, now_ms=AT + 3000) == []
    assert due(conn, now_ms=AT + 3000, waited_before_ms=AT + 1000) == [1]


def test_where_one_message_asks_for_all_the_longest_waiting_comes_after_those_that_never_failed(
    conn: Connection,
) -> None:
    put(conn, "p1", "p2", "p3")
    settle(conn, settled(1, State.WAITING, next_at=AT + 90_000), settled(2, State.WAITING, next_at=AT + 60_000))
    assert due(conn, any_time=True) == [3, 2, 1]


def test_a_clock_that_was_set_back_keeps_nothing_waiting_for_years(conn: Connection) -> None:
    put(conn, "p1")
    settle(conn, settled(1, State.WAITING, at=AT, next_at=AT + 60_000))
    assert due(conn, now_ms=AT - 365 * 86_400_000) == [1]


def test_a_revived_message_comes_back_at_its_place(conn: Connection) -> None:
    put(conn, "p1", "p1")
    message_id = kill(conn, 1)
    assert due(conn) == []
    with transaction(conn):
        queue.revive(conn, message_id, by="zhou", why="the platform was mended", at=AT)
    assert due(conn) == [1]
    kill(conn, 1)
    with transaction(conn):
        queue.bury(conn, message_id, by="li", why=" entered by hand ", at=AT + 1)
    assert due(conn) == [2]
    assert [(one.act, one.by, one.why) for one in queue.acts(conn, 1)] == [
        ("revive", "zhou", "the platform was mended"),
        ("bury", "li", "entered by hand"),
    ]
    assert list(states(conn).values()) == ["buried", "queued"]


@pytest.mark.parametrize("act", ["revive", "bury"])
def test_only_a_dead_message_is_moved_and_only_for_a_reason(conn: Connection, act: str) -> None:
    (message_id,) = put(conn, "p1")
    move = getattr(queue, act)
    with pytest.raises(OutboxError) as caught, transaction(conn):
        move(conn, message_id, by="li", why="x", at=AT)
    assert caught.value.code == "message-not-dead"
    with pytest.raises(OutboxError) as caught, transaction(conn):
        move(conn, "01ARZ3", by="li", why="x", at=AT)
    assert caught.value.code == "message-unknown"
    kill(conn, 1)
    with pytest.raises(UsageError), transaction(conn):
        move(conn, message_id, by="li", why="  ", at=AT)
    assert queue.acts(conn, 1) == []


def test_an_outcome_that_comes_late_moves_nothing_that_a_person_moved(conn: Connection) -> None:
    put(conn, "p1")
    message_id = kill(conn, 1)
    with transaction(conn):
        queue.bury(conn, message_id, by="li", why="x", at=AT)
    settle(conn, settled(1, State.WAITING, next_at=AT))
    assert list(states(conn).values()) == ["buried"]


def test_counts(conn: Connection) -> None:
    put(conn, "p1", "p1", "p2", "p3")
    put(conn, "p4", at=AT + 9)
    put(conn, "p1", routes=(BUREAU,), at=AT + 7)
    settle(conn, settled(1, State.DEAD), settled(3, State.WAITING, next_at=AT), settled(4, State.SENT, at=AT + 3))
    found = queue.counts(conn)
    assert found["platform"] == queue.Counts(queued=2, waiting=1, dead=1, held=1, oldest_queued_at=AT)
    assert found["bureau"] == queue.Counts(queued=1, oldest_queued_at=AT + 7)
    assert queue.last_delivered_at(conn, "platform") == AT + 3 and queue.last_delivered_at(conn, "bureau") is None


def test_a_year_of_sent_messages_costs_the_sender_nothing(conn: Connection) -> None:
    """The plan is what holds, not a time: what the sender asks goes by the indexes of rows that are not done."""
    put(conn, "p1", "p1", "p2")
    kill(conn, 1)
    asked: list[str] = []
    conn.set_trace_callback(asked.append)
    queue.due(conn, "platform", now_ms=AT, limit=9)
    queue.due(conn, "platform", now_ms=AT, limit=1, any_time=True)
    queue.counts(conn)
    conn.set_trace_callback(None)
    assert len(asked) == 5
    for statement in asked:
        plan = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {statement}")]
        tables = [detail for detail in plan if detail.startswith(("SCAN", "SEARCH")) and "json_each" not in detail]
        assert tables and all("USING INDEX outbox_" in detail or "rowid=?" in detail for detail in tables), plan
