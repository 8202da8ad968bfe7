"""The watcher of the lines: probes them, decides, sets routes, and says what it did.

It opens no database, listens on no port, and needs no other service. Its one input beside the kernel and the
configuration is `orders/links.json`. When it ends, however it ends, the routes stay as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from edge_node.base.clock import EARLIEST_SANE_MS, Clock, SystemClock, boot_id
from edge_node.base.errors import EdgeError
from edge_node.base.logs import event
from edge_node.base.systemd import notify, watchdog_interval_s
from edge_node.config.schema import Config
from edge_node.orders import LineOrder, OrdersRead, read_line_orders
from edge_node.services import line_memory
from edge_node.services.line_interfaces import absent_interfaces
from edge_node.services.line_keys import setup_to_ask
from edge_node.services.line_memory import LineMemory
from edge_node.services.line_record import LineRecord
from edge_node.services.line_report import counters, report, report_without_lines, utc_of
from edge_node.services.own_status import OwnStatus
from failover.core.model import Order, OrderKind
from failover.netlink.kernel import Kernel
from failover.netlink.links import Hints
from failover.probes.engine import Engine
from failover.probes.mtu import Sizes
from failover.probes.opening import opener
from failover.watcher import Watcher

STATUS_EVERY_S = 1.0
ORDERS_EVERY_S = 1.0
# The stop is done within a second: a disk that hangs is not waited for longer than this.
LAST_WORDS_S = 0.6
# What was before is worth waiting for, but not long: the lines have nobody meanwhile.
MEMORY_WITHIN_S = 1.0
# The two clocks are read one after the other; a time in the status file moves only when the wall clock was set.
STEPPED_MS = 20


def run(config: Config, *, reload: Callable[[], Config] | None = None) -> None:
    """Watch until SIGTERM or SIGINT; `reload` reads the configuration again (SIGHUP). Blocks, in the main thread only.

    Raises ConfigError where the lines cannot be watched as they are configured.
    """
    os.umask(0o027)
    asyncio.run(_Service(config, SystemClock(), reload).run())


class _Service:
    def __init__(self, config: Config, clock: Clock, reload: Callable[[], Config] | None) -> None:
        self._config, self._clock, self._reload = config, clock, reload
        self._setup = setup_to_ask(config)
        self._status = OwnStatus(config.node.run_dir, "links", clock, every_s=STATUS_EVERY_S)
        self._record = LineRecord(config.node.links_dir, clock)
        self._kernel = Kernel()
        self._engine = Engine(clock.boottime, opener(clock.boottime), self._record.sample)
        self._sizes = Sizes(clock.boottime)
        self._memory = LineMemory()
        self._watcher: Watcher | None = None
        self._watching: list[asyncio.Task[None]] = []
        self._hints: Hints | None = None
        self._orders = OrdersRead()
        self._reload_failed: str | None = None
        self._began = clock.boottime()
        self._is_ready = False
        self._changed = asyncio.Event()
        self._watchdog_s = watchdog_interval_s()
        self._petted_at = float("-inf")
        self._apart_ms = 0
        self._shown_problems: list[Any] = []

    async def run(self) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)
        await self._remember()
        self._record.start()
        self._orders = self._read_orders()
        self._watch()
        for problem in absent_interfaces(self._config):
            event("interface_missing", level="warning", key=problem.path, why=problem.text)
        event("links_started", lines=len(self._setup.policy.lines), act=self._setup.act)
        beside = [asyncio.create_task(part) for part in (stop.wait(), self._tell(), self._follow_orders())]
        try:
            while not stop.is_set():
                # Whatever ends by itself ends the service: a bug is to be seen, and restarted from outside.
                tasks = [*beside, *self._watching]
                done, _ = await asyncio.wait(tasks, timeout=STATUS_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                failed = [task for task in done if not task.cancelled() and task.exception() is not None]
                if failed or any(task in beside for task in done):
                    break
        finally:
            notify("STOPPING=1")
            for task in (*beside, *self._watching):
                task.cancel()
            ends = await asyncio.gather(*beside, *self._watching, return_exceptions=True)
            self._status.write(self._state(), stopped=True)
            self._engine.close()
            self._sizes.close()
            self._kernel.close()
            self._record.stop(within_s=LAST_WORDS_S)
            event("links_stopped")
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _remember(self) -> None:
        """Read what an earlier watcher told; from a disk that hangs, nothing is remembered."""
        detects = {line.name: line.detect for line in self._setup.policy.lines}
        path, boottime, wall_ms = self._record.path, self._clock.boottime(), self._clock.wall_ms()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MEMORY_WITHIN_S):
                self._memory = await asyncio.to_thread(
                    line_memory.read, path, detects, boot=boot_id(), boottime=boottime, wall_ms=wall_ms
                )
        self._record.offline_until, self._record.was_offline = self._memory.offline_until, self._memory.was_offline

    # ---- lines, or none

    def _watch(self) -> None:
        """Begin to watch; where there is no line there is nothing to do, and the kernel is not even read."""
        if not self._setup.policy.lines:
            self._ready()
            return
        self._watcher = Watcher(
            self._setup,
            clock=self._clock.boottime,
            minute=self._minute,
            orders=self._standing_orders,
            kernel=self._kernel,
            engine=self._engine,
            record=self._record,
            sizes=self._sizes,
            known=self._memory.health,
            used=self._memory.used,
            left=self._memory.left,
        )
        self._memory = LineMemory()
        with contextlib.suppress(OSError):
            self._hints = Hints()
            asyncio.get_running_loop().add_reader(self._hints.fileno(), self._heard_a_hint)
        self._watching = [
            asyncio.create_task(self._watcher.run(self._after_turn)),
            asyncio.create_task(self._engine.run()),
        ]

    def _heard_a_hint(self) -> None:
        assert self._hints is not None and self._watcher is not None
        self._hints.drain()
        self._watcher.hint()

    def _after_turn(self) -> None:
        self._ready()
        self._pet()
        if self._record.is_changed:
            self._record.is_changed = False
            self._changed.set()

    def _ready(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            notify("READY=1")

    def _pet(self) -> None:
        now = self._clock.boottime()
        if self._watchdog_s is not None and now - self._petted_at >= self._watchdog_s / 2:
            self._petted_at = now
            notify("WATCHDOG=1")

    def _read_again(self) -> None:
        """SIGHUP: other lines, another policy. What cannot be read changes nothing, and is shown."""
        if self._reload is None:
            return
        try:
            config = self._reload()
            setup = setup_to_ask(config)
        except EdgeError as error:
            self._reload_failed = error.message
            event("reload_failed", level="error", why=error.render())
            self._changed.set()
            return
        self._reload_failed, self._setup = None, setup
        self._config = self._config.model_copy(update={"line": config.line, "lines": config.lines})
        event("reloaded", lines=len(setup.policy.lines), act=setup.act)
        if self._watcher is None:
            self._watch()
        elif setup.policy.lines:
            self._watcher.reload(setup)
        else:
            self._stop_watching()
        self._changed.set()

    def _stop_watching(self) -> None:
        for task in self._watching:
            task.cancel()
        self._watching, self._watcher = [], None
        if self._hints is not None:
            asyncio.get_running_loop().remove_reader(self._hints.fileno())
            self._hints.close()
            self._hints = None
        self._engine.set_lines({}, self._clock.boottime())
        self._sizes.set_lines({}, {}, adopted={}, now=self._clock.boottime())

    # ---- orders

    def _read_orders(self) -> OrdersRead:
        names = [line.name for line in self._setup.policy.lines]
        return read_line_orders(self._config.node.state_dir, lines=names, now_ms=self._clock.wall_ms())

    async def _follow_orders(self) -> None:
        """Read them every second, in a thread: their disk may hang, and the lines must not."""
        while True:
            await asyncio.sleep(ORDERS_EVERY_S)
            read = await asyncio.to_thread(self._read_orders)
            if read != self._orders:
                self._orders = read
                self._changed.set()
                for problem in read.problems:
                    event("order_not_heeded", level="warning", why=problem)

    def _standing_orders(self) -> list[Order]:
        boottime, wall_ms = self._clock.boottime(), self._clock.wall_ms()

        def boot(at_ms: int) -> float:
            return boottime - (wall_ms - at_ms) / 1000

        return [_order(order, boot(order.since_ms), boot(order.until_ms)) for order in self._orders.orders]

    def _minute(self) -> int | None:
        """The minute of the local day; not known while the clock cannot be right."""
        wall_ms = self._clock.wall_ms()
        if wall_ms < EARLIEST_SANE_MS:
            return None
        local = time.localtime(wall_ms / 1000)
        return local.tm_hour * 60 + local.tm_min

    # ---- status

    async def _tell(self) -> None:
        """Write the status every second and on every change, in a thread: with --home it lies on a disk."""
        while True:
            self._changed.clear()
            await asyncio.to_thread(self._status.write, self._state())
            if self._watcher is None:
                self._pet()
            # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the result.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_EVERY_S):
                    await self._changed.wait()

    def _state(self) -> dict[str, Any]:
        boottime, wall_ms = self._clock.boottime(), self._clock.wall_ms()
        apart_ms = wall_ms - round(boottime * 1000)
        if abs(apart_ms - self._apart_ms) > STEPPED_MS:
            self._apart_ms = apart_ms
        utc = utc_of(self._apart_ms)
        problems: list[dict[str, Any]] = [
            *({"code": "orders-unreadable", "args": {"why": problem}} for problem in self._orders.problems),
            *self._record.problems(),
        ]
        if self._reload_failed is not None:
            problems.append({"code": "reload-failed", "args": {"why": self._reload_failed}})
        if self._watcher is None:
            state = report_without_lines(self._began, utc, self._setup.act, problems)
        else:
            state = report(
                self._watcher.view(),
                carriers={line.name: line.carrier for line in self._config.line},
                utc=utc,
                order_ids={(order.kind, order.line): order.id for order in self._orders.orders},
                problems=problems,
                offline_until=self._record.offline_until,
            )
        self._log_problems(state["problems"])
        overruns = 0 if self._hints is None else self._hints.overruns
        return {**state, **counters(self._record, self._engine.blind_s), "netlink_overruns": overruns}

    def _log_problems(self, problems: list[dict[str, Any]]) -> None:
        """Say each problem once when it comes and once when it goes."""
        for problem in problems:
            if problem not in self._shown_problems:
                event("problem", level="warning", code=problem["code"], **problem["args"])
        for problem in self._shown_problems:
            if problem not in problems:
                event("problem_gone", code=problem["code"], **problem["args"])
        self._shown_problems = list(problems)


def _order(order: LineOrder, since: float, until: float) -> Order:
    return Order(
        kind=OrderKind(order.kind), line=order.line, since=since, until=until, by=order.by, why=order.why
    )  # fmt: skip
