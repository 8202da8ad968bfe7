"""`edge-node db`: what it answers, with which exit code, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import pytest

from edge_node.base import process
from edge_node.cli import main
from edge_node.config.render import first_config
from edge_node.replication import commands, ltx
from edge_node.replication.commands import CaptureSettings, ReplicatedDb
from edge_node.replication.destination import database_prefix, object_key
from edge_node.replication.epoch import current_epoch, meta_path, replica_path
from edge_node.replication.sealing import SUFFIX, read_identity
from edge_node.store import inspect
from edge_node.store.connection import connect, connect_reader
from edge_node.store.databases import DATABASES, copies_dir, db_path
from edge_node.store.migrate import create_database
from tests.support import litestreams
from tests.support.waiting import until


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node with its databases and its configuration, and with a little in them."""
    home = tmp_path / "home"
    for folder in (db_path(home, "his").parent, copies_dir(home)):
        folder.mkdir(parents=True)
    identity = pyrage.x25519.Identity.generate()
    credential = home / "credentials" / "node-identity"
    credential.parent.mkdir()
    credential.write_text(str(identity))
    text = first_config(
        node_id="clinic-0042",
        name="西城门诊部",
        encrypt_to=[str(identity.to_public())],
        cloud_url=f"file://{home}/cloud",
    )
    (home / "edge-node.toml").write_text(text)
    for name, migrations in DATABASES.items():
        create_database(db_path(home, name), migrations)
    rows = ", ".join(f"('J{n:02d}', '上呼吸道感染', 'infection', 'shxdgr')" for n in range(20))
    sql(db_path(home, "his"), f"INSERT INTO icd (code, name, name_en, initials) VALUES {rows}")
    return home


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


Db = Callable[..., Done]


