"""Notes the head of the audit log at one destination, once a day."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge_node.base.clock import Clock, utc_text
from edge_node.base.logs import event
from edge_node.replication.anchors import Head, daily_key, make_anchor, put_anchor
from edge_node.replication.destination import Destination
from edge_node.replication.litestream import ControlSocket, SocketSilent
from edge_node.store.connection import DatabaseError, connect_reader

CAPTURED_WITHIN_S = 10.0
# Of the head, which may be none yet, and of what the destination lacks: asked again so often.
EVERY_S = 15.0


class AnchorKeeper:
    """`head` reads the log's head and has it captured; None where there is none. `frontier` is the newest TXID up to
    which the destination restores."""

    def __init__(
        self,
        destination: Destination,
        *,
        node_id: str,
        epoch: int,
        head: Callable[[], Awaitable[Head | None]],
        frontier: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._destination, self._node_id, self._epoch = destination, node_id, epoch
        self._head, self._frontier, self._clock = head, frontier, clock
        # The day whose anchor lies there, and the one that was looked for and is not there yet.
        self._done = self._wanted = ""
        self._found: Head | None = None

    def connected(self) -> None:
        """The destination was connected to anew: it may be another one."""
        self._done = self._wanted = ""

    async def turn(self) -> None:
        """Note today's head, unless that was done. Raises DestinationFailed."""
        now_ms = self._clock.wall_ms()
        day = utc_text(now_ms)[:10]
        if day == self._done:
            return
        key = daily_key(self._node_id, day, self._epoch)
        if day != self._wanted:
            if await self._destination.head(key) is not None:
                self._done = day
                return
            self._wanted, self._found = day, None
        if self._found is None:
            self._found = await self._head()
        # What the destination does not hold yet might be lost with this machine, and would look like taken out.
        if self._found is None or self._frontier() < self._found.txid:
            return
        anchor = make_anchor(self._found, node_id=self._node_id, epoch=self._epoch, now_ms=now_ms, why="daily")
        if await put_anchor(self._destination, key, anchor):
            event("audit_anchored", destination=self._destination.name, seq=anchor.seq)
        self._done = day


async def no_head() -> Head | None:
    """Of a node whose log is not noted."""
    return None


async def read_head(database: Path, socket: ControlSocket) -> Head | None:
    """The newest row of the audit log, captured into the local replica; None where nothing can be read or captured."""
    row = await asyncio.to_thread(_newest_row, database)
    if row is None:
        return None
    try:
        # After the reading, so that what is captured then has the row.
        txid = await asyncio.to_thread(socket.sync, database, timeout_s=CAPTURED_WITHIN_S)
    except (SocketSilent, OSError):
        return None
    return Head(seq=row[0], hash=row[1], txid=txid)


def _newest_row(database: Path) -> tuple[int, str] | None:
    try:
        with contextlib.closing(connect_reader(database)) as conn:
            row = conn.execute("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
    except (DatabaseError, OSError):
        return None
    return None if row is None else (int(row["seq"]), bytes(row["hash"]).hex())
