"""`his.db` as commands use it: as its owner, at this program's version, and only read unless they say so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edge_node.cli.main import Where, run_as_owner
from edge_node.store.connection import Connection, connect_reader
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.failures import store_errors
from edge_node.store.migrate import check


def database(where: Where) -> Path:
    """The clinical database; root becomes its owner first. Raises StoreError."""
    config = where.load()
    run_as_owner(config)
    path = db_path(config.node.state_dir, "his")
    check(path, DATABASES["his"])
    return path


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """A connection that only reads. Raises StoreError."""
    with contextlib.closing(connect_reader(path)) as conn, store_errors(path):
        yield conn
