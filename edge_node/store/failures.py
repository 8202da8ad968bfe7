"""What SQLite says when it cannot, as this program's errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

from edge_node.base.errors import ExitCode, StoreError
from edge_node.store.connection import DatabaseError


class _Result(IntEnum):
    """Primary result codes: the low byte of the extended ones. https://sqlite.org/rescode.html"""

    BUSY = 5
    LOCKED = 6
    READONLY = 8
    IOERR = 10
    CORRUPT = 11
    FULL = 13
    CANTOPEN = 14
    NOTADB = 26


# The shared memory beside the database could not grow: a full disk, though SQLite calls it an I/O error.
_IOERR_SHMSIZE = _Result.IOERR | (19 << 8)


def store_error(error: BaseException, path: Path) -> StoreError | None:
    """The StoreError for an error of SQLite about the disk or the file at `path`.

    None for anything else: a broken constraint or a wrong statement says nothing about the state of the store.
    """
    code = getattr(error, "sqlite_errorcode", None) if isinstance(error, DatabaseError) else None
    if code is None:
        return None
    context = f"{path}: {error} ({getattr(error, 'sqlite_errorname', code)})"
    failure = _known(code, path, context)
    if failure is not None:
        failure.__cause__ = error
    return failure


def _known(code: int, path: Path, context: str) -> StoreError | None:
    match _Result.FULL if code == _IOERR_SHMSIZE else code & 0xFF:
        case _Result.FULL:
            return StoreError(
                "disk-full",
                "the disk cannot be written: it is full",
                context=context,
                hint="free space on the disk of the data (df -h shows it); nothing that was answered is lost",
            )
        case _Result.IOERR | _Result.READONLY | _Result.CANTOPEN:
            return StoreError(
                "disk-failed",
                "the disk cannot be written or read",
                context=context,
                hint="look at `dmesg` for errors of the disk; edge-node replica restore fills another",
            )
        case _Result.CORRUPT | _Result.NOTADB:
            return damaged(path, context)
        case _Result.BUSY | _Result.LOCKED:
            return StoreError(
                "db-busy",
                "another program holds the database",
                context=context,
                hint="try again; if it lasts, `fuser -v` on the file shows who holds it",
                exit_code=ExitCode.BUSY,
            )
    return None


@contextlib.contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about the disk or the file into StoreError; let everything else through."""
    try:
        yield
    except DatabaseError as error:
        failure = store_error(error, path)
        if failure is None:
            raise
        raise failure from error


def damaged(path: Path, context: str) -> StoreError:
    """The content of the file is not a sound database."""
    return StoreError(
        "db-corrupt",
        f"the database at {path} is damaged",
        context=context,
        hint="stop the node, keep the file and its -wal aside, and run edge-node db ensure: it restores from a replica",
    )


def file_replaced(path: Path) -> StoreError:
    """The file that this process has open is not the one at its path any more."""
    return StoreError(
        "db-missing",
        f"the database at {path} was removed or replaced while it was in use",
        context="what is written now would be written into a file that nobody can open again",
        hint="restart the service: its start restores the database from a replica, or finds the new one",
    )
