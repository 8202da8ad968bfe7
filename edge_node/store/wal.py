"""The guard over the WAL: Litestream makes the checkpoints, and while it is dead somebody must."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_node.base.clock import Clock
from edge_node.base.logs import Repeated, event
from edge_node.store.connection import Connection
from edge_node.store.inspect import wal_bytes

# To look costs a tenth of a fast commit, so not after each; in this time a busy node writes a few MB.
GUARD_EVERY_S = 0.25


class WalGuard:
    """Keeps the WAL near `limit_bytes` while `litestream_alive` says no (measured without: 86 MB within seconds).

    The connection that it is given must have `journal_size_limit` set to the same limit. Else a WAL that was once large
    stays a large file although nothing is in it, and would be checkpointed for ever.
    """

    def __init__(self, path: Path, *, limit_bytes: int, litestream_alive: Callable[[], bool], clock: Clock) -> None:
        self.limit_bytes = limit_bytes
        self._path = path
        self._litestream_alive = litestream_alive
        self._clock = clock
        self._not_before = 0.0
        self._checkpoints = Repeated()
        self._failures = Repeated()

    def tick(self, conn: Connection) -> None:
        """Checkpoint if it is due; to be called between transactions. Raises nothing: it only ever adds safety."""
        now = self._clock.boottime()
        if now < self._not_before:
            return
        self._not_before = now + GUARD_EVERY_S
        if wal_bytes(self._path) <= self.limit_bytes:
            return
        try:
            if self._litestream_alive():
                return
            # PASSIVE waits for nobody and moves what it can: a page that is open must not stop the clinic.
            _, frames, moved = conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except Exception as error:  # also whatever the question raised: the thread that asks must live
            if self._failures.failed():
                event("wal_checkpoint_failed", level="warning", path=self._path, why=error, count=self._failures.count)
            return
        if self._checkpoints.failed():
            event(
                "wal_checkpointed",
                level="warning",
                path=self._path,
                frames=frames,
                moved=moved,
                count=self._checkpoints.count,
                why="litestream is not running",
            )
