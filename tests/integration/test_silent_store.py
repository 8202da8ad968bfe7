"""A store that falls silent during a restore: asked again, gone on with when it is back, given up with a sentence."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from edge_node.replication.destination import Destination, DestinationFailed, object_key
from edge_node.replication.progress import Progress
from edge_node.replication.restore import restore
from edge_node.replication.restored import Restored
from edge_node.replication.sealing import Sealer
from edge_node.replication.source import DestinationSource, LocalSource, find_source
from tests.support.replicated import make_replicated, replicating, rows, write_row, writing
from tests.support.s3 import BUCKET, S3Server, s3_server

PREFIX = "clinic-0042/e0001/his"


@pytest.mark.timeout(240)
def test_a_restore_outlasts_a_silence_and_gives_up_on_a_long_one(tmp_path: Path) -> None:
    clinic = make_replicated(tmp_path / "home")
    chance = random.Random(7)
    with writing(clinic) as conn, replicating(clinic):
        for _ in range(4):
            write_row(conn, chance, size_bytes=400_000)
        clinic.wait_until_shipped()
    with s3_server(tmp_path / "server", "rclone") as server:
        asyncio.run(work(tmp_path, server, LocalSource(clinic.home / "replica/e0001/his")))
    assert rows(tmp_path / "back.db") == rows(clinic.his)
    assert not (tmp_path / "late.db").exists()
    assert not list(tmp_path.glob(".edge-restore-*"))


async def work(tmp_path: Path, server: S3Server, local: LocalSource) -> None:
    here = tmp_path / "home/replica/e0001/his"
    to = Destination("cloud", f"s3://{BUCKET}/edge", Sealer(()), s3=server.access())
    await to.open(known=False)
    for file in await local.list():
        await to.send(object_key(PREFIX, file, ""), here / "ltx" / str(file.level) / file.name)
    await to.close()

    source = await opened(server)
    server.freeze()
    began = time.monotonic()
    restoring = asyncio.create_task(silent_restore(source, tmp_path / "back.db", (0.5, 1.0, 2.0, 2.0, 2.0)))
    # Longer than a question is waited for: the first try fails.
    await asyncio.sleep(7.0)
    assert not restoring.done()
    server.thaw()
    done, told = await restoring
    assert done.is_whole
    assert time.monotonic() - began > 7.0
    assert all(progress.total_bytes > 0 for progress in told)
    await source.close()

    source = await opened(server)
    server.freeze()
    began = time.monotonic()
    try:
        with pytest.raises(DestinationFailed) as caught:
            await restore(source, tmp_path / "late.db", waits_s=(0.2,))
    finally:
        server.thaw()
    assert caught.value.code == "replica-unreachable"
    assert time.monotonic() - began < 30
    await source.close()


async def opened(server: S3Server) -> DestinationSource:
    destination = Destination("cloud", f"s3://{BUCKET}/edge", Sealer(()), s3=server.access())
    return await find_source(destination, database="his", node_id=None, identity=None)


async def silent_restore(
    source: DestinationSource, to: Path, waits_s: tuple[float, ...]
) -> tuple[Restored, list[Progress]]:
    told: list[Progress] = []
    return await restore(source, to, waits_s=waits_s, tell=told.append), told
