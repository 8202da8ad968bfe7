"""The loop: sense, decide, act, record; in that order, again and again.

*Sense*: the kernel is read when it hints, and every ten seconds should a hint be lost; what of ours is missing then is
put back before anybody judges a line by it. *Decide*: `judge` and `decide`, on every look. *Act*: the difference
between the routes that are wanted and those that are there; in `observe`, or where the privilege is missing, cloud
traffic is never touched. *Record*: whoever keeps the record is told afterwards, and nothing waits for it.

A watcher that starts over adopts what an earlier one left, and one that ends leaves everything as it is: between the
two the routes stay, and not one changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from failover import ways
from failover.alarm import Alarm
from failover.core import delta, judge, plan
from failover.core.decide import decide
from failover.core.judge import Evidence, Judgement
from failover.core.model import (
    Arg,
    Code,
    Decision,
    LineHealth,
    LinkState,
    Mode,
    Order,
    OrderKind,
    Reason,
    State,
    UseLine,
    Verdict,
)
from failover.core.plan import Change, Layout, Routing
from failover.netlink.kernel import KernelUnreadable, Seen
from failover.netlink.links import Interface
from failover.netlink.routes import ChangeRefused, described
from failover.probes.engine import Asked, Engine
from failover.setup import Act, Setup

LOOK_EVERY_S = 0.2  # beside the exact moments at which something is due: a death by silence, offline, online
SENSE_EVERY_S = 10.0
DEBOUNCE_S = 0.01  # one event of the kernel's makes several messages
REST_S = 0.05  # between two readings, however many hints there are
RETRY_S = 1.0  # after a change was refused
_SOONEST_S = 0.001
_COUNTED_DOWN = (Code.BEFORE_OFFLINE, Code.BEFORE_ONLINE)


class KernelLike(Protocol):
    def is_permitted(self) -> bool: ...

    async def read(self, layout: Layout, *, with_main: bool) -> Seen: ...

    async def apply(
        self, changes: Sequence[Change], interfaces: Mapping[str, Interface], *, protocol: int
    ) -> tuple[ChangeRefused, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The node changed its mode, or its line within a mode."""

    at: float
    before: State
    after: State
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A line's verdict changed."""

    at: float
    line: str
    before: Verdict
    after: Verdict
    reason: Reason


class Recorder(Protocol):
    """Whoever keeps the record. It must not block and must not raise."""

    def moved(self, move: Move) -> None: ...

    def judged(self, judged: Judged) -> None: ...

    def link_changed(self, at: float, line: str, link: LinkState) -> None: ...

    def switched(self, seconds: float) -> None: ...


class ProblemCode(StrEnum):
    """What a person must see to. Names are stable."""

    PROBE_UNPINNED = "probe-unpinned"
    PROBE_IMPOSSIBLE = "probe-impossible"
    ROUTE_NOT_PERMITTED = "route-not-permitted"
    ROUTE_REFUSED = "route-refused"
    KERNEL_UNREADABLE = "kernel-unreadable"


