"""When questions are asked, and what became of them.

Every target has absolute ticks: `begin + n * interval`, with a phase of its own, so that targets are not asked in
lockstep. A tick that comes late by more than half its interval is *blind*: this process did not run, and what it did
not hear then proves nothing. It is not asked afterwards either; the next tick is. The same holds for a question that
could not be sent for want of a descriptor or of memory.

The engine does not decide when it runs: `next_due` says when, `tick` asks what is due, `settle` is called before
anybody judges. `run` is that loop for real time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from failover.alarm import Alarm
from failover.core.judge import Watched
from failover.core.model import Detect
from failover.core.window import Window
from failover.probes.outcome import Outcome, Sample
from failover.probes.pin import NotPermitted, Pin
from failover.setup import Target

REOPEN_S = 1.0  # a probe that could not be opened is tried again this often
_JITTER_SHARE = 1 / 16  # RFC 3550: each difference moves the mean by a sixteenth
_IDLE_S = 1.0
_ROUNDING = 1e-6  # of a tick: sums of intervals are a little off

Heard = Callable[[float, float], None]


class Probe(Protocol):
    """A way to ask one target through one line."""

    is_pinned: bool

    def ask(self, asked_at: float) -> Outcome | None: ...

    def listen(self) -> None: ...

    def close(self) -> None: ...


class OpenProbe(Protocol):
    """Opens one. Raises NotPermitted, or OSError where the line has no interface or address now."""

    def __call__(self, pin: Pin, target: Target, heard: Heard) -> Probe: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LineProbing:
    """How one line is asked now. `barred` names the targets that cannot be asked, with the reason's word."""

    pin: Pin
    targets: tuple[Target, ...]
    detect: Detect = field(default_factory=Detect)
    barred: Mapping[str, str] = field(default_factory=dict)


class Asked:
    """One target through one line: its window, its ticks, its open questions."""

    def __init__(self, line: str, target: Target, detect: Detect, begins_at: float) -> None:
        self.line, self.target, self.detect = line, target, detect
        self.every_s = target.every_s or detect.interval_s
        self.window = Window(detect.window_s)
        self.due = begins_at
        self.probe: Probe | None = None
        self.barred: str | None = None
        self.is_unpinned = False
        self.reopen_at = 0.0
        self.open: dict[float, None] = {}
        self.jitter_s: float | None = None
        self._last_rtt_s: float | None = None

    @property
    def watched(self) -> Watched:
        return Watched(target=self.target.name, window=self.window, role=self.target.role, every_s=self.every_s)

    def answered(self, rtt_s: float) -> None:
        if self._last_rtt_s is not None:
            step_s = abs(rtt_s - self._last_rtt_s)
            before_s = step_s if self.jitter_s is None else self.jitter_s
            self.jitter_s = before_s + (step_s - before_s) * _JITTER_SHARE
        self._last_rtt_s = rtt_s

    def close(self) -> None:
        if self.probe is not None:
            self.probe.close()
            self.probe = None


