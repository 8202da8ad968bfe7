"""The replicator's part in proving its copies: what drills have shown, orders to drill and verify, expiry, the clock.

Drills, looks and expiry run as children, `edge-node replica …`: they take memory and processor for minutes, and
whatever becomes of them must not touch the shipping. Timers run the same commands; one lock is for both. What nobody
has done in time is done from here (`proof_due`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock
from edge_node.base.errors import ExitCode
from edge_node.base.logs import event
from edge_node.base.process import PARENT_VARIABLE, clean_environment
from edge_node.config.schema import Config
from edge_node.proof_orders import ProofOrder, ProofOrderKind, read_proof_orders, replica_orders
from edge_node.replication.clock_watch import ClockWatch
from edge_node.replication.drill_record import last_at_ms, points_seen, read_record, record_path, shown
from edge_node.replication.proof_due import Proof, due

EVERY_S = 2.0
EXPIRE_EVERY_S = 24 * 3600.0
# A node that has just started has other things to do.
FIRST_EXPIRY_S = 3600.0
DUE_EVERY_S = 60.0
# One that left no word (killed, no room, a destination that does not answer) is tried again after so long.
AGAIN_S = 6 * 3600.0


class Proofs:
    """`run` until cancelled; `shown` and `problems` are for the status file.

    `has_timers`: systemd drills and verifies. `owns` says whether the history is still this machine's: one that was
    replaced proves nothing and deletes nothing.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        config_path: Path | None,
        has_timers: bool = True,
        owns: Callable[[], bool] = lambda: True,
    ) -> None:
        self._config, self._clock = config, clock
        self._has_timers, self._owns = has_timers, owns
        self._started_ms = clock.wall_ms()
        self._due_at = clock.boottime()
        self._tried: dict[tuple[Proof, str], float] = {}
        self._path = record_path(config.node.state_dir)
        # With --home the configuration lies beside the state, and names no folders.
        self._where = ("--home", str(config.node.state_dir))
        if config_path is not None and config_path.parent != config.node.state_dir:
            self._where = ("--config", str(config_path))
        self._watch = ClockWatch(clock)
        self._seen: tuple[int, int] | None = None
        self._record: Mapping[str, Any] = read_record(self._path)
        self._begun: set[str] = set()
        self._expire_at = clock.boottime() + FIRST_EXPIRY_S

    def shown(self, destination: str) -> Mapping[str, Any]:
        """What the last drill from a destination and the last look at it showed."""
        return shown(self._read(), destination)

    def points(self) -> Mapping[str, Any]:
        """The restore points of each destination as the last look found them."""
        return points_seen(self._read())

    def _read(self) -> Mapping[str, Any]:
        """The record, read again when it has changed."""
        with contextlib.suppress(OSError):
            stat = self._path.stat()
            if (seen := (stat.st_mtime_ns, stat.st_ino)) != self._seen:
                self._seen, self._record = seen, read_record(self._path)
        return self._record

    def problems(self) -> Sequence[dict[str, Any]]:
        """Reasons with code and args."""
        self._watch.turn()
        return self._watch.problems()

    async def run(self) -> None:
        """Carry out orders, one after another, and expire where it is wished."""
        while True:
            await asyncio.sleep(EVERY_S)
            for order in self._due():
                self._begun.add(order.id)
                wish = ("--from", order.destination) if order.destination else ()
                reason = ("--reason", order.why) if order.kind is ProofOrderKind.DRILL else ()
                await self._child(str(order.kind), *wish, *reason, "--order", order.id)
            if not self._owns():
                continue
            if self._clock.boottime() >= self._due_at:
                self._due_at = self._clock.boottime() + DUE_EVERY_S
                await self._prove_what_is_due()
            if self._clock.boottime() >= self._expire_at:
                self._expire_at = self._clock.boottime() + EXPIRE_EVERY_S
                await self._expire()

    def _due(self) -> list[ProofOrder]:
        now_ms = self._clock.wall_ms()
        orders = read_proof_orders(replica_orders(self._config.node.state_dir), now_ms=now_ms)
        done = {*self._begun, *(read_record(self._path)["orders"] if orders else ())}
        kinds = (ProofOrderKind.DRILL, ProofOrderKind.VERIFY)
        return [order for order in orders if order.kind in kinds and order.id not in done]

    async def _prove_what_is_due(self) -> None:
        record, now_ms = read_record(self._path), self._clock.wall_ms()
        names = [destination.name for destination in self._config.replica.destination]
        for proof in Proof:
            lasts = {name: last_at_ms(record, name, proof) for name in names}
            hour = time.localtime(now_ms / 1000).tm_hour
            for name in due(
                proof, lasts, now_ms=now_ms, started_ms=self._started_ms, hour=hour, has_timers=self._has_timers
            ):  # fmt: skip
                tried = self._tried.get((proof, name), float("-inf"))
                if self._clock.boottime() - tried >= AGAIN_S:
                    self._tried[proof, name] = self._clock.boottime()
                    reason = ("--reason", "due") if proof is Proof.DRILL else ()
                    await self._child(proof, "--from", name, *reason)

    async def _expire(self) -> None:
        if self._watch.jump is not None:
            event("expiry_put_off", level="warning", clock_jumped_by_s=round(self._watch.jump.by_s))
            return
        for destination in self._config.replica.destination:
            if destination.expire:
                await self._child("expire", "--from", destination.name)

    async def _child(self, *arguments: str) -> None:
        argv = (sys.executable, "-m", "edge_node", *self._where, "replica", *arguments)
        # What it needs of ours beside a built environment: where credentials are, and to end when we do.
        kept = {key: value for key, value in os.environ.items() if key in ("CREDENTIALS_DIRECTORY", "EDGE_NODE_CALLER")}
        env = {**clean_environment(), **kept, PARENT_VARIABLE: str(os.getpid())}
        event("proof_begins", command=" ".join(arguments[:3]))
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=env,
                process_group=0,
            )
        )
        try:
            code = await (await asyncio.shield(starting)).wait()
        except OSError as error:
            event("proof_not_begun", level="error", command=arguments[0], why=error)
            return
        finally:
            await _end(starting)
        level = "info" if code == ExitCode.DONE else "warning"
        event("proof_ended", level=level, command=arguments[0], code=code)


async def _end(starting: asyncio.Future[asyncio.subprocess.Process]) -> None:
    """End a child that still runs, or was about to; with its group, in which a Litestream may be restoring for it."""
    with contextlib.suppress(OSError):
        child = await starting
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGTERM)
            await child.wait()
