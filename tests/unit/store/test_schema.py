"""Expand-only migrations: what a release adds, the release before can live with; held for every migration there is."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlite_utils import Database

from edge_node.base.errors import StoreError
from edge_node.store import migrate
from edge_node.store.connection import Connection, connect, connect_reader
from edge_node.store.databases import DATABASES
from edge_node.store.schema import Schema, can_read, number, read_needed

TOLD = """%s of %s.db does more than add, so the release before cannot work with what it leaves:
  %s
Take two releases for it (CONTRIBUTING.md). A migration that must break readers becomes the `needed` of its Schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a program relies on: columns per table, and what may refuse a write to it."""

    columns: dict[str, dict[str, tuple[object, ...]]]
    checks: dict[str, str]
    unique: frozenset[tuple[str, str]]


def shape(conn: Connection) -> Shape:
    rows = conn.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    tables = {row["name"]: row["sql"] for row in rows if row["name"] != "_sqlite_migrations"}
    columns = {
        table: {
            row["name"]: (row["type"], row["notnull"], row["dflt_value"], row["pk"])
            for row in conn.execute("SELECT * FROM pragma_table_xinfo(:table)", {"table": table})
        }
        for table in tables
    }
    unique = frozenset(
        (table, row["name"])
        for table in tables
        for row in conn.execute('SELECT * FROM pragma_index_list(:table) WHERE "unique"', {"table": table})
    )
    # A column that is added stands at the end of its table's text; all before it must be as it was.
    checks = {table: sql.rstrip() for table, sql in tables.items()}
    return Shape(columns=columns, checks=checks, unique=unique)


def breaches(before: Shape, after: Shape) -> list[str]:
    """What a program that knows `before` could not do any more."""
    found = []
    for table, columns in before.columns.items():
        if table not in after.columns:
            found.append(f"{table} is gone")
            continue
        for name, form in columns.items():
            if after.columns[table].get(name) != form:
                found.append(f"{table}.{name} was {form} and is {after.columns[table].get(name)}")
        for name, (_, not_null, default, _) in after.columns[table].items():
            if name not in columns and not_null and default is None:
                found.append(f"{table}.{name} must be given by whoever inserts")
        if after.columns[table] == columns and before.checks[table] != after.checks[table]:
            found.append(f"{table} was made anew with other rules")
    found += [
        f"{table} refuses what {index} finds twice"
        for table, index in sorted(after.unique - before.unique)
        if table in before.columns
    ]
    return found


def grown(path: Path, migrations: Schema) -> list[tuple[str, Shape]]:
    """The database after each of its migrations."""
    found = []
    migrate.create_database(path, Schema(migrations.name, needed=migrations.needed))
    with contextlib.closing(connect(path)) as conn:
        db = Database(conn, execute_plugins=False, recursive_triggers=False)  # type: ignore[arg-type]
        for name in migrate.known_names(migrations):
            todo = [one.name for one in migrations.pending(db)]
            migrations.apply(db, stop_before=todo[1] if len(todo) > 1 else None)
            found.append((name, shape(conn)))
    return found


@pytest.mark.parametrize("name", DATABASES)
def test_every_migration_after_the_needed_one_only_adds(tmp_path: Path, name: str) -> None:
    steps = grown(tmp_path / f"{name}.db", DATABASES[name])
    for (_, before), (migration, after) in itertools.pairwise(steps):
        if number(migration) > number(DATABASES[name].needed):
            found = breaches(before, after)
            assert not found, TOLD % (migration, name, "\n  ".join(found))


def made(path: Path, *statements: str) -> tuple[Shape, Shape]:
    """A table with an index, before and after what is done to it."""
    migrate.create_database(path, Schema("his", needed="m0001_first"))
    with contextlib.closing(connect(path)) as conn:
        conn.execute("CREATE TABLE visit (id TEXT PRIMARY KEY, no INTEGER NOT NULL CHECK (no > 0)) STRICT")
        before = shape(conn)
        for statement in statements:
            conn.execute(statement)
        return before, shape(conn)


@pytest.mark.parametrize(
    "statements, told",
    [
        pytest.param(("ALTER TABLE visit ADD COLUMN note TEXT NOT NULL DEFAULT ''",), [], id="a-column-with-default"),
        pytest.param(("CREATE TABLE bill (id TEXT PRIMARY KEY) STRICT",), [], id="a-table"),
        pytest.param(("CREATE INDEX visit_by_no ON visit(no)",), [], id="an-index"),
        pytest.param(("CREATE UNIQUE INDEX one_no ON visit(no)",), ["visit refuses what one_no finds twice"],
                     id="a-unique-index"),
        pytest.param(("ALTER TABLE visit DROP COLUMN no",), ["visit.no was ('INTEGER', 1, None, 0) and is None"],
                     id="a-column-taken-away"),
        pytest.param(("DROP TABLE visit",), ["visit is gone"], id="a-table-taken-away"),
        pytest.param(
            ("DROP TABLE visit",
             "CREATE TABLE visit (id TEXT PRIMARY KEY, no INTEGER NOT NULL CHECK (no > 9)) STRICT"),
            ["visit was made anew with other rules"], id="a-stricter-check"),
    ],
)  # fmt: skip
def test_what_does_more_than_add_is_seen(tmp_path: Path, statements: tuple[str, ...], told: list[str]) -> None:
    assert breaches(*made(tmp_path / "his.db", *statements)) == told


def add_table(name: str) -> Callable[[Database], None]:
    def migration(db: Database) -> None:
        db.executescript(f"CREATE TABLE {name} (x INTEGER) STRICT")

    return migration


def release(*names: str, needed: str) -> Schema:
    """The schema as a release knows it."""
    schema = Schema("his", needed=needed)
    for name in names:
        schema(name=name)(add_table(name))
    return schema


OLD = ("m0001_first",)
NEW = ("m0001_first", "m0002_more")


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """A database of the old release, migrated by one that only adds."""
    path = tmp_path / "his.db"
    migrate.create_database(path, release(*OLD, needed="m0001_first"))
    assert migrate.migrate(path, release(*NEW, needed="m0001_first"), copies_dir=tmp_path / "copies") == ["m0002_more"]
    return path


def test_the_release_before_works_with_what_was_only_added_to(upgraded: Path, tmp_path: Path) -> None:
    old = release(*OLD, needed="m0001_first")
    migrate.check(upgraded, old)
    assert migrate.migrate(upgraded, old, copies_dir=tmp_path / "copies") == []


def test_the_release_before_refuses_what_does_more(upgraded: Path, tmp_path: Path) -> None:
    newer = release(*NEW, "m0003_gone", needed="m0003_gone")
    migrate.migrate(upgraded, newer, copies_dir=tmp_path / "copies")
    with pytest.raises(StoreError) as caught:
        migrate.check(upgraded, release(*NEW, needed="m0001_first"))
    assert caught.value.code == "db-newer-than-program"
    migrate.check(upgraded, newer)


def test_an_older_release_never_lowers_what_must_be_known(upgraded: Path, tmp_path: Path) -> None:
    migrate.migrate(upgraded, release(*NEW, "m0003_gone", needed="m0003_gone"), copies_dir=tmp_path / "copies")
    migrate.migrate(
        upgraded, release(*NEW, "m0003_gone", "m0004_x", needed="m0001_first"), copies_dir=tmp_path / "copies"
    )
    with contextlib.closing(connect_reader(upgraded)) as conn:
        assert read_needed(conn) == 3


@pytest.mark.parametrize(
    "needed, known, readable",
    [
        pytest.param(0, ["m0001_a", "m0002_b"], False, id="a-file-that-says-nothing"),
        pytest.param(1, ["m0001_a"], True, id="the-first-is-enough"),
        pytest.param(2, ["m0001_a"], False, id="one-more-is-needed"),
        pytest.param(1, ["other"], False, id="no-migrations-of-ours"),
    ],
)
def test_can_read(needed: int, known: list[str], readable: bool) -> None:
    assert can_read(needed, known) is readable
