"""Line stories in virtual time: `play("0 ++ | 30 -+", 100)` asks, judges and decides as the watcher would.

A script says from when on which line does what, one mark per line, lines in order of preference:

    +  answers in 12 ms               -  silent, to the last               x  the interface has no carrier
    %  loses 30 of 100                3  loses 3 of 100                    1  loses 1 of 100
    ~  300 ms slower                  b  bufferbloat, 250-650 ms           j  80±20 ms, harmless
    c  the first cloud target silent  C  every cloud target silent, the carrier's gateway answers
    ?  the kernel has not said anything and nothing was asked
    z  (first mark) the node's process is stopped
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from failover.core import judge
from failover.core.decide import decide
from failover.core.judge import Evidence, Judgement, Watched
from failover.core.model import Decision, Detect, LineHealth, LinePolicy, LinkState, Order, Policy, Role, State
from failover.core.window import Window

TELECOM = LinePolicy(name="telecom", preferred=1)
UNICOM = LinePolicy(name="unicom", preferred=2)
TWO_LINES = Policy(lines=(TELECOM, UNICOM))

Transition = tuple[int, str, str | None, str]

_LOSS = {"%": 0.30, "3": 0.03, "1": 0.01}
_ALL_SILENT = frozenset("-x")


@dataclass(frozen=True, slots=True)
class Moment:
    """One look of the watcher: what it knew, what it decided, and the state before."""

    at: float
    before: State
    judgement: Judgement
    decision: Decision


@dataclass
class Story:
    """The watcher's loop without sockets: sense, decide, act, record. `states` is what it starts with."""

    policy: Policy = TWO_LINES
    targets: Sequence[str] = ("cloud-1",)
    gateway: bool = False
    orders: Sequence[Order] = ()
    minute: int | None = None
    state: State = field(default_factory=State)
    seed: int = 0

    def __post_init__(self) -> None:
        self.health: Mapping[str, LineHealth] = {}
        self._random = random.Random(self.seed)
        self._flying: list[tuple[float, Window, float, float]] = []
        self._watched = {line.name: tuple(self._watch(line.detect)) for line in self.policy.lines}
        self._step_s = min(line.detect.interval_s for line in self.policy.lines)
        self._next_ask = {id(watched): 0.0 for targets in self._watched.values() for watched in targets}

    def _watch(self, detect: Detect) -> Iterator[Watched]:
        for target in self.targets:
            yield Watched(target=target, window=Window(detect.window_s))
        if self.gateway:
            yield Watched(target="gateway", window=Window(detect.window_s), role=Role.CARRIER, every_s=1.0)

    def run(self, script: str, seconds: float) -> Iterator[Moment]:
        asleep_since: float | None = None
        for at, marks in _ticks(script, seconds, self._step_s):
            if marks[0] == "z":
                asleep_since = at if asleep_since is None else asleep_since
                continue
            if asleep_since is not None:
                self._blind(asleep_since, at)
                asleep_since = None
            yield self.look(at, dict(zip(self._watched, marks, strict=True)))

    def look(self, at: float, marks: Mapping[str, str]) -> Moment:
        """Ask everything that is due, listen for half an interval, judge, decide."""
        for name, mark in marks.items():
            for watched in self._watched[name]:
                if mark != "?" and at >= self._next_ask[id(watched)] - 1e-9:
                    self._next_ask[id(watched)] = at + (watched.every_s or self._step_s)
                    self._ask(watched, mark, at)
        now = at + self._step_s / 2
        self._listen(now)
        evidence = {name: Evidence(link=_link(mark), targets=self._watched[name]) for name, mark in marks.items()}
        judgement = judge.verdicts(self.health, evidence, now, self.policy)
        decision = decide(self.state, judgement.health, now, orders=self.orders, policy=self.policy, minute=self.minute)
        moment = Moment(now, self.state, judgement, decision)
        self.health, self.state = judgement.health, decision.state
        return moment

    def _ask(self, watched: Watched, mark: str, at: float) -> None:
        watched.window.asked(at)
        if mark in _ALL_SILENT or self._random.random() < _LOSS.get(mark, 0.0):
            return
        if watched.role is Role.CLOUD and (mark == "C" or (mark == "c" and watched.target == self.targets[0])):
            return
        rtt_s = 0.012 + abs(self._random.gauss(0, 0.001))
        if mark == "~":
            rtt_s += 0.3
        elif mark == "b":
            rtt_s += self._random.uniform(0.25, 0.65)
        elif mark == "j":
            rtt_s = self._random.uniform(0.06, 0.1)
        self._flying.append((at + rtt_s, watched.window, at, rtt_s))

    def _listen(self, now: float) -> None:
        still = []
        for answer in self._flying:
            arrives, window, asked_at, rtt_s = answer
            if arrives <= now:
                window.answered(asked_at, rtt_s)
            else:
                still.append(answer)
        self._flying = still

    def _blind(self, since: float, until: float) -> None:
        for line in self.policy.lines:
            for watched in self._watched[line.name]:
                watched.window.blind(since, until, line.detect.lost_after_s)


def play(script: str, seconds: float, story: Story | None = None) -> list[Transition]:
    """The moves of a story: second (rounded), mode, line, code of the reason."""
    return moves((story or Story()).run(script, seconds))


def moves(moments: Iterable[Moment]) -> list[Transition]:
    return [
        (
            round(moment.at),
            moment.decision.state.mode.value,
            moment.decision.state.line,
            moment.decision.reason.code.value,
        )
        for moment in moments
        if moment.decision.actions
    ]


def _link(mark: str) -> LinkState:
    if mark == "?":
        return LinkState()
    return LinkState(present=True, carrier=mark != "x", has_address=True, has_route=True)


def _ticks(script: str, seconds: float, step_s: float) -> Iterator[tuple[float, str]]:
    steps = [(float(at), marks) for at, marks in (part.split() for part in script.split("|"))]
    current = ""
    for number in range(round(seconds / step_s)):
        at = round(number * step_s, 6)
        while steps and steps[0][0] <= at:
            current = steps.pop(0)[1]
        yield at, current
