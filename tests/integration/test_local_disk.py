"""A local replica that must shrink, under a Litestream that goes on; and the reserve on the disk of the data."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.replication import local_disk, ltx
from edge_node.replication.litestream import restore_from_files
from edge_node.replication.local_disk import LocalDisk, Reserve
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.supervisor import LitestreamState
from tests.support import litestreams
from tests.support.litestreams import soon
from tests.support.supervising import QUICK, supervised

# As at a clinic, some hundred times as fast: levels, and a snapshot now and then.
FAST = replace(QUICK, level_every_s=(1.0, 2.0, 4.0), snapshot_every_s=4.0)


def test_a_replica_sheds_under_a_live_litestream_and_still_restores(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervised(tmp_path, "real", settings=FAST) as (litestream, database):
            await soon(lambda: litestream.state is LitestreamState.RUNNING and litestreams.newest(database))
            replica = LocalReplica(database.replica_path)
            disk = LocalDisk({"his": replica}, budget_bytes=1)
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
    database = litestreams.replicated(tmp_path)
    restore_from_files(database.replica_path, tmp_path / "copy.db")
    assert litestreams.notes(tmp_path / "copy.db") == litestreams.notes(database.path)


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