@pytest.fixture
def db(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Db:
    """`edge-node db … --home HOME`, in this process: a process of its own takes half a second to import."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["edge-node", "db", *arguments, "--home", str(home)])
        capsys.readouterr()
        code: Any = 0
        try:
            main.main()
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return Done(returncode=code, stdout=said.out, stderr=said.err)

    return run


def digest(path: Path) -> str:
    with contextlib.closing(connect_reader(path)) as conn:
        # A restored day's queue goes on further up, in a row of this table.
        return inspect.row_digest(conn, exclude=(*inspect.LITESTREAM_TABLES, "sequence_block"))


def sql(path: Path, statement: str) -> None:
    with contextlib.closing(connect(path)) as conn:
        conn.execute(statement)


def replicate(home: Path, *names: str) -> None:
    """Let the real Litestream make the local replica of the first epoch."""
    databases = [
        ReplicatedDb(
            path=db_path(home, name),
            meta_path=meta_path(home, 1, name),
            replica_path=replica_path(home / "replica", 1, name),
        )
        for name in names
    ]
    for database in databases:
        database.meta_path.mkdir(parents=True, exist_ok=True)
        database.replica_path.mkdir(parents=True, exist_ok=True)
    heads = {database: ltx.head(ltx.scan(database.replica_path)) for database in databases}
    yml = commands.litestream_yaml(databases, socket="l.sock", settings=CaptureSettings(sync_every_s=0.1))
    (home / "litestream.yml").write_text(yml)
    argv = commands.replicate_argv(litestreams.program("real", home), "litestream.yml")
    with (home / "stderr").open("wb") as stderr, process.spawn(argv, grace_s=10, stderr=stderr, cwd=home):
        until(lambda: all(ltx.frontier(ltx.scan(one.replica_path)) > heads[one] for one in databases), within_s=20)


def ship(home: Path, name: str) -> None:
    """Put the local replica, sealed, where the destination has it, and take it away from here."""
    identity = read_identity(home / "credentials" / "node-identity")
    replica = replica_path(home / "replica", 1, name)
    for file in ltx.scan(replica):
        to = home / "cloud" / object_key(database_prefix("clinic-0042", "e0001", name), file, SUFFIX)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(pyrage.encrypt(ltx.local_path(replica, file).read_bytes(), [identity.to_public()]))
    shutil.rmtree(replica)


def lose(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def test_check_says_what_it_found(db: Db, home: Path) -> None:
    done = db("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["DATABASE", *DATABASES]
    his, node = json.loads(db("check", "--json").stdout)
    assert his["ok"] and node["ok"]
    assert his["rows"]["icd"] == 20
    assert node["size_bytes"] == db_path(home, "node").stat().st_size


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xa5" * 8192)


def make_newer(path: Path) -> None:
    sql(path, "INSERT INTO _sqlite_migrations(migration_set, name, applied_at) VALUES ('his', 'm9999_later', '')")
    sql(path, "PRAGMA user_version=9999")


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lose, "db-missing"),
    "damaged": (damage, "db-corrupt"),
    "newer": (make_newer, "db-newer-than-program"),
    "empty": (lambda path: path.write_bytes(b""), "db-corrupt"),
}


@pytest.mark.parametrize("fault, code", FAULTS.values(), ids=FAULTS)
def test_check_ends_with_4_and_an_instruction(db: Db, home: Path, fault: Callable[[Path], Any], code: str) -> None:
    path = db_path(home, "his")
    fault(path)
    before = path.read_bytes() if path.exists() else None
    done = db("check")
    assert done.returncode == 4
    assert done.stderr.startswith(f"error: {code}: ") and "hint: " in done.stderr
    assert code in done.stdout and "ok" in done.stdout, "the other database is told about as well"
    assert db("check", "--json", "--database", "node").returncode == 0
    assert (path.read_bytes() if path.exists() else None) == before, "a check changes nothing"


def test_ensure_leaves_alone_what_is_well(db: Db, home: Path) -> None:
    before = {name: digest(db_path(home, name)) for name in DATABASES}
    done = db("ensure")
    assert done.returncode == 0
    assert done.stderr.count("there, and at the version of this program") == len(DATABASES)
    assert {name: digest(db_path(home, name)) for name in DATABASES} == before
    assert current_epoch(home) == 1


def test_ensure_restores_what_is_lost_and_begins_the_next_epoch(db: Db, home: Path) -> None:
    replicate(home, *DATABASES)
    before = {name: digest(db_path(home, name)) for name in DATABASES}
    for name in DATABASES:
        lose(db_path(home, name))
    done = db("ensure")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("db: restored from the local replica") == 2
    assert {name: digest(db_path(home, name)) for name in DATABASES} == before
    assert current_epoch(home) == 2, "one new epoch for both"
    assert db("check").returncode == 0
    assert not list((home / "data").glob(".*")), "nothing is left beside them"


def test_ensure_restores_from_a_destination_when_the_disk_with_the_replica_is_gone(db: Db, home: Path) -> None:
    replicate(home, "his")
    before = digest(db_path(home, "his"))
    lose(db_path(home, "his"))
    ship(home, "his")
    shutil.rmtree(meta_path(home, 1, "his") / "ltx")
    done = db("ensure", "--database", "his")
    assert done.returncode == 0, done.stderr
    assert "his.db: restored from cloud (clinic-0042/e0001/his)" in done.stderr
    assert digest(db_path(home, "his")) == before
    assert current_epoch(home) == 2


def test_what_was_captured_and_copied_nowhere_yet_comes_back_too(db: Db, home: Path) -> None:
    """The disk of the replica was out or full for a while; Litestream has staged it on the disk of the data."""
    replicate(home, "his")
    sql(db_path(home, "his"), "INSERT INTO icd (code, name, name_en, initials) VALUES ('X99', '试', 'trial', 's')")
    replicate(home, "his")
    before = digest(db_path(home, "his"))
    replica = replica_path(home / "replica", 1, "his")
    newest = ltx.head(ltx.scan(replica))
    assert newest > 1
    for file in ltx.scan(replica):
        if file.max_txid == newest:
            ltx.local_path(replica, file).unlink()
    lose(db_path(home, "his"))
    done = db("ensure", "--database", "his")
    assert done.returncode == 0, done.stderr
    assert f"TXID {newest}," in done.stderr
    assert digest(db_path(home, "his")) == before


def test_a_copy_of_long_ago_is_not_taken_while_the_disk_of_the_replica_is_out(db: Db, home: Path) -> None:
    replicate(home, "his")
    replica, meta = replica_path(home / "replica", 1, "his"), meta_path(home, 1, "his")
    out = home / "out"
    shutil.copytree(replica, out)
    for number in (1, 2):
        sql(
            db_path(home, "his"),
            f"INSERT INTO icd (code, name, name_en, initials) VALUES ('X9{number}', 't', 't', 't')",
        )
        replicate(home, "his")
    before, captured = digest(db_path(home, "his")), ltx.head(ltx.scan(replica))
    # What was shipped is of long ago: what Litestream stages reaches back for a day only.
    for file in sorted(ltx.scan(meta))[:-1]:
        ltx.local_path(meta, file).unlink()
    whole = home / "whole"
    shutil.move(replica, whole)
    shutil.move(out, replica)
    shipped = ltx.head(ltx.scan(replica))
    ship(home, "his")
    lose(db_path(home, "his"))
    refused = db("ensure", "--database", "his")
    assert refused.returncode == 75
    assert f"ends at TXID {shipped} of {captured}" in refused.stderr
    assert (db_path(home, "his").exists(), current_epoch(home)) == (False, 1)
    # It is mounted.
    shutil.move(whole, replica)
    assert db("ensure", "--database", "his").returncode == 0
    assert digest(db_path(home, "his")) == before


def test_a_second_loss_goes_back_to_the_last_epoch_that_has_a_replica(db: Db, home: Path) -> None:
    replicate(home, "his")
    before = digest(db_path(home, "his"))
    for epoch in (2, 3):
        lose(db_path(home, "his"))
        assert db("ensure").returncode == 0
        assert digest(db_path(home, "his")) == before
        assert current_epoch(home) == epoch


def test_a_wal_without_its_database_is_not_mixed_into_the_restored_one(db: Db, home: Path) -> None:
    replicate(home, "his")
    path = db_path(home, "his")
    before = digest(path)
    wal = path.with_name("his.db-wal")
    path.unlink()
    wal.write_bytes(b"what was not replicated")
    assert db("ensure").returncode == 0
    assert digest(path) == before
    assert path.with_name("his.db-wal.lost").read_bytes() == b"what was not replicated", "kept, for a person to look at"


def test_what_can_be_had_nowhere_is_tried_again_and_never_made(db: Db, home: Path) -> None:
    lose(db_path(home, "his"))
    done = db("ensure")
    assert done.returncode == 75
    assert "error: db-missing: " in done.stderr and "cloud" in done.stderr
    assert not db_path(home, "his").exists()
    assert current_epoch(home) == 1, "no epoch is used up by trying"
    assert db("ensure", "--database", "node").returncode == 0, "who needs only the other is not stopped"


def test_a_database_on_a_disk_that_is_not_mounted_is_not_lost(db: Db, home: Path, tmp_path: Path) -> None:
    path, disk = db_path(home, "his"), tmp_path / "disk"
    replicate(home, "his")
    disk.mkdir()
    shutil.move(path, disk / "his.db")
    path.symlink_to(disk / "his.db")
    disk.rename(tmp_path / "unmounted")
    done = db("ensure")
    assert done.returncode == 75
    assert "mount the disk" in done.stderr
    assert (current_epoch(home), sorted(path.parent.glob(".his*"))) == (1, [])
    (tmp_path / "unmounted").rename(disk)
    assert db("ensure").returncode == 0
    assert current_epoch(home) == 1


def test_what_can_be_restored_is_although_another_cannot(db: Db, home: Path) -> None:
    replicate(home, "his")
    for name in DATABASES:
        lose(db_path(home, name))
    assert db("ensure").returncode == 75
    assert db_path(home, "his").exists() and not db_path(home, "node").exists()


def test_where_only_a_person_can_help_ensure_lets_the_service_say_so(db: Db, home: Path) -> None:
    path = db_path(home, "his")
    make_newer(path)
    before = digest(path)
    done = db("ensure")
    assert done.returncode == 0, "else systemd would try it for ever"
    assert "a person must act" in done.stderr and "error: db-newer-than-program: " in done.stderr
    assert digest(path) == before


def test_a_configuration_that_is_wrong_is_left_to_the_service_to_refuse(db: Db, home: Path) -> None:
    """systemd looks at the service's own exit code only: by ExecStartPre's it would try for ever."""
    config = home / "edge-node.toml"
    config.write_text(config.read_text() + "\n[monitro]\n")
    assert db("ensure").returncode == 3
    done = db("ensure", "--before-service")
    assert done.returncode == 0
    assert done.stderr.startswith("error: config-invalid: ") and "monitro" in done.stderr


def test_ensure_on_a_folder_without_data_makes_none(db: Db, home: Path) -> None:
    (home / "data").rename(home / "unmounted")
    done = db("ensure")
    assert done.returncode == 75
    assert "not mounted" in done.stderr
    assert not (home / "data").exists()


def test_migrate_with_nothing_to_do_copies_nothing(db: Db, home: Path) -> None:
    for arguments in (("migrate", "--dry-run"), ("migrate", "--reason", "release 0.2")):
        done = db(*arguments)
        assert (done.returncode, done.stdout) == (0, "his.db: nothing to do\nnode.db: nothing to do\n")
    assert list(copies_dir(home).iterdir()) == []


def test_two_that_migrate_at_once_do_it_once(home: Path) -> None:
    """Each process brings a migration of its own making; without the lock the loser dies of a uniqueness error."""
    program = (
        "import sys; from pathlib import Path; from edge_node.store import databases, migrate\n"
        "his = databases.DATABASES['his']\n"
        "his(name='m0999_test')(lambda db: db.execute('CREATE TABLE made_once (x INTEGER) STRICT'))\n"
        "home = Path(sys.argv[1])\n"
        "print(migrate.migrate(databases.db_path(home, 'his'), his, copies_dir=databases.copies_dir(home)))\n"
    )
    argv = [sys.executable, "-c", program, str(home)]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    ended = [process_.communicate(timeout=60) for process_ in running]
    assert [process_.returncode for process_ in running] == [0] * 4, ended
    assert sorted(out for out, _ in ended) == ["['m0999_test']\n", "[]\n", "[]\n", "[]\n"]
    assert len(list(copies_dir(home).iterdir())) == 1


def test_copy_writes_a_whole_database_and_never_overwrites(db: Db, home: Path, tmp_path: Path) -> None:
    to = tmp_path / "copy.db"
    assert db("copy", "--to", str(to)).returncode == 0
    assert digest(to) == digest(db_path(home, "his"))
    content = to.read_bytes()
    again = db("copy", "--to", str(to), "--database", "node")
    assert (again.returncode, again.stdout) == (2, "")
    assert "never overwrites" in again.stderr
    assert to.read_bytes() == content
    nowhere = db("copy", "--to", str(tmp_path / "no such folder" / "copy.db"))
    assert nowhere.returncode == 2 and "cannot be written" in nowhere.stderr
