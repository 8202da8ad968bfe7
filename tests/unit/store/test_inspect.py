from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.errors import StoreError
from edge_node.store import inspect
from edge_node.store.connection import Connection, connect, connect_reader, create

SCHEMA = """
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, body ANY) STRICT;
CREATE TABLE child (parent INTEGER NOT NULL REFERENCES parent(id)) STRICT;
CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
"""
ROWS = ["INSERT INTO parent VALUES (1, 'a')", "INSERT INTO parent VALUES (2, x'61')", "INSERT INTO child VALUES (1)"]


@contextlib.contextmanager
def database(folder: Path, *statements: str) -> Iterator[Connection]:
    path = folder / f"{len(list(folder.iterdir()))}.db"
    with contextlib.closing(create(path)) as conn:
        conn.executescript(SCHEMA)
        for statement in statements:
            conn.execute(statement)
        yield conn


def digest(folder: Path, *statements: str) -> str:
    with database(folder, *statements) as conn:
        return inspect.row_digest(conn)


SAME = [
    ("another order", [ROWS[1], ROWS[0], ROWS[2]]),
    ("other rowids", [*ROWS[:2], "INSERT INTO child(rowid, parent) VALUES (77, 1)"]),
    ("Litestream's own table", [*ROWS, "INSERT INTO _litestream_seq VALUES (1, 5)"]),
    ("another layout", [*ROWS, "VACUUM"]),
]
OTHER = [
    ("a row less", ROWS[:2]),
    ("a row twice", [*ROWS, ROWS[2]]),
    ("two rows twice", [*ROWS, ROWS[2], ROWS[2]]),
    ("another value", [*ROWS, "UPDATE parent SET body = 'b' WHERE id = 1"]),
    ("values exchanged", [*ROWS, "UPDATE parent SET body = CASE id WHEN 1 THEN x'61' ELSE 'a' END"]),
    ("text for bytes", [*ROWS, "UPDATE parent SET body = 'a'"]),
    ("nothing for text", [*ROWS, "UPDATE parent SET body = NULL"]),
    ("a number for its text", [*ROWS, "UPDATE parent SET body = 1"]),
    ("a whole number as a fraction", [*ROWS, "UPDATE parent SET body = 1.0"]),
    ("an empty table more", [*ROWS, "CREATE TABLE other (x INTEGER) STRICT"]),
    ("a column renamed", [*ROWS, "ALTER TABLE child RENAME COLUMN parent TO mother"]),
    ("the counter moved", [*ROWS, "INSERT INTO parent VALUES (9, 'x')", "DELETE FROM parent WHERE id = 9"]),
]


@pytest.mark.parametrize("statements", [case[1] for case in SAME], ids=[case[0] for case in SAME])
def test_equal_rows_have_equal_digests(tmp_path: Path, statements: list[str]) -> None:
    assert digest(tmp_path, *statements) == digest(tmp_path, *ROWS)


def test_different_rows_have_different_digests(tmp_path: Path) -> None:
    digests = {name: digest(tmp_path, *statements) for name, statements in [("as it is", ROWS), *OTHER]}
    assert len(set(digests.values())) == len(digests), digests


def test_counts_are_per_table_and_without_litestreams(tmp_path: Path) -> None:
    with database(tmp_path, *ROWS, 'CREATE TABLE "odd ""name" (x INTEGER) STRICT') as conn:
        assert inspect.counts(conn) == {"child": 1, 'odd "name': 0, "parent": 2}


def test_a_sound_database_passes(tmp_path: Path) -> None:
    with database(tmp_path, *ROWS) as conn:
        inspect.quick_check(conn)


def test_a_child_without_its_parent_is_found(tmp_path: Path) -> None:
    orphan = ("PRAGMA foreign_keys=OFF", *ROWS, "INSERT INTO child VALUES (42)")
    with database(tmp_path, *orphan) as conn, pytest.raises(StoreError) as caught:
        inspect.quick_check(conn)
    assert caught.value.code == "db-corrupt"
    assert caught.value.context == "row 2 of child refers to a row of parent that does not exist"


@pytest.mark.parametrize("offset", [0, 20_000], ids=["the first page", "a page of rows"])
def test_damage_is_found(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "his.db"
    with contextlib.closing(create(path)) as conn:
        conn.executescript(SCHEMA)
        conn.execute(
            "INSERT INTO parent(body) SELECT hex(randomblob(500)) FROM json_each('[1,2,3,4,5,6,7,8]'), "
            "json_each('[1,2,3,4,5,6,7,8]')"
        )
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 3000)
    with contextlib.closing(connect_reader(path)) as conn, pytest.raises(StoreError) as caught:
        inspect.quick_check(conn)
    assert caught.value.code == "db-corrupt"
    assert len((caught.value.context or "").splitlines()) <= inspect.REPORTED


def test_sizes_of_what_is_not_there_are_zero(tmp_path: Path) -> None:
    path = tmp_path / "his.db"
    assert (inspect.size_bytes(path), inspect.wal_bytes(path)) == (0, 0)
    with contextlib.closing(create(path)), contextlib.closing(connect(path)) as conn:
        conn.execute("CREATE TABLE a (x INTEGER) STRICT")
        assert inspect.wal_bytes(path) == path.with_name("his.db-wal").stat().st_size > 0
