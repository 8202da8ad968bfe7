from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.errors import StoreError
from edge_node.store.connection import (
    Connection,
    IntegrityError,
    OperationalError,
    close_keeping_wal,
    connect,
    connect_reader,
    create,
    sqlite_version,
    transaction,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "100% of #1?.db"
    with contextlib.closing(create(path)) as conn:
        conn.execute("CREATE TABLE entry (body TEXT UNIQUE) STRICT")
    return path


@pytest.fixture
def conn(path: Path) -> Iterator[Connection]:
    with contextlib.closing(connect(path)) as conn:
        yield conn


def bodies(conn: Connection) -> list[str]:
    return [row["body"] for row in conn.execute("SELECT body FROM entry ORDER BY rowid")]


def put(conn: Connection, body: str) -> None:
    conn.execute("INSERT INTO entry VALUES (?)", (body,))


def test_this_sqlite_does_not_have_the_wal_reset_bug() -> None:
    assert tuple(int(part) for part in sqlite_version.split(".")) >= (3, 51, 3)


def test_pragmas_are_set(conn: Connection) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "wal_autocheckpoint": 0,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }
    assert {name: conn.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted


@pytest.mark.parametrize("open_", [connect, connect_reader])
def test_nothing_is_made_in_passing(tmp_path: Path, open_: object) -> None:
    with pytest.raises(StoreError) as caught:
        open_(tmp_path / "his.db")  # type: ignore[operator]
    assert caught.value.code == "db-missing"
    assert list(tmp_path.iterdir()) == []


def test_create_never_replaces(path: Path) -> None:
    with pytest.raises(FileExistsError):
        create(path)


def test_a_reader_cannot_write(path: Path) -> None:
    with contextlib.closing(connect_reader(path)) as reader, pytest.raises(OperationalError, match="readonly"):
        put(reader, "a")


def test_a_transaction_takes_the_lock_at_once(path: Path, conn: Connection) -> None:
    with transaction(conn), contextlib.closing(connect(path)) as other:
        other.execute("PRAGMA busy_timeout=0")
        with pytest.raises(OperationalError, match="locked"), transaction(other):
            pass


def test_what_a_block_raises_undoes_it(conn: Connection) -> None:
    with pytest.raises(IntegrityError), transaction(conn):
        put(conn, "a")
        put(conn, "a")
    assert bodies(conn) == []
    assert not conn.in_transaction


def test_an_inner_block_is_undone_alone_however_deep(conn: Connection) -> None:
    with transaction(conn):
        put(conn, "1")
        with transaction(conn):
            put(conn, "2")
            with contextlib.suppress(ValueError), transaction(conn):
                put(conn, "3")
                raise ValueError
            put(conn, "4")
    assert bodies(conn) == ["1", "2", "4"]


def test_a_careful_close_keeps_the_wal_and_a_plain_one_does_not(path: Path) -> None:
    wal = path.with_name(path.name + "-wal")
    conn = connect(path)
    put(conn, "a")
    close_keeping_wal(conn)
    assert wal.stat().st_size > 0
    conn = connect(path)
    assert bodies(conn) == ["a"]
    conn.close()
    assert not wal.exists()


def test_a_careful_close_closes_also_when_the_file_is_gone(path: Path) -> None:
    conn = connect(path)
    put(conn, "a")
    path.unlink()
    with pytest.raises(OperationalError):
        close_keeping_wal(conn)
    with pytest.raises(Exception, match="closed database"):
        put(conn, "b")
