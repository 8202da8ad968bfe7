"""The writing thread: many callers, one connection, one COMMIT for whatever waits.

SQLite's own way of letting writers wait starves them (measured with eight threads: one wrote once while another wrote
4,644 times). Here callers queue in order, and the price of a durable commit is shared by all who wait for it.

A caller who finds nobody writing takes the thread's place for one batch: to wake another thread and be woken by it
costs a fifth of a commit on a fast disk. Whoever comes meanwhile waits, and the thread takes over until nobody does.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from edge_node.base.clock import Clock, SystemClock
from edge_node.base.errors import ExitCode, StoreError
from edge_node.base.instruments import Histogram
from edge_node.base.logs import Repeated, event
from edge_node.store.connection import Connection, DatabaseError, close_keeping_wal, connect
from edge_node.store.failures import file_replaced, store_error
from edge_node.store.wal import WalGuard

T = TypeVar("T")

# A batch is closed after so much work: its first piece shall not wait for the hundredth.
BATCH_PIECES = 256
BATCH_WORK_S = 0.020

_SYSTEM_CLOCK = SystemClock()


class _Piece(Generic[T]):
    """One caller's work, and its answer once `answered` is released."""

    __slots__ = ("answered", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.result: T | None = None
        self.error: BaseException | None = None
        # A bare lock instead of an Event: made and released once per write, it costs a tenth.
        self.answered = threading.Lock()
        self.answered.acquire()


class _FileReplaced(Exception):
    """What was committed went into a file that is not at the path any more."""


class Writer:
    """The only writer of a database in this process; callers hand it functions of a connection.

    `commit_seconds` observes how long each COMMIT took, `batch_size` how many pieces of work it carried.
    `litestream_alive` is asked, at most once a second, while the WAL is larger than `wal_limit_bytes`: as long as
    Litestream lives checkpoints are its own affair, without it the writing thread makes them.
    """

    def __init__(
        self,
        path: Path,
        *,
        commit_seconds: Histogram,
        batch_size: Histogram,
        wal_limit_bytes: int,
        litestream_alive: Callable[[], bool],
        clock: Clock = _SYSTEM_CLOCK,
    ) -> None:
        self._path = path
        self._commit_seconds = commit_seconds
        self._batch_size = batch_size
        self._clock = clock
        self._guard = WalGuard(path, limit_bytes=wal_limit_bytes, litestream_alive=litestream_alive, clock=clock)
        self._waiting: deque[_Piece[Any]] = deque()
        # The door guards the three below. While somebody is busy, all others wait; who is busy takes them along.
        self._door = threading.Lock()
        self._rests = threading.Condition(self._door)
        self._is_open = False
        self._is_busy = False
        self._wake = threading.Semaphore(0)
        self._writing: int | None = None
        self._failures = Repeated()
        self._last_error: str | None = None
        self._conn: Connection
        self._file: tuple[int, int] | None
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)

    @property
    def last_error(self) -> str | None:
        """Why the latest transaction could not be kept, as "code: message"; None once one could."""
        return self._last_error

    def start(self) -> None:
        """Open the database and begin to serve. Raises StoreError db-missing."""
        self._connect()
        self._is_open = True
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> T:
        """Have `work` done in the writing thread; returns what it returned, after the COMMIT.

        What the work raises undoes this work alone and is raised here, also after the COMMIT: it may have been raised
        because of what others had just written. When the transaction cannot be committed, each
        caller in it gets StoreError: disk-full, disk-failed, db-busy, db-corrupt, or db-missing when the file was taken
        away. Then nothing was promised to anybody, and it may be sent again.

        The work must be short, wait for nothing, and leave BEGIN, COMMIT, `executescript` and deferred constraints
        alone, since it shares its transaction; `store.connection.transaction` is allowed. Raises RuntimeError when
        called by a piece of work, and StoreError db-busy after `close`.
        """
        if self._writing == threading.get_ident():
            raise RuntimeError("submit() inside a piece of work would wait for itself: use the connection at hand")
        piece = _Piece(work)
        with self._door:
            if not self._is_open:
                raise StoreError(
                    "db-busy",
                    "this node takes no writes: it is stopping, or has not started",
                    context=str(self._path),
                    hint="nothing was saved; send it again when the node runs",
                    exit_code=ExitCode.BUSY,
                )
            self._waiting.append(piece)
            takes_place, self._is_busy = not self._is_busy, True
        if takes_place:
            try:
                self._batch()
            finally:
                if not self._rest():
                    self._wake.release()
        piece.answered.acquire()
        if piece.error is not None:
            raise piece.error
        return cast(T, piece.result)

    def close(self) -> None:
        """Answer everything that waits, then end the thread; further calls do nothing.

        The WAL stays on the disk, so that Litestream goes on from where it was.
        """
        with self._door:
            was_open, self._is_open = self._is_open, False
            self._rests.wait_for(lambda: not self._is_busy)
        if was_open:
            self._wake.release()
            self._thread.join()
            with contextlib.suppress(DatabaseError):
                close_keeping_wal(self._conn)

    def _connect(self) -> None:
        self._conn = connect(self._path)
        # After a reset SQLite cuts the file down to this, so that its size says how much is in it.
        self._conn.execute(f"PRAGMA journal_size_limit={self._guard.limit_bytes}")
        self._file = _identity(self._path)

    def _serve(self) -> None:
        self._wake.acquire()
        while self._waiting:
            self._batch()
            if self._rest():
                self._wake.acquire()

    def _rest(self) -> bool:
        """Is there nothing more to do? Then whoever comes next is the first again."""
        with self._door:
            self._is_busy = bool(self._waiting)
            if not self._is_busy:
                self._rests.notify_all()
            return not self._is_busy

    def _batch(self) -> None:
        """One transaction with what waits, and the answers. Raises nothing: nobody may wait for ever."""
        self._writing = threading.get_ident()
        batch: list[_Piece[Any]] = []
        try:
            self._gather(batch)
            if batch:
                self._commit(sum(piece.error is None for piece in batch))
        except BaseException as error:
            self._give_up(batch, error)
        self._writing = None
        for piece in batch:
            piece.answered.release()
        self._guard.tick(self._conn)

    def _gather(self, batch: list[_Piece[Any]]) -> None:
        """Begin a transaction and do in it what waits; `batch` holds what then needs the COMMIT."""
        batch.append(self._waiting.popleft())
        self._conn.execute("BEGIN IMMEDIATE")
        ends = self._clock.boottime() + BATCH_WORK_S
        while self._do(batch) and self._waiting and len(batch) < BATCH_PIECES and self._clock.boottime() < ends:
            batch.append(self._waiting.popleft())

    def _do(self, batch: list[_Piece[Any]]) -> bool:
        """Do the last piece of the batch; false when that ended the transaction, which had nothing else in it.

        The first piece needs no savepoint: to undo it is to undo the transaction. A lone writer then pays for nothing
        that it does not need.
        """
        piece, is_alone, conn = batch[-1], len(batch) == 1, self._conn
        if not is_alone:
            conn.execute("SAVEPOINT piece")
        try:
            # In a context of its own: work that leans on its caller's request must fail always, not only under load.
            piece.result = contextvars.Context().run(piece.work, conn)
            if not conn.in_transaction:
                raise RuntimeError("a piece of work ended the transaction that it shares with others")
            if not is_alone:
                conn.execute("RELEASE piece")
        except BaseException as error:
            if not conn.in_transaction and not is_alone:
                raise
            if is_alone:
                self._roll_back()
            else:
                conn.execute("ROLLBACK TO piece")
                conn.execute("RELEASE piece")
            failure = store_error(error, self._path)
            if failure is not None:
                self._remember(failure)
            piece.error = failure or error
            if is_alone:
                batch.pop().answered.release()
            return not is_alone
        return True

    def _commit(self, size: int) -> None:
        began = self._clock.boottime()
        self._conn.execute("COMMIT")
        if _identity(self._path) != self._file:
            raise _FileReplaced
        self._commit_seconds.observe(self._clock.boottime() - began)
        self._batch_size.observe(size)
        if self._last_error is not None:
            self._last_error = None
            event("write_recovered", path=self._path, failures=self._failures.recovered())

    def _give_up(self, batch: list[_Piece[Any]], error: BaseException) -> None:
        """The transaction is lost, and with it the work of all in it: each caller gets an error of its own."""
        self._roll_back()
        for piece in batch:
            if isinstance(error, _FileReplaced):
                piece.error = file_replaced(self._path)
            else:
                piece.error = store_error(error, self._path) or RuntimeError(f"the transaction was not kept: {error}")
            piece.error.__cause__ = error
        if batch:
            self._remember(batch[0].error)

    def _remember(self, failure: BaseException | None) -> None:
        self._last_error = f"{failure.code}: {failure.message}" if isinstance(failure, StoreError) else str(failure)
        if self._failures.failed():
            event("write_failed", level="error", path=self._path, why=self._last_error, failures=self._failures.count)

    def _roll_back(self) -> None:
        try:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
        except DatabaseError:
            # A connection that cannot even roll back is of no more use; closing it does.
            with contextlib.suppress(DatabaseError):
                self._conn.close()
            with contextlib.suppress(DatabaseError, StoreError):
                self._connect()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file the path names: SQLite goes on writing into one that was deleted, and would never notice."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
