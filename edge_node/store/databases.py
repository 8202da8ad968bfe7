"""Which databases a node has, what their schemas are, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlite_utils import Migrations

from edge_node.store import his_migrations, node_migrations

# his: clinical. node: operations, in a file of its own so that its chatter adds nothing to the traffic of the former.
DATABASES: Mapping[str, Migrations] = {
    "his": his_migrations.MIGRATIONS,
    "node": node_migrations.MIGRATIONS,
}


def db_path(state_dir: Path, name: str) -> Path:
    """The file of the database called `name`."""
    return state_dir / "data" / f"{name}.db"


def copies_dir(state_dir: Path) -> Path:
    """Where the copies from before a migration lie."""
    return state_dir / "copies"
