from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.store.connection import Connection, connect, connect_reader, create
from edge_node.store.inspect import wal_bytes
from edge_node.store.wal import GUARD_EVERY_S, WalGuard
from tests.support.clock import FakeClock

LIMIT_BYTES = 100_000
ONE_WRITE_BYTES = 30_000


class Node:
    """A database, a writer, a guard over it, and a Litestream that lives or not."""

    def __init__(self, path: Path, conn: Connection) -> None:
        self.path, self.conn = path, conn
        self.clock = FakeClock()
        self.is_alive: bool | Exception = False
        self.asked = 0
        self.guard = WalGuard(path, limit_bytes=LIMIT_BYTES, litestream_alive=self._alive, clock=self.clock)
        conn.execute(f"PRAGMA journal_size_limit={LIMIT_BYTES}")

    def _alive(self) -> bool:
        self.asked += 1
        if isinstance(self.is_alive, Exception):
            raise self.is_alive
        return self.is_alive

    def write(self, times: int = 1, *, pause_s: float = GUARD_EVERY_S) -> None:
        for _ in range(times):
            self.conn.execute("INSERT INTO entry VALUES (?)", ("x" * ONE_WRITE_BYTES,))
            self.guard.tick(self.conn)
            self.clock.advance(pause_s)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    path = tmp_path / "his.db"
    create(path).close()
    with contextlib.closing(connect(path)) as conn:
        conn.execute("CREATE TABLE entry (body TEXT) STRICT")
        yield Node(path, conn)


def test_without_litestream_the_wal_stays_near_its_limit(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for _ in range(60):
        node.write()
        sizes.append(wal_bytes(node.path))
    assert max(sizes) < LIMIT_BYTES + 3 * ONE_WRITE_BYTES
    assert node.conn.execute("SELECT count(*) FROM entry").fetchone()[0] == 60
    talk = capsys.readouterr().err
    assert talk.startswith("warning wal_checkpointed ")
    assert talk.count("\n") == 2, "the first, and the tenth"


def test_a_large_wal_with_nothing_in_it_is_left_alone(node: Node) -> None:
    node.write(10)
    asked = node.asked
    for _ in range(5):
        node.guard.tick(node.conn)
        node.clock.advance(1)
    assert node.asked <= asked + 5
    node.conn.execute("INSERT INTO entry VALUES ('small')")
    assert wal_bytes(node.path) <= LIMIT_BYTES


def test_while_litestream_lives_its_wal_is_its_own(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.is_alive = True
    node.write(20)
    assert wal_bytes(node.path) > 20 * ONE_WRITE_BYTES
    assert node.asked > 0
    assert capsys.readouterr().err == ""


def test_below_the_limit_nobody_is_asked(node: Node) -> None:
    node.write(2)
    assert node.asked == 0


def test_it_looks_only_so_often(node: Node) -> None:
    node.is_alive = True
    node.write(10)
    asked = node.asked
    node.write(100, pause_s=0)
    assert node.asked == asked + 1


def test_a_reader_that_stays_stops_neither_the_guard_nor_the_writer(node: Node) -> None:
    with contextlib.closing(connect_reader(node.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entry").fetchone()
        node.write(10)
        assert wal_bytes(node.path) > LIMIT_BYTES + 3 * ONE_WRITE_BYTES, "what is being read cannot be dropped"
    node.write(4)
    assert wal_bytes(node.path) < LIMIT_BYTES + 3 * ONE_WRITE_BYTES


def test_a_question_that_fails_is_said_once_and_hurts_nobody(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.is_alive = ValueError("torn status")
    node.write(8)
    assert node.asked > 1
    assert capsys.readouterr().err.count("wal_checkpoint_failed") == 1
