"""Databases of a test."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edge_node.store.connection import Connection, connect
from edge_node.store.databases import DATABASES
from edge_node.store.migrate import create_database


@functools.cache
def _empty_his() -> bytes:
    """A database of the HIS with its tables and no row; made once in a run, for the migrations cost 80 ms."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "his.db"
        create_database(path, DATABASES["his"])
        assert [file.name for file in path.parent.iterdir()] == [path.name], "all of it is in one file"
        return path.read_bytes()


def make_his_database(path: Path) -> None:
    """A new database of the HIS. Raises FileExistsError."""
    with path.open("xb") as file:
        file.write(_empty_his())


@contextlib.contextmanager
def his_database(folder: Path) -> Iterator[Connection]:
    """A connection to a new database of the HIS."""
    path = folder / "his.db"
    make_his_database(path)
    with contextlib.closing(connect(path)) as conn:
        yield conn
