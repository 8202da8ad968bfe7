"""The HIS: pages for the clinic, one process, one writing thread.

It needs the database and nothing else: no line, no other service of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from edge_node.base.clock import Clock, SystemClock
from edge_node.base.errors import StoreError
from edge_node.base.instruments import Histogram
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.his import request_key
from edge_node.his.app import MAX_FORM_BYTES, REQUEST_BOUNDS_S, create_app
from edge_node.his.context import HisContext
from edge_node.his.health import prove_write, writes
from edge_node.his.sentinel import Sentinels
from edge_node.his.staff import queries as staff
from edge_node.his.staff.passwords import HASHED_AT
from edge_node.outbox.model import Route
from edge_node.replication.epoch import current_epoch
from edge_node.services.alone import alone
from edge_node.services.copy_desk import CopyDesk
from edge_node.services.his_secrets import cipher, session_secret
from edge_node.services.line_pictures import LinePictures
from edge_node.services.own_status import OwnStatus
from edge_node.services.page_certificate import PageCertificate
from edge_node.services.web_lanes import Lanes
from edge_node.services.web_server import AsgiApp, WholeBody, listening, make_server
from edge_node.services.web_turns import run_until_signal, serve_in_turns
from edge_node.status import NodeStatus, ServiceState, status_reader
from edge_node.status.superseded import SupersededFile
from edge_node.store.connection import Connection
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.inspect import wal_bytes
from edge_node.store.migrate import check
from edge_node.store.writer import Writer

T = TypeVar("T")

EVERY_S = 2.0
# More of them finish nothing sooner, since all share one interpreter: with 50 desks that never pause, a write waited
# half a second behind 16 threads without lanes, and 30 ms so (medians). A page that is slow leaves the rest to others.
# One hash at a time: twenty wrong sign-ins at once made a save wait 1.6 s in the same lane, and 20 ms with one of their
# own. The other core, and the other of two hashes at once, stay for whoever proves who it is before a signature.
LOOKING, SAVING, ENTERING = 4, 2, 1
THREADS = LOOKING + SAVING + ENTERING
# How long a thread may keep the interpreter while others want it. A write gives it back at each statement, and waited
# for up to Python's own 5 ms each time until it had it again.
SWITCH_S = 0.0005
# More chunks than any page has, so that a slow reader never holds a thread.
SEND_QUEUE = 256
# Above this, and with Litestream dead, the writing thread makes the checkpoints itself.
WAL_LIMIT_BYTES = 64 * 1024 * 1024
# Every page shows the node's status; several in the same half second show the same.
STATUS_AGE_S = 0.5
CLEAR_EVERY_S = 6 * 3600.0
# Writing is tried this often while nothing fails: each try is a commit, and the figures are to be the clinic's.
TRY_EVERY_S = 20.0
COMMIT_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def run(config: Config) -> None:
    """Serve the clinic until SIGTERM or SIGINT.

    Raises StoreError (no database, or one of another version), ConfigError (a credential is missing or unusable) and
    ServiceError (the address cannot be had, or another HIS serves this database).
    """
    os.umask(0o027)
    _allow_many_connections()
    sys.setswitchinterval(SWITCH_S)
    run_until_signal(lambda stop: serve(config, SystemClock(), stop))


async def serve(
    config: Config,
    clock: Clock,
    stop: asyncio.Event,
    *,
    on_ready: Callable[[Endpoint], None] | None = None,
    around: Callable[[AsgiApp], AsgiApp] = lambda app: app,
) -> None:
    """Serve until `stop` is set; `on_ready` is told the address, with the port that a port of 0 became.

    `around` may put something around the application, such as a stop-watch.

    Order of the stop: no new requests, answers for those that came, the writing thread's last COMMIT, the status file.
    """
    parts = _Parts(config, clock)
    database = db_path(config.node.state_dir, "his")
    with (
        alone(
            database.with_name(f"{database.name}.server"),
            who=f"another HIS serves {database}",
            hint="stop it first: systemctl stop edge-his, or end edge-node up",
        ) as was_killed,
        listening(config.his.listen, setting="his.listen") as sockets,
        contextlib.closing(parts.writer),
    ):
        server = make_server(around(parts.asgi), tls=parts.tls.shown if parts.tls else None)
        parts.writer.start()
        if was_killed:
            parts.follow_a_kill()
        await serve_in_turns(
            "his", server, sockets, stop, turn=parts.turn, every_s=EVERY_S, last_words=parts.end, on_ready=on_ready
        )


class _Parts:
    """The HIS put together from its configuration; `turn` is what it does every two seconds."""

    def __init__(self, config: Config, clock: Clock) -> None:
        state_dir = config.node.state_dir
        self._path = db_path(state_dir, "his")
        check(self._path, DATABASES["his"])
        self._clock = clock
        self._status = OwnStatus(config.node.run_dir, "his", clock, every_s=EVERY_S)
        self._cleared_at, self._tried_at = -CLEAR_EVERY_S, -TRY_EVERY_S
        self._write_error: str | None = None
        self._superseded = SupersededFile(state_dir)
        self._began_after_kill_at: int | None = None
        self.tls = PageCertificate(config, config.his.tls, clock) if config.his.tls else None
        node_status = remembered(status_reader(config, clock), clock, for_s=STATUS_AGE_S)
        self._requests = Histogram(REQUEST_BOUNDS_S)
        self._commits, self._batches = Histogram(COMMIT_BOUNDS_S), Histogram(BATCH_BOUNDS)
        self.writer = Writer(
            self._path, commit_seconds=self._commits, batch_size=self._batches, wal_limit_bytes=WAL_LIMIT_BYTES,
            litestream_alive=lambda: _litestream_lives(node_status()), clock=clock,
        )  # fmt: skip
        self._sentinels = Sentinels(state_dir, self.writer, clock, lambda: node_status().clock)
        context = HisContext(
            db_path=self._path, writer=self.writer, clock=clock, node_status=node_status,
            cipher=cipher(state_dir), clinic_name=config.node.name, node_code=config.node.code,
            epoch=lambda: current_epoch(state_dir), language=config.his.language, idle_lock_s=config.his.idle_lock_s,
            upstreams=tuple(Route(upstream=one.name, topics=one.topics) for one in config.upstream),
            superseded=self._superseded,
            line_history=LinePictures(config, clock), copies=CopyDesk(config, clock), contact=config.node.contact,
            authority=self.tls.clinic_authority if self.tls is not None else lambda: None,
        )  # fmt: skip
        app = create_app(
            context, secret_key=session_secret(state_dir), secure=self.tls is not None,
            request_seconds=self._requests,
        )  # fmt: skip
        self._lanes = Lanes(
            app, looking=LOOKING, saving=SAVING, entering=ENTERING, entrances=HASHED_AT, send_queue=SEND_QUEUE
        )
        self.asgi = WholeBody(self._lanes, limit_bytes=MAX_FORM_BYTES)

    def follow_a_kill(self) -> None:
        """The HIS before was killed, perhaps between the frames of a transaction and SQLite's index over them.

        SQLite then forgets that transaction, but Litestream, which reads the file, may have captured it (measured: it
        captured nothing more, or a damaged copy). A write of our own takes the place of those frames, and the
        replicator reads from the status file that Litestream must begin anew.
        """
        with contextlib.suppress(StoreError):
            self.writer.submit(prove_write)
        self._began_after_kill_at = self._clock.wall_ms()

    def turn(self) -> None:
        """Find out whether it can write, clear what nobody needs, and say how it is."""
        self._clear_if_due()
        if self._superseded() is None:
            self._sentinels.turn()
        if self.tls is not None:
            self.tls.turn()
        now = self._clock.boottime()
        if self.writer.last_error or now - self._tried_at >= TRY_EVERY_S:
            self._tried_at, self._write_error = now, writes(self.writer)
        self._write_status(self._write_error)

    def end(self) -> None:
        """The last words of an orderly stop."""
        self._lanes.shutdown()
        self.writer.close()
        self._write_status(None, stopped=True)

    def _clear_if_due(self) -> None:
        if self._clock.boottime() - self._cleared_at < CLEAR_EVERY_S:
            return
        now = self._clock.wall_ms()

        def clear(conn: Connection) -> None:
            request_key.forget(conn, now=now)
            staff.forget_old(conn, now=now)

        # A full disk shows in the status anyway; the next turn tries again.
        with contextlib.suppress(StoreError):
            self.writer.submit(clear)
            self._cleared_at = self._clock.boottime()

    def _write_status(self, write_error: str | None, *, stopped: bool = False) -> None:
        owner = self._superseded()
        state: dict[str, Any] = {
            "writable": write_error is None and owner is None,
            "write_error": owner.refusal().message if owner else write_error,
            "superseded": asdict(owner) if owner else None,
            "wal_bytes": wal_bytes(self._path),
            "requests": self._requests.samples(),
            "commit_seconds": self._commits.samples(),
            "commit_batch_size": self._batches.samples(),
            **(self.tls.state() if self.tls is not None else {"certificates": [], "problems": []}),
            "began_after_kill_at": self._began_after_kill_at,
            "sentinel": self._sentinels.state,
        }
        self._status.write(state, stopped=stopped)


def remembered(read: Callable[[], T], clock: Clock, *, for_s: float) -> Callable[[], T]:
    """A function that reads at most once in `for_s`, from any thread."""
    lock = threading.Lock()
    last: list[tuple[float, T]] = []

    def reading() -> T:
        with lock:
            now = clock.boottime()
            if not last or now - last[0][0] >= for_s:
                last[:] = [(now, read())]
            return last[0][1]

    return reading


def _litestream_lives(status: NodeStatus) -> bool:
    return status.services.get("replica") is ServiceState.OK and status.replica["litestream"] == "running"


def _allow_many_connections() -> None:
    """As many open files as the machine allows: half-open connections must not use up the default of 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
