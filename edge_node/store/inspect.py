"""What a database holds and whether it is sound; for checks, drills and the monitor. Nothing here writes."""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from edge_node.base.errors import StoreError
from edge_node.store.connection import Connection, connect_reader
from edge_node.store.failures import damaged, store_errors

# Litestream's own bookkeeping inside the database: a restored copy may differ in it.
LITESTREAM_TABLES = ("_litestream_seq", "_litestream_lock")
# A damaged file can have a million faults; the first few say what kind of damage it is.
REPORTED = 10


def quick_check(conn: Connection) -> None:
    """Let SQLite look through the whole file, and for rows whose parents are missing.

    Raises StoreError db-corrupt with the first of what it finds, or another one when the file cannot be read.
    """
    # As a statement of its own it does not read the file, which may be beyond reading.
    path = Path(conn.execute("PRAGMA database_list").fetchone()["file"])
    with store_errors(path):
        found = [str(row[0]) for row in conn.execute(f"PRAGMA quick_check({REPORTED})") if row[0] != "ok"]
        found += [
            f"row {rowid} of {table} refers to a row of {parent} that does not exist"
            for table, rowid, parent, _ in islice(conn.execute("PRAGMA foreign_key_check"), REPORTED)
        ]
    if found:
        raise damaged(path, "\n".join(found[:REPORTED]))


def refuse_empty(path: Path) -> None:
    """Is there anything to replicate? A file that lost its content (a power cut can leave one of no bytes) is a sound
    database to Litestream: it would capture that everything was deleted, and every copy's newest state were empty.

    Raises StoreError db-missing or db-corrupt.
    """
    with store_errors(path), contextlib.closing(connect_reader(path)) as conn:
        tables = {row["name"] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables.difference(LITESTREAM_TABLES):
        raise StoreError(
            "db-corrupt",
            f"the database at {path} holds no table",
            context="it is not replicated: what its copies hold would be followed by nothing",
            hint="move it away with its -wal and -shm, keep them, and run edge-node db ensure: it restores",
        )


def counts(conn: Connection, *, exclude: Collection[str] = LITESTREAM_TABLES) -> dict[str, int]:
    """Rows per table."""
    return {
        table: conn.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()[0] for table in _tables(conn, exclude)
    }


def row_digest(conn: Connection, *, exclude: Collection[str] = LITESTREAM_TABLES) -> str:
    """A digest of all rows: equal when, and (but for a collision of SHA-256) only when, two databases hold the same.

    It does not depend on the order of rows, on rowids or on pages. The counters of AUTOINCREMENT count as rows: the
    audit log must go on from its number. To compare a database that is being written, hold a read transaction.
    """
    whole = hashlib.sha256()
    for table in [*_tables(conn, exclude), *_sequences(conn)]:
        rows = conn.execute(f"SELECT * FROM {_quoted(table)}")
        names = [column[0] for column in rows.description]
        # The sum of the rows' digests: no order, no sorting, and a row held twice counts twice.
        total, count = 0, 0
        for row in rows:
            total += int.from_bytes(hashlib.sha256(_row_bytes(row)).digest(), "big")
            count += 1
        whole.update(_row_bytes([table, *names, count, (total % 2**256).to_bytes(32, "big")]))
    return whole.hexdigest()


def wal_bytes(path: Path) -> int:
    """Size of the WAL beside the database at `path`; 0 where there is none."""
    return size_bytes(path.with_name(path.name + "-wal"))


def size_bytes(path: Path) -> int:
    """Size of the file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _tables(conn: Connection, exclude: Collection[str]) -> list[str]:
    rows = conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'")
    return sorted(name for (name,) in rows if name not in exclude)


def _sequences(conn: Connection) -> list[str]:
    return [name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE name = 'sqlite_sequence'")]


def _row_bytes(row: Iterable[Any]) -> bytes:
    """A row as bytes that only this row has: each value with its type and its length."""
    parts: list[bytes] = []
    for value in row:
        match value:
            case None:
                parts.append(b"n")
            case int():
                parts.append(b"i%d;" % value)
            case float():
                parts.append(b"f" + struct.pack(">d", value))
            case str():
                encoded = value.encode()
                parts.append(b"t%d:%b" % (len(encoded), encoded))
            case _:
                parts.append(b"b%d:%b" % (len(value), value))
    return b"".join(parts)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
