"""Keeps one `litestream replicate` alive for the databases of this node, and knows how it is.

It restarts what has died and what no longer answers; it never restarts a Litestream that merely cannot write.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_node.base.clock import Clock, SystemClock
from edge_node.base.errors import ConfigError, Problem, ServiceError
from edge_node.base.files import atomic_write, file_lock
from edge_node.base.logs import Repeated, event
from edge_node.base.process import clean_environment, ended
from edge_node.base.retry import backoff_s
from edge_node.base.systemd import ends_with_its_service
from edge_node.replication import commands, litestream
from edge_node.replication.commands import CaptureSettings, ReplicatedDb
from edge_node.replication.folders import make_private, sweep
from edge_node.replication.litestream_log import LineSplitter, LogRelay

CONFIG_NAME = "litestream.yml"
SOCKET_NAME = "litestream.sock"
# Until the first answer; then it is known to run, and services that wait for that go on.
FIRST_ASKS_S = 0.05


class LitestreamState(StrEnum):
    """How Litestream is: it captures; it was not started, or was told to stop; or it should capture and does not."""

    RUNNING = "running"
    STOPPED = "stopped"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The limits of the supervisor."""

    # The first restart is quick, since a commit waits for its second place; later ones leave the machine in peace.
    restart_base_s: float = 0.5
    restart_cap_s: float = 30.0
    # Alive this long, a restart has worked.
    steady_s: float = 10.0
    # More deaths in a row than this are a failure also while the newest child is alive.
    deaths_forgiven: int = 2
    # An answer on the socket takes a millisecond, also while Litestream writes a snapshot.
    ask_every_s: float = 2.0
    answer_within_s: float = 2.0
    # Asked so often in vain, it is failing; and so often, it is killed (safe at any instant, measured). Counted and not
    # timed, since it is no fault of Litestream's when this process itself was held up.
    silent_polls: int = 5
    wedged_polls: int = 15
    # A Litestream that has just been started answers at once; on a machine that is booting, somewhat later.
    first_answer_within_s: float = 30.0
    # Above Litestream's own limit for its last sync, below the stop limit of the service.
    stop_grace_s: float = 6.5
    # A supervisor that was killed takes its Litestream along; this long is waited for the two to be gone.
    lock_wait_s: float = 10.0


@dataclass(slots=True)
class _Child:
    process: asyncio.subprocess.Process
    started: float
    has_answered: bool = False
    unanswered: int = 0
    why_killed: str | None = None


