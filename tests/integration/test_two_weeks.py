"""Days and weeks without the store, in minutes: current by the cheapest way, with a time told, then filled in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyrage
import pytest

from edge_node.replication.destination import Destination
from edge_node.replication.restore import restore
from edge_node.replication.sealing import Sealer
from edge_node.replication.source import find_source
from edge_node.store.connection import connect_reader
from edge_node.store.inspect import row_digest
from tests.support.fortnight import Found, Scale, go_through, least_cost
from tests.support.replicated import Replicated
from tests.support.s3 import BUCKET, S3Server, s3_server


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_a_day_offline(tmp_path: Path) -> None:
    """Within what is kept here, hours travel: they weigh less than a snapshot."""
    found = _go(tmp_path, Scale(days=0.8, hour_s=0.4, patients=1000, visits_a_day=40, line_bytes_per_s=400_000))
    assert not any(file.is_snapshot for file in found.chain)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(1800)
def test_two_weeks_offline(tmp_path: Path) -> None:
    """What is kept here reaches back for a week: only a snapshot leads on, and what came after it."""
    found = _go(tmp_path, Scale(days=14, hour_s=0.7, patients=10_000, visits_a_day=240))
    assert sum(file.is_snapshot for file in found.chain) == 1
    assert len(found.chain) <= 30


def _go(folder: Path, scale: Scale) -> Found:
    with s3_server(folder / "store", "rclone") as server:
        node, found = go_through(folder / "home", server, scale)
        asyncio.run(_bring_back(node, server, folder / "back.db"))
    assert _digest(folder / "back.db") == _digest(node.his)
    print(f"{len(found.chain)} of {len(found.lacked)} objects, {found.chain_bytes} bytes, {found.current_s:.1f} s")
    assert found.chain_cost == least_cost(found.here, found.frontier)
    # The line was its own limit, and nothing else was in the way: load and round trips may take as long again.
    assert found.current_s < 2 * found.chain_bytes / scale.line_bytes_per_s + 10
    told = [(found.current_s - told.at_s, told.left_s) for told in found.told if told.left_s is not None]
    # The status is a second old at most, the line a loaded machine's. A file of four parts tells its rate only once:
    # what else shared the line until then is taken for the line, a quarter of the whole at most.
    near_s = max(3.0, found.current_s / 4)
    assert told and all(abs(left_s - took_s) < max(near_s, took_s) for took_s, left_s in told[len(told) // 2 :]), told
    return found


async def _bring_back(node: Replicated, server: S3Server, to: Path) -> None:
    cloud = Destination("cloud", f"s3://{BUCKET}/edge", Sealer(()), s3=server.access())
    identity = pyrage.x25519.Identity.from_str(node.identity or "")
    source = await find_source(cloud, database="his", node_id="clinic-0042", identity=identity)
    assert (await restore(source, to)).is_whole
    await source.close()


def _digest(path: Path) -> str:
    conn = connect_reader(path)
    try:
        return row_digest(conn)
    finally:
        conn.close()
