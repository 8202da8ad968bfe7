"""The databases of a node with their schemas; for whoever makes, checks or migrates them."""

from __future__ import annotations

from collections.abc import Mapping

from edge_node.store import his_migrations, node_migrations
from edge_node.store.places import copies_dir, db_path
from edge_node.store.schema import Schema

__all__ = ["DATABASES", "copies_dir", "db_path"]

# Its keys are `places.NAMES`.
DATABASES: Mapping[str, Schema] = {
    "his": his_migrations.MIGRATIONS,
    "node": node_migrations.MIGRATIONS,
}
