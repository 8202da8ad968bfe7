"""The loop: sense, decide, act, record; in that order, again and again.

*Sense*: the kernel is read when it hints, and every nine seconds should a hint be lost; what of ours is missing then is
put back before anybody judges a line by it. *Decide*: `judge` and `decide`, on every look. *Act*: the difference
between the routes that are wanted and those that are there; in `observe`, or where the privilege is missing, cloud
traffic is never touched. *Record*: whoever keeps the record is told afterwards, and nothing waits for it.

A watcher that starts over adopts what an earlier one left, and one that ends leaves everything as it is: between the
two the routes stay, and not one changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from failover import view, ways
from failover.alarm import Alarm
from failover.core import delta, judge, plan, stuck
from failover.core.decide import decide
from failover.core.judge import Evidence, Judgement
from failover.core.model import (
    Code,
    Decision,
    LineHealth,
    LinkState,
    Mode,
    Order,
    OrderKind,
    State,
    UseLine,
    Verdict,
)
from failover.core.plan import Change, Layout, Routing
from failover.netlink.kernel import KernelUnreadable, Seen
from failover.netlink.links import Interface
from failover.netlink.routes import ChangeRefused
from failover.netlink.sockets import Ended
from failover.probes.engine import Engine
from failover.probes.mtu import Sizes
from failover.setup import Act, Existing, Setup
from failover.view import Judged, Move, Problem, ProblemCode, Recorder, View

__all__ = ["Judged", "KernelLike", "Move", "Problem", "ProblemCode", "Recorder", "View", "Watcher"]

LOOK_EVERY_S = 0.2  # beside the exact moments at which something is due: a death by silence, offline, online
SENSE_EVERY_S = 9.0  # what no message tells of is mended within ten seconds, the mending included
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

    async def end_connections(self, address: str, destinations: Sequence[str]) -> tuple[Ended, Ended]: ...


class Watcher:
    """Watches the lines of one setup. `orders` and `minute` (of the local day, if known) are asked on every look.

    `known` is what an earlier watcher's record says of the lines' falls, `used` the line that it moved to last, `left`
    the one that it left and did not come to end the connections of.
    """

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
        sizes: Sizes | None = None,
        known: Mapping[str, LineHealth] | None = None,
        used: str | None = None,
        left: str | None = None,
    ) -> None:
        self._setup, self._clock, self._minute, self._orders = setup, clock, minute, orders
        self._kernel, self._engine, self._record, self._sizes = kernel, engine, record, sizes or Sizes(clock)
        self._alarm = Alarm()
        self._is_permitted = kernel.is_permitted()
        self._state = State()
        self._health: Mapping[str, LineHealth] = dict(known or {})
        self._used, self._left = used, left
        self._mtus: Mapping[str, int] = {}  # of the lines' routes
        self._told_mtus: dict[str, tuple[bool | None, int | None]] = {}
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
        # Read once: a process that is stopped between two readings would be judged without having been called blind.
        now = self._looked_at = self._clock()
        self._engine.settle(now)
        self._sizes.turn(self._heard_at, self._patience_s)
        before, known = self._state, self._health
        self._standing = tuple(order for order in self._orders() if order.holds_at(now))
        self._judgement = judge.verdicts(self._health, self._evidence(), now, self._setup.policy)
        self._health = self._judgement.health
        self._decision = decide(
            self._state, self._health, now, orders=self._standing, policy=self._setup.policy, minute=self._minute()
        )
        self._state = self._decision.state
        fallbacks, mtus = self._may_serve(), self._limits()
        if self._decision.actions or fallbacks != self._fallbacks or mtus != self._mtus:
            self._fallbacks, self._mtus = fallbacks, mtus
            is_switch = any(isinstance(action, UseLine) for action in self._decision.actions)
            if await self._act() and is_switch and self._may_route:
                self._record.switched(self._acted_at - now)
        self._left = stuck.left_behind(before, self._state, self._health, self._standing, now) or self._left
        self._tell(before, known, now)
        if self._left is not None:
            await self._free(self._left, now)

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
        deadlines.append(self._sizes.next_at(now))
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
                self._mtus = plan.adopted_mtus(self._layout, routing)
                self._told_mtus = {name: (False, mtu) for name, mtu in self._mtus.items()}
                if self._used is not None and self._state.routed not in (None, self._used):
                    self._left = self._used  # it ended between the move and its record

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
            probings = ways.probings(self._setup, self._layout, plumbing, self._seen)
            self._engine.set_lines(probings, self._clock())
            mtus = {name: link.mtu for name, link in links.items() if link.mtu is not None}
            self._sizes.set_lines(probings, mtus, adopted=self._mtus, now=self._clock())
            for change in changed:
                if change.needs_new_sockets:
                    self._engine.reopen(change.line)
                    self._sizes.reopen(change.line)
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
        if link is None:
            return None
        path = self._sizes.of_line(line)
        is_set = self._may_route and path is not None and path.limit is not None
        return Evidence(link=link, targets=self._engine.watched(line), path=path, is_mtu_set=is_set)

    def _heard_at(self, line: str, address: str) -> float | None:
        heard = (asked.window.heard_at for asked in self._engine.of_line(line) if asked.target.address == address)
        return max((at for at in heard if at is not None), default=None)

    def _patience_s(self, line: str) -> float | None:
        rtt_p95_s = self._health.get(line, LineHealth()).rtt_p95_s
        return None if rtt_p95_s is None else 2 * rtt_p95_s

    # ---- act

    @property
    def _may_route(self) -> bool:
        return self._setup.act is Act.ENFORCE and self._is_permitted

    def _plumbing(self) -> Layout:
        plumbed = ways.plumbed(self._setup, self._layout, is_permitted=self._is_permitted)
        return replace(plumbed, lines=tuple(replace(line, mtu=self._mtus.get(line.name)) for line in plumbed.lines))

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

    def _limits(self) -> Mapping[str, int]:
        """The MTU that the routes of each line are to keep to, where a smaller one than the interface's was found."""
        if not self._may_route:
            return {}
        paths = {line.name: self._sizes.of_line(line.name) for line in self._setup.policy.lines}
        # Before its interface was read for the first time, a line keeps what an earlier watcher gave it.
        kept = {name: mtu for name, mtu in self._mtus.items() if name in paths and name not in self._links}
        return kept | {name: path.limit for name, path in paths.items() if path is not None and path.limit is not None}

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

    async def _free(self, left: str, now: float) -> None:
        """End what hangs on the line that failed, once the routes that were read back lead elsewhere."""
        orders, routed = self._standing, plan.adopted(self._layout, self._seen.routing)
        step = stuck.next_step(
            left, self._state, self._health, orders, now, routed=routed, is_heard=self._is_heard(self._state.line, now)
        )
        if step is stuck.Step.WAIT and self._may_route:
            return
        self._left = None
        address = next((line.address for line in self._layout.lines if line.name == left), None)
        is_wanted = self._setup.existing.get(left) is Existing.KILL_SOCKETS and self._may_route
        if step is stuck.Step.END and is_wanted and address is not None and self._layout.cloud_prefixes:
            ended = await self._kernel.end_connections(address, self._layout.cloud_prefixes)
            self._record.ended(self._clock(), left, *ended)

    def _is_heard(self, line: str | None, now: float) -> bool:
        if line is None or (known := self._evidence_of(line)) is None:
            return False
        detect = self._setup.policy.line(line).detect
        return stuck.is_heard(self._health.get(line, LineHealth()), known, now, detect)

    # ---- record

    def _tell(self, before: State, known: Mapping[str, LineHealth], now: float) -> None:
        for name, seen in self._health.items():
            was = known.get(name, LineHealth())
            codes = {was.reason.code, seen.reason.code}
            # Who is to blame may change while a line is down; the verdict does not.
            is_recharged = len(codes) == 2 and Code.CLOUD_SILENT in codes
            if was.verdict is not seen.verdict or is_recharged:
                judged = Judged(at=now, line=name, before=was.verdict, after=seen.verdict, reason=seen.reason)
                self._record.judged(judged)
        for name in self._health:
            path = self._sizes.of_line(name)
            is_ok, limit = (None, None) if path is None else (path.is_ok, path.limit)
            was_ok, was_limit = self._told_mtus.get(name, (None, None))
            if path is not None and (is_ok, limit) != (was_ok, was_limit) and False in (is_ok, was_ok):
                self._record.mtu_changed(now, name, path)
            self._told_mtus[name] = is_ok, limit
        if self._decision.actions:
            self._record.moved(Move(at=now, before=before, after=self._state, reason=self._decision.reason))

    def view(self) -> View:
        """How things are, as of the last look."""
        asked = {line.name: tuple(self._engine.of_line(line.name)) for line in self._setup.policy.lines}
        return View(
            at=self._clock(),
            setup=self._setup,
            may_route=self._may_route,
            state=self._state,
            decision=self._decision,
            judgement=self._judgement,
            evidence=self._evidence(),
            asked=asked,
            orders=self._standing,
            routed=self._routed(),
            mtus=dict(self._mtus),
            problems=tuple(
                view.problems(
                    self._setup,
                    asked,
                    plumbed=frozenset(line.name for line in self._plumbing().lines),
                    refused=self._refused,
                    unreadable=self._unreadable,
                    is_permitted=self._is_permitted,
                )
            ),
        )

    def _routed(self) -> str | None:
        if self._may_route:
            return plan.adopted(self._layout, self._seen.routing)
        return ways.routed_by_main(self._layout, self._seen.main)
