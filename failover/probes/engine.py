"""When questions are asked, and what became of them.

Every target has absolute ticks: `begin + n * interval`, with a phase of its own, so that targets are not asked in
lockstep. The targets of one line are asked near each other: a line is dead when the last of them is silent for long
enough, and were they asked by turns, that would begin up to half an interval later.

A tick that comes late by more than half its interval is *blind*: this process did not run, and what it did not hear
then proves nothing. It is not asked afterwards either; the next tick is. The same holds for a question that could not
be sent for want of a descriptor or of memory.

The engine does not decide when it runs: `next_due` says when, `tick` asks what is due, `settle` is called before
anybody judges. `run` is that loop for real time.

Which way a question was lost is told by the answer to a later one, where a probe counts directions (STAMP). A lost
question of such a target is recorded when that is known, or `TOLD_WITHIN_S` after it was asked, whichever is sooner.
The account of directions belongs to the target, as its window does: it goes on when the socket is another one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from failover.alarm import Alarm
from failover.core.judge import Watched
from failover.core.model import Detect
from failover.core.window import Window
from failover.probes.directions import Directions, DirectionSummary
from failover.probes.outcome import Outcome, Sample
from failover.probes.pin import NotPermitted, Pin
from failover.setup import Target

REOPEN_S = 1.0  # a probe that could not be opened is tried again this often
# Whoever rolls samples up closes a minute some 15 s after its end: what is recorded later than this may be left out.
TOLD_WITHIN_S = 10.0
# An account of directions covers the window, and an outage of a minute.
_ACCOUNT_S = 60.0
_WEIGH_EVERY_S = 1.0  # a walk over the whole window; nobody judges quality more often
_JITTER_SHARE = 1 / 16  # RFC 3550: each difference moves the mean by a sixteenth
_IDLE_S = 1.0
NEAR = 1 / 8  # of an interval: within this the targets of one line are asked
_ROUNDING = 1e-6  # of a tick: sums of intervals are a little off

Heard = Callable[[float, float], None]


class Probe(Protocol):
    """A way to ask one target through one line."""

    is_pinned: bool

    def ask(self, asked_at: float) -> Outcome | None: ...

    def listen(self) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Directed(Protocol):
    """A probe that counts what is lost in each direction, in an account that it is given."""

    directions: Directions


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
        self.lost: dict[float, None] = {}  # not recorded yet: the way on which they were lost may still be told
        self.directions: Directions | None = None
        self.by_way: DirectionSummary | None = None  # of the window, a second old at most; None: not known of this kind
        self._weigh_at = float("-inf")
        self.jitter_s: float | None = None
        self._last_rtt_s: float | None = None

    @property
    def watched(self) -> Watched:
        return Watched(
            target=self.target.name,
            window=self.window,
            role=self.target.role,
            every_s=self.every_s,
            lost_towards=None if self.by_way is None else self.by_way.towards,
        )

    def keep_account(self, probe: Directed) -> None:
        """A new socket asks: the account of the one before goes on, as a session of its own."""
        if self.directions is None:
            self.directions = Directions(max(_ACCOUNT_S, self.detect.window_s + self.detect.lost_after_s))
        else:
            self.directions.renew()
        probe.directions = self.directions

    def blind(self, since: float, until: float) -> None:
        """Nobody asked or listened from `since` to `until`."""
        self.window.blind(since, until, self.detect.lost_after_s)
        if self.directions is not None:
            self.directions.blind(since, until, self.detect.lost_after_s)

    def weigh(self, now: float) -> None:
        if self.directions is not None and now >= self._weigh_at:
            self._weigh_at = now + _WEIGH_EVERY_S
            since, lost_after_s = now - self.detect.window_s, self.detect.lost_after_s
            self.by_way = self.directions.summary(now, since=since, lost_after_s=lost_after_s)

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
            self._end(self._asked.pop(key))
        starts: dict[str, float] = {}
        for (name, target), line in wanted.items():
            known = self._asked.get((name, target))
            if known is None or known.detect != line.detect:
                if known is not None:
                    self._end(known)
                known = Asked(name, target, line.detect, 0.0)
                start = starts.setdefault(name, self._phase())
                known.due = now + (start * (1 - NEAR) + self._phase() * NEAR) * known.every_s
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
            self._expire(asked, now)
            self._tell(asked, now)
            asked.weigh(now)

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
        """Nothing is asked any more; what was lost is recorded with what is known of it."""
        for asked in self._asked.values():
            self._end(asked)

    # ---- one target

    def _ask(self, asked: Asked) -> None:
        probe = asked.probe or self._opened(asked)
        if probe is None:
            return
        at = self._clock()
        outcome = probe.ask(at)
        if outcome is Outcome.BLIND:
            asked.blind(asked.due - asked.every_s, at)
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
                if isinstance(asked.probe, Directed):
                    asked.keep_account(asked.probe)
                return asked.probe
        asked.blind(asked.due - asked.every_s, self._clock())
        return None

    def _heard(self, asked: Asked, asked_at: float, rtt_s: float) -> None:
        is_late = asked_at not in asked.open
        asked.open.pop(asked_at, None)
        if asked_at in asked.lost:
            del asked.lost[asked_at]
            self._record(Sample(asked_at, asked.line, asked.target.name, Outcome.LOST))
        asked.window.answered(asked_at, rtt_s)
        asked.answered(rtt_s)
        outcome = Outcome.LATE if is_late else Outcome.ANSWERED
        self._record(Sample(asked_at, asked.line, asked.target.name, outcome, rtt_s))

    def _slept(self, asked: Asked, since: float, until: float) -> None:
        asked.blind(since, until)
        for at in [at for at in asked.open if at >= since - asked.detect.lost_after_s]:
            del asked.open[at]
            self._record(Sample(at, asked.line, asked.target.name, Outcome.BLIND))
        self.blind_s += max(0.0, until - max(since, self._blind_until))
        self._blind_until = max(self._blind_until, until)
        asked.due = _next(asked.due, asked.every_s, until)

    def _expire(self, asked: Asked, now: float) -> None:
        before = now - asked.detect.lost_after_s
        while asked.open and (oldest := next(iter(asked.open))) <= before:
            del asked.open[oldest]
            asked.lost[oldest] = None

    def _tell(self, asked: Asked, now: float) -> None:
        """Record what was lost, the oldest first, as far as its direction is known or waited for no longer."""
        account = asked.directions
        while asked.lost:
            at = next(iter(asked.lost))
            if account is not None and not account.is_told(at) and now - at < TOLD_WITHIN_S:
                return
            del asked.lost[at]
            way = None if account is None else account.lost_way(at)
            self._record(Sample(at, asked.line, asked.target.name, Outcome.LOST, direction=way))

    def _end(self, asked: Asked) -> None:
        asked.close()
        self._tell(asked, float("inf"))


def _next(due: float, every_s: float, now: float) -> float:
    """The first tick of the schedule after `now`."""
    return due + every_s * (int(max(0.0, now - due) / every_s + _ROUNDING) + 1)
