"""What the sender knows and decides: what to ask the table for, what to start, what to write and when.

Steppable and without a clock, a socket or a thread: whoever runs it brings the time, the rows and the outcomes. What is
under way is known only here; a sender that dies sends it again under the same key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_node.base.instruments import Counter
from edge_node.outbox.lane import Lane
from edge_node.outbox.model import Message, Outcome, Result, Settlement, State
from edge_node.outbox.pace import Pace
from edge_node.outbox.policy import next_step
from edge_node.status import Reason

# His.db is shared with the staff: one transaction for all outcomes of this time, and the lock left alone between
# (measured before: a commit per message made a desk's write fail after ten seconds).
SETTLE_EVERY_S = 0.1
# So much in one transaction, so that it stays short.
SETTLE_ROWS = 100
# More outcomes than this that cannot be written: nothing new is begun, since it would all be sent again.
UNWRITTEN = 200
# Rows taken from the table at a time.
READY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the table is to be asked for one upstream; the arguments of `queue.due`."""

    upstream: str
    limit: int
    passed: tuple[int, ...]
    held: tuple[int, ...]
    waited_before_ms: int
    any_time: bool


@dataclass(slots=True)
class _Unwritten:
    """Outcomes of one upstream that are not in the table yet, by message."""

    passed: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)

    def add(self, seq: int, state: State) -> None:
        (self.passed if state is State.SENT else self.held).add(seq)

    def remove(self, seq: int) -> None:
        self.passed.discard(seq)
        self.held.discard(seq)


class Dispatch:
    """The sender's memory. `upstreams` are those that it can deliver to; `attempts` counts by upstream and result."""

    def __init__(self, upstreams: Iterable[str], *, attempts: Counter) -> None:
        self.lanes: Mapping[str, Lane] = {name: Lane(name) for name in upstreams}
        self._attempts = attempts
        self._pace = Pace()
        self._turns = deque(self.lanes)
        self.delivered_at: dict[str, int] = {}
        # How many were done with since the queue was last empty.
        self.done = 0
        self._ready: dict[str, list[Message]] = {name: [] for name in self.lanes}
        self._unwritten: dict[str, _Unwritten] = {name: _Unwritten() for name in self.lanes}
        self._settlements: list[tuple[str, Settlement]] = []
        self._settle_at = 0.0
        self._is_offline = False

    def mode(self, is_offline: bool, *, now: float, now_ms: int) -> bool:
        """What the watcher of the lines says; a hint, heard when it changes, which is what it returns."""
        if is_offline == self._is_offline:
            return False
        self._is_offline = is_offline
        for lane in self.lanes.values():
            lane.mode(is_offline, now=now, now_ms=now_ms)
        self.look_again()
        return True

    def look_again(self) -> None:
        """The table may have changed: what was read before is not to be relied on."""
        for ready in self._ready.values():
            ready.clear()

    def questions(self, now: float) -> list[Question]:
        """What to ask the table for now; nothing for an upstream that has no room or has enough at hand."""
        if len(self._settlements) >= UNWRITTEN:
            return []
        return [
            Question(
                upstream=name,
                limit=1 if lane.is_slow else READY,
                passed=tuple(self._unwritten[name].passed),
                held=(*self._unwritten[name].held, *lane.under_way),
                waited_before_ms=lane.recovered_ms,
                any_time=lane.is_slow,
            )
            for name, lane in self.lanes.items()
            if not self._ready[name] and lane.room(now) > 0
        ]

    def offer(self, upstream: str, messages: Sequence[Message]) -> None:
        """The table's answer to a question that was asked in this state."""
        self._ready[upstream] = list(messages)

    def start(self, now: float) -> list[Message]:
        """What is to be delivered now; from here on it is under way. Never two messages of one key.

        Upstreams take turns, so that one that drains for minutes delays no other.
        """
        started: list[Message] = []
        allowed, resting = self._pace.allows(now), 0
        while len(started) < allowed and resting < len(self._turns):
            name = self._turns[0]
            self._turns.rotate(-1)
            lane, ready = self.lanes[name], self._ready[name]
            if not ready or lane.room(now) < 1:
                resting += 1
                continue
            resting = 0
            lane.begin(ready[0])
            self._pace.take()
            started.append(ready.pop(0))
        return started

    def ended(self, message: Message, outcome: Outcome, *, now: float, now_ms: int, jitter: float) -> None:
        """An attempt is over."""
        lane = self.lanes[message.upstream]
        was_slow = lane.is_slow
        lane.ended(message, outcome, now=now, now_ms=now_ms, jitter=jitter)
        if lane.is_slow != was_slow:
            # What was read for the other pace is in another order, or waits no longer.
            self._ready[message.upstream].clear()
        self._attempts.add(message.upstream, outcome.result)
        if outcome.result is Result.DELIVERED:
            self.delivered_at[message.upstream] = now_ms
        step = next_step(outcome, attempts=message.attempts + 1, now_ms=now_ms, jitter=jitter)
        if step is None:
            return
        settlement = Settlement(
            seq=message.seq, state=step.state, tried_at=now_ms, next_at=step.next_at, outcome=outcome
        )  # fmt: skip
        self._unwritten[message.upstream].add(message.seq, step.state)
        self._settlements.append((message.upstream, settlement))
        if len(self._settlements) == 1:
            self._settle_at = max(self._settle_at, now)

    def settle_at(self) -> float | None:
        """When outcomes are to be written; None while there is none."""
        return self._settle_at if self._settlements else None

    def batch(self, now: float) -> list[Settlement]:
        """What is to be written now, in one transaction; empty when it is not time. Then `written` or `not_written`."""
        if not self._settlements or now < self._settle_at:
            return []
        self._settle_at = now + SETTLE_EVERY_S
        return [settlement for _, settlement in self._settlements[:SETTLE_ROWS]]

    def written(self, batch: Sequence[Settlement], now: float) -> None:
        """These are in the table now."""
        for upstream, settlement in self._settlements[: len(batch)]:
            self._unwritten[upstream].remove(settlement.seq)
            self.done += settlement.state is not State.WAITING
        del self._settlements[: len(batch)]
        # From the end of the transaction on the staff have the lock for themselves for a while.
        self._settle_at = max(self._settle_at, now + SETTLE_EVERY_S)

    def last_batch(self) -> list[Settlement]:
        """Everything that is not written yet, for the end."""
        return [settlement for _, settlement in self._settlements]

    def wake_at(self, now: float) -> float | None:
        """When something is to be done by itself; None when only a message or an outcome brings more."""
        times = [self.settle_at(), *(lane.next_at(now) for lane in self.lanes.values())]
        if any(self._ready[name] and lane.room(now) for name, lane in self.lanes.items()):
            times.append(self._pace.next_at(now))
        return min((time for time in times if time is not None), default=None)

    def is_under_way(self) -> bool:
        """Is anything being delivered, or not written yet?"""
        return bool(self._settlements) or any(lane.under_way for lane in self.lanes.values())

    def says(self) -> list[tuple[Reason | None, Reason | None]]:
        """Why upstreams take nothing, for whoever wants to notice a change."""
        return [(lane.paused, lane.failing) for lane in self.lanes.values()]

    def paused(self) -> list[Reason]:
        """Why upstreams are paused."""
        return [lane.paused for lane in self.lanes.values() if lane.paused is not None]
