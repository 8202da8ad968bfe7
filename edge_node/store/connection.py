"""The one import of SQLite, and the one place of its pragmas.

pysqlite3 brings its own SQLite (3.51.3 or later: before, the WAL-reset bug could corrupt a database that two processes
write and checkpoint, as Litestream and the HIS do). It raises its own exceptions; whoever needs them imports them here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pysqlite3 as sqlite3
from pysqlite3 import Connection, DatabaseError, IntegrityError, OperationalError, Row, sqlite_version

from edge_node.base.errors import StoreError

__all__ = [
    "Connection",
    "DatabaseError",
    "IntegrityError",
    "OperationalError",
    "Row",
    "close_keeping_wal",
    "connect",
    "connect_reader",
    "create",
    "sqlite_version",
    "transaction",
]

BUSY_TIMEOUT_MS = 10_000


def _open(path: Path, mode: str) -> Connection:
    conn = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    conn.row_factory = Row
    return conn


def _missing(path: Path) -> StoreError:
    return StoreError(
        "db-missing",
        f"there is no database at {path}",
        context="a missing database is never created in passing: an empty one would replicate over all history",
        hint="edge-node db ensure restores it from a replica; edge-node init makes the first one",
    )


def connect(path: Path) -> Connection:
    """Open an existing database for writing.

    WAL and synchronous=FULL: a commit that was answered survives a power cut (measured: 8 of 8). Automatic checkpoints
    are off since Litestream checkpoints. Raises StoreError db-missing. The caller uses it from one thread at a time.
    """
    if not path.exists():
        raise _missing(path)
    conn = _open(path, "rw")
    conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("PRAGMA wal_autocheckpoint=0")
    conn.execute("PRAGMA foreign_keys=ON")
    # Else INSERT OR REPLACE deletes a row past the triggers that keep it (signed versions, the audit log).
    conn.execute("PRAGMA recursive_triggers=ON")
    return conn


def connect_reader(path: Path) -> Connection:
    """Open an existing database for reading only.

    mode=ro matters beyond access: the last close of a read-write connection deletes the WAL, after which Litestream
    starts with a file of the size of a snapshot. Raises StoreError db-missing.
    """
    if not path.exists():
        raise _missing(path)
    conn = _open(path, "ro")
    conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    conn.execute("PRAGMA query_only=ON")
    return conn


def create(path: Path) -> Connection:
    """Make a new, empty database in WAL mode; only `init` and a restore may. Raises FileExistsError."""
    path.touch(mode=0o640, exist_ok=False)
    conn = connect(path)
    conn.execute("PRAGMA journal_mode=WAL")
    return conn


def close_keeping_wal(conn: Connection) -> None:
    """Close a connection that wrote, without the checkpoint and the deletion of the WAL that the last close brings.

    Litestream then goes on from where it was, instead of beginning with a file of the size of a snapshot. A reader that
    is open meanwhile makes this close not the last one, and the last close of a reader leaves the WAL alone.
    """
    with contextlib.closing(conn):
        (path,) = conn.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
        with contextlib.closing(_open(Path(path), "ro")) as reader:
            # Only a read takes the lock that tells others that somebody is here.
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            conn.close()


@contextlib.contextmanager
def transaction(conn: Connection) -> Iterator[Connection]:
    """BEGIN IMMEDIATE, or a savepoint inside a transaction that is open already.

    Immediate, since a deferred transaction that reads and then writes fails at once under contention, whatever the
    busy timeout. The exception of the block is never masked by a failed rollback.
    """
    nested = conn.in_transaction
    conn.execute("SAVEPOINT work" if nested else "BEGIN IMMEDIATE")
    try:
        yield conn
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK TO work" if nested else "ROLLBACK")
            if nested:
                conn.execute("RELEASE work")
        raise
    else:
        conn.execute("RELEASE work" if nested else "COMMIT")