@dataclass(frozen=True, slots=True)
class Problem:
    code: ProblemCode
    args: Mapping[str, Arg] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The watcher at one moment, for whoever shows it."""

    at: float
    setup: Setup
    may_route: bool
    state: State
    decision: Decision
    judgement: Judgement
    evidence: Mapping[str, Evidence]
    asked: Mapping[str, tuple[Asked, ...]]
    orders: tuple[Order, ...]
    routed: str | None  # the line that packets to the cloud really take, by what was read from the kernel
    problems: tuple[Problem, ...]


class Watcher:
    """Watches the lines of one setup. `orders` and `minute` (of the local day, if known) are asked on every look."""

    def __init__(
        self,
        setup: Setup,
        *,
        clock: Callable[[], float],
        minute: Callable[[], int | None],
        orders: Callable[[], Sequence[Order]],
        kernel: KernelLike,
        engine: Engine,
        record: Recorder,
    ) -> None:
        self._setup, self._clock, self._minute, self._orders = setup, clock, minute, orders
        self._kernel, self._engine, self._record = kernel, engine, record
        self._alarm = Alarm()
        self._is_permitted = kernel.is_permitted()
        self._state = State()
        self._health: Mapping[str, LineHealth] = {}
        self._judgement = Judgement(health={})
        self._decision = Decision(state=self._state)
        self._standing: tuple[Order, ...] = ()
        self._layout = setup.layout
        self._seen = Seen()
        self._links: Mapping[str, LinkState] = {}
        self._fallbacks: frozenset[str] = frozenset()
        self._refused: tuple[ChangeRefused, ...] = ()
        self._unreadable: str | None = None
        self._has_begun = False
        self._acted_at = 0.0
        self._sense_at = self._sensed_at = self._looked_at = float("-inf")

    # ---- the loop

    async def run(self, after_turn: Callable[[], None]) -> None:
        """Look for ever; `after_turn` is called after every look."""
        while True:
            await self.turn()
            after_turn()
            while await self._alarm.wait(self._next_at() - self._clock()):
                pass  # rung: something may be due sooner now

    async def turn(self) -> None:
        """One look."""
        if not self._has_begun:
            await self._begin()
        if self._clock() >= self._sense_at:
            await self._sense()
        self._engine.settle(self._clock())
        now = self._looked_at = self._clock()
        before, verdicts = self._state, {name: seen.verdict for name, seen in self._health.items()}
        self._standing = tuple(order for order in self._orders() if order.holds_at(now))
        self._judgement = judge.verdicts(self._health, self._evidence(), now, self._setup.policy)
        self._health = self._judgement.health
        self._decision = decide(
            self._state, self._health, now, orders=self._standing, policy=self._setup.policy, minute=self._minute()
        )
        self._state = self._decision.state
        fallbacks = self._may_serve()
        if self._decision.actions or fallbacks != self._fallbacks:
            self._fallbacks = fallbacks
            is_switch = any(isinstance(action, UseLine) for action in self._decision.actions)
            if await self._act() and is_switch and self._may_route:
                self._record.switched(self._acted_at - now)
        self._tell(before, verdicts, now)

    def hint(self) -> None:
        """Something changed in the kernel: look soon, but not more often than can be of use."""
        at = max(self._clock() + DEBOUNCE_S, self._sensed_at + REST_S)
        if at < self._sense_at:
            self._sense_at = at
            self._alarm.ring()

    def reload(self, setup: Setup) -> None:
        """Other lines or another policy from now on. What is known of lines that stay is kept, and so is the line."""
        self._setup, self._layout = setup, setup.layout
        names = {line.name for line in setup.policy.lines}
        self._health = {name: seen for name, seen in self._health.items() if name in names}
        self._fallbacks &= names
        self._state = State(routed=self._state.routed, since=self._clock())
        self._is_permitted = self._kernel.is_permitted()
        self._sense_at = float("-inf")
        self._alarm.ring()

    def _next_at(self) -> float:
        now = self._clock()
        deadlines = [
            at
            for line in self._setup.policy.lines
            if (known := self._evidence_of(line.name)) is not None
            and (at := judge.silent_at(self._health.get(line.name, LineHealth()), known, now, line.detect)) is not None
        ]
        left_s = self._decision.reason.args.get("left_s")
        if self._decision.reason.code in _COUNTED_DOWN and isinstance(left_s, float):
            deadlines.append(self._looked_at + left_s)
        return min(self._sense_at, now + LOOK_EVERY_S, max(now + _SOONEST_S, min(deadlines, default=float("inf"))))

    # ---- sense

    async def _begin(self) -> None:
        """Adopt what an earlier watcher left."""
        self._state = State(since=self._clock())
        if await self._read():
            self._has_begun = True
            if self._may_route:
                routing = self._seen.routing
                self._state = State(routed=plan.adopted(self._layout, routing), since=self._clock())
                self._fallbacks = plan.adopted_fallbacks(self._layout, routing)

    async def _read(self) -> bool:
        try:
            self._seen = await self._kernel.read(self._setup.layout, with_main=not self._may_route)
        except KernelUnreadable as error:
            self._unreadable = str(error)
            return False
        self._unreadable = None
        self._layout = ways.settled(self._setup.layout, self._seen.interfaces)
        return True

    async def _sense(self) -> None:
        """Read the kernel, put back what of ours is missing, and see what became of the links."""
        now = self._clock()
        self._sense_at = now + SENSE_EVERY_S
        if await self._read():
            await self._act()
            plumbing = self._plumbing()
            refused = [refused.change for refused in self._refused]
            links = ways.links(self._setup, self._layout, plumbing, self._seen, refused)
            changed = delta.deltas(self._links, links)
            self._links = links
            self._engine.set_lines(ways.probings(self._setup, self._layout, plumbing, self._seen), self._clock())
            for change in changed:
                if change.needs_new_sockets:
                    self._engine.reopen(change.line)
                if change.matters:
                    self._record.link_changed(now, change.line, change.new)
        else:
            self._sense_at = now + RETRY_S
        self._sensed_at = self._clock()

    def _evidence(self) -> dict[str, Evidence]:
        found = {line.name: self._evidence_of(line.name) for line in self._setup.policy.lines}
        return {name: known for name, known in found.items() if known is not None}

    def _evidence_of(self, line: str) -> Evidence | None:
        link = self._links.get(line)
        return None if link is None else Evidence(link=link, targets=self._engine.watched(line))

    # ---- act

    @property
    def _may_route(self) -> bool:
        return self._setup.act is Act.ENFORCE and self._is_permitted

    def _plumbing(self) -> Layout:
        return ways.plumbed(self._setup, self._layout, is_permitted=self._is_permitted)

    def _may_serve(self) -> frozenset[str]:
        """The lines that the kernel may fall back to by itself. Offline changes no route."""
        if self._state.mode is Mode.OFFLINE:
            return self._fallbacks
        rehearsed = {order.line for order in self._standing if order.kind is OrderKind.REHEARSE}
        return frozenset(
            name
            for name, seen in self._health.items()
            if name not in rehearsed
            and (seen.verdict is Verdict.UP or (seen.verdict is Verdict.UNKNOWN and name in self._fallbacks))
        )

    def _wanted(self) -> Routing:
        plumbing = self._plumbing()
        standing = ways.standing(self._layout, self._seen.interfaces)
        has_decided = self._state.routed is not None or self._state.mode is not Mode.STARTING
        if self._setup.act is Act.OBSERVE or not (has_decided or plan.is_steered(self._layout, self._seen.routing)):
            # Before the first decision of all, the routes of the network configuration hold.
            return plan.probing(plumbing, standing=standing, by_source=self._setup.act is Act.ENFORCE)
        return plan.desired(plumbing, in_use=self._state.routed, healthy=self._fallbacks, standing=standing)

    async def _act(self) -> bool:
        """Make the routes what they should be; true if something had to change, and did."""
        if not self._is_permitted:
            return False
        wanted, protocol = self._wanted(), self._layout.protocol
        changes = plan.changes(wanted, self._seen.routing, protocol=protocol)
        if not changes:
            self._refused = ()
            return False
        before, self._refused = (
            self._refused,
            await self._kernel.apply(changes, self._seen.interfaces, protocol=protocol),
        )
        self._acted_at = self._clock()
        if any(refused.is_about_privilege for refused in self._refused):
            self._is_permitted = False
        await self._read()
        is_new = [str(refused) for refused in self._refused] != [str(refused) for refused in before]
        if is_new or (plan.changes(wanted, self._seen.routing, protocol=protocol) and not self._refused):
            self._sense_at = min(self._sense_at, self._clock() + RETRY_S)
        return not self._refused

    # ---- record

    def _tell(self, before: State, verdicts: Mapping[str, Verdict], now: float) -> None:
        for name, seen in self._health.items():
            if (verdict := verdicts.get(name, Verdict.UNKNOWN)) is not seen.verdict:
                self._record.judged(Judged(at=now, line=name, before=verdict, after=seen.verdict, reason=seen.reason))
        if self._decision.actions:
            self._record.moved(Move(at=now, before=before, after=self._state, reason=self._decision.reason))

    def view(self) -> View:
        """How things are, as of the last look."""
        lines = self._setup.policy.lines
        return View(
            at=self._clock(),
            setup=self._setup,
            may_route=self._may_route,
            state=self._state,
            decision=self._decision,
            judgement=self._judgement,
            evidence=self._evidence(),
            asked={line.name: tuple(self._engine.of_line(line.name)) for line in lines},
            orders=self._standing,
            routed=self._routed(),
            problems=tuple(self._problems()),
        )

    def _routed(self) -> str | None:
        if self._may_route:
            return plan.adopted(self._layout, self._seen.routing)
        return ways.routed_by_main(self._layout, self._seen.main)

    def _problems(self) -> Sequence[Problem]:
        found = []
        if self._unreadable is not None:
            found.append(Problem(ProblemCode.KERNEL_UNREADABLE, {"said": self._unreadable}))
        if self._setup.act is Act.ENFORCE and not self._is_permitted:
            found.append(Problem(ProblemCode.ROUTE_NOT_PERMITTED))
        found += [
            Problem(ProblemCode.ROUTE_REFUSED, {"change": described(refused.change), "said": refused.said})
            for refused in self._refused
            if not refused.is_about_privilege
        ]
        for line in self._setup.policy.lines:
            asked = list(self._engine.of_line(line.name))
            own = {known.name for known in self._plumbing().lines}
            is_asked = any(one.probe is not None for one in asked)
            if is_asked and (line.name not in own or any(one.is_unpinned for one in asked)):
                found.append(Problem(ProblemCode.PROBE_UNPINNED, {"line": line.name, "missing": "mark"}))
            found += [
                Problem(ProblemCode.PROBE_IMPOSSIBLE, {"line": line.name, "target": one.target.name, "why": one.barred})
                for one in asked
                if one.barred is not None
            ]
        return found
