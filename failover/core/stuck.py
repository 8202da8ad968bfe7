"""Which connections are to be ended after a move: those that hang on the line that failed. Pure.

Whoever sends from a dead line's own address would wait for a quarter of an hour. Its connections are ended only where
that helps: the line in use failed (or its failure is rehearsed, which is to show what a failure does), another line
lives, and the kernel's routes lead there already. Not when a line that was not in use fails, not on a planned move or a
failback, and not while no line lives: then the same line may come back, and the connection with it. Where all lines die
at once, one of them is the last to be judged; so the line moved to must not have missed two questions already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from failover.core.evidence import Evidence
from failover.core.judge import ALLOWANCE_S
from failover.core.model import Detect, LineHealth, Order, OrderKind, Role, State, Verdict

_UNSEEN = LineHealth()
_MAY_MISS = 2  # questions; a line that missed more of them may be dying


class Step(StrEnum):
    """What to do about a line that was left."""

    WAIT = "wait"  # the routes do not lead elsewhere yet, or nothing is known of it yet
    END = "end"
    DROP = "drop"  # it lives, or is used again: nothing hangs


def left_behind(
    before: State, after: State, health: Mapping[str, LineHealth], orders: Sequence[Order], now: float
) -> str | None:
    """The line that failed while traffic went by it, if this move leaves it for one that lives."""
    left = before.routed
    if left is None or after.line is None or after.line == left or after.routed != after.line:
        return None
    return left if has_failed(left, health, orders, now) else None


def has_failed(line: str, health: Mapping[str, LineHealth], orders: Sequence[Order], now: float) -> bool:
    is_rehearsed = any(o.kind is OrderKind.REHEARSE and o.line == line and o.holds_at(now) for o in orders)
    return is_rehearsed or health.get(line, _UNSEEN).verdict is Verdict.DOWN


def is_heard(health: LineHealth, known: Evidence, now: float, detect: Detect) -> bool:
    """Does a target of the line answer just now? One without targets is taken at its link's word."""
    clouds = [watched for watched in known.targets if watched.role is Role.CLOUD]
    return not clouds or any(
        (silence_s := watched.window.silence_s(now)) is not None
        and watched.window.heard_at is not None
        and silence_s <= _MAY_MISS * (watched.every_s or detect.interval_s) + ALLOWANCE_S + health.spread_s
        for watched in clouds
    )


def next_step(
    line: str,
    state: State,
    health: Mapping[str, LineHealth],
    orders: Sequence[Order],
    now: float,
    *,
    routed: str | None,
    is_heard: bool,
) -> Step:
    """`routed` is where packets to the cloud go, as read back from the kernel; `is_heard`, of the line in use."""
    if line not in health or state.line == line:
        return Step.DROP
    if health[line].verdict is Verdict.UNKNOWN or state.line is None or routed != state.line:
        return Step.WAIT
    if not is_heard or health.get(state.line, _UNSEEN).verdict not in (Verdict.UP, Verdict.DEGRADED):
        return Step.WAIT
    return Step.END if has_failed(line, health, orders, now) else Step.DROP
