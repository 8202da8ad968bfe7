"""A node's folder with upstreams, and its outbox: in a thread of the test, or as a process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_node.base.clock import SystemClock
from edge_node.base.files import StatusFile, read_status
from edge_node.config.load import load
from edge_node.config.schema import Config
from edge_node.services import outbox as service
from edge_node.store.connection import Connection, connect
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.migrate import create_database
from tests.support.waiting import until

TOPICS = '["patient", "encounter", "payment", "statistics.day"]'


def an_upstream(url: str, *, name: str = "platform", kind: str = "http", more: str = "") -> str:
    """A table of the configuration."""
    return f'[[upstream]]\nname = "{name}"\nkind = "{kind}"\nurl = "{url}"\ntopics = {TOPICS}\n{more}\n'


def a_home(folder: Path, *upstreams: str) -> Path:
    """What the outbox and the HIS need."""
    for name in ("data", "credentials", "run"):
        (folder / name).mkdir(parents=True)
    for name, secret in (("his-secret", "ab" * 32), ("data-key", "cd" * 32)):
        path = folder / "credentials" / name
        path.write_text(secret)
        path.chmod(0o600)
    text = '[node]\nid = "clinic-0042"\n[replica]\nplain = true\n' + "".join(upstreams)
    (folder / "edge-node.toml").write_text(text)
    create_database(db_path(folder, "his"), DATABASES["his"])
    return folder


@contextlib.contextmanager
def the_database(home: Path) -> Iterator[Connection]:
    """A writing connection beside the outbox's own."""
    with contextlib.closing(connect(db_path(home, "his"))) as conn:
        yield conn


def state_of(home: Path) -> dict[str, Any]:
    """What the outbox said last."""
    file = read_status(home / "run", "outbox")
    return dict(file.state) if file else {}


def says_mode(home: Path, name: str) -> None:
    """As the watcher of the lines writes it."""
    StatusFile(home / "run", "links", every_s=60.0).write({"mode": {"name": name}}, SystemClock())


class RunningOutbox:
    """The service in a thread of this process; `error` is what ended it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.error: BaseException | None = None
        self._ready = threading.Event()
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        until(lambda: self._ready.is_set() or not self._thread.is_alive())
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        async def serve() -> None:
            stop = asyncio.Event()
            self._stop = asyncio.get_running_loop(), stop
            await service.serve(a_config(self.home), SystemClock(), stop, on_ready=self._ready.set)

        try:
            asyncio.run(serve())
        except BaseException as error:
            self.error = error

    def stop(self) -> float:
        """Ask it to stop; returns how long it took."""
        began = time.monotonic()
        if self._thread.is_alive() and self._stop is not None:
            loop, stop = self._stop
            loop.call_soon_threadsafe(stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        return time.monotonic() - began


def a_config(home: Path) -> Config:
    return load(home / "edge-node.toml", home=home)


@contextlib.contextmanager
def running_outbox(home: Path) -> Iterator[RunningOutbox]:
    """The service until the block ends; what ended it by itself is raised."""
    outbox = RunningOutbox(home)
    try:
        yield outbox
    finally:
        outbox.stop()
        if outbox.error is not None:
            raise outbox.error


@contextlib.contextmanager
def a_process(
    service_name: str, home: Path, *arguments: str, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`edge-node run NAME` as a child, gone afterwards."""
    argv = [sys.executable, "-m", "edge_node", "run", service_name, "--home", str(home), *arguments]
    with (log or home / f"{service_name}.log").open("ab") as file:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
