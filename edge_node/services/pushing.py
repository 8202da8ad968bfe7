"""The pushing half of the monitor: one thread keeps the node's samples, another sends them.

Neither waits for the other, and no scrape for either: a receiver that hangs delays no sample. What hinders them is said
in the status, and tried again.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
import zlib
from collections.abc import Callable
from typing import Any

from edge_node.base.clock import EARLIEST_SANE_MS, Clock, kernel_synchronised
from edge_node.base.errors import EdgeError
from edge_node.base.logs import Repeated, event
from edge_node.base.systemd import credential_path
from edge_node.config.schema import Config, RemoteWrite
from edge_node.push.receiver import Receiver
from edge_node.push.sender import Sender, Surroundings
from edge_node.push.spool import join_spool, open_spool
from edge_node.status import Mode, Reason, ServiceState, status_reader
from edge_node.status.line_share import restraints
from monitoring.remote_write import Step, sampled
from monitoring.snapshot import NodeSnapshot

# Alerts look at ages of a minute. Two lines make 4 kB of it: 12 MB a day.
STEP_S = 30
# The job of a node that is scraped; the rules and dashboards in monitoring/ look for `clinic`.
JOB = "edge-node"
AGAIN_S = 5.0
SPOOL = ("push", "samples.db")


def moment_ms(now_ms: int, node_id: str) -> int:
    """The newest moment to sample, not after now: every STEP_S, at a second of the node's own.

    Three hundred nodes must not all push at the full minute.
    """
    step_ms = STEP_S * 1000
    phase_ms = zlib.crc32(node_id.encode()) % step_ms
    return (now_ms - phase_ms) // step_ms * step_ms + phase_ms


class Pushing:
    """Keeps and sends samples between `start` and `stop`; `state` and `problems` say how it is, from any thread."""

    def __init__(self, config: Config, remote: RemoteWrite, clock: Clock, read: Callable[[], NodeSnapshot]) -> None:
        self._config, self._remote, self._clock, self._read = config, remote, clock, read
        self._path = config.node.state_dir.joinpath(*SPOOL)
        self._read_node = status_reader(config, clock)
        self._is_open, self._is_new, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(name, work), name=name, daemon=True)
            for name, work in (("sampler", self._sample), ("sender", self._send))
        ]
        self._failures = {"sampler": Repeated(), "sender": Repeated()}
        self._said: dict[str, str] = {}
        self._sender: Sender | None = None

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, *, within_s: float) -> None:
        """End. A request that is under way is not waited for: what it sent is sent again."""
        self._stop.set()
        self._is_open.set()
        self._is_new.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(within_s / len(self._threads))

    def state(self) -> dict[str, Any]:
        return {} if self._sender is None else self._sender.state()

    def problems(self) -> list[Reason]:
        failed = [Reason(code="samples-not-kept", args={"why": why}) for why in sorted(set(self._said.values()))]
        return failed + ([] if self._sender is None else self._sender.problems())

    # ---- the threads

    def _repeat(self, name: str, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except EdgeError as error:
                self._failed(name, f"{error.code}: {error.message}")
            except OSError as error:
                self._failed(name, f"{error.filename or 'a file'}: {error.strerror or error}")
            except Exception as error:
                # A bug in here must not end the metrics, which are what tells of it.
                self._failed(name, f"{type(error).__name__}: {error}", trace=traceback.format_exc())
            self._stop.wait(AGAIN_S)

    def _sample(self) -> None:
        node_id = self._config.node.id
        # What is wrong with the file is mended at a start: the sender has it open afterwards.
        with contextlib.closing((join_spool if self._is_open.is_set() else open_spool)(self._path)) as spool:
            self._is_open.set()
            at_ms = moment_ms(self._clock.wall_ms(), node_id)
            while not self._stop.is_set():
                now_ms = self._clock.wall_ms()
                if (newest_ms := moment_ms(now_ms, node_id)) == at_ms:
                    self._stop.wait((at_ms + STEP_S * 1000 - now_ms) / 1000)
                    continue
                at_ms = newest_ms
                # A clock that lost its battery has no time to give to a sample.
                if at_ms > EARLIEST_SANE_MS:
                    spool.record(Step(at_ms=at_ms, values=sampled(self._read())))
                    self._succeeded("sampler")
                    self._is_new.set()

    def _send(self) -> None:
        self._is_open.wait()
        if self._stop.is_set():
            return
        name, node_id = self._remote.credential, self._config.node.id
        secret = None if name is None else credential_path(name, state_dir=self._config.node.state_dir)
        with (
            contextlib.closing(join_spool(self._path)) as spool,
            contextlib.closing(Receiver(self._remote.url, secret_path=secret, clock=self._clock)) as receiver,
        ):
            self._sender = sender = Sender(
                spool,
                receiver.post,
                labels={"job": JOB, "instance": node_id, "clinic": node_id},
                window_s=self._remote.window_s,
                clock=self._clock,
                surroundings=self._surroundings,
            )
            while not self._stop.is_set():
                self._is_new.clear()
                wait_s = sender.turn()
                self._succeeded("sender")
                if wait_s is None:
                    self._is_new.wait(STEP_S)
                else:
                    self._stop.wait(wait_s)

    def _surroundings(self) -> Surroundings:
        node = self._read_node()
        links, outbox = (
            file.state if (file := node.files.get(name)) and node.services.get(name) is ServiceState.OK else None
            for name in ("links", "outbox")
        )
        return Surroundings(
            restraints=restraints(links, outbox),
            is_offline=node.mode is Mode.OFFLINE,
            is_synchronised=kernel_synchronised(),
        )

    def _failed(self, who: str, why: str, *, trace: str | None = None) -> None:
        self._said[who] = why
        if self._failures[who].failed():
            event("samples_not_kept", level="error", who=who, why=why, times=self._failures[who].count, trace=trace)

    def _succeeded(self, who: str) -> None:
        self._said.pop(who, None)
        if times := self._failures[who].recovered():
            event("samples_kept_again", who=who, failed=times)
