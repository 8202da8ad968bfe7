"""The outbox: delivers messages upstream, one sender per database.

It reads his.db like anybody, and writes outcomes only, in batches, so that the staff do not notice. Without an upstream
it says so in its status file and waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from edge_node.base.clock import Clock, SystemClock, boot_id, utc_text
from edge_node.base.errors import EdgeError, StoreError
from edge_node.base.files import StatusReader
from edge_node.base.instruments import Counter
from edge_node.base.logs import Repeated, event
from edge_node.base.systemd import credential_path, notify, watchdog_interval_s
from edge_node.config.schema import Config, Upstream, UpstreamKind
from edge_node.outbox import queue
from edge_node.outbox.mode import is_offline
from edge_node.outbox.queue import Counts, prove_write
from edge_node.outbox.sender import Sender
from edge_node.outbox.transport import Transport
from edge_node.outbox.transport.http import HttpTransport
from edge_node.services.alone import alone
from edge_node.services.own_status import OwnStatus
from edge_node.status import Reason
from edge_node.status.superseded import SupersededFile
from edge_node.store.connection import DatabaseError, close_keeping_wal, connect, connect_reader, transaction
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.migrate import check

EVERY_S = 1.0
# After the database could not be read (it is being restored, the disk is going) it is opened again.
REOPEN_S = 2.0


def run(config: Config) -> None:
    """Deliver until SIGTERM or SIGINT. Blocks; must be called in the main thread.

    Raises StoreError (no database, or one of another version) and ServiceError already-running.
    """
    os.umask(0o027)

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(config, SystemClock(), stop)

    asyncio.run(main())


async def serve(
    config: Config, clock: Clock, stop: asyncio.Event, *, on_ready: Callable[[], None] | None = None
) -> None:
    """Deliver until `stop` is set; `on_ready` is called when the first turn is done. Raises as `run`."""
    database = db_path(config.node.state_dir, "his")
    check(database, DATABASES["his"])
    with alone(
        database.with_name(f"{database.name}.sender"),
        who=f"another outbox sends the messages of {database}",
        hint="stop it first: systemctl stop edge-outbox, or end edge-node up",
    ) as was_killed:
        service = _Service(config, clock, on_ready)
        if was_killed:
            service.follow_a_kill()
        await service.run(stop)


class _Service:
    def __init__(self, config: Config, clock: Clock, on_ready: Callable[[], None] | None) -> None:
        self._node = config.node
        self._upstreams: Mapping[str, Upstream] = {one.name: one for one in config.upstream}
        self._path = db_path(config.node.state_dir, "his")
        self._clock = clock
        self._on_ready = on_ready
        self._attempts = Counter()
        self._links = StatusReader(config.node.run_dir, "links")
        self._status = OwnStatus(config.node.run_dir, "outbox", clock, every_s=EVERY_S)
        self._written_at = float("-inf")
        self._said: object = None
        self._is_ready = False
        self._watchdog_s = watchdog_interval_s()
        self._failures = Repeated()
        self._began_after_kill_at: int | None = None
        self._superseded = SupersededFile(config.node.state_dir)
        self._last_counts: Mapping[str, Counts] = {}

    async def run(self, stop: asyncio.Event) -> None:
        state: dict[str, Any] = self._state({}, None, [])
        try:
            while not stop.is_set():
                if self._superseded() is not None:
                    state = await self._stand_still(stop)
                    continue
                try:
                    sender = Sender(
                        self._path, self._transports(), clock=self._clock, is_offline=self._is_offline,
                        attempts=self._attempts,
                    )  # fmt: skip
                    await self._send(sender, stop)
                    state = self._state(sender.last_counts, sender, [])
                except StoreError as error:
                    state = self._cannot_read(error)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(REOPEN_S):
                            await stop.wait()
        finally:
            self._status.write(state, stopped=True)
            event("outbox_stopped")

    async def _send(self, sender: Sender, stop: asyncio.Event) -> None:
        """Deliver until the stop, or until another machine has replaced this one and sends these messages itself."""
        ends = asyncio.Event()

        async def pass_on() -> None:
            await stop.wait()
            ends.set()

        def turn() -> None:
            if self._superseded() is not None:
                event("outbox_superseded", level="error")
                ends.set()
            self._turn(sender)

        passing = asyncio.create_task(pass_on())
        try:
            await sender.run(ends, turn=turn)
        finally:
            passing.cancel()

    async def _stand_still(self, stop: asyncio.Event) -> dict[str, Any]:
        """Replaced: the new machine has these messages too, and sends them under their keys."""
        with contextlib.suppress(StoreError, DatabaseError), contextlib.closing(connect_reader(self._path)) as conn:
            self._last_counts = queue.counts(conn)
        state = self._state(self._last_counts, None, [Reason(code="outbox-superseded")])
        self._status.write(state)
        self._say_ready()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await stop.wait()
        return state

    def follow_a_kill(self) -> None:
        """The sender before was killed, perhaps between the frames of a transaction and SQLite's index over them.

        As after a killed HIS: a row of our own takes the place of those frames, and the replicator is told.
        """
        with contextlib.suppress(StoreError, DatabaseError):
            conn = connect(self._path)
            try:
                with transaction(conn):
                    prove_write(conn)
            finally:
                close_keeping_wal(conn)
        self._began_after_kill_at = self._clock.wall_ms()

    def _transports(self) -> dict[str, Transport]:
        node_id, state_dir = self._node.id, self._node.state_dir
        return {
            name: HttpTransport(
                one.url, node_id=node_id, clock=self._clock,
                token_path=credential_path(one.credential, state_dir=state_dir) if one.credential else None,
            )
            for name, one in self._upstreams.items()
            if one.kind is UpstreamKind.HTTP
        }  # fmt: skip

    def _is_offline(self) -> bool:
        return is_offline(self._links(), now=self._clock.boottime(), this_boot=boot_id())

    def _turn(self, sender: Sender) -> None:
        """Say how it is, every second and when anything but a number changed."""
        now = self._clock.boottime()
        says = (sender.write_error, sender.dispatch.says())
        if now - self._written_at < EVERY_S and says == self._said:
            return
        self._said, self._written_at = says, now
        self._status.write(self._state(sender.counts(), sender, []))
        if times := self._failures.recovered():
            event("outbox_reads_again", failures=times)
        self._say_ready()

    def _say_ready(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            notify("READY=1")
            event("outbox_started", upstreams=",".join(self._upstreams) or None)
            if self._on_ready is not None:
                self._on_ready()
        if self._watchdog_s is not None:
            notify("WATCHDOG=1")

    def _cannot_read(self, error: EdgeError) -> dict[str, Any]:
        if self._failures.failed():
            event("outbox_cannot_read", level="error", code=error.code, why=error.message, times=self._failures.count)
        state = self._state({}, None, [Reason(code="outbox-cannot-read", args={"why": error.message})])
        self._status.write(state)
        if self._watchdog_s is not None:
            notify("WATCHDOG=1")
        return state

    def _state(self, counts: Mapping[str, Counts], sender: Sender | None, problems: list[Reason]) -> dict[str, Any]:
        dispatch = sender.dispatch if sender else None
        lanes = dispatch.lanes if dispatch else {}
        # Also those that the configuration does not name any more: their messages wait, and nobody would know.
        names = [*self._upstreams, *(name for name in counts if name not in self._upstreams)]
        upstreams = []
        for name in names:
            lane = lanes.get(name)
            one = counts.get(name, Counts())
            upstreams.append(
                {
                    "name": name,
                    "queued": one.queued,
                    "waiting": one.waiting,
                    "dead": one.dead,
                    "held": one.held,
                    "oldest_queued_at": _utc(one.oldest_queued_at),
                    "paused": lane.paused.as_json() if lane and lane.paused else None,
                    "failing": lane.failing.as_json() if lane and lane.failing else None,
                    "last_delivered_at": _utc(dispatch.delivered_at.get(name)) if dispatch else None,
                }
            )
        oldest = [one.oldest_queued_at for one in counts.values() if one.oldest_queued_at is not None]
        delivered = list(dispatch.delivered_at.values()) if dispatch else []
        return {
            "queued": sum(one.queued for one in counts.values()),
            "waiting": sum(one.waiting for one in counts.values()),
            "dead": sum(one.dead for one in counts.values()),
            "held": sum(one.held for one in counts.values()),
            "urgent": sum(one.urgent for one in counts.values()),
            "oldest_queued_at": _utc(min(oldest, default=None)),
            "paused_upstreams": [name for name, lane in lanes.items() if lane.paused is not None],
            "since_outage": sender.since_outage() if sender else 0,
            "last_delivered_at": _utc(max(delivered, default=None)),
            "upstreams": upstreams,
            "attempts": self._attempts.samples(),
            "problems": [reason.as_json() for reason in (*problems, *self._problems(counts, sender))],
            "began_after_kill_at": self._began_after_kill_at,
        }

    def _problems(self, counts: Mapping[str, Counts], sender: Sender | None) -> list[Reason]:
        found = [
            Reason(code="upstream-unsupported", args={"upstream": name, "kind": str(one.kind)})
            for name, one in self._upstreams.items()
            if one.kind is not UpstreamKind.HTTP
        ]
        found += [
            Reason(code="upstream-unconfigured", args={"upstream": name, "messages": one.open})
            for name, one in counts.items()
            if name not in self._upstreams and one.open
        ]
        if sender is not None:
            found += sender.dispatch.paused()
            if sender.write_error is not None:
                found.append(Reason(code="outbox-cannot-write", args={"why": sender.write_error}))
        return found


def _utc(wall_ms: int | None) -> str | None:
    return None if wall_ms is None else utc_text(wall_ms)
