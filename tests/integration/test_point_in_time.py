"""Random past instants: never beyond, consistent, and what bare Litestream makes of the same objects."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from edge_node.base.clock import utc_text
from edge_node.replication.destination import Destination
from edge_node.replication.litestream import restore_from_files
from edge_node.replication.restore import restore
from edge_node.replication.restored import Restored
from edge_node.replication.sealing import Sealer, read_identity
from edge_node.replication.source import find_source
from tests.support.replicated import Replicated, make_replicated, replicating, rows, write_row, writing
from tests.support.waiting import until

# A capture is made ten times a second here; what a restore brings is no older than this, also on a busy machine.
GRANULARITY_MS = 3_000


def shipped_history(clinic: Replicated, seconds: float) -> None:
    """Rows for so long, bursts among them, shipped with all their captures."""
    chance = random.Random(os.urandom(8))
    with writing(clinic) as conn, replicating(clinic):
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            for _ in range(chance.choice((1, 1, 1, 20))):
                write_row(conn, chance, at=time.time_ns() // 1_000_000)
            time.sleep(chance.uniform(0.0, 0.15))
        clinic.wait_until_shipped(within_s=60)
        here = len(list((clinic.home / "replica/e0001/his/ltx/0").glob("*.ltx")))
        until(lambda: len(list((clinic.prefix / "0000").glob("*.age"))) >= here - 1, within_s=60, every_s=0.2)


@pytest.mark.parametrize(
    ("instants", "seconds"),
    [(5, 5.0), pytest.param(20, 40.0, marks=[pytest.mark.long, pytest.mark.timeout(600)])],
)
def test_random_instants(tmp_path: Path, instants: int, seconds: float) -> None:
    clinic = make_replicated(tmp_path / "home")
    shipped_history(clinic, seconds)
    live = rows(clinic.his)
    identity = read_identity(clinic.identity_file())

    async def work() -> None:
        destination = Destination("cloud", f"file://{clinic.cloud}", Sealer(()))
        source = await find_source(destination, database="his", node_id="clinic-0042", identity=identity)
        listed = await source.list()
        bare = tmp_path / "bare"
        bare.mkdir()
        await source.fetch(sorted(listed), bare)
        headers = {time_ms for time_ms in listed.values() if time_ms is not None}
        begun = max(min(headers), live[0][1])
        chance = random.Random(os.urandom(8))
        # Litestream means "before", we mean "by": the same but at the very millisecond of a capture.
        moments = [ms for ms in range(begun + 1, max(headers)) if ms not in headers]
        for n, at_ms in enumerate(chance.sample(moments, instants)):
            ours = await restore(source, tmp_path / f"ours-{n}.db", at_ms=at_ms)
            theirs = await asyncio.to_thread(restore_from_files, bare, tmp_path / f"theirs-{n}.db", at_ms=at_ms)
            check(ours, theirs.path, at_ms, live)
            assert ours.txid == theirs.txid, utc_text(at_ms)
        await source.close()

    asyncio.run(work())


def check(ours: Restored, theirs: Path, at_ms: int, live: list[tuple[int, int, bytes]]) -> None:
    found = rows(ours.path)
    assert ours.newest_at_ms <= at_ms
    # Every row in the order of its commit, none left out, none later.
    assert found == live[: len(found)]
    assert all(row[1] <= at_ms for row in found)
    later = [row[1] for row in live[len(found) :]]
    assert not later or later[0] > at_ms - GRANULARITY_MS
    assert found == rows(theirs)
