"""The loop: look what is due, deliver it, write what came of it in batches.

Reading is cheap and done here; writing waits for the lock that the staff use, so it has a thread and gives up soon.
No transaction is ever open while anything travels.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from edge_node.base.clock import Clock
from edge_node.base.errors import StoreError
from edge_node.base.instruments import Counter
from edge_node.base.logs import Repeated, event
from edge_node.outbox import queue
from edge_node.outbox.dispatch import Dispatch
from edge_node.outbox.model import Message, Settlement
from edge_node.outbox.queue import Counts
from edge_node.outbox.transport import Transport
from edge_node.store.connection import (
    DatabaseError,
    close_keeping_wal,
    connect,
    connect_reader,
    transaction,
)
from edge_node.store.failures import file_replaced, store_error, store_errors

# How soon a message is noticed. To look costs 20 µs.
LOOK_EVERY_S = 0.2
# Messages that wait become due by themselves: the table is asked this often also when nobody wrote.
ASK_EVERY_S = 1.0
# Whoever has the lock has it for milliseconds; outcomes that cannot be written now are written a little later.
BUSY_TIMEOUT_MS = 500
# At the end, what is known already is written if the lock can be had.
LAST_BUSY_TIMEOUT_MS = 300


class Sender:
    """Delivers the messages of one database.

    `transports` by upstream, closed at the end; `is_offline` is asked at every look; `draw` draws the lots of backoffs.
    Raises StoreError db-missing.
    """

    def __init__(
        self,
        path: Path,
        transports: Mapping[str, Transport],
        *,
        clock: Clock,
        is_offline: Callable[[], bool],
        attempts: Counter,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._path = path
        self._transports = transports
        self._clock = clock
        self._is_offline = is_offline
        self._draw = draw
        self._reader = connect_reader(path)
        self._writer = connect(path)
        self._writer.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        self._file = _identity(path)
        self._version = -1
        self._looked_at = self._asked_at = float("-inf")
        self._is_new = True
        self._counts_are_old = True
        self.last_counts: Mapping[str, Counts] = {}
        self._done_then = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._settling: asyncio.Task[None] | None = None
        self._bug: BaseException | None = None
        self._failures = Repeated()
        self.write_error: str | None = None
        self.dispatch = Dispatch(transports, attempts=attempts)
        with store_errors(path):
            for upstream in transports:
                if (at := queue.last_delivered_at(self._reader, upstream)) is not None:
                    self.dispatch.delivered_at[upstream] = at

    async def run(self, stop: asyncio.Event, *, turn: Callable[[], None]) -> None:
        """Deliver until `stop` is set, then let go of everything; `turn` is called after each turn of the loop.

        Raises StoreError when the database cannot be read, or is not the file that was opened.
        """
        hearing = asyncio.create_task(self._hear(stop))
        try:
            while not stop.is_set():
                with store_errors(self._path):
                    self._look()
                    self._fill()
                self._settle()
                if self._bug is not None:
                    raise self._bug
                turn()
                await self._rest()
        finally:
            await self._end(hearing)

    async def _hear(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._news.set()

    async def _end(self, hearing: asyncio.Task[None]) -> None:
        """What is under way is let go: it will be sent again under its key. What is known is written."""
        tasks = (hearing, *self._tasks)
        for task in tasks:
            task.cancel()
        settling = (self._settling,) if self._settling is not None else ()
        await asyncio.gather(*tasks, *settling, return_exceptions=True)
        await asyncio.to_thread(self._settle_the_last)
        for transport in self._transports.values():
            await transport.close()
        self._close()

    def counts(self) -> Mapping[str, Counts]:
        """How many messages stand where, by upstream; read anew when somebody wrote. Raises StoreError.

        Not while outcomes are being written: the table would be ahead of what the dispatch counts as done.
        """
        if self._counts_are_old and not self._is_settling():
            with store_errors(self._path):
                self.last_counts = queue.counts(self._reader)
            self._counts_are_old = False
            if not _left(self.last_counts) and not self.dispatch.is_under_way():
                self.dispatch.done = 0
            self._done_then = self.dispatch.done
        return self.last_counts

    def since_outage(self) -> int:
        """How many had to be sent since the queue was last empty, by the counts that were read last."""
        left = _left(self.last_counts)
        return self._done_then + left if left else 0

    def _look(self) -> None:
        """Has anybody written, and what does the watcher say?"""
        now = self._clock.boottime()
        if now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        if self.dispatch.mode(self._is_offline(), now=now, now_ms=self._clock.wall_ms()):
            self._is_new = True
        (version,) = self._reader.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self._is_new = self._counts_are_old = True
            self.dispatch.look_again()
        if now - self._asked_at >= ASK_EVERY_S:
            self._is_new = True
            if _identity(self._path) != self._file:
                raise file_replaced(self._path)

    def _fill(self) -> None:
        """Ask the table where there is room, and start what it names."""
        now = self._clock.boottime()
        if self._is_new:
            self._is_new, self._asked_at = False, now
            now_ms = self._clock.wall_ms()
            for question in self.dispatch.questions(now):
                self.dispatch.offer(question.upstream, queue.due(self._reader, now_ms=now_ms, **asdict(question)))
        for message in self.dispatch.start(now):
            task = asyncio.create_task(self._deliver(message))
            self._tasks.add(task)
            task.add_done_callback(self._is_over)

    def _is_over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._bug = bug
        self._news.set()

    async def _deliver(self, message: Message) -> None:
        outcome = await self._transports[message.upstream].deliver(message)
        self.dispatch.ended(
            message, outcome, now=self._clock.boottime(), now_ms=self._clock.wall_ms(), jitter=self._draw()
        )
        self._is_new = True

    def _settle(self) -> None:
        """Write what is due beside the deliveries, which go on: the staff's transaction may come first."""
        if self._is_settling():
            return
        if batch := self.dispatch.batch(self._clock.boottime()):
            self._settling = asyncio.create_task(self._settle_batch(batch))
            self._settling.add_done_callback(self._is_over)

    def _is_settling(self) -> bool:
        return self._settling is not None and not self._settling.done()

    async def _settle_batch(self, batch: Sequence[Settlement]) -> None:
        error = await asyncio.to_thread(self._write, batch)
        if error is None:
            self.dispatch.written(batch, self._clock.boottime())
            self._counts_are_old = True
        self._remember(error)

    def _write(self, batch: Sequence[Settlement]) -> StoreError | None:
        """One short transaction. A failure is an outcome: nothing is lost, it is tried again."""
        try:
            with transaction(self._writer):
                queue.settle(self._writer, batch)
        except DatabaseError as error:
            failure = store_error(error, self._path)
            if failure is None:
                raise
            return failure
        return None

    def _remember(self, error: StoreError | None) -> None:
        if error is not None:
            self.write_error = error.message
            if self._failures.failed():
                event("outcomes_not_written", level="warning", code=error.code, times=self._failures.count)
        elif self.write_error is not None:
            self.write_error = None
            event("outcomes_written_again", failures=self._failures.recovered())

    async def _rest(self) -> None:
        """Until the next look, an outcome, or what is due by itself."""
        now = self._clock.boottime()
        due_at = None if self._is_settling() else self.dispatch.wake_at(now)
        wake_at = min(self._looked_at + LOOK_EVERY_S, due_at or float("inf"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wake_at - now)):
                await self._news.wait()
        self._news.clear()

    def _settle_the_last(self) -> None:
        with contextlib.suppress(DatabaseError):
            self._writer.execute(f"PRAGMA busy_timeout={LAST_BUSY_TIMEOUT_MS}")
            if batch := self.dispatch.last_batch():
                self._write(batch)
            self.last_counts = queue.counts(self._reader)

    def _close(self) -> None:
        with contextlib.suppress(DatabaseError):
            self._reader.close()
        with contextlib.suppress(DatabaseError, StoreError):
            close_keeping_wal(self._writer)


def _left(counts: Mapping[str, Counts]) -> int:
    """What is to be sent and can be; what stands behind a dead letter waits for a person, not for us."""
    return sum(one.open - one.held for one in counts.values())


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file the path names: SQLite goes on writing into one that was deleted."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
