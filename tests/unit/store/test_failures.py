from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.base.errors import ExitCode, StoreError
from edge_node.store.connection import DatabaseError, IntegrityError, OperationalError
from edge_node.store.failures import store_error, store_errors

PATH = Path("/srv/data/his.db")


def sqlite_failure(code: int, text: str = "as SQLite says it") -> DatabaseError:
    error = OperationalError(text)
    error.sqlite_errorcode = code
    error.sqlite_errorname = f"SQLITE_{code}"
    return error


CASES = [
    ("SQLITE_FULL", 13, "disk-full", ExitCode.DATA),
    ("SQLITE_IOERR_SHMSIZE", 4874, "disk-full", ExitCode.DATA),
    ("SQLITE_IOERR_WRITE", 778, "disk-failed", ExitCode.DATA),
    ("SQLITE_IOERR_FSYNC", 1034, "disk-failed", ExitCode.DATA),
    ("SQLITE_READONLY", 8, "disk-failed", ExitCode.DATA),
    ("SQLITE_CANTOPEN", 14, "disk-failed", ExitCode.DATA),
    ("SQLITE_CORRUPT", 11, "db-corrupt", ExitCode.DATA),
    ("SQLITE_NOTADB", 26, "db-corrupt", ExitCode.DATA),
    ("SQLITE_BUSY", 5, "db-busy", ExitCode.BUSY),
    ("SQLITE_BUSY_SNAPSHOT", 517, "db-busy", ExitCode.BUSY),
]


@pytest.mark.parametrize("number, code, exit_code", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_sqlite_says_about_the_disk_becomes_ours(number: int, code: str, exit_code: ExitCode) -> None:
    error = sqlite_failure(number)
    with pytest.raises(StoreError) as caught, store_errors(PATH):
        raise error
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
    assert caught.value.__cause__ is error
    assert str(PATH) in caught.value.render() and "as SQLite says it" in caught.value.render()
    assert caught.value.hint


@pytest.mark.parametrize(
    "error",
    [sqlite_failure(1), sqlite_failure(19), IntegrityError("no code at all"), ValueError("not SQLite's")],
    ids=["a wrong statement", "a constraint", "without a code", "something else"],
)
def test_what_says_nothing_about_the_store_is_left_as_it_is(error: Exception) -> None:
    assert store_error(error, PATH) is None
    with pytest.raises(type(error)) as caught, store_errors(PATH):
        raise error
    assert caught.value is error
