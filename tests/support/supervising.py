"""A supervisor at work, and what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_node.replication.commands import CaptureSettings, ReplicatedDb
from edge_node.replication.supervisor import LitestreamState, Patience, Supervisor
from tests.support import litestreams
from tests.support.litestreams import soon

BOTH = pytest.mark.parametrize("kind", ["fake", "real"])
QUICK = CaptureSettings(sync_every_s=0.1, shutdown_sync_s=1)
IMPATIENT = Patience(
    restart_base_s=0.05,
    restart_cap_s=0.2,
    steady_s=0.3,
    ask_every_s=0.1,
    answer_within_s=0.5,
    silent_polls=2,
    wedged_polls=4,
    first_answer_within_s=5,
    lock_wait_s=0.3,
)


@contextlib.asynccontextmanager
async def supervised(
    folder: Path,
    kind: str,
    *,
    faults: str = "",
    patience: Patience = IMPATIENT,
    settings: CaptureSettings = QUICK,
    starts: bool = True,
) -> AsyncIterator[tuple[Supervisor, ReplicatedDb]]:
    """A supervisor at work over a new database; stopped in an orderly way at the end, with nothing left behind.

    `starts` is false where Litestream is not expected to be started yet.
    """
    database = litestreams.replicated(folder)
    if not database.path.exists():
        litestreams.make_database(database)
    one = Supervisor(
        [database],
        run_dir=folder / "run",
        program=litestreams.program(kind, folder, faults=faults),
        settings=settings,
        patience=patience,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(one.run(stop))
    pids = set()
    try:
        await soon(lambda: not starts or one.pid or running.done())
        pids.add(one.pid)
        yield one, database
        pids.add(one.pid)
    finally:
        stop.set()
        await running
    assert one.state is LitestreamState.STOPPED
    assert not [pid for pid in pids if pid and Path(f"/proc/{pid}").exists()]
