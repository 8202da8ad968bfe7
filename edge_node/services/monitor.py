"""The monitor: reads every status file when it is asked, and answers with metrics.

It holds no state of its own, opens no database, and nothing depends on it: when it dies, everything works.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import uvicorn

from edge_node.base.clock import Clock, SystemClock, kernel_synchronised
from edge_node.base.errors import ExitCode, ServiceError
from edge_node.base.files import StatusFile
from edge_node.base.logs import Repeated, event
from edge_node.base.systemd import notify
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.services.node_snapshot import snapshot
from edge_node.status import read_node_status
from edge_node.store.connection import sqlite_version
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.inspect import wal_bytes
from monitoring.collector import make_registry
from monitoring.endpoint import metrics_app
from monitoring.snapshot import NodeSnapshot

EVERY_S = 5.0
# A scrape takes milliseconds; who has not taken his answer by then is not waited for.
STOP_GRACE_S = 2
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
    read = partial(read_snapshot, config, clock)
    with _listening(config.monitor.listen) as listener:
        host, port = listener.getsockname()[:2]
        endpoint = Endpoint(host=host, port=port)
        server = _Server(_server_config(read))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        status = _Status(StatusFile(config.node.run_dir, "monitor", every_s=EVERY_S), clock, endpoint)
        try:
            while not (server.started or serving.done()):
                await asyncio.sleep(READY_POLL_S)
            await asyncio.to_thread(read)
            status.write()
            notify("READY=1")
            event("monitor_started", listen=endpoint)
            if on_ready is not None:
                on_ready(endpoint)
            while not (stop.is_set() or serving.done()):
                await _pause(stop, serving)
                await asyncio.to_thread(read)
                status.write()
                notify("WATCHDOG=1")
        finally:
            notify("STOPPING=1")
            server.should_exit = True
            await serving
            status.write(stopped=True)
            event("monitor_stopped")


def read_snapshot(config: Config, clock: Clock) -> NodeSnapshot:
    """The node now: status files, free space, write-ahead logs, the kernel's word on the clock."""
    node = config.node
    synchronised = kernel_synchronised()
    status = read_node_status(
        node_id=node.id,
        run_dir=node.run_dir,
        state_dir=node.state_dir,
        rpo_limits_s={destination.name: destination.rpo_limit_s for destination in config.replica.destination},
        clock=clock,
        synchronised=synchronised,
        disk_free=free_bytes,
    )
    databases = [path for name in DATABASES if (path := db_path(node.state_dir, name)).exists()]
    folders = {str(path): free_bytes(path) for path in (node.state_dir, config.replica.local)}
    return snapshot(
        status,
        clock_synchronised=synchronised,
        disk_free_bytes={path: free for path, free in folders.items() if free is not None},
        wal_bytes={str(path): wal_bytes(path) for path in databases},
        sqlite_version=sqlite_version,
    )


def free_bytes(folder: Path) -> int | None:
    """Bytes that this user may still write on the folder's disk; None where there is no such folder."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


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


async def _pause(stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
    """Until the next turn is due, or there is none: told to stop, or the server ended."""
    told = asyncio.create_task(stop.wait())
    await asyncio.wait((told, serving), timeout=EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()


class _Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn raises SIGTERM again after its shutdown, and nothing behind it would run."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:  # type: ignore[override]
        yield


def _server_config(read: Callable[[], NodeSnapshot]) -> uvicorn.Config:
    return uvicorn.Config(
        metrics_app(make_registry(read)),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_GRACE_S,
    )


@contextlib.contextmanager
def _listening(endpoint: Endpoint) -> Iterator[socket.socket]:
    """A listening socket. Raises ServiceError with what to do when the address cannot be had."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        listener = socket.create_server((endpoint.host, endpoint.port), family=family)
    except OSError as error:
        raise _cannot_listen(endpoint, error) from error
    with listener:
        yield listener


def _cannot_listen(endpoint: Endpoint, error: OSError) -> ServiceError:
    if error.errno == errno.EADDRINUSE:
        return ServiceError(
            "already-running",
            f"another program listens on {endpoint}",
            context=None,
            hint=f"ss -ltnp 'sport = :{endpoint.port}' shows it; monitor.listen changes our address",
        )
    return ServiceError(
        "privilege-missing",
        f"metrics cannot be served on {endpoint}: {error.strerror}",
        context="ports below 1024 and addresses of other machines are not ours to take",
        hint="set monitor.listen to an address of this machine and a port from 1024 on",
        exit_code=ExitCode.NETWORK,
    )
