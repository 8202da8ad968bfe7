"""A restore drill: a restore that has not been tried is a wish.

From one source, into a scratch folder: the newest state, timed; whether it is as new as was confirmed, has no row
without its parent, brings back the sentinel and an unbroken audit log, and equals what the local replica gives at the
same TXID; the state of a past instant drawn at random; the recovery kit. Each is a check with a sentence of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from edge_node.base.clock import Clock, utc_text
from edge_node.base.errors import EdgeError, ReplicaError
from edge_node.base.units import counted, spoken_duration
from edge_node.replication.progress import Told, nobody
from edge_node.replication.restore import restore
from edge_node.replication.restore_points import points_of
from edge_node.replication.restored import Restored
from edge_node.replication.source import LocalSource, Source
from edge_node.store.connection import Connection, DatabaseError, connect_reader
from edge_node.store.inspect import row_digest


class Outcome(StrEnum):
    """How a check, or a drill, ended. A finding is to be seen and does not fail the drill; skipped is never ok."""

    OK = "ok"
    FINDING = "finding"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, and what was seen."""

    name: str
    outcome: Outcome
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinel:
    """A row of the audit log that was written for this drill; `hash` (hexadecimal) is the head of the chain then."""

    id: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What a drill from one source showed. `rto_s` is from the first question to a database that was looked through.

    `txid` and `newest_at_ms` are of the newest state that a restore brought back: after a failure, the last good point.
    """

    source: str
    at_ms: int
    outcome: Outcome
    checks: tuple[Check, ...]
    rto_s: float | None = None
    txid: int | None = None
    newest_at_ms: int | None = None
    size_bytes: int | None = None

    @property
    def is_ok(self) -> bool:
        return self.outcome is Outcome.OK

    def sentence(self) -> str:
        """In one line, for a person."""
        if self.is_ok and self.rto_s is not None:
            return f"{self.source}: restored in {spoken_duration(self.rto_s)}, TXID {self.txid}"
        worst = next((check for check in self.checks if check.outcome is self.outcome), None)
        text = f"{self.source}: {self.outcome}" + (f": {worst.text}" if worst else "")
        if self.outcome is Outcome.FAILED and self.newest_at_ms is not None:
            ago = spoken_duration(max(0, self.at_ms - self.newest_at_ms) / 1000)
            text += f" (the last good point is TXID {self.txid}, {utc_text(self.newest_at_ms)}, {ago} before the drill)"
        return text


# What only the database itself can tell: is the sentinel there, is the audit log whole?
Look = Callable[[Connection, Sentinel | None], Sequence[Check]]
OpenKit = Callable[[], Awaitable[Check]]


def look_at_nothing(_: Connection, __: Sentinel | None) -> Sequence[Check]:
    """For a database without a log."""
    return ()


async def drill(
    source: Source,
    scratch: Path,
    *,
    clock: Clock,
    chance: random.Random,
    before: Sequence[Check] = (),
    sentinel: Sentinel | None = None,
    wanted_txid: int | None = None,
    look: Look = look_at_nothing,
    here: Path | None = None,
    kit: OpenKit | None = None,
    tell: Told = nobody,
) -> Drilled:
    """Drill from a source; `scratch` is an empty folder that the caller removes. Raises nothing of the source's making.

    `before` are checks that were made before, `wanted_txid` is what the source has confirmed, `here` the local replica
    of the same epoch to compare with.
    """
    return await _Drill(
        source,
        scratch,
        clock=clock,
        chance=chance,
        checks=list(before),
        sentinel=sentinel,
        look=look,
        here=here,
        tell=tell,
    ).run(wanted_txid, kit)


class _Drill:
    def __init__(
        self,
        source: Source,
        scratch: Path,
        *,
        clock: Clock,
        chance: random.Random,
        checks: list[Check],
        sentinel: Sentinel | None,
        look: Look,
        here: Path | None,
        tell: Told,
    ) -> None:
        self._source, self._scratch, self._clock, self._chance = source, scratch, clock, chance
        self._checks, self._sentinel, self._look, self._here, self._tell = checks, sentinel, look, here, tell
        self._at_ms = clock.wall_ms()

    async def run(self, wanted_txid: int | None, kit: OpenKit | None) -> Drilled:
        began = self._clock.boottime()
        try:
            done = await restore(self._source, self._scratch / "newest.db", tell=self._tell)
        except ReplicaError as error:
            is_sealed = error.code == "identity-missing"
            text = "no identity" if is_sealed else f"{error.message}: {error.context}"
            self._note("restore", Outcome.SKIPPED if is_sealed else Outcome.FAILED, text)
            return self._result(None, None)
        self._note(
            "restore", Outcome.OK if done.is_whole else Outcome.FAILED, "; ".join(
                [f"TXID {done.txid} out of {counted(done.files, 'file')}, integrity checked in full", *done.remarks()]
            )
        )  # fmt: skip
        await asyncio.to_thread(self._look_through, done.path)
        rto_s = self._clock.boottime() - began
        if wanted_txid is not None:
            self._expect("confirmed", done.txid >= wanted_txid, f"TXID {done.txid}, where {wanted_txid} was confirmed")
        if self._here is not None:
            self._checks.append(await self._compare("local", self._here, done))
        self._remove(done.path)
        await self._past()
        if kit is not None:
            try:
                self._checks.append(await kit())
            except EdgeError as error:
                self._note("kit", Outcome.FAILED, f"{error.message}: {error.context}")
        return self._result(done, rto_s)

    def _note(self, name: str, outcome: Outcome, text: str) -> None:
        self._checks.append(Check(name=name, outcome=outcome, text=text))

    def _expect(self, name: str, holds: bool, text: str) -> None:
        self._note(name, Outcome.OK if holds else Outcome.FAILED, text)

    def _look_through(self, path: Path) -> None:
        try:
            with contextlib.closing(connect_reader(path)) as conn:
                found = [
                    f"row {rowid} of {table} refers to a row of {parent} that is not there"
                    for table, rowid, parent, _ in islice(conn.execute("PRAGMA foreign_key_check"), 3)
                ]
                self._expect("parents", not found, "; ".join(found) or "every row has its parents")
                self._checks += self._look(conn, self._sentinel)
        except DatabaseError as error:
            self._note("parents", Outcome.FAILED, f"the restored database cannot be read: {error}")

    async def _compare(self, name: str, here: Path, done: Restored) -> Check:
        """Equal to what the local replica gives at the same TXID?"""
        to = self._scratch / f"{name}-here.db"
        try:
            same = await restore(LocalSource(here), to, txid=done.txid)
        except ReplicaError as error:
            return Check(name=name, outcome=Outcome.SKIPPED, text=f"not compared: {error.message}")
        try:
            if same.txid != done.txid:
                text = f"not compared: here TXID {done.txid} is no restore point of its own any more"
                return Check(name=name, outcome=Outcome.SKIPPED, text=text)
            if await asyncio.to_thread(_are_equal, done.path, to):
                return Check(name=name, outcome=Outcome.OK, text=f"equals the local replica at TXID {done.txid}")
            text = f"differs from the local replica at TXID {done.txid}"
            return Check(name=name, outcome=Outcome.FAILED, text=text)
        finally:
            self._remove(to)

    async def _past(self) -> None:
        """A past instant, drawn between the oldest and the newest point whose times are known."""
        try:
            stretches = await points_of(self._source)
            begins = [stretch.to_ms for stretch in stretches if stretch.min_txid == 1 and stretch.to_ms is not None]
            ends = [stretch.to_ms for stretch in stretches if stretch.to_ms is not None]
            if not begins or min(begins) >= max(ends):
                self._note("past", Outcome.SKIPPED, "there is only one point to restore yet")
                return
            at_ms = self._chance.randint(min(begins), max(ends))
            done = await restore(self._source, self._scratch / "past.db", at_ms=at_ms)
        except ReplicaError as error:
            self._note("past", Outcome.FAILED, f"a past instant: {error.message}: {error.context}")
            return
        problem = None
        if done.newest_at_ms > at_ms:
            problem = f"holds a change of {utc_text(done.newest_at_ms)}"
        elif not done.is_whole:
            problem = "; ".join(done.remarks())
        else:
            problem = await asyncio.to_thread(self._trouble_in, done.path)
        if problem is None and self._here is not None:
            compared = await self._compare("past", self._here, done)
            problem = compared.text if compared.outcome is Outcome.FAILED else None
        text = f"as of {utc_text(at_ms)}: TXID {done.txid}" + (f", but {problem}" if problem else "")
        self._expect("past", problem is None, text)
        self._remove(done.path)

    def _trouble_in(self, path: Path) -> str | None:
        """What a past state itself shows to be wrong with it."""
        try:
            with contextlib.closing(connect_reader(path)) as conn:
                looks = self._look(conn, None)
        except DatabaseError as error:
            return f"it cannot be read: {error}"
        return next((check.text for check in looks if check.outcome is Outcome.FAILED), None)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def _result(self, done: Restored | None, rto_s: float | None) -> Drilled:
        outcomes = {check.outcome for check in self._checks}
        outcome = Outcome.OK
        if Outcome.FAILED in outcomes:
            outcome = Outcome.FAILED
        elif done is None:
            outcome = Outcome.SKIPPED
        return Drilled(
            source=self._source.name,
            at_ms=self._at_ms,
            outcome=outcome,
            checks=tuple(self._checks),
            rto_s=None if rto_s is None else round(rto_s, 1),
            txid=done.txid if done else None,
            newest_at_ms=done.newest_at_ms if done else None,
            size_bytes=done.size_bytes if done else None,
        )


def _are_equal(one: Path, other: Path) -> bool:
    """The same bytes; else the same rows: Litestream may arrange pages alike and differ in what no row shows."""
    digests = []
    for path in (one, other):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    if digests[0] == digests[1]:
        return True
    rows = []
    for path in (one, other):
        with contextlib.closing(connect_reader(path)) as conn:
            rows.append(row_digest(conn))
    return rows[0] == rows[1]
