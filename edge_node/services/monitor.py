"""The monitor: reads every status file when it is asked, and answers with metrics.

It holds no state of its own, opens no database, and nothing depends on it: when it dies, everything works.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from edge_node.base.clock import Clock, SystemClock, kernel_synchronised
from edge_node.base.files import StatusFile, disk_free_bytes
from edge_node.base.logs import Repeated, event
from edge_node.base.systemd import notify
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.services.node_snapshot import snapshot
from edge_node.services.web_server import listening, make_server
from edge_node.status import status_reader
from edge_node.store.connection import sqlite_version
from edge_node.store.inspect import wal_bytes
from edge_node.store.places import NAMES, db_path
from monitoring.collector import make_registry
from monitoring.endpoint import metrics_app
from monitoring.snapshot import NodeSnapshot

EVERY_S = 5.0
READY_POLL_S = 0.01


def run(config: Config) -> None:
    """Serve metrics until SIGTERM or SIGINT. Raises ServiceError when the address cannot be had."""
    asyncio.run(_until_signal(config))


async def _until_signal(config: Config) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(config, SystemClock(), stop)


async def serve(
    config: Config, clock: Clock, stop: asyncio.Event, *, on_ready: Callable[[Endpoint], None] | None = None
) -> None:
    """Serve metrics until `stop` is set; `on_ready` is told the address, with the port that a port of 0 became.

    A turn reads the whole node, as a scrape does, and only then writes the status file and pets the watchdog: a monitor
    that hangs on a dying disk shows as stale.
    """
    read = snapshot_reader(config, clock)
    with listening(config.monitor.listen, setting="monitor.listen") as sockets:
        server = make_server(metrics_app(make_registry(read)), tls=None)
        serving = asyncio.create_task(server.serve(sockets=sockets))
        host, port = sockets[0].getsockname()[:2]
        endpoint = Endpoint(host=host, port=port)
        status = _Status(StatusFile(config.node.run_dir, "monitor", every_s=EVERY_S), clock, endpoint)

        async def turn() -> None:
            await asyncio.to_thread(read)
            status.write()

        try:
            while not (server.started or serving.done()):
                await asyncio.sleep(READY_POLL_S)
            await turn()
            notify("READY=1")
            event("monitor_started", listen=endpoint)
            if on_ready is not None:
                on_ready(endpoint)
            while not await _is_over(stop, serving):
                await turn()
                notify("WATCHDOG=1")
        finally:
            notify("STOPPING=1")
            server.should_exit = True
            await serving
            status.write(stopped=True)
            event("monitor_stopped")


def snapshot_reader(config: Config, clock: Clock) -> Callable[[], NodeSnapshot]:
    """A function that reads the node when it is called: status files, free space, write-ahead logs, the clock."""
    read_status = status_reader(config, clock)
    state_dir = config.node.state_dir

    def read() -> NodeSnapshot:
        databases = [path for name in NAMES if (path := db_path(state_dir, name)).exists()]
        free = {str(folder): disk_free_bytes(folder) for folder in (state_dir, config.replica.local)}
        return snapshot(
            read_status(),
            clock_synchronised=kernel_synchronised(),
            disk_free_bytes={folder: size for folder, size in free.items() if size is not None},
            wal_bytes={str(path): wal_bytes(path) for path in databases},
            sqlite_version=sqlite_version,
        )

    return read


class _Status:
    """The monitor's status file. A full disk may hold it (with --home); that is a reason to go on, not to die."""

    def __init__(self, file: StatusFile, clock: Clock, endpoint: Endpoint) -> None:
        self._file, self._clock, self._endpoint = file, clock, endpoint
        self._failing = Repeated()

    def write(self, *, stopped: bool = False) -> None:
        try:
            self._file.write({"listen": str(self._endpoint)}, self._clock, stopped=stopped)
        except OSError as error:
            if self._failing.failed():
                event("status_not_written", level="warning", error=error, times=self._failing.count)
        else:
            if times := self._failing.recovered():
                event("status_written_again", failed=times)


async def _is_over(stop: asyncio.Event, serving: asyncio.Task[None]) -> bool:
    """False after EVERY_S, when the next turn is due; true as soon as there is none (told to stop, or server ended)."""
    told = asyncio.create_task(stop.wait())
    over, _ = await asyncio.wait((told, serving), timeout=EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    return bool(over)