class Engine:
    """All targets of all lines. `record` is told of every question when its outcome is known."""

    def __init__(
        self,
        clock: Callable[[], float],
        open_probe: OpenProbe,
        record: Callable[[Sample], None],
        *,
        phase: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._open_probe, self._record, self._phase = clock, open_probe, record, phase
        self._asked: dict[tuple[str, Target], Asked] = {}
        self._lines: dict[str, LineProbing] = {}
        self._changed = Alarm()
        self._blind_until = 0.0
        self.blind_s = 0.0

    def set_lines(self, lines: Mapping[str, LineProbing], now: float) -> None:
        """Ask these lines from now on. What is asked as before keeps its window; what is pinned anew, new sockets."""
        wanted = {(name, target): line for name, line in lines.items() for target in line.targets}
        for key in [key for key in self._asked if key not in wanted]:
            self._asked.pop(key).close()
        for (name, target), line in wanted.items():
            known = self._asked.get((name, target))
            if known is None or known.detect != line.detect:
                if known is not None:
                    known.close()
                known = Asked(name, target, line.detect, 0.0)
                known.due = now + self._phase() * known.every_s
                self._asked[name, target] = known
            elif self._lines[name].pin != line.pin:
                known.close()
                known.reopen_at = 0.0
            known.barred = line.barred.get(target.name)
            if known.barred is not None:
                known.close()
        self._lines = dict(lines)
        self._changed.ring()

    def reopen(self, line: str) -> None:
        """The interface or its address is another one: sockets bound to the old one hear nothing any more."""
        for asked in self.of_line(line):
            asked.close()
            asked.reopen_at = 0.0

    def of_line(self, line: str) -> Iterator[Asked]:
        return (asked for (name, _), asked in self._asked.items() if name == line)

    def watched(self, line: str) -> tuple[Watched, ...]:
        return tuple(asked.watched for asked in self.of_line(line))

    def next_due(self) -> float | None:
        return min((asked.due for asked in self._asked.values()), default=None)

    def settle(self, now: float) -> None:
        """Read what has arrived, mark what was slept through: before anybody judges."""
        for asked in self._asked.values():
            if asked.probe is not None:
                asked.probe.listen()
            if now - asked.due > asked.every_s / 2:
                self._slept(asked, asked.due, now)
            self._expire(asked, now - asked.detect.lost_after_s)

    def tick(self, now: float) -> None:
        """Ask whatever is due."""
        for asked in self._asked.values():
            if now < asked.due:
                continue
            if now - asked.due > asked.every_s / 2:
                if asked.probe is not None:
                    asked.probe.listen()
                self._slept(asked, asked.due, now)
                continue
            self._ask(asked)
            asked.due = _next(asked.due, asked.every_s, now)

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            due = self.next_due()
            await self._changed.wait(_IDLE_S if due is None else due - self._clock())
            self.tick(self._clock())

    def close(self) -> None:
        for asked in self._asked.values():
            asked.close()

    # ---- one target

    def _ask(self, asked: Asked) -> None:
        probe = asked.probe or self._opened(asked)
        if probe is None:
            return
        at = self._clock()
        outcome = probe.ask(at)
        if outcome is Outcome.BLIND:
            asked.window.blind(asked.due - asked.every_s, at, asked.detect.lost_after_s)
            self._record(Sample(at, asked.line, asked.target.name, outcome))
            return
        asked.window.asked(at)
        if outcome is None:
            asked.open[at] = None
        else:
            self._record(Sample(at, asked.line, asked.target.name, outcome))

    def _opened(self, asked: Asked) -> Probe | None:
        """The probe, opened if it can be. What cannot be asked is blind: nothing follows from its silence."""
        if asked.barred is None and self._clock() >= asked.reopen_at:
            asked.reopen_at = self._clock() + REOPEN_S
            try:
                asked.probe = self._open_probe(
                    self._lines[asked.line].pin, asked.target, lambda at, rtt_s: self._heard(asked, at, rtt_s)
                )
            except NotPermitted as error:
                asked.barred = f"{error.what}-not-permitted"
            except OSError:
                pass
            else:
                asked.is_unpinned = not asked.probe.is_pinned
                return asked.probe
        asked.window.blind(asked.due - asked.every_s, self._clock(), asked.detect.lost_after_s)
        return None

    def _heard(self, asked: Asked, asked_at: float, rtt_s: float) -> None:
        is_late = asked_at not in asked.open
        asked.open.pop(asked_at, None)
        asked.window.answered(asked_at, rtt_s)
        asked.answered(rtt_s)
        outcome = Outcome.LATE if is_late else Outcome.ANSWERED
        self._record(Sample(asked_at, asked.line, asked.target.name, outcome, rtt_s))

    def _slept(self, asked: Asked, since: float, until: float) -> None:
        lost_after_s = asked.detect.lost_after_s
        asked.window.blind(since, until, lost_after_s)
        for at in [at for at in asked.open if at >= since - lost_after_s]:
            del asked.open[at]
            self._record(Sample(at, asked.line, asked.target.name, Outcome.BLIND))
        self.blind_s += max(0.0, until - max(since, self._blind_until))
        self._blind_until = max(self._blind_until, until)
        asked.due = _next(asked.due, asked.every_s, until)

    def _expire(self, asked: Asked, before: float) -> None:
        while asked.open and (oldest := next(iter(asked.open))) <= before:
            del asked.open[oldest]
            self._record(Sample(oldest, asked.line, asked.target.name, Outcome.LOST))


def _next(due: float, every_s: float, now: float) -> float:
    """The first tick of the schedule after `now`."""
    return due + every_s * (int(max(0.0, now - due) / every_s + _ROUNDING) + 1)
