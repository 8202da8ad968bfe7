"""Notes the head of the audit log at one destination, once a day, and compares what was noted last with the log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from edge_node.base.clock import Clock, utc_text
from edge_node.base.errors import StoreError
from edge_node.base.logs import event
from edge_node.replication.anchors import (
    Anchor,
    Compared,
    Head,
    anchors_prefix,
    compare,
    daily_key,
    make_anchor,
    parse_anchor,
    put_anchor,
)
from edge_node.replication.destination import Destination
from edge_node.replication.epoch import folder_name
from edge_node.replication.litestream import ControlSocket, SocketSilent
from edge_node.replication.shipping_record import ShippingRecord
from edge_node.store.connection import Connection, DatabaseError, connect_reader

CAPTURED_WITHIN_S = 10.0
# Of the head, which may be none yet, and of what the destination lacks: asked again so often.
EVERY_S = 15.0
# A day's anchor and those of its drills do not lie in the order in which they were made: more than the last is read.
LOOKED_BACK = 4


class AuditLog(Protocol):
    """The audit log of this machine."""

    async def head(self) -> Head | None:
        """Its newest row, captured into the local replica; None where nothing can be read or captured."""
        ...

    async def beside(self, anchors: Iterable[Anchor]) -> Compared | None:
        """What it says to these anchors, of which it ought to hold every row; None where it cannot be read."""
        ...


class AnchorKeeper:
    """`frontier` is the newest TXID up to which the destination restores. What lies there is kept in `record`."""

    def __init__(
        self,
        destination: Destination,
        record: ShippingRecord,
        *,
        node_id: str,
        epoch: int,
        log: AuditLog,
        frontier: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._destination, self._record, self._node_id, self._epoch = destination, record, node_id, epoch
        self._log, self._frontier, self._clock = log, frontier, clock
        # The day whose anchor lies there, and the one that was looked for and is not there yet.
        self._done = self._wanted = ""
        self._found: Head | None = None

    def connected(self) -> None:
        """The destination was connected to anew: it may be another one."""
        self._done = self._wanted = ""

    @property
    def noted(self) -> Anchor | None:
        """The newest anchor that lies there of this epoch, as far as it is known."""
        return self._of_this_epoch(self._record.noted)

    @property
    def contradicted(self) -> Anchor | None:
        """The first anchor that this machine's log does not bear out."""
        return self._of_this_epoch(self._record.contradicted)

    def _of_this_epoch(self, anchor: Anchor | None) -> Anchor | None:
        """A row of an earlier epoch need not be here: what was lost with it, nobody took out."""
        return anchor if anchor is not None and anchor.epoch == self._epoch else None

    async def turn(self) -> None:
        """Note today's head, unless that was done. Raises DestinationFailed."""
        now_ms = self._clock.wall_ms()
        day = utc_text(now_ms)[:10]
        if day == self._done:
            return
        key = daily_key(self._node_id, day, self._epoch)
        if day != self._wanted:
            # Before today's is made: it would be of a log that was written anew since, and fit.
            await self._look_back()
            if await self._destination.head(key) is not None:
                self._done = day
                return
            self._wanted, self._found = day, None
        if self._found is None:
            self._found = await self._log.head()
        # What the destination does not hold yet might be lost with this machine, and would look like taken out.
        if self._found is None or self._frontier() < self._found.txid:
            return
        anchor = make_anchor(self._found, node_id=self._node_id, epoch=self._epoch, now_ms=now_ms, why="daily")
        if await put_anchor(self._destination, key, anchor):
            self._record.remember_anchors(noted=anchor, contradicted=self.contradicted)
            event("audit_anchored", destination=self._destination.name, seq=anchor.seq)
        self._done = day

    async def _look_back(self) -> None:
        """Does the log still bear out what was noted last, and what it was once found not to?"""
        ours = f"-{folder_name(self._epoch)}.json"
        listed = await self._destination.list(anchors_prefix(self._node_id))
        found = []
        for key in [item.key for item in listed if item.key.endswith(ours)][-LOOKED_BACK:]:
            with contextlib.suppress(ValueError):  # Somebody else's object; `audit verify` names it.
                found.append(parse_anchor(await self._destination.read(key) or b""))
        doubted = [self.contradicted] if self.contradicted else []
        compared = await self._log.beside([*found, *doubted])
        if compared is None:
            return
        if (bad := compared.contradicted) is not None and not doubted:
            event("audit_contradicted", level="error", destination=self._destination.name, seq=bad.seq, noted_at=bad.at)
        newest = max(found, key=lambda anchor: (anchor.at, anchor.seq), default=None)
        self._record.remember_anchors(noted=newest, contradicted=bad)


class NoLog:
    """Of a node whose log is not noted."""

    async def head(self) -> None:
        """There is none."""

    async def beside(self, _: Iterable[Anchor]) -> None:
        """Nothing is said."""


class LogOfDatabase:
    """The audit log in `his.db`, which Litestream captures."""

    def __init__(self, database: Path, socket: ControlSocket) -> None:
        self._database, self._socket = database, socket

    async def head(self) -> Head | None:
        """As AuditLog."""
        row = await asyncio.to_thread(newest_row, self._database)
        if row is None:
            return None
        try:
            # After the reading, so that what is captured then has the row.
            txid = await asyncio.to_thread(self._socket.sync, self._database, timeout_s=CAPTURED_WITHIN_S)
        except (SocketSilent, OSError):
            return None
        return Head(seq=row[0], hash=row[1], txid=txid)

    async def beside(self, anchors: Iterable[Anchor]) -> Compared | None:
        """As AuditLog."""
        return await asyncio.to_thread(log_beside, self._database, list(anchors))


def log_beside(database: Path, anchors: Iterable[Anchor]) -> Compared | None:
    """What the log in this database says to anchors; None where it cannot be read."""
    noted = list(anchors)
    try:
        with contextlib.closing(connect_reader(database)) as conn:
            rows = conn.execute("SELECT max(seq) FROM audit_log").fetchone()[0] or 0
            return compare(noted, hashes_of(conn, noted), rows=rows)
    except (DatabaseError, StoreError, OSError):  # Lost, or about to be brought back.
        return None


def hashes_of(conn: Connection, anchors: Iterable[Anchor]) -> dict[int, str]:
    """The hashes that the log has of the anchored rows."""
    found = {}
    for anchor in anchors:
        row = conn.execute("SELECT hash FROM audit_log WHERE seq = ?", (anchor.seq,)).fetchone()
        if row is not None:
            found[anchor.seq] = bytes(row["hash"]).hex()
    return found


def newest_row(database: Path) -> tuple[int, str] | None:
    """Number and hash of the log's newest row; None where there is none or it cannot be read."""
    try:
        with contextlib.closing(connect_reader(database)) as conn:
            row = conn.execute("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
    except (DatabaseError, StoreError, OSError):  # Lost, or about to be brought back.
        return None
    return None if row is None else (int(row["seq"]), bytes(row["hash"]).hex())
