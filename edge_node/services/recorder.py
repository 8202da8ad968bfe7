"""The recording half of the monitor: node.db written in a thread of its own, so that neither a scrape nor the watchdog
waits for a slow disk.

Whatever stands in its way (no database, one of another version, a lock, a full disk) is said in the status, and tried
again: metrics go on, and the watcher's files keep what has not been recorded yet.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from edge_node import __version__
from edge_node.base.clock import Clock, boot_id, utc_text
from edge_node.base.errors import EdgeError, StoreError
from edge_node.base.files import read_status
from edge_node.base.instruments import Histogram
from edge_node.base.logs import Repeated, event
from edge_node.config.schema import Config
from edge_node.journal.behind import BehindLog
from edge_node.journal.clock_facts import zone_name
from edge_node.journal.drills import DrillLog
from edge_node.journal.evidence import About
from edge_node.journal.freeze import Freezer
from edge_node.journal.raw import Stopped
from edge_node.journal.record import Journal, Turn
from edge_node.journal.traces import TraceFolder
from edge_node.journal.words import machine_time
from edge_node.orders import read_maintenance
from edge_node.services.alone import alone
from edge_node.status import Reason, ServiceState, status_reader
from edge_node.store.connection import Connection, connect_reader
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.failures import store_errors
from edge_node.store.migrate import check
from edge_node.store.writer import Writer

EVERY_S = 5.0
# Catching up: the other half of the time belongs to whoever else wants the processor.
BEHIND_EVERY_S = 0.5
# Longer than any turn on a disk that works.
HANGS_AFTER_S = 60.0
# Behind for longer, it is worth a sentence.
BEHIND_AFTER_S = 60.0
# A line of the watcher's file that cannot be read stays in it: it is spoken of for a day.
UNREADABLE_FOR_S = 24 * 3600.0
WAL_LIMIT_BYTES = 16 * 1024 * 1024


def about_node(config: Config) -> About:
    """Whose evidence it is."""
    return About(
        node_id=config.node.id, node_name=config.node.name, version=__version__, lines=tuple(config.line),
        zone=zone_name(), local=machine_time,
    )  # fmt: skip


class Recorder:
    """Records every five seconds between `start` and `stop`; `state` says how it is, from any thread."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._path = db_path(config.node.state_dir, "node")
        self._traces = TraceFolder(config.node.links_dir / "traces")
        self._read_node = status_reader(config, clock)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._failures = {"history": Repeated(), "evidence": Repeated()}
        self._said: dict[str, str] = {}
        self._turn_began: float | None = None
        self._behind_since: float | None = None
        self._unreadable, self._unreadable_at = 0, float("-inf")
        self._orders_problems: tuple[str, ...] = ()
        self._recorded_ms: int | None = None
        self._has_begun, self._was_killed = False, False
        self._began_after_kill_at: int | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, within_s: float) -> None:
        """Finish the turn that runs; a disk that takes longer than `within_s` is not waited for."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def state(self) -> dict[str, Any]:
        """For the status file. `recorded_at` is the end of the last turn; `behind`: it had not reached the end then."""
        return {
            "recorded_at": None if self._recorded_ms is None else utc_text(self._recorded_ms),
            "unreadable": self._unreadable,
            "behind": self._behind_since is not None,
            "began_after_kill_at": self._began_after_kill_at,
            "problems": [reason.as_json() for reason in self._problems()],
        }

    def _problems(self) -> list[Reason]:
        now, said, found = self._clock.boottime(), dict(self._said), []
        began, behind_since = self._turn_began, self._behind_since
        if began is not None and now - began > HANGS_AFTER_S:
            said.setdefault("history", "the disk does not answer")
        if "history" in said:
            found.append(Reason(code="history-not-written", args={"why": said["history"]}))
        if "evidence" in said:
            found.append(Reason(code="evidence-not-frozen", args={"why": said["evidence"]}))
        if behind_since is not None and now - behind_since > BEHIND_AFTER_S:
            found.append(Reason(code="history-behind", args={"for_s": round(now - behind_since)}))
        if self._unreadable and now - self._unreadable_at < UNREADABLE_FOR_S:
            found.append(Reason(code="transitions-unreadable", args={"n": self._unreadable}))
        found += [Reason(code="maintenance-unreadable", args={"why": why}) for why in self._orders_problems]
        return found

    # ---- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._recording() as (writer, reader):
                    self._turns(writer, reader)
            except Stopped:
                return
            except EdgeError as error:
                self._failed("history", f"{error.code}: {error.message}")
            except OSError as error:
                self._failed("history", f"{error.filename or 'a file'}: {error.strerror or error}")
            except Exception as error:
                # A bug in here must not end the metrics, which are what tells of it.
                self._failed("history", f"{type(error).__name__}: {error}", trace=traceback.format_exc())
            self._turn_began = None
            self._stop.wait(EVERY_S)

    @contextlib.contextmanager
    def _recording(self) -> Iterator[tuple[Writer, Connection]]:
        """The database open for writing and reading, by this monitor alone. Raises EdgeError, OSError."""
        check(self._path, DATABASES["node"])
        with contextlib.ExitStack() as stack:
            was_killed = stack.enter_context(
                alone(
                    self._path.with_name(f"{self._path.name}.recorder"),
                    who=f"another monitor records in {self._path}",
                    hint="stop it first: systemctl stop edge-monitor, or end edge-node up",
                )
            )
            self._was_killed = self._was_killed or was_killed
            stack.enter_context(store_errors(self._path))
            writer = Writer(
                self._path, commit_seconds=Histogram((1.0,)), batch_size=Histogram((1,)),
                wal_limit_bytes=WAL_LIMIT_BYTES, litestream_alive=self._litestream_lives, clock=self._clock,
            )  # fmt: skip
            stack.enter_context(contextlib.closing(writer))
            writer.start()
            self._begin(writer)
            reader = stack.enter_context(contextlib.closing(connect_reader(self._path)))
            yield writer, reader

    def _begin(self, writer: Writer) -> None:
        """The first write of a process: where the recorder before was killed between the frames of a transaction and
        SQLite's index over them, this row takes the place of those frames, and the replicator is told."""
        if self._has_begun and not self._was_killed:
            return
        now_ms = self._clock.wall_ms()

        def note(conn: Connection) -> None:
            conn.execute(
                "INSERT INTO recorder (one, started, starts) VALUES (1, ?, 1) "
                "ON CONFLICT (one) DO UPDATE SET started = excluded.started, starts = starts + 1",
                (now_ms,),
            )

        writer.submit(note)
        self._has_begun = True
        if self._was_killed:
            self._began_after_kill_at, self._was_killed = self._clock.wall_ms(), False

    def _turns(self, writer: Writer, reader: Connection) -> None:
        node = self._config.node
        journal = Journal(
            writer.submit, transitions=node.links_dir / "transitions.jsonl", traces=self._traces, clock=self._clock,
            check=self._check_stop,
        )  # fmt: skip
        freezer = Freezer(
            writer.submit, state_dir=node.state_dir, traces=self._traces, about=about_node(self._config),
            clock=self._clock, check=self._check_stop,
        )  # fmt: skip
        drills, behind = DrillLog(writer.submit), BehindLog(writer.submit, self._clock, boot_id=boot_id())
        while not self._stop.is_set():
            self._turn_began = self._clock.boottime()
            drills.turn(read_status(node.run_dir, "drill"))
            behind.turn(read_status(node.run_dir, "replica"))
            works = read_maintenance(node.state_dir)
            self._orders_problems = works.problems
            turn = journal.turn(read_status(node.run_dir, "links"), works.works)
            self._recorded(turn)
            is_more = turn.behind or self._freeze(freezer, reader)
            self._turn_began = None
            self._stop.wait(BEHIND_EVERY_S if is_more else EVERY_S)

    def _recorded(self, turn: Turn) -> None:
        now = self._clock.boottime()
        self._recorded_ms = self._clock.wall_ms()
        if turn.unreadable:
            self._unreadable, self._unreadable_at = self._unreadable + turn.unreadable, now
        self._behind_since = (self._behind_since or now) if turn.behind else None
        self._succeeded("history")

    def _freeze(self, freezer: Freezer, reader: Connection) -> bool:
        """Freeze one incident; what hinders it hinders no recording. True: there may be more."""
        try:
            is_more = freezer.freeze_one(reader) is not None
        except OSError as error:
            self._failed("evidence", f"{error.filename or 'a file'}: {error.strerror or error}")
            return False
        except StoreError as error:
            self._failed("evidence", f"{error.code}: {error.message}")
            raise
        self._succeeded("evidence")
        return is_more

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _litestream_lives(self) -> bool:
        status = self._read_node()
        return status.services.get("replica") is ServiceState.OK and status.replica["litestream"] == "running"

    def _failed(self, what: str, why: str, *, trace: str | None = None) -> None:
        self._said[what] = why
        if self._failures[what].failed():
            event(f"{what}_not_written", level="error", why=why, times=self._failures[what].count, trace=trace)

    def _succeeded(self, what: str) -> None:
        self._said.pop(what, None)
        if times := self._failures[what].recovered():
            event(f"{what}_written_again", failed=times)
