"""A local replica that must shrink, under a Litestream that goes on; and the reserve on the disk of the data."""

from __future__ import annotations

import asyncio
import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.replication import local_disk, ltx
from edge_node.replication.litestream import restore_from_files
from edge_node.replication.local_disk import Going, LocalDisk, Reserve
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.supervisor import LitestreamState
from tests.support import litestreams
from tests.support.litestreams import soon
from tests.support.ltx_files import ltx_bytes, write_ltx
from tests.support.supervising import QUICK, supervised

# As at a clinic, some hundred times as fast: levels, and a snapshot now and then.
FAST = replace(QUICK, level_every_s=(1.0, 2.0, 4.0), snapshot_every_s=4.0)


def test_a_replica_sheds_under_a_live_litestream_and_still_restores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        async with supervised(tmp_path, "real", settings=FAST) as (litestream, database):
            await soon(lambda: litestream.state is LitestreamState.RUNNING and litestreams.newest(database))
            replica = LocalReplica(database.replica_path)
            disk = LocalDisk({"his": replica}, budget_bytes=1, meta_paths={"his": database.meta_path})
            with litestreams.writing(database) as write:

                async def written(rows: int) -> None:
                    for _ in range(rows):
                        before = litestreams.newest(database)
                        write(os.urandom(2000).hex())
                        await soon(lambda before=before: litestreams.newest(database) > before)  # type: ignore[misc]

                for _ in range(3):  # what was compacted meanwhile goes each time
                    snapshots = len(ltx.scan_level(database.replica_path, ltx.SNAPSHOT_LEVEL))
                    while len(ltx.scan_level(database.replica_path, ltx.SNAPSHOT_LEVEL)) == snapshots:
                        await written(5)
                    replica.refresh()
                    before = ltx.frontier(replica.files)
                    shedding = disk.plan()
                    assert shedding is not None and disk.shed(shedding) > 3
                    assert [problem["code"] for problem in disk.problems()] == ["replica-budget-stuck"]
                    assert ltx.frontier(ltx.scan(database.replica_path)) >= before
                await written(10)
            assert litestream.state is LitestreamState.RUNNING and litestream.restarts == 0

    asyncio.run(story())
    assert "compaction" not in capsys.readouterr().err, "Litestream misses what went"
    database = litestreams.replicated(tmp_path)
    restore_from_files(database.replica_path, tmp_path / "copy.db")
    assert litestreams.notes(tmp_path / "copy.db") == litestreams.notes(database.path)


@pytest.mark.parametrize(
    ("used", "codes"),
    [
        pytest.param(59, [], id="well"),
        pytest.param(60, ["replica-budget-filling"], id="sixty"),
        pytest.param(75, ["replica-budget-filling"], id="seventy-five"),
        pytest.param(85, ["replica-budget"], id="eighty-five"),
    ],
)
def test_a_person_is_told_in_time(tmp_path: Path, used: int, codes: list[str]) -> None:
    for number in range(1, used + 1):
        write_ltx(tmp_path, ltx.SNAPSHOT_LEVEL, 1, number, content=b"-" * (1000 - len(ltx_bytes(1, 1, time_ms=0))))
    replica = LocalReplica(tmp_path)
    replica.refresh()
    disk = LocalDisk({"his": replica}, budget_bytes=100_000, meta_paths={"his": tmp_path / "meta"})
    disk.plan()
    problems = disk.problems()
    assert [problem["code"] for problem in problems] == codes
    assert [problem["args"]["percent"] for problem in problems] == [used] * len(codes)
    assert disk.as_json()["told_at"] == (used / 100 if codes else None)


