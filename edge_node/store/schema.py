"""A set of migrations that says which of them a program must know to work with the database.

Whatever came after that one only adds: tables, columns that may be left out, indexes, triggers. A program that lacks it
reads and writes such a database as before, which is what lets an upgrade go back to the release before without taking
anything back. The number stands in the file (`PRAGMA user_version`), since the program that must heed it is older than
the one that knows.
"""

from __future__ import annotations

from sqlite_utils import Migrations

from edge_node.store.connection import Connection


class Schema(Migrations):
    """`needed` is the newest migration that does more than add; names begin with a number, as in `m0002_outbox`."""

    def __init__(self, name: str, *, needed: str) -> None:
        super().__init__(name)
        self.needed = needed


def number(migration: str) -> int:
    """The number of a migration of ours: 2 of `m0002_outbox`. Raises ValueError for a name without one."""
    return int(migration[1:5])


def write_needed(conn: Connection, migrations: Migrations) -> None:
    """Write into the file what a program must know; never lowered, and harmless to repeat."""
    if isinstance(migrations, Schema) and read_needed(conn) < number(migrations.needed):
        conn.execute(f"PRAGMA user_version={number(migrations.needed)}")


def read_needed(conn: Connection) -> int:
    """The number of the migration that a program must know; 0 where the file does not say."""
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def can_read(needed: int, known: list[str]) -> bool:
    """May a program that knows these migrations work with a file that says `needed`, and has some that it lacks?

    Where nothing is said the answer is no.
    """
    return 0 < needed <= max((number(name) for name in known if name[1:5].isdigit()), default=0)
