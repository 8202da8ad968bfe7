"""Mirrors one database to one destination: the three lanes of `shipping_plan`, and the checks before them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edge_node.base.clock import Clock
from edge_node.base.instruments import Counter
from edge_node.base.logs import event
from edge_node.base.retry import backoff_s
from edge_node.replication import shipping_plan
from edge_node.replication.bandwidth import Lane
from edge_node.replication.destination import (
    HISTORY_IN_FLIGHT,
    Destination,
    DestinationFailed,
    RemoteObject,
    Sent,
    listed_files,
    object_key,
    offload,
)
from edge_node.replication.lag import Lag
from edge_node.replication.lag_watch import LagWatch
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.ltx import LtxFile, Span, local_path
from edge_node.replication.pace import Pace, Upload
from edge_node.replication.sealing import SUFFIX
from edge_node.replication.shipping_plan import Held
from edge_node.replication.shipping_record import Confirmed, CopyRecord
from edge_node.replication.store import TIME_GRAIN_MS

# The answers of this many questions about times are waited for at once.
ASKED_IN_FLIGHT = 16
HISTORY_EVERY_S = 10.0
SNAPSHOTS_EVERY_S = 15.0
# The cap bounds how long after its return a destination stays unnoticed.
RETRY_BASE_S, RETRY_CAP_S = 0.5, 2.0
LOOK_EVERY_S = 4.0
RELIST_EVERY_S = 24 * 3600.0
COMPARED_EVERY_S = 60.0
# When nothing is remembered, so many of the newest files are compared with what is here.
COMPARED_FILES = 200


class Link(Protocol):
    """The destination as all its mirrors share it."""

    async def ready(self) -> bool:
        """Connect and claim if need be; false when nothing may be shipped there. Raises DestinationFailed."""
        ...

    def may_ship(self) -> bool:
        """Does nobody else own what lies there? Known without asking."""
        ...

    def failed(self, error: DestinationFailed) -> None: ...

    def answered(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """How one copy stands. `confirmed_at_ms` is the time of the newest commit that a restore from it would bring."""

    confirmed_txid: int
    confirmed_at_ms: int | None
    lag: Lag
    catch_up_s: float | None
    set_back: str | None


class Mirror:
    """Keeps one database's files at one destination; `run` until cancelled, `wake` when local files have changed."""

    def __init__(
        self,
        *,
        database: str,
        local: LocalReplica,
        destination: Destination,
        prefix: str,
        record: CopyRecord,
        changed: Callable[[], None],
        link: Link,
        uploads: Counter,
        clock: Clock,
    ) -> None:
        self.database = database
        self._local = local
        self._destination = destination
        self._prefix = prefix
        self._record = record
        self._changed = changed
        self._link = link
        self._uploads = uploads
        self._clock = clock
        self._listed_at: float | None = None
        self._forgotten = 0
        self._wakes = tuple(asyncio.Event() for _ in range(3))
        self._missed: Confirmed | None = None
        self._compare_at = float("-inf")
        self._pace = Pace()
        self._upload: Upload | None = None
        self._lag = LagWatch(local, clock)
        self._takes_history = True

    @property
    def frontier(self) -> int:
        """The newest TXID that a restore from the destination reaches, as far as it has confirmed."""
        return self._record.held.frontier

    def wake(self, *, history: bool = True) -> None:
        """Local files have changed; `history` when there is more than captures, which the frontier lane takes."""
        for lane in self._wakes if history else self._wakes[:1]:
            lane.set()

    def take_history(self, allowed: bool) -> None:
        """May history and snapshots travel? What extends the frontier always may."""
        if allowed and not self._takes_history:
            self.wake()
        self._takes_history = allowed

    def forget_listing(self) -> None:
        """What the destination holds must be listed again before anything is sent."""
        self._listed_at = None
        self._forgotten += 1

    async def lacks_newest(self) -> bool:
        """Has the newest file that it confirmed gone? A disk in its place, or an older image of it, lacks it.

        What is remembered of it is then of no use: shipping on would leave a hole, and call it current. Said once: it
        may have been deleted with right. Raises DestinationFailed.
        """
        newest = self._record.newest
        if newest is None or self._listed_at is None or newest == self._missed:
            return False
        file = newest.file
        if await self._destination.head(object_key(self._prefix, file, self._destination.sealer.suffix)) is not None:
            return False
        event(
            "destination_lacks_newest", level="error", destination=self._destination.name,
            database=self.database, file=file.name, ltx_level=file.level,
        )  # fmt: skip
        self._missed = newest
        return True

    async def run(self) -> None:
        """Ship until cancelled."""
        frontier, history, snapshots = self._wakes
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._lane(self._extend, frontier, every_s=LOOK_EVERY_S))
            lanes.create_task(self._lane(self._fill_in, history, every_s=HISTORY_EVERY_S))
            lanes.create_task(self._lane(self._send_snapshot, snapshots, every_s=SNAPSHOTS_EVERY_S))

    async def _lane(
        self, turn: Callable[[], Coroutine[Any, Any, None]], wake: asyncio.Event, *, every_s: float
    ) -> None:
        attempt = 0
        while True:
            wake.clear()
            try:
                await turn()
            except DestinationFailed as error:
                attempt += 1
                self._uploads.add(self._destination.name, "failed")
                self._pace.broke_off()
                self._link.failed(error)
                await asyncio.sleep(backoff_s(attempt, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, jitter=random.random()))
            else:
                attempt = 0
                # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the result.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(every_s):
                        await wake.wait()

    # The frontier lane: serial, and the only one that may send what lies above the frontier.
    async def _extend(self) -> None:
        if not await self._link.ready():
            return
        now = self._clock.boottime()
        if await self._is_back(now):
            self._listed_at = None
        if self._listed_at is None or now - self._listed_at > RELIST_EVERY_S:
            forgotten = self._forgotten
            await self._list()
            # What was forgotten meanwhile may have been emptied behind the listing.
            self._listed_at = now if forgotten == self._forgotten else None
            self.wake()
        while self._may_send() and (chain := shipping_plan.cheapest_chain(self._candidates(), self.frontier)):
            with self._destination.ahead_of_history(sum(file.size_bytes for file in chain)):
                for file in chain:
                    if not self._link.may_ship() or not await self._send_to_extend(file):
                        break  # What is here has changed: plan again.
            if any(file.level > 0 for file in chain):
                self.wake()  # A coarse file was the cheapest way up: history now lacks the fine ones.

    async def _is_back(self, now: float) -> bool:
        """Does it only look set back? A replica whose disk was away does, until what was confirmed lies there again.

        Seldom: what is compared may be a snapshot.
        """
        newest = self._record.newest
        if self._record.set_back is None or newest is None or now < self._compare_at:
            return False
        if not self._local.head >= self.frontier == newest.max_txid:
            return False
        self._compare_at = now + COMPARED_EVERY_S
        here = {file.span: file for file in self._local.files}
        return await offload(lambda: self._is_newest(here)) is True

    async def _send_to_extend(self, file: LtxFile) -> bool:
        upload = self._upload = Upload(began_s=self._clock.boottime())
        try:
            handed = lambda size_bytes: upload.took(size_bytes, now_s=self._clock.boottime())  # noqa: E731
            return await self._send(file, Lane.FRONTIER, handed=handed)
        finally:
            self._upload = None

    def _candidates(self) -> list[LtxFile]:
        return self._local.usable_above(self.frontier)

    def _may_send(self) -> bool:
        """Has the destination been listed, and is what it holds the past of what is here?"""
        if 0 < self._local.head < self.frontier:
            self._set_back(f"it holds TXID {self.frontier}, the local replica ends at {self._local.head}")
        return self._listed_at is not None and self._record.set_back is None and self._link.may_ship()

    # The history lane: parallel, only below the frontier, and not while the destination fails.
    async def _fill_in(self) -> None:
        if not self._may_send() or not self._takes_history:
            return
        todo: Iterator[LtxFile] = iter(shipping_plan.history(self._local.usable, self._record.held))

        async def worker() -> None:
            nonlocal todo
            try:
                while self._may_send() and self._takes_history and (file := next(todo, None)) is not None:
                    await self._send(file, Lane.HISTORY)
            except DestinationFailed:
                todo = iter(())  # Nobody goes on against a destination that fails.
                raise

        results = await asyncio.gather(*(worker() for _ in range(HISTORY_IN_FLIGHT)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _send_snapshot(self) -> None:
        if not self._may_send() or not self._takes_history:
            return
        due = shipping_plan.due_snapshot(self._local.usable, self._record.held)
        # One that is the cheapest way up is the frontier lane's, also while that waits for its next try: both at once
        # would take twice as long.
        if due is not None and due not in shipping_plan.cheapest_chain(self._candidates(), self.frontier):
            await self._send(due, Lane.SNAPSHOT)

    async def _send(self, file: LtxFile, lane: Lane, *, handed: Callable[[int], None] = lambda _bytes: None) -> bool:
        """Send one file; false when it has gone, is unsound, or proves that the two sides are not one history."""
        key = object_key(self._prefix, file, self._destination.sealer.suffix)
        try:
            sent = await self._destination.send(key, local_path(self._local.path, file), lane, handed=handed)
            there = None if sent.created else await self._destination.head(key)
        except FileNotFoundError:
            # Compacted away since it was listed: another look finds the file that covers it.
            self._uploads.add(self._destination.name, "vanished")
            self._local.refresh()
            if file in self._local.files:
                self._local.leave_out(file, "it is listed, and is not there")
            return False
        except ValueError as error:
            self._local.leave_out(file, str(error))
            return False
        if there is not None and (which := _another(there.time_ms, sent.header.timestamp_ms)):
            self._set_back(f"it holds another {file.name} of level {file.level}, {which} than the one here")
            return False
        self._local.take_in(file)
        self._confirmed(file, sent)
        return True

    def _confirmed(self, file: LtxFile, sent: Sent) -> None:
        self._record.held.add(file)
        newest = self._record.newest
        # Of several that reach as far, the one sent first: most often a capture, which lies in two places here.
        if newest is None or file.max_txid > newest.max_txid:
            self._record.newest = Confirmed(
                level=file.level,
                min_txid=file.min_txid,
                max_txid=file.max_txid,
                time_ms=sent.header.timestamp_ms,
                sha256=sent.sha256,
            )
        if sent.created:
            self._pace.sent(file.size_bytes, sent.took_s)
        self._uploads.add(self._destination.name, "sent" if sent.created else "existed")
        self._link.answered()
        self._changed()

    async def _list(self) -> None:
        """Learn what the destination holds, and whether it is our own past."""
        if swept := await self._destination.sweep(self._prefix):
            event("staged_swept", destination=self._destination.name, database=self.database, objects=swept)
        listed, is_sealed = await self._destination.list(self._prefix), bool(self._destination.sealer.suffix)
        there, held = await offload(lambda: _understood(listed, is_sealed=is_sealed))
        here = {file.span: file for file in self._local.files}
        newest = sorted(there, key=lambda file: -file.max_txid)[:COMPARED_FILES]
        compared = [file for file in newest if file.span in here and not self._record.held.covers(file)]
        times = await self._times([there[file] for file in compared])
        is_known = self.frontier > 0
        self._record.held = held
        is_same = await offload(lambda: self._is_newest(here))
        if is_same and self._record.newest and self._local.head >= self.frontier == self._record.newest.max_txid:
            self._record.set_back = None  # Proven: the replica was away for a while and is back.
        elif is_same is False:
            self._set_back("the newest file that it confirmed is here with other content")
        for file, time_there_ms in zip(compared, times, strict=True):
            time_ms = self._local.time_ms(here[file.span])
            which = None if time_ms is None else _another(time_there_ms, time_ms)
            # Who copies a folder without its times makes all of it later; that tells nothing where nothing is known.
            if which == "older" or (which and is_known):
                self._set_back(f"it holds another {file.name} of level {file.level}, {which} than the one here")
        self._changed()

    async def _times(self, objects: list[RemoteObject]) -> list[int | None]:
        """The header times of these objects; asked for one by one where the listing does not tell them."""
        limit = asyncio.Semaphore(ASKED_IN_FLIGHT)

        async def time_ms(item: RemoteObject) -> int | None:
            if item.time_ms is not None:
                return item.time_ms
            async with limit:
                found = await self._destination.head(item.key)
            return found.time_ms if found else None

        return list(await asyncio.gather(*(time_ms(item) for item in objects)))

    def _is_newest(self, here: Mapping[Span, LtxFile]) -> bool | None:
        """Is the newest confirmed file here as it was sent? None when it cannot be told: nothing confirmed, or gone.

        Blocks: it may be a snapshot.
        """
        newest = self._record.newest
        file = here.get(newest.file.span) if newest else None
        if newest is None or file is None:
            return None
        try:
            with local_path(self._local.path, file).open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest() == newest.sha256
        except OSError:
            return None

    def _set_back(self, why: str) -> None:
        if self._record.set_back is None:
            event(
                "replica_set_back", level="error", destination=self._destination.name, database=self.database, why=why
            )
        self._record.set_back = self._record.set_back or why
        self._changed()

    def report(self, now_ms: int) -> CopyReport:
        """How this copy stands; `now_ms` is wall time."""
        confirmed_at_ms = self._record.newest.time_ms if self._record.newest else None
        measured = self._lag.look(self.frontier, confirmed_at_ms=confirmed_at_ms, now_ms=now_ms)
        return CopyReport(
            confirmed_txid=self.frontier,
            confirmed_at_ms=confirmed_at_ms,
            lag=measured,
            catch_up_s=self._pace.left_s(measured.size_bytes, self._upload, now_s=self._clock.boottime())
            if measured.txids
            else 0.0,
            set_back=self._record.set_back,
        )


def _understood(listed: Iterable[RemoteObject], *, is_sealed: bool) -> tuple[dict[LtxFile, RemoteObject], Held]:
    """What a listing shows. Blocks: a month of captures, 900,000 objects, takes seconds.

    Where it was unsealed before, all of it is shipped again: a copy is one or the other.
    """
    there = listed_files(item for item in listed if item.key.endswith(SUFFIX) is is_sealed)
    return there, Held.of(there)


def _another(there_ms: int | None, here_ms: int) -> str | None:
    """Which of two histories an object of this name is of, beside the file here: an older one (this machine was set
    back), a later one (a clone of its disk ships as well), or None: the same, or not to be told.
    """
    if there_ms is None or abs(there_ms - here_ms) <= TIME_GRAIN_MS:
        return None
    return "older" if there_ms < here_ms else "later"
