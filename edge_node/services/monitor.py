"""The monitor: reads every status file when it is asked, and answers with metrics; and records the history in node.db.

The recording has a thread of its own (`recorder.py`) and hinders no scrape; nor does pushing metrics to a central
Prometheus, where there is one (`pushing.py`). Nothing depends on them: when the monitor dies, everything works, and
what was not recorded yet waits in the watcher's files.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge_node.base.clock import Clock, SystemClock, kernel_synchronised
from edge_node.base.files import disk_free_bytes, disk_size_bytes
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.release.history import ROOT, problems
from edge_node.services.node_snapshot import snapshot
from edge_node.services.own_status import OwnStatus
from edge_node.services.recorder import Recorder
from edge_node.services.web_server import listening, make_server
from edge_node.services.web_turns import address_of, run_until_signal, serve_in_turns
from edge_node.status import status_reader
from edge_node.store.connection import sqlite_version
from edge_node.store.inspect import wal_bytes
from edge_node.store.places import NAMES, db_path
from monitoring.collector import make_registry
from monitoring.endpoint import metrics_app
from monitoring.snapshot import NodeSnapshot

if TYPE_CHECKING:
    from edge_node.services.pushing import Pushing

EVERY_S = 5.0
# A turn of the recorder takes some hundredths of a second; `up` gives its children 2.5 s for everything.
LAST_RECORD_S = 1.5
LAST_PUSH_S = 0.5


def run(config: Config) -> None:
    """Serve metrics and record until SIGTERM or SIGINT. Raises ServiceError when the address cannot be had."""
    os.umask(0o027)
    run_until_signal(lambda stop: serve(config, SystemClock(), stop))


async def serve(
    config: Config, clock: Clock, stop: asyncio.Event, *, on_ready: Callable[[Endpoint], None] | None = None
) -> None:
    """Serve metrics and record until `stop` is set; `on_ready` is told the address, with the port that 0 became.

    A turn reads the whole node, as a scrape does, and only then writes the status file: a monitor that hangs on a dying
    disk shows as stale.
    """
    read = snapshot_reader(config, clock)
    status = OwnStatus(config.node.run_dir, "monitor", clock, every_s=EVERY_S)
    with listening(config.monitor.listen, setting="monitor.listen") as sockets:
        recorder, listen = Recorder(config, clock), str(address_of(sockets[0]))
        pushing = _pushing(config, clock, read)

        def state() -> dict[str, Any]:
            said = recorder.state()
            said["problems"] += [problem.as_json() for problem in problems(ROOT, now_ms=clock.wall_ms())]
            if pushing is not None:
                said["problems"] += [problem.as_json() for problem in pushing.problems()]
                said["remote_write"] = pushing.state()
            return {"listen": listen, **said}

        def turn() -> None:
            read()
            status.write(state())

        def end() -> None:
            if pushing is not None:
                pushing.stop(within_s=LAST_PUSH_S)
            recorder.stop(within_s=LAST_RECORD_S)
            status.write(state(), stopped=True)

        # Only where the address could be had: a second monitor on this node must not record as well.
        recorder.start()
        if pushing is not None:
            pushing.start()
        await serve_in_turns(
            "monitor",
            make_server(metrics_app(make_registry(read)), tls=None),
            sockets,
            stop,
            turn=turn,
            every_s=EVERY_S,
            last_words=end,
            on_ready=on_ready,
        )


def _pushing(config: Config, clock: Clock, read: Callable[[], NodeSnapshot]) -> Pushing | None:
    remote = config.monitor.remote_write
    if remote is None:
        return None
    # Most nodes are scraped, and need no client of HTTP.
    from edge_node.services.pushing import Pushing

    return Pushing(config, remote, clock, read)


def snapshot_reader(config: Config, clock: Clock) -> Callable[[], NodeSnapshot]:
    """A function that reads the node when it is called: status files, free space, write-ahead logs, the clock."""
    read_status = status_reader(config, clock)
    state_dir = config.node.state_dir

    def read() -> NodeSnapshot:
        databases = [path for name in NAMES if (path := db_path(state_dir, name)).exists()]
        folders = (state_dir, config.replica.local)
        return snapshot(
            read_status(),
            clock_synchronised=kernel_synchronised(),
            disk_free_bytes={str(path): free for path in folders if (free := disk_free_bytes(path)) is not None},
            disk_size_bytes={str(path): size for path in folders if (size := disk_size_bytes(path)) is not None},
            wal_bytes={str(path): wal_bytes(path) for path in databases},
            sqlite_version=sqlite_version,
        )

    return read
