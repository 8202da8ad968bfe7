from __future__ import annotations

import pytest
from sqlite_utils import Database, Migrations

from edge_node.store.databases import DATABASES
from tests.support.fingerprints import current, fingerprints, recorded

SQL = "CREATE TABLE a (x INTEGER) STRICT"


@pytest.mark.parametrize("name", DATABASES)
def test_released_migrations_are_never_edited(name: str) -> None:
    found, listed = current()[name], recorded()[name]
    edited = [migration for migration, print_ in listed.items() if found.get(migration) != print_]
    assert not edited, f"{edited}: databases have run it as it was; write the next migration instead"
    assert list(found) == list(listed), "a new one: python -m tests.support.fingerprints puts it on the list"


def test_the_names_stand_in_order() -> None:
    for found in current().values():
        numbers = [name.split("_")[0] for name in found]
        assert numbers == [f"m{n:04d}" for n in range(1, len(numbers) + 1)]


def test_a_fingerprint_sees_the_sql_that_stands_outside_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    migrations = Migrations("any")

    @migrations()
    def m0001_a(db: Database) -> None:
        db.executescript(SQL)

    before = fingerprints(migrations)
    monkeypatch.setitem(globals(), "SQL", SQL + " -- edited")
    assert fingerprints(migrations) != before
