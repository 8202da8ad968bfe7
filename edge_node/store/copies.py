"""Whole copies of a database at rest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from edge_node.base.files import give_new_name
from edge_node.store.connection import connect_reader
from edge_node.store.failures import store_errors


def copy_database(path: Path, to: Path) -> None:
    """Write a compact, consistent copy of a database, in use or not, to `to`; readable by its owner alone.

    The copy appears under its name when it is complete and on the disk, or not at all. It needs no WAL beside it.
    Raises FileExistsError when there is something at `to`, FileNotFoundError when there is no such folder, and
    StoreError (db-missing, disk-full, db-corrupt).
    """
    with new_file(to) as part, contextlib.closing(connect_reader(path)) as conn, store_errors(path):
        # VACUUM INTO counts as writing, although it leaves this file alone; the connection stays mode=ro.
        conn.execute("PRAGMA query_only=OFF")
        conn.execute("VACUUM INTO ?", (str(part),))


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """An empty file beside `path` to be filled; it takes the name when the block has ended well, else it goes away.

    Raises FileExistsError when `path` is taken, before the block and also when it was taken meanwhile.
    """
    if path.exists():
        raise FileExistsError(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        yield part
        sync(part)
        give_new_name(part, path)
        sync(path.parent)
    finally:
        for leftover in (part, *(part.with_name(part.name + suffix) for suffix in ("-journal", "-wal", "-shm"))):
            leftover.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
