"""The same cases against the real Litestream and the fake one; where they differ, the fake is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_node.base import process
from edge_node.base.errors import ReplicaError
from edge_node.replication import commands, litestream, ltx
from edge_node.replication.commands import CaptureSettings, ReplicatedDb
from tests.support import litestreams
from tests.support.waiting import until

BOTH = pytest.mark.parametrize("kind", ["fake", "real"])


@contextlib.contextmanager
def replicating(kind: str, folder: Path) -> Iterator[tuple[ReplicatedDb, list[str]]]:
    """A database with a Litestream beside it; the list is filled with its log when it has ended."""
    database = litestreams.replicated(folder)
    litestreams.make_database(database)
    for path in (database.replica_path, database.meta_path):
        path.mkdir(parents=True)
    settings = CaptureSettings(sync_every_s=0.1)
    (folder / "litestream.yml").write_text(
        commands.litestream_yaml([database], socket="litestream.sock", settings=settings)
    )
    argv = commands.replicate_argv(litestreams.program(kind, folder), "litestream.yml")
    said: list[str] = []
    with (
        (folder / "stderr").open("wb") as stderr,
        process.spawn(argv, grace_s=10, stderr=stderr, cwd=folder, umask=0o077),
    ):
        yield database, said
    said += (folder / "stderr").read_text().splitlines()


def capture(folder: Path, database: ReplicatedDb, write: Callable[[str], None], note: str) -> int:
    """Commit one visit and have it captured; the TXID by which the replica holds it."""
    write(note)
    return litestream.ControlSocket(folder / "litestream.sock").sync(database.path, timeout_s=10)


@BOTH
def test_restores_to_the_newest_state_to_a_txid_and_to_a_time(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "西城 'A' & \"B\" $HOME"
    folder.mkdir()
    program = litestreams.program(kind, folder)
    with replicating(kind, folder) as (database, _), litestreams.writing(database) as write:
        until(lambda: litestreams.newest(database))
        txids = {note: capture(folder, database, write, note) for note in ("first", "second", "third")}
        [second] = [file for file in ltx.scan_level(database.replica_path, 0) if file.min_txid == txids["first"] + 1]
        second_ms = ltx.read_header(ltx.local_path(database.replica_path, second)).timestamp_ms

        def restored(name: str, **moment: Any) -> tuple[int, list[str]]:
            done = litestream.restore_from_files(database.replica_path, folder / name, program=program, **moment)
            assert done.path == folder / name
            assert (done.path.stat().st_mode & 0o077) == 0
            return done.txid, litestreams.notes(done.path)

        assert restored("newest.db") == (txids["third"], ["first", "second", "third"])
        assert restored("txid.db", txid=txids["first"]) == (txids["first"], ["first"])
        # Strictly before: what was committed in that very millisecond is not in it.
        assert restored("before.db", at_ms=second_ms)[1] == ["first"]
        assert restored("after.db", at_ms=second_ms + 1)[1] == ["first", "second"]


def shape(line: str) -> tuple[str, str, frozenset[str]]:
    raw = json.loads(line)
    return raw["level"], raw["msg"], frozenset(raw)


def has_snapshot(database: ReplicatedDb) -> bool:
    return any(file.is_snapshot for file in ltx.scan(database.replica_path))


def test_the_fake_says_nothing_that_the_real_one_does_not(tmp_path: Path) -> None:
    heard: dict[str, list[tuple[str, str, frozenset[str]]]] = {}
    for kind in ("fake", "real"):
        (tmp_path / kind).mkdir()
        with replicating(kind, tmp_path / kind) as (database, said):
            until(partial(has_snapshot, database))
        heard[kind] = [shape(line) for line in said]
    assert set(heard["fake"]) <= set(heard["real"])
    assert heard["fake"][0] == heard["real"][0]
    assert heard["fake"][-1] == heard["real"][-1]


@BOTH
def test_control_socket_tells_what_was_captured(kind: str, tmp_path: Path) -> None:
    control = litestream.ControlSocket(tmp_path / "litestream.sock")
    with pytest.raises(litestream.SocketSilent, match="FileNotFoundError"):
        control.info(timeout_s=2)
    with replicating(kind, tmp_path) as (database, _), litestreams.writing(database) as write:
        until(lambda: litestreams.newest(database))
        write("now")
        assert control.sync(database.path, timeout_s=5) == litestreams.newest(database)
        assert control.txid(database.path, timeout_s=5) == litestreams.newest(database)
        info = control.info(timeout_s=5)
        assert {"version", "pid", "uptime_seconds", "started_at", "database_count"} == set(info)
        assert (info["version"], info["database_count"]) == ("0.5.17", 1)
        assert (tmp_path / "litestream.sock").stat().st_mode & 0o777 == 0o600
        with pytest.raises(litestream.SocketSilent, match=r"404.*database not found"):
            control.txid(Path("/nope"), timeout_s=5)
    with pytest.raises(litestream.SocketSilent):
        control.info(timeout_s=2)


def test_a_socket_that_never_answers_costs_its_time_and_no_more(tmp_path: Path) -> None:
    with replicating("real", tmp_path):
        control = litestream.ControlSocket(tmp_path / "litestream.sock")
        pid = until(lambda: pid_of(control))
        os.kill(pid, signal.SIGSTOP)
        try:
            until(lambda: all_stopped(pid))
            with pytest.raises(litestream.SocketSilent, match="TimeoutError"):
                control.info(timeout_s=0.2)
        finally:
            os.kill(pid, signal.SIGCONT)


def all_stopped(pid: int) -> bool:
    """Have all threads of the process heard the signal?"""
    return all(") T " in (task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir())


def pid_of(control: litestream.ControlSocket) -> int | None:
    try:
        return int(control.info(timeout_s=2)["pid"])
    except litestream.SocketSilent:
        return None


@BOTH
@pytest.mark.parametrize(
    "present, moment, context, hint",
    [
        pytest.param([], {}, "no matching backup files available", "replica points", id="nothing-there"),
        pytest.param([(9, 1, 1)], {"txid": 9}, "no matching backup files available", "replica points", id="txid-ahead"),
        pytest.param(
            [(9, 1, 2), (0, 5, 5)],
            {},
            "have up to 0000000000000002 but next file starts at 0000000000000005",
            "--txid",
            id="hole",
        ),
    ],
)
def test_failed_restore_says_why_and_leaves_nothing(
    kind: str, present: list[tuple[int, int, int]], moment: dict[str, Any], context: str, hint: str, tmp_path: Path
) -> None:
    replica = tmp_path / "replica"
    replica.mkdir()
    for level, low, high in present:
        litestreams.plant(replica, level, low, high)
    program = litestreams.program(kind, tmp_path)
    with pytest.raises(ReplicaError) as raised:
        litestream.restore_from_files(replica, tmp_path / "new.db", program=program, **moment)
    assert raised.value.code == "restore-failed"
    assert context in str(raised.value.context)
    assert hint in str(raised.value.hint)
    assert [path.name for path in tmp_path.glob("new.db*")] == []


def test_what_a_torn_restore_left_is_removed(tmp_path: Path) -> None:
    litestreams.plant(tmp_path / "replica", 9, 1, 1)
    program = litestreams.program("fake", tmp_path, faults="torn-restore")
    with pytest.raises(ReplicaError, match="returned 1"):
        litestream.restore_from_files(tmp_path / "replica", tmp_path / "new.db", program=program)
    assert not list(tmp_path.glob("new.db*"))


@pytest.mark.parametrize("name", ["new.db", "new.db-wal", "new.db-shm"])
def test_restore_onto_what_exists_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("the only copy")
    with pytest.raises(ReplicaError, match=f"{name} exists"):
        litestream.restore_from_files(tmp_path, tmp_path / "new.db")
    assert (tmp_path / name).read_text() == "the only copy"


@pytest.mark.parametrize("char", ["#", "?", "%"])
def test_restore_to_a_path_that_litestream_misreads_is_refused(char: str, tmp_path: Path) -> None:
    with pytest.raises(ReplicaError, match=f'path with "[{char}]"'):
        litestream.restore_from_files(tmp_path, tmp_path / f"a{char}b.db")


@pytest.mark.parametrize("char", ["#", "?"])
def test_litestream_still_misreads_such_paths(char: str, tmp_path: Path) -> None:
    """Should this fail with a newer Litestream, then commands.misread_in has had its day."""
    folder = tmp_path / f"a{char}b"
    folder.mkdir()
    with replicating("real", folder) as (database, _), litestreams.writing(database) as write:
        write("to be found again")
        until(lambda: litestreams.newest(database) or (tmp_path / "a").exists())
    assert (tmp_path / "a").is_file()


def test_damaged_file_is_not_restored(tmp_path: Path) -> None:
    with replicating("real", tmp_path) as (database, _):
        until(lambda: any(file.is_snapshot for file in ltx.scan(database.replica_path)))
    [snapshot] = [file for file in ltx.scan(database.replica_path) if file.is_snapshot]
    path = ltx.local_path(database.replica_path, snapshot)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ReplicaError) as raised:
        litestream.restore_from_files(database.replica_path, tmp_path / "new.db")
    assert raised.value.code == "restore-failed"
    assert not list(tmp_path.glob("new.db*"))


@BOTH
@pytest.mark.parametrize(
    "args, said",
    [
        pytest.param(["restore", "-bogus"], "Error: flag provided but not defined: -bogus", id="unknown-flag"),
        pytest.param(["bogus"], "Error: litestream bogus: unknown command", id="unknown-command"),
        pytest.param(["replicate", "-config", "/nope"], "Error: config file not found: /nope", id="no-configuration"),
        pytest.param(
            ["restore", "-txid", "00ff", "x"], 'invalid value "00ff" for flag -txid: invalid txid format', id="txid"
        ),
        pytest.param(["restore", "-integrity-check", "x", "y"], "invalid -integrity-check value: x", id="integrity"),
    ],
)
def test_wrong_arguments_are_refused_in_the_same_words(kind: str, args: list[str], said: str, tmp_path: Path) -> None:
    done = process.run([str(litestreams.program(kind, tmp_path)), *args], timeout_s=20)
    assert done.returncode == 1
    assert said in done.stderr


@BOTH
def test_version(kind: str, tmp_path: Path) -> None:
    assert litestream.version(litestreams.program(kind, tmp_path)) >= (0, 5, 17)


@pytest.mark.parametrize(
    "faults, lacking",
    [
        pytest.param("version:0.5.16", "SAFE_CHECKPOINTS", id="unsafe-sqlite"),
        pytest.param("version:0.5.9", "SAFE_CHECKPOINTS, SOUND_RESTORE", id="unsound-restore"),
        pytest.param("version:0.3.13", "SAFE_CHECKPOINTS, SOUND_RESTORE, INTEGRITY_CHECK", id="old-format"),
    ],
)
def test_old_version_is_refused_with_what_it_lacks(faults: str, lacking: str, tmp_path: Path) -> None:
    with pytest.raises(ReplicaError) as raised:
        litestream.version(litestreams.program("fake", tmp_path, faults=faults))
    assert raised.value.code == "litestream-failed"
    assert raised.value.message.endswith(f"is too old: it lacks {lacking}")
    assert "0.5.17 or later" in str(raised.value.context)


def test_absent_program_is_another_error_than_a_silent_one(tmp_path: Path) -> None:
    with pytest.raises(ReplicaError) as raised:
        litestream.version(tmp_path / "litestream")
    assert raised.value.code == "litestream-missing"
    with pytest.raises(ReplicaError, match="named no version"):
        litestream.version(litestreams.program("fake", tmp_path, faults="version:none"))


def test_frontier_is_what_the_real_restore_reaches(tmp_path: Path) -> None:
    """Random replicas: where ours says how far a restore comes, Litestream's own plan says the same."""
    weather = random.Random(20261122)
    agreed = {"whole": 0, "hole": 0, "nothing": 0}
    for number in range(60):
        replica = tmp_path / str(number)
        for _ in range(weather.randint(1, 9)):
            level = weather.choice((0, 0, 0, 1, 2, 9))
            low = 1 if level == 9 else weather.randint(1, 8)
            litestreams.plant(replica, level, low, low + (weather.randint(0, 4) if level else 0))
        files = ltx.scan(replica)
        config = tmp_path / "litestream.yml"
        config.write_text(commands.restore_yaml(Path("/x.db"), replica))
        argv = commands.restore_argv(litestream.binary(), config, Path("/x.db"), tmp_path / "out.db", integrity="quick")
        done = process.run([*argv[:2], "-dry-run", *argv[2:]], timeout_s=20)
        hole = ltx.first_hole(files)
        if ltx.frontier(files) == 0:
            outcome = "nothing"
            assert "no matching backup files" in done.stderr, files
        elif hole is not None:
            outcome = "hole"
            assert f"have up to {ltx.frontier(files):016x} but next file" in done.stderr, files
        else:
            outcome = "whole"
            assert int(json.loads(done.stdout)["max_txid"], 16) == ltx.frontier(files), files
        agreed[outcome] += 1
    assert min(agreed.values()) > 3, agreed
