"""Recorded traces through a policy: what a watcher with that policy would have done. Pure; time is what the trace says.

A trace tells of a question when its outcome is known, so each one is put back into two events: asked, and answered a
round trip later. They are played in the order of their times into windows like the watcher's own; it looks as the
watcher does (every `LOOK_EVERY_S`, at the exact moment of a death by silence, when a countdown ends, when a link
changes), judges and decides with the very same functions. While nothing is amiss, a look between two weighings could
find nothing and is left out.

Where no question was asked, nobody listened: blind time, as for the watcher. A new boot, or a watcher that tells how
it finds all its links anew, is a new run, and the time before it belongs to nobody.

What a trace does not hold cannot be replayed: orders, packets of the full size (`mtu`), targets and rhythms that were
not asked then. A loss is called `loss`, whichever way it went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from failover.core import judge
from failover.core.decide import decide
from failover.core.evidence import WEIGH_EVERY_S
from failover.core.judge import Evidence
from failover.core.model import Code, Decision, LineHealth, LinkState, Mode, Policy, Reason, State, Verdict
from failover.probes.outcome import Sample
from failover.replay import KNOWN_AFTER_S, ROUNDING_S, Event, Kind, Replay, batches
from failover.setup import Target
from failover.trace import Entry, LinkChange, Moment

LOOK_EVERY_S = 0.2
RESTARTED_S = 1.0  # a watcher that starts has asked nothing for so long, however fast systemd was
SETTLED_S = 6 * 3600.0  # after so long without any sign, looking finds nothing new (lines that are not asked)
_SOONEST_S = 0.001
_COUNTED_DOWN = (Code.BEFORE_OFFLINE, Code.BEFORE_ONLINE)

Minute = Callable[[int], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A watcher began to look. Times are UTC milliseconds, as the trace's own clock had them."""

    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The node would have changed its mode, or its line within a mode."""

    at_ms: int
    before: State
    after: State
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A line's verdict would have changed."""

    at_ms: int
    line: str
    before: Verdict
    after: Verdict
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """The watcher was stopped: nothing was asked."""

    since_ms: int
    until_ms: int


Told = Begun | Moved | Judged | Blind


@dataclass
class LineTotals:
    """Where the watched time of one line went, in seconds."""

    in_use_s: float = 0.0
    by_verdict: dict[Verdict, float] = field(default_factory=lambda: dict.fromkeys(Verdict, 0.0))
    downs: int = 0


@dataclass
class Totals:
    """What a simulation adds up. `moves` are changes of the line that is used, also by way of none."""

    lines: dict[str, LineTotals]
    watched_s: float = 0.0
    offline_s: float = 0.0
    blind_s: float = 0.0
    moves: int = 0
    runs: int = 0
    samples: int = 0
    unknown_lines: set[str] = field(default_factory=set)
    unknown_targets: set[tuple[str, str]] = field(default_factory=set)


@dataclass(slots=True)
class _Run:
    """A watcher from its start to its end, as far as the trace tells."""

    evidence: dict[str, Evidence]
    routed: str | None = None
    state: State = field(default_factory=State)
    health: Mapping[str, LineHealth] = field(default_factory=dict)
    has_begun: bool = False
    looked_at: float = 0.0
    heard_at: float = 0.0  # the last sign of life of the watcher itself: a question, or a link that it told
    asked_at: float = float("-inf")
    look_at: float = 0.0
    silent_at: float = float("inf")
    used: str | None = None  # the line that was used last


