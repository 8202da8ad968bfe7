"""What an older, a newer or a broken watcher tells: taken where it means something, left out where it would do harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_node.journal import queries
from edge_node.journal.incidents import find, whole_incidents
from edge_node.journal.rollup import ABANDONED_MS
from edge_node.store.connection import Connection
from monitoring.sla import Window
from tests.support.journal import AWatcher, node_database


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with node_database(tmp_path) as conn:
        yield conn


@pytest.fixture
def watcher(tmp_path: Path) -> AWatcher:
    return AWatcher(tmp_path)


def rows(conn: Connection, table: str, what: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in conn.execute(f"SELECT {what} FROM {table}")]


def test_a_reason_that_changes_alone_and_a_kind_that_is_not_known_are_taken(
    conn: Connection, watcher: AWatcher
) -> None:
    """The line is silent; a minute later so is every other: from then on it is the cloud's."""
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    watcher.clock.advance(60)
    watcher.tells("verdict", "telecom", "up", "down", silent_s=1.0, targets=2)
    watcher.clock.advance(60)
    watcher.tells("verdict", "telecom", "down", "down", "cloud-silent")
    watcher.tells_raw(kind="connections", subject="telecom", reason={"code": "connections-ended", "args": {"n": 3}})
    watcher.clock.advance(180)
    watcher.tells("verdict", "telecom", "down", "up", "clean")
    watcher.clock.advance(60)
    now = watcher.is_recorded(conn)

    assert rows(conn, "transition", "kind, from_state, to_state, reason")[2:4] == [
        ("verdict", "down", "down", "cloud-silent"), ("connections", "", "", "connections-ended"),
    ]  # fmt: skip
    window = Window(start_ms=now - 360_000, end_ms=now)
    (one,) = queries.line_incidents(conn, "telecom", window, now_ms=now)
    assert (one.ref, one.reason.code) == ("1.2", "silent")
    assert (one.duration_ms, one.counted_ms, one.excluded_ms) == (240_000, 60_000, 180_000)
    (whole,) = whole_incidents(conn, "telecom", window, now_ms=now)
    assert (whole.ref, whole.end and whole.end.at_ms) == ("1.2", now - 60_000)
    assert (find(conn, "1.3", now_ms=now) or whole).ref == "1.2", "the second transition belongs to the incident"
    assert find(conn, "1.4", now_ms=now) is None and find(conn, "x", now_ms=now) is None


@pytest.mark.parametrize(
    "odd",
    [
        {"subject": "half \ud800"},
        {"boottime": float("nan")},
        {"seq": 2**70},
        {"at": 2**70},
        {"reason": {"code": "x", "args": {"y": "\udfff"}}},
        {"subject": "nul\0"},
    ],
    ids=lambda odd: next(iter(odd)),
)
def test_a_line_that_no_database_takes_does_not_stop_what_follows(
    conn: Connection, watcher: AWatcher, odd: dict[str, Any]
) -> None:
    watcher.tells_raw(**{"kind": "verdict", "subject": "telecom", "from": "up", "to": "down",
                         "reason": {"code": "silent"}, **odd})  # fmt: skip
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    watcher.sees_raw([[1.0, "half \ud800", "x", "answered", 0.1], [1.0, "telecom", "x", "answered", float("nan")],
                      [1e300, "telecom", "x", "lost", None], [1.0, "telecom", "x", "answered", 0.004]])  # fmt: skip
    watcher.clock.advance(ABANDONED_MS / 1000 + 3600)
    turn = watcher.journal(conn).turn(watcher.status())
    assert turn.unreadable == 1
    assert rows(conn, "transition", "to_state") == [("up",)]
    assert rows(conn, "minute", "count, lost") == [(1, 0)]