def test_what_has_had_its_time_goes_and_every_state_since_comes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept: dict[int, list[str]] = {}

    async def story() -> None:
        async with supervised(tmp_path, "real", settings=FAST) as (litestream, database):
            await soon(lambda: litestream.state is LitestreamState.RUNNING and litestreams.newest(database))
            replica = LocalReplica(database.replica_path)
            disk = LocalDisk({"his": replica}, budget_bytes=1 << 30, meta_paths={"his": database.meta_path})

            def snapshots() -> int:
                return len(ltx.scan_level(database.replica_path, ltx.SNAPSHOT_LEVEL))

            def fine_limit() -> int:
                return max((file.max_txid for file in ltx.scan_level(database.replica_path, 1)[:-1]), default=0)

            def due(kept_from: int) -> Going:
                replica.refresh()
                return disk.expired(kept_from={"his": kept_from}, fine_from={"his": fine_limit()})

            with litestreams.writing(database) as write:
                for _ in range(3):
                    kept_from, before = litestreams.newest(database), snapshots()
                    # As many snapshots as fall between the two limits, and then the limits move up.
                    while snapshots() < before + 2 or len(captures(due(kept_from))) < 3:
                        write(os.urandom(200).hex())
                        await soon(lambda: litestreams.newest(database) > max(kept, default=0))
                        kept[litestreams.newest(database)] = litestreams.notes(database.path)
                    fine_from, going = fine_limit(), due(kept_from)
                    reach = ltx.frontier(replica.files)
                    assert disk.expire(going) > 3
                    staged = {file.max_txid for file in ltx.scan_level(database.meta_path, 0)}
                    assert not staged & captures(going), "Litestream would never clear them"
                    for txid in [txid for txid in kept if txid < kept_from]:
                        del kept[txid]
                    assert ltx.frontier(ltx.scan(database.replica_path)) >= reach
                    assert disk.plan() is None and disk.problems() == []
            assert litestream.state is LitestreamState.RUNNING and litestream.restarts == 0
            fine = {file.max_txid for file in ltx.scan(database.replica_path) if file.max_txid > fine_from}
            coarse = {file.max_txid for file in ltx.scan(database.replica_path)} - fine
            assert coarse & set(kept) and fine & set(kept)
            for txid in [txid for txid in kept if txid not in fine | coarse]:
                del kept[txid]

    asyncio.run(story())
    assert "compaction" not in capsys.readouterr().err, "Litestream misses what went"
    replica_path = litestreams.replicated(tmp_path).replica_path
    # Each tenth: a restore takes as long as ten commits.
    for txid, notes in [(txid, kept[txid]) for txid in sorted(kept)[::10]]:
        restore_from_files(replica_path, tmp_path / f"{txid}.db", txid=txid)
        assert litestreams.notes(tmp_path / f"{txid}.db") == notes


def captures(going: Going) -> set[int]:
    """The TXIDs of the single captures that go."""
    return {file.max_txid for _, files in going for file in files if file.level == 0}


def test_the_reserve_is_made_where_there_is_room_and_gives_way_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve, free = Reserve(tmp_path), [local_disk.RESERVE_MADE_ABOVE_BYTES - 1]
    monkeypatch.setattr(local_disk, "disk_free_bytes", lambda path: free[0])
    reserve.keep()
    assert not reserve.path.exists(), "it would itself fill the disk"
    free[0] += 1
    reserve.keep()
    assert reserve.path.stat().st_blocks * 512 >= local_disk.RESERVE_BYTES, "the room is really taken"
    assert not reserve.give_way() and reserve.path.exists()
    free[0] = local_disk.RESERVE_FREED_BELOW_BYTES - 1
    assert reserve.give_way() and not reserve.path.exists()
    assert not reserve.give_way()


def test_a_disk_without_room_for_the_reserve_is_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (local_disk.RESERVE_BYTES // 2, before[1]))
    try:
        reserve = Reserve(tmp_path)
        for _ in range(3):
            reserve.keep()
            assert not reserve.path.exists(), "half a reserve would pass for one"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capsys.readouterr().err.count("reserve_not_made") == 1


def test_each_trouble_with_removing_is_told_of_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What went well in between ends it: a year later it is news again."""
    disk = LocalDisk({"his": LocalReplica(tmp_path)}, budget_bytes=1, meta_paths={"his": tmp_path / "meta"})
    going: Going = [(tmp_path, [ltx.LtxFile(level=0, min_txid=1, max_txid=1, size_bytes=100)])]
    for _ in range(2):
        stuck = ltx.level_path(tmp_path, 0) / ltx.file_name(1, 1)
        stuck.mkdir(parents=True)
        assert disk.expire(going) == disk.expire(going) == 0
        assert capsys.readouterr().err.count("replica_not_shed") == 1
        stuck.rmdir()
        write_ltx(tmp_path, 0, 1, 1)
        assert disk.expire(going) == 1
