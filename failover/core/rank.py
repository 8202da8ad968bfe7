"""The living lines in the running, best first: what `decide` chooses from and `line explain` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from failover.core import flap
from failover.core.model import Code, LineHealth, LinePolicy, Order, OrderKind, Policy, Verdict

CLEARLY_BETTER_LOSS = 0.10  # least bad: that much less loss in absolute terms ...
CLEARLY_BETTER_SHARE = 0.5  # ... and half of it; below either, a move costs more than it gains

_UNSEEN = LineHealth()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A living line in the running. `line explain` prints these."""

    line: LinePolicy
    health: LineHealth
    is_held: bool  # by an order
    is_pinned: bool
    is_suppressed: bool
    hold_left_s: float  # before it is proven to quality; preference asks for more, see `failback_wait_s`

    @property
    def is_proven(self) -> bool:
        return self.health.verdict is Verdict.UP and self.hold_left_s <= 0 and not self.is_suppressed

    @property
    def rank(self) -> tuple[bool, bool, bool, bool, bool, int]:
        """Smaller is better."""
        is_degraded = self.health.verdict is not Verdict.UP
        unproven = self.hold_left_s > 0
        return self.is_held, self.is_suppressed, self.line.metered, is_degraded, unproven, self.line.preferred


def candidates(
    health: Mapping[str, LineHealth], now: float, orders: Sequence[Order], policy: Policy
) -> list[Candidate]:
    """The living lines, best first."""
    wishes = {(order.kind, order.line) for order in orders}
    living = []
    for line in policy.lines:
        seen = health.get(line.name, _UNSEEN)
        if seen.verdict not in (Verdict.UP, Verdict.DEGRADED) or (OrderKind.REHEARSE, line.name) in wishes:
            continue
        good_s = 0.0 if seen.good_since is None else now - seen.good_since
        living.append(
            Candidate(
                line=line,
                health=seen,
                is_held=(OrderKind.HOLD, line.name) in wishes,
                is_pinned=(OrderKind.PIN, line.name) in wishes,
                is_suppressed=flap.is_suppressed(seen.flap, now, line.detect),
                hold_left_s=max(0.0, flap.hold_s(seen.flap, now, line.detect) - good_s),
            )
        )
    return sorted(living, key=lambda candidate: candidate.rank)


def failback_wait_s(candidate: Candidate, now: float) -> float:
    """How long preference must still wait: the line's hold, and the shortest one even if it never fell."""
    good_since = candidate.health.good_since
    shortest_left_s = candidate.line.detect.hold_s - (0.0 if good_since is None else now - good_since)
    return max(candidate.hold_left_s, shortest_left_s)


def is_clearly_better(other: Candidate, current: Candidate) -> bool:
    """Both are degraded: does leaving pay? A line that just came back has proved nothing."""
    if other.health.verdict is Verdict.UP or other.health.reason.code is Code.RETURNING or other.is_suppressed:
        return False
    loss, here = other.health.loss_ratio, current.health.loss_ratio
    if loss is None or here is None:
        return False
    if here - loss >= CLEARLY_BETTER_LOSS:
        return loss <= here * CLEARLY_BETTER_SHARE
    rtt_s, here_s = other.health.rtt_p95_s, current.health.rtt_p95_s
    return loss <= here and rtt_s is not None and here_s is not None and rtt_s <= here_s * CLEARLY_BETTER_SHARE
