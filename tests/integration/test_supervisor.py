"""Litestream is kept alive, is believed only as far as it answers, and dies with us."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from edge_node.base.errors import ConfigError, ReplicaError
from edge_node.replication import ltx
from edge_node.replication.commands import ReplicatedDb
from edge_node.replication.supervisor import LitestreamState, Patience, Supervisor
from tests.support import litestreams
from tests.support.litestreams import soon
from tests.support.supervising import BOTH, supervised

RUNNING, STOPPED, FAILING = LitestreamState.RUNNING, LitestreamState.STOPPED, LitestreamState.FAILING


@BOTH
def test_runs_captures_and_stops(kind: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with supervised(tmp_path, kind) as (one, database):
            await soon(lambda: one.state is RUNNING)
            with litestreams.writing(database) as write:
                write("a visit")
                await soon(lambda: litestreams.newest(database) >= 1)
                assert await asyncio.to_thread(one.socket.sync, database.path, timeout_s=5) >= 1
            assert (one.version, one.restarts, one.reason) == ("0.5.17", 0, None)
            assert database.replica_path.stat().st_mode & 0o777 == 0o700
            assert (tmp_path / "run" / "litestream.yml").stat().st_mode & 0o777 == 0o600
            [capture, *_] = ltx.scan(database.replica_path)
            assert ltx.local_path(database.replica_path, capture).stat().st_mode & 0o077 == 0
        assert not (tmp_path / "run" / "litestream.sock").exists()

    asyncio.run(story())


@BOTH
def test_the_last_commit_before_a_stop_is_captured(kind: str, tmp_path: Path) -> None:
    async def story() -> ReplicatedDb:
        async with supervised(tmp_path, kind) as (one, database):
            await soon(lambda: one.state is RUNNING and litestreams.newest(database))
            with litestreams.writing(database) as write:
                write("the last visit")
        return database

    database = asyncio.run(story())
    files = ltx.scan(database.replica_path)
    assert ltx.first_hole(files) is None
    assert ltx.frontier(files) >= 2


def test_after_a_stop_it_goes_on_where_it_was_without_another_whole_copy(tmp_path: Path) -> None:
    """The last one to close a database deletes its WAL, and then Litestream must begin with a snapshot."""
    database = litestreams.replicated(tmp_path)
    litestreams.make_database(database)
    with litestreams.writing(database) as write:
        write(os.urandom(200_000).hex())

    async def life(note: str) -> None:
        async with supervised(tmp_path, "real") as (one, _):
            before = await soon(lambda: one.state is RUNNING and litestreams.newest(database))
            with litestreams.writing(database) as write:
                write(note)
                await soon(lambda: litestreams.newest(database) > before)

    asyncio.run(life("before"))
    first = litestreams.newest(database)
    litestreams.notes(database.path)
    asyncio.run(life("after"))
    sizes = {file.max_txid: file.size_bytes for file in ltx.scan_level(database.replica_path, 0)}
    assert sizes[1] > 200_000
    assert max(size for txid, size in sizes.items() if txid > first) < 64 * 1024


@BOTH
def test_killed_litestream_is_started_again_and_goes_on(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def all_said() -> str:
        said.append(capsys.readouterr().err)
        return "".join(said)

    async def story() -> None:
        async with supervised(tmp_path, kind) as (one, database):
            await soon(lambda: one.state is RUNNING and litestreams.newest(database))
            killed, before = one.pid, litestreams.newest(database)
            assert killed
            os.kill(killed, signal.SIGKILL)
            await soon(lambda: one.state is FAILING)
            assert one.reason == "killed by SIGKILL"
            with litestreams.writing(database) as write:
                write("meanwhile")
                await soon(lambda: one.state is RUNNING)
                await soon(lambda: litestreams.newest(database) > before)
            assert (one.restarts, one.pid == killed) == (1, False)
            await soon(lambda: "litestream_steady" in all_said())
            assert one.restarts == 1

    asyncio.run(story())
    assert 'litestream_died how="killed by SIGKILL" times=1' in all_said()


async def restarted(one: Supervisor, times: int) -> None:
    await soon(lambda: one.restarts == times)


def test_after_many_deaths_a_litestream_that_stays_alive_is_running_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervised(tmp_path, "fake") as (one, _):
            for death in range(1, 6):
                await soon(lambda: one.state is RUNNING)
                assert one.pid
                os.kill(one.pid, signal.SIGKILL)
                await restarted(one, death)
            await soon(lambda: one.state is RUNNING)

    asyncio.run(story())


def test_a_crash_loop_is_failing_also_while_the_newest_child_lives(tmp_path: Path) -> None:
    async def story() -> None:
        patience = Patience(restart_base_s=0.05, restart_cap_s=0.1, ask_every_s=0.1)
        async with supervised(tmp_path, "fake", faults="crash-after:0.5", patience=patience) as (one, _):
            await soon(lambda: one.restarts >= 4 and one.pid)
            for _ in range(20):
                assert one.state is FAILING
                assert one.reason == "returned 2"
                await asyncio.sleep(0.02)
            assert any(line.startswith("panic: runtime error") for line in one.last_lines)

    asyncio.run(story())


def test_refused_start_is_failing_with_its_words_and_waits_longer_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        async with supervised(tmp_path, "fake", faults="crash-at-start") as (one, _):
            await soon(lambda: one.restarts >= 3)
            assert (one.state, one.reason) == (FAILING, "returned 1")
            assert "Error: cannot open store: asked to fail" in one.last_lines

    asyncio.run(story())
    died = [line for line in capsys.readouterr().err.splitlines() if "litestream_died" in line]
    assert [line.split(" times=")[1] for line in died] == ['1 said="Error: cannot open store: asked to fail"']


def test_trouble_with_writing_is_failing_but_no_reason_to_restart(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervised(tmp_path, "fake", faults="trouble:1") as (one, _):
            await soon(lambda: one.state is FAILING)
            assert one.reason == "sync error: database or disk is full"
            pid = one.pid
            await soon(lambda: one.state is RUNNING)
            assert (one.restarts, one.pid) == (0, pid)

    asyncio.run(story())


def test_troubles_end_with_the_litestream_that_had_them(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervised(tmp_path, "fake", faults="trouble:1000") as (one, _):
            await soon(lambda: one.state is FAILING)
            litestreams.program("fake", tmp_path)
            assert one.pid
            os.kill(one.pid, signal.SIGKILL)
            await soon(lambda: one.state is RUNNING)

    asyncio.run(story())


@BOTH
def test_litestream_that_answers_no_more_is_failing_then_killed_and_replaced(kind: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with supervised(tmp_path, kind) as (one, _):
            await soon(lambda: one.state is RUNNING)
            frozen = one.pid
            assert frozen
            os.kill(frozen, signal.SIGSTOP)
            await soon(lambda: one.state is FAILING)
            assert one.reason == f"process {frozen} does not answer"
            await soon(lambda: one.state is RUNNING and one.pid != frozen)
            assert one.restarts == 1

    asyncio.run(story())


def test_litestream_that_never_answers_is_killed(tmp_path: Path) -> None:
    async def story() -> None:
        patience = Patience(restart_base_s=0.05, ask_every_s=0.1, answer_within_s=0.1, first_answer_within_s=0.5)
        async with supervised(tmp_path, "fake", faults="silent,ignore-term", patience=patience) as (one, _):
            assert one.state is STOPPED
            await soon(lambda: one.state is FAILING)
            assert str(one.reason).startswith("killed by us")
            # Now the stop meets a child that ignores SIGTERM as well.

    asyncio.run(story())


def test_stop_ends_within_its_limit_although_litestream_ignores_sigterm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> float:
        patience = Patience(stop_grace_s=0.3, ask_every_s=0.1)
        async with supervised(tmp_path, "fake", faults="ignore-term", patience=patience) as (one, _):
            await soon(lambda: one.state is RUNNING)
            begun = asyncio.get_running_loop().time()
        return asyncio.get_running_loop().time() - begun

    assert asyncio.run(story()) < 3
    assert 'litestream_killed why="it did not end"' in capsys.readouterr().err


def test_stop_in_the_middle_of_a_pause_does_not_wait_for_it(tmp_path: Path) -> None:
    async def story() -> float:
        patience = Patience(restart_base_s=60, restart_cap_s=60)
        async with supervised(tmp_path, "fake", faults="crash-at-start", patience=patience) as (one, _):
            await soon(lambda: one.state is FAILING)
            begun = asyncio.get_running_loop().time()
        return asyncio.get_running_loop().time() - begun

    assert asyncio.run(story()) < 3


def test_cancelling_ends_litestream_too(tmp_path: Path) -> None:
    async def story() -> None:
        database = litestreams.replicated(tmp_path)
        litestreams.make_database(database)
        one = Supervisor([database], run_dir=tmp_path / "run", program=litestreams.program("real", tmp_path))
        running = asyncio.create_task(one.run(asyncio.Event()))
        pid = await soon(lambda: one.pid)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not Path(f"/proc/{pid}").exists()
        assert one.state is STOPPED

    asyncio.run(story())


def test_leftovers_of_a_killed_litestream_are_swept_before_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = litestreams.replicated(tmp_path)
    for folder in (database.replica_path / "ltx" / "1", database.meta_path / "ltx" / "0"):
        folder.mkdir(parents=True)
        (folder / f"{ltx.file_name(1, 9)}.tmp").write_bytes(b"x" * 500)

    async def story() -> None:
        async with supervised(tmp_path, "real") as (one, _):
            await soon(lambda: one.state is RUNNING)
            assert not list(tmp_path.rglob("*.tmp"))

    asyncio.run(story())
    assert "litestream_leftovers_swept db=his.db size_bytes=1000" in capsys.readouterr().err


def test_replica_that_cannot_be_made_is_failing_until_it_can(tmp_path: Path) -> None:
    (tmp_path / "replica").write_text(
        "a file where the folder should be, as an unmounted disk leaves a bare mount point"
    )

    async def story() -> None:
        async with supervised(tmp_path, "fake", starts=False) as (one, _):
            await soon(lambda: one.state is FAILING)
            assert str(one.reason).startswith("cannot be started: ")
            (tmp_path / "replica").unlink()
            await soon(lambda: one.state is RUNNING)

    asyncio.run(story())


def test_old_or_missing_litestream_is_an_error_and_not_a_loop(tmp_path: Path) -> None:
    database = litestreams.replicated(tmp_path)
    old = litestreams.program("fake", tmp_path, faults="version:0.5.16")
    for program, code in ((old, "litestream-failed"), (tmp_path / "none", "litestream-missing")):
        with pytest.raises(ReplicaError) as raised:
            asyncio.run(Supervisor([database], run_dir=tmp_path, program=program).run(asyncio.Event()))
        assert raised.value.code == code


def test_database_at_a_path_that_litestream_misreads_is_refused(tmp_path: Path) -> None:
    database = litestreams.replicated(tmp_path / "node #2")
    with pytest.raises(ConfigError) as raised:
        asyncio.run(Supervisor([database], run_dir=tmp_path, program=tmp_path / "x").run(asyncio.Event()))
    assert raised.value.problems[0].text == 'has "#" in it, which Litestream misreads'


def test_socket_works_in_a_folder_deeper_than_a_socket_address_is_long(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()

    async def story() -> None:
        async with supervised(folder, "real") as (one, _):
            await soon(lambda: one.state is RUNNING)

    asyncio.run(story())