class Simulation:
    """One policy. Feed it the batches of a trace in order, then `finish`; both return what would have been recorded."""

    def __init__(
        self, policy: Policy, targets: Mapping[str, Sequence[Target]], *, minute: Minute = lambda at_ms: None
    ) -> None:
        self._policy, self._minute = policy, minute
        self.totals = Totals(lines={line.name: LineTotals() for line in policy.lines})
        self._boot, self._offset_ms = "", 0.0
        self._told: list[Told] = []
        self._replay = Replay(policy, targets, self._unknown)
        self._tracks = tuple(self._replay.tracks.values())
        self._quickest_s = self._replay.quickest_s
        self._run = self._new_run({})

    def play(self, moment: Moment, entries: Sequence[Entry]) -> list[Told]:
        """One batch: what was recorded before `moment`."""
        offset_ms = moment.wall_ms - moment.boottime * 1000
        if moment.boot_id != self._boot:
            self._end_run()
            known = _known(self._run.health, self._policy, (self._offset_ms - offset_ms) / 1000)
            self._boot, self._run = moment.boot_id, self._new_run(known)
        self._offset_ms = offset_ms
        self.totals.samples += sum(1 for entry in entries if isinstance(entry, Sample))
        for line in self._replay.take(entries, moment.boottime):
            self._run.evidence[line] = self._replay.evidence(line, self._run.evidence[line].link)
            self._quickest_s = self._replay.quickest_s
        known_at = moment.boottime - KNOWN_AFTER_S
        self._play(self._replay.ready(known_at))
        if self._run.has_begun and not self._is_stopped(known_at):
            self._look_until(known_at)
        return self._take_told()

    def finish(self) -> list[Told]:
        """The trace is over: play what is left of it."""
        self._end_run()
        return self._take_told()

    def _end_run(self) -> None:
        self._play(self._replay.ready(float("inf")))
        self._count(self._run.heard_at)

    def _take_told(self) -> list[Told]:
        told, self._told = self._told, []
        return told

    def _new_run(self, known: Mapping[str, LineHealth], routed: str | None = None) -> _Run:
        for track in self._tracks:
            track.forget()
        evidence = {line: self._replay.evidence(line, LinkState()) for line in self.totals.lines}
        return _Run(evidence=evidence, health=known, routed=routed)

    def _unknown(self, entry: Entry) -> None:
        if entry.line not in self.totals.lines:
            self.totals.unknown_lines.add(entry.line)
        elif isinstance(entry, Sample):
            self.totals.unknown_targets.add((entry.line, entry.target))

    # ---- from events to looks

    def _play(self, events: Iterable[Event]) -> None:
        changes: list[LinkChange] = []
        for at, kind, track, asked_at, rtt_s, change in events:
            if changes and (change is None or change.at != changes[0].at):
                self._links_changed(changes)
                changes = []
            if track is None:
                changes += [] if change is None else [change]
            elif kind == Kind.ANSWERED:
                if not self._is_stopped(at):
                    self._look_until(at)
                track.window.answered(asked_at, rtt_s)
            else:
                self._heard(max(at, self._run.looked_at))  # a disk that hung has its batches late
                self._run.asked_at = at
                track.asked(at) if kind == Kind.ASKED else track.unsent(at)
        if changes:
            self._links_changed(changes)

    def _links_changed(self, changes: Sequence[LinkChange]) -> None:
        """The watcher tells what is different; one that has just started tells how it finds everything."""
        run, at = self._run, max(changes[0].at, self._run.looked_at)
        is_told_again = any(run.evidence[change.line].link == change.link for change in changes)
        if run.has_begun and is_told_again and at - run.asked_at >= RESTARTED_S:
            self._count(run.heard_at)
            run = self._run = self._new_run(_known(run.health, self._policy), run.state.routed)
        self._heard(at)
        for change in changes:
            run.evidence[change.line] = replace(run.evidence[change.line], link=change.link)
        self._look(at)

    def _heard(self, at: float) -> None:
        """A sign of life of the watcher: it looked until now, or it was stopped for a while."""
        run = self._run
        if not run.has_begun:
            run.has_begun, run.looked_at, run.look_at, run.state = True, at, at, State(routed=run.routed, since=at)
            run.health = {name: replace(seen, since=at) for name, seen in run.health.items()}
            self.totals.runs += 1
            self._told.append(Begun(at_ms=self._ms(at)))
        elif self._is_stopped(at):
            since = run.heard_at + self._quickest_s
            self._look_until(since)
            self.totals.blind_s += at - since
            self._told.append(Blind(since_ms=self._ms(since), until_ms=self._ms(at)))
            self._look(at)
        else:
            self._look_until(at)
            if at - run.heard_at > SETTLED_S:
                run.look_at = at
        run.heard_at = at

    def _is_stopped(self, at: float) -> bool:
        """Did everything that was asked lately miss a tick before `at`? Then it was the watcher that did not run."""
        heard_at = self._run.heard_at
        if at - heard_at <= self._quickest_s * 1.5 + ROUNDING_S:
            return False
        lately = [
            track
            for track in self._tracks
            if track.last_at >= heard_at - track.every_s * 1.5
            and (link := self._run.evidence[track.line].link).present is not False
            and link.has_address is not False
        ]
        return bool(lately) and all(at - track.last_at > track.every_s * 1.5 + ROUNDING_S for track in lately)

    # ---- looks

    def _look_until(self, until: float) -> None:
        run = self._run
        until = min(until, run.heard_at + SETTLED_S)
        while True:
            at = min(run.look_at, run.silent_at)
            if at > until:
                return
            if at < run.look_at:
                # Answers have come since that death was foreseen, or were slept through: is it still due?
                self._settle(at)
                run.silent_at = max(self._next_silence(at), at + _SOONEST_S)
                if run.silent_at > at + _SOONEST_S:
                    continue
            self._look(at)

    def _look(self, at: float) -> None:
        run = self._run
        self._settle(at)
        self._count(at)
        before, verdicts = run.state, {name: seen.verdict for name, seen in run.health.items()}
        run.health = judge.verdicts(run.health, run.evidence, at, self._policy).health
        decision = decide(before, run.health, at, policy=self._policy, minute=self._minute(self._ms(at)))
        run.state = decision.state
        for name, seen in run.health.items():
            if (was := verdicts.get(name, Verdict.UNKNOWN)) is not seen.verdict:
                self.totals.lines[name].downs += seen.verdict is Verdict.DOWN
                self._told.append(
                    Judged(at_ms=self._ms(at), line=name, before=was, after=seen.verdict, reason=seen.reason)
                )
        if decision.actions:
            self._moved(before, decision, at)
        run.look_at = self._next_look(decision, at)
        run.silent_at = max(self._next_silence(at), at + _SOONEST_S)

    def _moved(self, before: State, decision: Decision, at: float) -> None:
        run, line = self._run, decision.state.line
        self._told.append(Moved(at_ms=self._ms(at), before=before, after=decision.state, reason=decision.reason))
        if line is not None:
            self.totals.moves += run.used not in (None, line)
            run.used = line

    def _next_look(self, decision: Decision, at: float) -> float:
        """When something could be found that no event and no silence announces."""
        health, reason = self._run.health.values(), decision.reason
        if reason.code is Code.STEADY and all(seen.verdict is Verdict.UP for seen in health):
            weighed = [seen.weighed_at for seen in health if seen.weighed_at is not None]
            # All lines in one look: the trace does not say at which part of a second each of them was weighed.
            return max(max(weighed, default=at) + WEIGH_EVERY_S, at + _SOONEST_S)
        left_s = reason.args.get("left_s")
        if reason.code in _COUNTED_DOWN and isinstance(left_s, float):
            return at + max(_SOONEST_S, min(left_s, LOOK_EVERY_S))
        return at + LOOK_EVERY_S

    def _next_silence(self, at: float) -> float:
        run = self._run
        deaths = (
            judge.silent_at(run.health.get(line.name, LineHealth()), run.evidence[line.name], at, line.detect)
            for line in self._policy.lines
        )
        return min((death for death in deaths if death is not None), default=float("inf"))

    def _settle(self, at: float) -> None:
        for track in self._tracks:
            track.settle(at)

    def _count(self, at: float) -> None:
        """The time since the last look belongs to what was believed and used then."""
        run, totals, health = self._run, self.totals, self._run.health
        passed_s, run.looked_at = max(0.0, at - run.looked_at), max(at, run.looked_at)
        totals.watched_s += passed_s
        totals.offline_s += passed_s if run.state.mode is Mode.OFFLINE else 0.0
        for name, line in totals.lines.items():
            line.by_verdict[health[name].verdict if name in health else Verdict.UNKNOWN] += passed_s
        if run.state.line is not None:
            totals.lines[run.state.line].in_use_s += passed_s

    def _ms(self, at: float) -> int:
        return round(at * 1000 + self._offset_ms)


def _known(health: Mapping[str, LineHealth], policy: Policy, shift_s: float = 0.0) -> dict[str, LineHealth]:
    """What the next watcher remembers of this one's: the falls, and who was fallen. `shift_s`: into its boot time."""
    known = {}
    for line in policy.lines:
        seen = health.get(line.name, LineHealth())
        falls = tuple(at + shift_s for at in seen.flap.falls)
        owes = seen.verdict in (Verdict.DOWN, Verdict.DEGRADED) or seen.owes_proof
        if falls or owes:
            fallen = replace(seen.flap, falls=falls, penalty_at=seen.flap.penalty_at + shift_s)
            known[line.name] = LineHealth(flap=fallen, owes_proof=owes)
    return known


def play(entries: Iterable[Moment | Entry], simulation: Simulation) -> Iterator[Told]:
    """A whole trace through one policy."""
    for moment, batch in batches(entries):
        yield from simulation.play(moment, batch)
    yield from simulation.finish()
