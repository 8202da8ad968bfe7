"""The databases of a node with their schemas; for whoever makes, checks or migrates them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlite_utils import Migrations

from edge_node.store import his_migrations, node_migrations
from edge_node.store.places import copies_dir, db_path

__all__ = ["DATABASES", "copies_dir", "db_path"]

# Its keys are `places.NAMES`.
DATABASES: Mapping[str, Migrations] = {
    "his": his_migrations.MIGRATIONS,
    "node": node_migrations.MIGRATIONS,
}
