from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database, Migrations

from edge_node.base.errors import ExitCode, StoreError
from edge_node.store import migrate
from edge_node.store.connection import OperationalError, connect, connect_reader, create
from edge_node.store.databases import DATABASES
from tests.support.clock import FakeClock


def add_table(name: str) -> Callable[[Database], None]:
    def migration(db: Database) -> None:
        db.executescript(f"CREATE TABLE {name} (x INTEGER) STRICT; INSERT INTO {name} VALUES (1);")

    return migration


def break_down(db: Database) -> None:
    db.executescript("CREATE TABLE half (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);")


def vacuum(db: Database) -> None:
    db.execute("VACUUM")


def fresh(*names: str, **others: Callable[[Database], None]) -> Migrations:
    """A set of migrations that each add a table, then others that do what is given."""
    migrations = Migrations("his")
    for name in names:
        migrations(name=f"m_{name}")(add_table(name))
    for name, function in others.items():
        migrations(name=f"m_{name}", transactional=function is not vacuum)(function)
    return migrations


def tables(path: Path) -> set[str]:
    with contextlib.closing(connect_reader(path)) as conn:
        rows = conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {row[0] for row in rows} - {"_sqlite_migrations"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "his.db"
    path.parent.mkdir()
    migrate.create_database(path, fresh("a"))
    return path


def run(path: Path, migrations: Migrations, *, clock: FakeClock | None = None) -> list[str]:
    return migrate.migrate(path, migrations, copies_dir=path.parents[1] / "copies", clock=clock or FakeClock())


def copies(path: Path) -> list[Path]:
    return sorted((path.parents[1] / "copies").glob("*"))


@pytest.mark.parametrize("name", DATABASES)
def test_our_own_schemas_can_be_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.db"
    migrate.create_database(path, DATABASES[name])
    migrate.check(path, DATABASES[name])
    with contextlib.closing(connect_reader(path)) as conn:
        loose = conn.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0"
            " AND name NOT IN ('sqlite_schema', 'sqlite_sequence', '_sqlite_migrations')"
        ).fetchall()
    assert [row[0] for row in loose] == [], "all tables of ours are STRICT"


def test_a_new_database_is_whole_and_alone(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == ["his.db"], "no WAL, no half-made file beside it"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert tables(path) == {"a"}
    with contextlib.closing(connect(path)) as conn:
        assert conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.parametrize("there", ["his.db", "his.db-wal", "his.db-shm"])
def test_a_database_is_never_made_over_what_is_there(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        migrate.create_database(tmp_path / "his.db", fresh("a"))
    assert [file.name for file in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_bytes() == b"precious"


def test_a_schema_that_fails_leaves_no_database(tmp_path: Path) -> None:
    with pytest.raises(OperationalError):
        migrate.create_database(tmp_path / "his.db", fresh("a", broken=break_down))
    assert list(tmp_path.iterdir()) == []


def test_what_is_pending_is_applied_once(path: Path) -> None:
    migrations = fresh("a", "b", "c")
    assert migrate.pending(path, migrations) == ["m_b", "m_c"]
    assert run(path, migrations) == ["m_b", "m_c"]
    assert tables(path) == {"a", "b", "c"}
    assert run(path, migrations) == []
    assert len(copies(path)) == 1, "nothing to do, nothing to copy"


def test_a_copy_from_before_is_kept(path: Path) -> None:
    run(path, fresh("a", "b"))
    (copy,) = copies(path)
    assert copy.name == "his-20261118T110640-000Z-before-m_b.db"
    assert tables(copy) == {"a"}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600, "it holds patient data"


def test_a_failed_run_undoes_all_of_it(path: Path) -> None:
    clock = FakeClock()
    with pytest.raises(OperationalError, match="nowhere"):
        run(path, fresh("a", "b", broken=break_down), clock=clock)
    clock.advance(60)
    assert tables(path) == {"a"}
    assert migrate.pending(path, fresh("a", "b")) == ["m_b"]
    assert run(path, fresh("a", "b"), clock=clock) == ["m_b"]
    assert [tables(copy) for copy in copies(path)] == [{"a"}, {"a"}], "each run has its own copy"


def test_one_that_cannot_run_in_a_transaction_runs_by_itself(path: Path) -> None:
    migrations = fresh("a", "b", vacuum=vacuum, c=add_table("c"))
    assert run(path, migrations) == ["m_b", "m_vacuum", "m_c"]
    assert tables(path) == {"a", "b", "c"}
    assert migrate.pending(path, migrations) == []


def test_one_that_fails_after_it_undoes_only_its_own_run(path: Path) -> None:
    with pytest.raises(OperationalError, match="nowhere"):
        run(path, fresh("a", "b", vacuum=vacuum, c=add_table("c"), broken=break_down))
    assert tables(path) == {"a", "b"}


def test_a_migration_leaves_the_wal_to_litestream(path: Path) -> None:
    run(path, fresh("a", "b"))
    assert path.with_name("his.db-wal").stat().st_size > 0


@pytest.mark.parametrize("kind", ["newer", "behind"])
def test_a_version_that_is_not_the_programs_is_refused(path: Path, kind: str) -> None:
    run(path, fresh("a", "b"))
    program, code, instruction = {
        "newer": (fresh("a"), "db-newer-than-program", "run the program that wrote it"),
        "behind": (fresh("a", "b", "c"), "db-behind", "edge-node db migrate"),
    }[kind]
    with pytest.raises(StoreError) as caught:
        migrate.check(path, program)
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.DATA)
    assert instruction in (caught.value.hint or "")
    assert "m_b" in (caught.value.context or "") or "m_c" in (caught.value.context or "")


def test_a_newer_database_is_not_migrated_either(path: Path) -> None:
    run(path, fresh("a", "b"))
    with pytest.raises(StoreError) as caught:
        run(path, fresh("a", other=add_table("other")))
    assert caught.value.code == "db-newer-than-program"
    assert tables(path) == {"a", "b"}


def test_a_missing_database_is_not_made_in_passing(tmp_path: Path) -> None:
    path = tmp_path / "his.db"
    calls: list[Callable[[], Any]] = [
        lambda: migrate.check(path, fresh("a")),
        lambda: migrate.pending(path, fresh("a")),
        lambda: migrate.migrate(path, fresh("a"), copies_dir=tmp_path / "copies"),
    ]
    for call in calls:
        with pytest.raises(StoreError) as caught:
            call()
        assert caught.value.code == "db-missing"
    assert not path.exists()


def empty_file(path: Path) -> None:
    path.touch()


def empty_database(path: Path) -> None:
    create(path).close()


def other_database(path: Path) -> None:
    migrations = Migrations("node")
    migrations(name="m_a")(add_table("a"))
    migrate.create_database(path, migrations)


def no_database(path: Path) -> None:
    path.write_bytes(b"torn page " * 1000)


@pytest.mark.parametrize("make", [empty_file, empty_database, other_database, no_database])
def test_a_file_that_is_none_of_ours_is_not_built_up(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """An empty file where the clinic's history was must not become an empty clinic."""
    path = tmp_path / "his.db"
    make(path)
    for call in (
        lambda: migrate.check(path, fresh("a")),
        lambda: migrate.migrate(path, fresh("a"), copies_dir=tmp_path / "copies"),
    ):
        with pytest.raises(StoreError) as caught:
            call()
        assert (caught.value.code, caught.value.exit_code) == ("db-corrupt", ExitCode.DATA)
    assert not (tmp_path / "copies").exists()
