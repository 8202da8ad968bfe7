"""A real watcher in virtual time on lines with weather, and the trace that it leaves."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_node.base.clock import utc_text
from edge_node.services.line_memory import remembered
from failover.core.model import LineHealth, LinkState
from failover.netlink.links import Interface
from failover.probes.engine import Heard, Probe
from failover.probes.outcome import Outcome, Sample
from failover.probes.pin import Pin
from failover.setup import Setup, Target
from failover.trace import Entry, LinkChange, Moment
from tests.support.watching import Desk

FLUSH_EVERY_S = 10.0
WALL_AT_BOOT_MS = 1_790_000_000_000


@dataclass
class Weather:
    """What becomes of a question: lost with this chance, else answered after so long."""

    loss: float = 0.0
    rtt_s: Callable[[random.Random], float] = lambda chance: 0.005 + chance.expovariate(1000)


@dataclass
class _Asker:
    """A probe on a line with weather. What arrives while nobody listens is still there afterwards, as in a socket."""

    desk: RecordedWatcher
    pin: Pin
    heard: Heard
    is_pinned: bool = True
    flying: list[tuple[float, float, float]] = field(default_factory=list)

    def ask(self, asked_at: float) -> Outcome | None:
        if self.desk.is_short_of_memory:
            return Outcome.BLIND
        weather = self.desk.weather[self.pin.interface]
        if self.desk.chance.random() >= weather.loss:
            rtt_s = weather.rtt_s(self.desk.chance)
            self.flying.append((asked_at + rtt_s, asked_at, rtt_s))
        return None

    def listen(self) -> None:
        here = [answer for answer in self.flying if answer[0] <= self.desk.now]
        self.flying = [answer for answer in self.flying if answer[0] > self.desk.now]
        for _, asked_at, rtt_s in here:
            self.heard(asked_at, rtt_s)

    def close(self) -> None:
        self.flying.clear()


class RecordedWatcher(Desk):
    """A watcher and its trace in batches of ten seconds; `after` is one that ended, on the same machine and lines."""

    def __init__(self, setup: Setup, *, seed: int = 0, after: RecordedWatcher | None = None) -> None:
        super().__init__(setup, None if after is None else after.kernel)
        self.setup, self.chance = setup, random.Random(seed)
        self.weather = {line.interface: Weather() for line in setup.layout.lines}
        self.boot, self.is_short_of_memory = "boot-1", False
        self.trace: list[tuple[Moment, list[Entry]]] = []
        if after is not None:
            after.flush()
            self.watcher._health = after.memory()  # Desk's own watcher is none that starts over
            self.now, self.weather, self.trace, self.moves = after.now, after.weather, after.trace, after.moves
            self.verdicts, self.chance = after.verdicts, after.chance
        self._entries: list[Entry] = []
        self._flushed_at = self._next_at = self.now
        # Desk's engine keeps no record and asks in step; this one records, and its phases are those of a real one.
        self.engine._record, self.engine._phase = self._entries_append, self.chance.random

    def _entries_append(self, sample: Sample) -> None:
        self._entries.append(sample)

    def _open(self, pin: Pin, target: Target, heard: Heard) -> Probe:
        return _Asker(self, pin, heard)

    def link_changed(self, at: float, line: str, link: LinkState) -> None:
        super().link_changed(at, line, link)
        self._entries.append(LinkChange(at, line, link))

    def run(self, seconds: float) -> RecordedWatcher:
        """Look and ask when it is due, as the service's loop does, a hundred times a second."""

        async def turns() -> None:
            until = self.now + seconds
            while self.now < until:
                if self.now >= min(self._next_at, self.watcher._sense_at):  # a hint makes it sense sooner
                    await self.watcher.turn()
                    self._next_at = self.watcher._next_at()
                self.engine.tick(self.now)
                self.now += 0.01
                if self.now - self._flushed_at >= FLUSH_EVERY_S:
                    self.flush()

        asyncio.run(turns())
        return self

    def sleep(self, seconds: float) -> None:
        """The process is stopped; the lines are not."""
        self.now += seconds

    def replaces(self, name: str, interface: Interface | None) -> None:
        """An interface is another one, or gone; the kernel says so."""
        if interface is None:
            self.kernel.interfaces.pop(name)
        else:
            self.kernel.interfaces[name] = interface
        self.watcher.hint()

    def memory(self) -> dict[str, LineHealth]:
        """What the next watcher remembers of this one's record."""
        lines = [
            {
                "kind": "verdict", "subject": told.line, "from": told.before, "to": told.after, "boottime": told.at,
                "boot_id": self.boot, "at": utc_text(WALL_AT_BOOT_MS + round(told.at * 1000)),
                "reason": {"code": told.reason.code},
            }
            for told in self.verdicts
        ]  # fmt: skip
        detects = {line.name: line.detect for line in self.setup.policy.lines}
        encoded = [json.dumps(line).encode() for line in lines]
        wall_ms = WALL_AT_BOOT_MS + round(self.now * 1000)
        return dict(remembered(encoded, detects, boot=self.boot, boottime=self.now, wall_ms=wall_ms).health)

    def flush(self) -> None:
        self._flushed_at = self.now
        if self._entries:
            moment = Moment(self.boot, self.now, WALL_AT_BOOT_MS + round(self.now * 1000))
            self.trace.append((moment, self._entries))
            self._entries = []
