"""`his.db` as commands use it: as its owner, at this program's version, and only read unless they say so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edge_node.base.clock import SystemClock, clock_state, kernel_synchronised
from edge_node.cli.main import Where, run_as_owner, run_as_writer
from edge_node.his.audit import Moment
from edge_node.store.connection import Connection, close_keeping_wal, connect, connect_reader, transaction
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.failures import store_errors
from edge_node.store.migrate import check


def database(where: Where, *, writes: bool = False) -> Path:
    """The clinical database; root becomes its owner first. `writes`: the command is to change it.

    Raises StoreError.
    """
    config = where.load()
    (run_as_writer if writes else run_as_owner)(config)
    path = db_path(config.node.state_dir, "his")
    check(path, DATABASES["his"])
    return path


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """A connection that only reads. Raises StoreError."""
    with contextlib.closing(connect_reader(path)) as conn, store_errors(path):
        yield conn


def this_moment() -> Moment:
    """Now, as a command records it."""
    wall = SystemClock().wall_ms()
    return Moment(at=wall, clock_state=clock_state(wall, synchronised=kernel_synchronised(), newest_record_ms=None))


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Connection]:
    """One transaction beside the HIS's own; undone by any exception. Raises StoreError."""
    conn = connect(path)
    try:
        with store_errors(path), transaction(conn):
            yield conn
    finally:
        close_keeping_wal(conn)
