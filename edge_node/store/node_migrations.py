"""The schema of node.db, the node's journal; written by the monitor alone. Append-only like the clinical one."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

MIGRATIONS = Migrations("node")

FIRST_SLICE = """
-- A change of mode or line, with its reason. `seq` is its author's number, so that nothing is told twice.
CREATE TABLE transition (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL,
    kind TEXT NOT NULL, subject TEXT NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL,
    reason TEXT NOT NULL, args TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX transition_by_time ON transition(at);
"""


@MIGRATIONS()
def m0001_first_slice(db: Database) -> None:
    """Transitions."""
    db.executescript(FIRST_SLICE)
