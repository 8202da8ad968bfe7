"""Databases of a test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edge_node.store.connection import Connection, connect
from edge_node.store.databases import DATABASES
from edge_node.store.migrate import create_database


@contextlib.contextmanager
def his_database(folder: Path) -> Iterator[Connection]:
    """A connection to a new database of the HIS, with its tables and no row."""
    create_database(folder / "his.db", DATABASES["his"])
    with contextlib.closing(connect(folder / "his.db")) as conn:
        yield conn