class Supervisor:
    """One Litestream for several databases, held by a lock per database.

    `run_dir` holds its configuration and its control socket. `run` must be awaited in the main thread: the kernel ends
    the child together with the thread that started it.
    """

    def __init__(
        self,
        databases: Sequence[ReplicatedDb],
        *,
        run_dir: Path,
        program: Path,
        settings: CaptureSettings | None = None,
        patience: Patience | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._databases = tuple(databases)
        self._run_dir = run_dir
        self._program = program
        self._settings = settings or CaptureSettings()
        self._patience = patience or Patience()
        self._clock = clock or SystemClock()
        self._relay = LogRelay()
        self._exits = Repeated()
        self._child: _Child | None = None
        self._is_wanted = False
        self._starts = 0
        self._deaths = 0
        self._last_death: str | None = None
        self._version: str | None = None
        self._anew: set[Path] = set()

    @property
    def state(self) -> LitestreamState:
        has_answered = self._child is not None and self._child.has_answered
        if not self._is_wanted or (self._starts <= 1 and self._last_death is None and not has_answered):
            return LitestreamState.STOPPED
        return LitestreamState.RUNNING if self.reason is None else LitestreamState.FAILING

    @property
    def reason(self) -> str | None:
        """Why it is failing, in words; None while nothing is known against it."""
        child = self._child
        if child is None or not child.has_answered or self._deaths > self._patience.deaths_forgiven:
            return self._last_death
        if child.unanswered >= self._patience.silent_polls:
            return f"process {child.process.pid} does not answer"
        return self._relay.trouble

    @property
    def restarts(self) -> int:
        """How often Litestream was started again since this supervisor began."""
        return max(0, self._starts - 1)

    @property
    def version(self) -> str | None:
        """Litestream's version; None before the start."""
        return self._version

    @property
    def pid(self) -> int | None:
        """Litestream's process id while it lives."""
        return self._child.process.pid if self._child else None

    @property
    def socket(self) -> litestream.ControlSocket:
        """Its control socket, for questions with a deadline."""
        return litestream.ControlSocket(self._run_dir / SOCKET_NAME)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines that it said."""
        return self._relay.tail

    def begin_anew(self, database: Path) -> None:
        """What Litestream believes of this WAL is not true: have it start again with a whole copy."""
        self._anew.add(database)
        if self._child is not None:
            _signal(self._child.process.pid, signal.SIGKILL)

    def start_again(self, why: str) -> None:
        """End this Litestream. At its start the next one makes a snapshot where there is none, and not before."""
        if self._child is not None:
            self._child.why_killed = why
            _signal(self._child.process.pid, signal.SIGKILL)

    def is_beginning_anew(self, database: Path) -> bool:
        return database in self._anew

    async def run(self, stop: asyncio.Event) -> None:
        """Keep Litestream running until `stop`, then let it do its last sync and end it.

        Raises ReplicaError when it is missing or too old, ConfigError when a database lies where it cannot work, and
        ServiceError already-running when another process replicates one of the databases. Cancelling ends the child.
        """
        _refuse_misread_paths(self._databases)
        self._version = str(await asyncio.to_thread(litestream.version, self._program))
        if not ends_with_its_service() and _setpriv() is None:
            event("setpriv_missing", level="warning", consequence="litestream outlives a killed supervisor")
        async with self._locks() as locks:
            self._is_wanted = True
            try:
                while not stop.is_set():
                    await self._one_life(locks, stop)
            finally:
                self._is_wanted = False

    @contextlib.asynccontextmanager
    async def _locks(self) -> AsyncIterator[list[int]]:
        with contextlib.ExitStack() as held:
            locks = []
            for database in self._databases:
                path = lock_path(database.path)
                deadline = self._clock.boottime() + self._patience.lock_wait_s
                while True:
                    try:
                        locks.append(held.enter_context(file_lock(path, wait=False)))
                        break
                    except BlockingIOError:
                        if self._clock.boottime() >= deadline:
                            raise _already_running(database.path, path) from None
                        await asyncio.sleep(0.1)
            yield locks

    async def _one_life(self, locks: Sequence[int], stop: asyncio.Event) -> None:
        try:
            for path in tuple(self._anew):
                await asyncio.to_thread(litestream.empty_wal, path)
                self._anew.discard(path)
                event("litestream_begins_anew", level="warning", db=path.name)
            self._prepare()
            child = await self._start(locks)
        except OSError as error:
            # A read-only or full disk, a replica's disk that is not mounted, a program that is being replaced: each
            # may pass, and until then this node says that it does not replicate.
            self._last_death = f"cannot be started: {error}"
        else:
            how = await self._live(child, stop)
            if stop.is_set() or self._anew:
                return
            self._last_death = child.why_killed or how
        self._deaths += 1
        if self._exits.failed():
            event(
                "litestream_died", level="error", how=self._last_death, times=self._exits.count,
                said=self._relay.tail[-1] if self._relay.tail else None,
            )  # fmt: skip
        pause_s = backoff_s(
            self._deaths,
            base_s=self._patience.restart_base_s,
            cap_s=self._patience.restart_cap_s,
            jitter=random.random(),
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stop.wait()

    def _prepare(self) -> None:
        self._run_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        (self._run_dir / SOCKET_NAME).unlink(missing_ok=True)
        for database in self._databases:
            make_private(database.replica_path)
            make_private(database.meta_path)
            swept_bytes = sweep(database)
            if swept_bytes:
                event("litestream_leftovers_swept", db=database.path.name, size_bytes=swept_bytes)
        text = commands.litestream_yaml(self._databases, socket=SOCKET_NAME, settings=self._settings)
        atomic_write(self._run_dir / CONFIG_NAME, text.encode(), mode=0o600)

    async def _start(self, locks: Sequence[int]) -> _Child:
        argv = commands.replicate_argv(self._program, CONFIG_NAME)
        # systemd ends the child together with this service, and lets nobody touch capabilities, as setpriv does.
        if not ends_with_its_service() and (setpriv := _setpriv()):
            argv = commands.bound_to_parent_argv(setpriv, argv)
        self._relay.begin()
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, cwd=self._run_dir, env=clean_environment(), process_group=0,
            umask=0o077, pass_fds=tuple(locks),
        )  # fmt: skip
        self._starts += 1
        # The lock names its holder for people only. On a full disk it cannot, and a child that we forgot because of
        # that would go on beside the next one.
        with contextlib.suppress(OSError):
            for lock in locks:
                os.ftruncate(lock, 0)
                os.pwrite(lock, f"{process.pid}\n".encode(), 0)
        return _Child(process=process, started=self._clock.boottime())

    async def _live(self, child: _Child, stop: asyncio.Event) -> str:
        """Until the child dies or is to stop; returns how it ended."""
        self._child = child
        listening = asyncio.create_task(self._listen(child))
        watching = asyncio.create_task(self._watch(child))
        dying = asyncio.create_task(child.process.wait())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({dying, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            stopping.cancel()
            code = await self._end(child)
            await asyncio.gather(listening, dying, watching, stopping, return_exceptions=True)
            self._child = None
        return ended(code)

    async def _end(self, child: _Child) -> int:
        process = child.process
        if process.returncode is None:
            _signal(process.pid, signal.SIGTERM)
            try:
                # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the result.
                async with asyncio.timeout(self._patience.stop_grace_s):
                    return await process.wait()
            except TimeoutError:
                event("litestream_killed", level="warning", why="it did not end", after_s=self._patience.stop_grace_s)
                _signal(process.pid, signal.SIGKILL)
        return await process.wait()

    async def _listen(self, child: _Child) -> None:
        assert child.process.stderr is not None
        lines = LineSplitter()
        while data := await child.process.stderr.read(65536):
            for line in lines.feed(data):
                self._relay.hear(line)
        for line in lines.end():
            self._relay.hear(line)

    async def _watch(self, child: _Child) -> None:
        """Ask the child whether it is there, for as long as it lives; kill it when it has been silent too long."""
        patience, loop = self._patience, asyncio.get_running_loop()
        # A thread of its own: the default ones may all be busy with encrypting a snapshot.
        with _one_thread() as thread:
            while True:
                answers = await loop.run_in_executor(thread, self._answers)
                age_s = self._clock.boottime() - child.started
                if answers:
                    if not child.has_answered:
                        event("litestream_started", pid=child.process.pid, version=self._version)
                    child.has_answered, child.unanswered = True, 0
                    if self._deaths and age_s >= patience.steady_s:
                        self._deaths = 0
                        event("litestream_steady", pid=child.process.pid, deaths=self._exits.recovered())
                else:
                    child.unanswered += 1
                if (
                    child.unanswered >= patience.wedged_polls
                    if child.has_answered
                    else age_s >= patience.first_answer_within_s
                ):
                    child.why_killed = f"killed by us: {child.unanswered} questions in a row were not answered"
                    _signal(child.process.pid, signal.SIGKILL)
                    return
                await asyncio.sleep(patience.ask_every_s if child.has_answered else FIRST_ASKS_S)

    def _answers(self) -> bool:
        try:
            self.socket.info(timeout_s=self._patience.answer_within_s)
        except litestream.SocketSilent:
            return False
        return True


def lock_path(database: Path) -> Path:
    """The file whose lock says who replicates this database; two at once are unsafe (measured)."""
    return database.with_name(f"{database.name}.replicator")


def _setpriv() -> Path | None:
    found = shutil.which("setpriv")
    return Path(found) if found else None


def _signal(pid: int, number: signal.Signals) -> None:
    # The group, of which the child is the leader; it exists until the child is reaped.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


@contextlib.contextmanager
def _one_thread() -> Iterator[ThreadPoolExecutor]:
    thread = ThreadPoolExecutor(1, "litestream-socket")
    try:
        yield thread
    finally:
        thread.shutdown(wait=False)


def _refuse_misread_paths(databases: Sequence[ReplicatedDb]) -> None:
    for database in databases:
        if char := commands.misread_in(database.path):
            raise ConfigError(
                "config-invalid",
                "a database lies where Litestream cannot replicate it",
                context=str(database.path),
                hint="move the folder; a copy of it at another path works as it is",
                problems=[Problem(path="node.state_dir", text=f'has "{char}" in it, which Litestream misreads')],
            )


def _already_running(database: Path, lock: Path) -> ServiceError:
    try:
        holder = lock.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        holder = ""
    return ServiceError(
        "already-running",
        f"another process replicates {database}",
        context=f"process {holder} was the last to hold {lock}" if holder else f"{lock} is held",
        hint="two replicators destroy a replica; stop the other one: systemctl stop edge-replica, or end edge-node up",
    )
