"""Migrations of a database: one migrator, one transaction, a copy before, and no program older than its data.

sqlite-utils orders and records them; the rest is here. Only `edge-node init`, `db ensure` and `db migrate` change a
schema; the services check.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from sqlite_utils import Database, Migrations

from edge_node.base.clock import Clock, SystemClock, utc_text
from edge_node.base.errors import StoreError
from edge_node.base.files import file_lock
from edge_node.base.logs import event
from edge_node.store.connection import Connection, close_keeping_wal, connect, connect_reader, transaction
from edge_node.store.copies import copy_database, new_file
from edge_node.store.failures import store_errors
from edge_node.store.schema import can_read, read_needed, write_needed

_SYSTEM_CLOCK = SystemClock()


def create_database(path: Path, migrations: Migrations) -> None:
    """Make a new database with the whole schema; it appears complete or not at all. Only `init` may.

    Raises FileExistsError, also for a WAL without its database: that is a loss to be looked at, and SQLite would take
    it for a part of the new file.
    """
    for leftover in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        if leftover.exists():
            raise FileExistsError(leftover)
    with new_file(path) as part, store_errors(path):
        part.chmod(0o640)
        # The last close moves the WAL into the file, which then is whole by itself.
        with contextlib.closing(connect(part)) as conn:
            conn.execute("PRAGMA journal_mode=WAL")
            _apply(conn, migrations)


def migrate(path: Path, migrations: Migrations, *, copies_dir: Path, clock: Clock = _SYSTEM_CLOCK) -> list[str]:
    """Apply what is pending, all or nothing, and return the names; of two that run at once the second finds nothing.

    Before the first change a copy of the database is put into `copies_dir`. A migration that cannot run in a
    transaction runs by itself, and those before it stay. Raises StoreError (db-missing, db-newer-than-program,
    db-corrupt, db-busy, disk-full), and whatever a migration raises.
    """
    with file_lock(path.with_name(path.name + ".lock")), store_errors(path):
        todo = pending(path, migrations)
        if not todo:
            return []
        stamp = utc_text(clock.wall_ms()).replace("-", "").replace(":", "").replace(".", "-")
        copies_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = copies_dir / f"{path.stem}-{stamp}-before-{todo[0]}.db"
        copy_database(path, copy)
        with _writing(path) as conn:
            _apply(conn, migrations)
    event("database_migrated", path=path, migrations=",".join(todo), copy=copy)
    return todo


def pending(path: Path, migrations: Migrations) -> list[str]:
    """Migrations that this program knows and the database lacks. Raises StoreError as `check`, db-behind excepted.

    A newer database is taken where it says that what this program does not know only adds (schema.py).
    """
    with store_errors(path), contextlib.closing(connect_reader(path)) as conn:
        db = _database(conn)
        applied = [migration.name for migration in migrations.applied(db)]
        todo = [migration.name for migration in migrations.pending(db)]
        needed = read_needed(conn)
    known = known_names(migrations)
    unknown = [name for name in applied if name not in known]
    if unknown and not can_read(needed, known):
        raise StoreError(
            "db-newer-than-program",
            f"the database at {path} is newer than this program",
            context=f"it has {', '.join(unknown)}; this program knows up to {known[-1]}",
            hint="run the program that wrote it, or a newer one: what this one does not know, it could spoil",
        )
    if not applied:
        raise StoreError(
            "db-corrupt",
            f"the file at {path} is not a {migrations.name} database of this program",
            context="nothing is ever built up inside such a file: it may be what is left of a database",
            hint="move it away with its -wal and -shm, keep them, and run edge-node db ensure",
        )
    return todo


def check(path: Path, migrations: Migrations) -> None:
    """Is the database there, and at this program's version? The services ask before they start.

    Raises StoreError db-missing, db-newer-than-program, db-behind, or db-corrupt for a file that is none of ours.
    """
    todo = pending(path, migrations)
    if todo:
        raise StoreError(
            "db-behind",
            f"the database at {path} is older than this program",
            context=f"it lacks {', '.join(todo)}",
            hint="edge-node db migrate brings it up to date, after a copy",
        )


def _apply(conn: Connection, migrations: Migrations) -> None:
    # First: killed in between, an older program refuses too much and not too little.
    write_needed(conn, migrations)
    db = _database(conn)
    runs = [(together, list(run)) for together, run in groupby(migrations.pending(db), lambda todo: todo.transactional)]
    for i, (together, _) in enumerate(runs):
        stop_before = runs[i + 1][1][0].name if i + 1 < len(runs) else None
        # By itself sqlite-utils would begin a deferred transaction per migration, and leave half of them done.
        with transaction(conn) if together else contextlib.nullcontext():
            migrations.apply(db, stop_before=stop_before)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Connection]:
    conn = connect(path)
    try:
        yield conn
    finally:
        close_keeping_wal(conn)


def _database(conn: Connection) -> Database:
    # Without these two it loads plugins and switches recursive triggers on, which the program does not run with.
    # Its annotations name the interpreter's sqlite3; where pysqlite3 is installed it works with that.
    return Database(conn, execute_plugins=False, recursive_triggers=False)  # type: ignore[arg-type]


def known_names(migrations: Migrations) -> list[str]:
    """Every migration of this program, in order: what an empty database lacks."""
    db = Database(memory=True, execute_plugins=False, recursive_triggers=False)
    try:
        return [migration.name for migration in migrations.pending(db)]
    finally:
        db.close()
