"""Verdicts to a mode, a line and actions. The rules, in the order in which they are asked:

1. Lines are ranked: those that no order holds first, then those not suppressed, then unmetered, then up before
   degraded, then proven before unproven, then preferred. Down and rehearsed lines have no rank.
2. No line lives: offline after `offline_after_s`; routes and connections stay as they are. Offline ends when a line
   has lived for `online_after_s`, proven or not: the last living line is never suppressed.
3. The line in use is down: the best ranked line, at once.
4. The line in use lives: a pin moves us at once; a hold on it keeps us there, whatever quality and preference say;
   quality (degraded, least bad) moves us only after `min_stay_s` and only to a proven line; preference only after
   `min_stay_s`, the hold-down, the penalty and the line's failback rule. Neither moves us to a line that is held.
5. The line in use is unknown: stay. Absence of evidence is never "down".
6. Before the first line, lines that nothing is known of are waited for, but not for ever: some cannot be asked.

A line is *proven* when it is up and has been good for its hold. A line that never fell owes no hold to rule 4's
quality, but always owes the shortest one to preference: there is no hurry to return.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from failover.core import flap
from failover.core.model import (
    STEADY,
    Code,
    Decision,
    FailbackKind,
    GoOffline,
    LineHealth,
    Mode,
    Order,
    OrderKind,
    Policy,
    Reason,
    State,
    UseLine,
    Verdict,
)
from failover.core.rank import Candidate, candidates, failback_wait_s, is_clearly_better

_UNSEEN = LineHealth()
LISTEN_S = 30.0  # a line that says nothing for so long after the start is not waited for: it may be one we cannot ask


def decide(
    state: State,
    health: Mapping[str, LineHealth],
    now: float,
    *,
    orders: Sequence[Order] = (),
    policy: Policy,
    minute: int | None = None,
) -> Decision:
    """The next state, what to do, and why. `minute` of the local day opens failback windows; `None`: not known.

    Deciding twice at the same time changes nothing the second time.
    """
    standing = [order for order in orders if order.holds_at(now)]
    living = candidates(health, now, standing, policy)
    if not living:
        return _nothing_lives(state, health, now, standing, policy)
    if state.mode is Mode.OFFLINE:
        return _while_offline(state, living, now, policy)
    if state.lost_at is not None:
        state = replace(state, lost_at=None)
    if state.mode is Mode.STARTING:
        return _while_starting(state, health, living, now, policy)
    current = next((candidate for candidate in living if candidate.line.name == state.line), None)
    if current is None:
        return _line_in_use_is_gone(state, health, living, now, standing, policy)
    return (
        _by_order(state, current, living, now, standing, policy)
        or _by_quality(state, current, living, now, policy)
        or _by_preference(state, current, living, now, policy, minute)
        or Decision(state=state, reason=_why_stay(current))
    )


# ---- no line, no line yet, no line any more


def _nothing_lives(
    state: State, health: Mapping[str, LineHealth], now: float, orders: Sequence[Order], policy: Policy
) -> Decision:
    if state.mode is Mode.OFFLINE:
        return Decision(state=state, reason=Reason(Code.STILL_OFFLINE))
    rehearsed = {order.line for order in orders if order.kind is OrderKind.REHEARSE}
    judged = [health.get(line.name, _UNSEEN) for line in policy.lines if line.name not in rehearsed]
    in_use = next((seen for line, seen in health.items() if line == state.line and line not in rehearsed), None)
    if in_use is not None and in_use.verdict is Verdict.UNKNOWN:
        return Decision(state=state)
    if state.mode is Mode.STARTING and any(seen.verdict is Verdict.UNKNOWN for seen in judged):
        return Decision(state=state, reason=Reason(Code.LISTENING))
    if state.lost_at is None:
        state = replace(state, lost_at=now)
    lost_at = now if state.lost_at is None else state.lost_at
    left_s = policy.offline_after_s - (now - lost_at)
    if left_s > 0:
        return Decision(state=state, reason=Reason(Code.BEFORE_OFFLINE, left_s=left_s))
    reason = Reason(Code.EVERY_LINE_DOWN)
    if any(seen.reason.code is Code.CLOUD_SILENT for seen in judged):
        reason = Reason(Code.CLOUD_DOWN)
    elif state.line is not None and state.line in rehearsed:
        reason = Reason(Code.REHEARSED, line=state.line)
    gone = replace(state, mode=Mode.OFFLINE, line=None, since=now, reason=reason)
    return Decision(state=gone, actions=(GoOffline(),), reason=reason)


def _while_offline(state: State, living: Sequence[Candidate], now: float, policy: Policy) -> Decision:
    """The line that has lived for long enough and ranks best among those."""

    def alive_s(candidate: Candidate) -> float:
        since = candidate.health.alive_since
        return 0.0 if since is None else now - since

    ready = [candidate for candidate in living if alive_s(candidate) >= policy.online_after_s]
    if not ready:
        nearest = max(living, key=alive_s)
        left_s = policy.online_after_s - alive_s(nearest)
        return Decision(state=state, reason=Reason(Code.BEFORE_ONLINE, line=nearest.line.name, left_s=left_s))
    best = _pinned_or_best(ready)
    return _use(state, best, now, policy, Reason(Code.BACK_ONLINE, line=best.line.name, alive_s=alive_s(best)))


def _while_starting(
    state: State, health: Mapping[str, LineHealth], living: Sequence[Candidate], now: float, policy: Policy
) -> Decision:
    if state.routed is not None:
        adopted = next((candidate for candidate in living if candidate.line.name == state.routed), None)
        if adopted is not None:
            return _use(state, adopted, now, policy, Reason(Code.ADOPTED, line=state.routed))
        is_ours = any(line.name == state.routed for line in policy.lines)
        is_unknown = health.get(state.routed, _UNSEEN).verdict is Verdict.UNKNOWN
        if is_ours and is_unknown and now - state.since < LISTEN_S:
            return Decision(state=state, reason=Reason(Code.LISTENING))
    best = _pinned_or_best(living)
    is_unsettled = now - state.since < LISTEN_S and any(
        health.get(line.name, _UNSEEN).verdict is Verdict.UNKNOWN
        and (line.metered, line.preferred) < (best.line.metered, best.line.preferred)
        for line in policy.lines
    )
    if is_unsettled and not best.is_pinned:
        return Decision(state=state, reason=Reason(Code.LISTENING))
    if state.routed is not None and health.get(state.routed, _UNSEEN).verdict is Verdict.DOWN:
        cause = health[state.routed].reason.code.value
        return _use(state, best, now, policy, Reason(Code.LINE_DOWN, line=state.routed, cause=cause))
    return _use(state, best, now, policy, Reason(Code.FIRST_LINE, line=best.line.name))


def _line_in_use_is_gone(
    state: State,
    health: Mapping[str, LineHealth],
    living: Sequence[Candidate],
    now: float,
    orders: Sequence[Order],
    policy: Policy,
) -> Decision:
    left = state.line or ""
    is_rehearsed = any(order.kind is OrderKind.REHEARSE and order.line == left for order in orders)
    seen = health.get(left, _UNSEEN)
    if seen.verdict is Verdict.UNKNOWN and not is_rehearsed and any(line.name == left for line in policy.lines):
        return Decision(state=state)
    reason = Reason(Code.LINE_DOWN, line=left, cause=seen.reason.code.value)
    if is_rehearsed and seen.verdict is not Verdict.DOWN:
        reason = Reason(Code.REHEARSED, line=left)
    return _use(state, _pinned_or_best(living), now, policy, reason)


# ---- reasons to leave a line that lives


def _by_order(
    state: State,
    current: Candidate,
    living: Sequence[Candidate],
    now: float,
    orders: Sequence[Order],
    policy: Policy,
) -> Decision | None:
    """To a pinned line, and no step from a held one. A line that fell under its pin must prove itself all the same."""
    pinned = next((candidate for candidate in living if candidate.is_pinned), None)
    if pinned is not None:
        if pinned is current:
            return Decision(state=state, reason=_why_stay(current))
        given_at = max(
            order.since for order in orders if order.kind is OrderKind.PIN and order.line == pinned.line.name
        )
        has_fallen_since = any(at >= given_at for at in pinned.health.flap.falls)
        if not has_fallen_since or pinned.is_proven:
            return _use(state, pinned, now, policy, Reason(Code.PINNED, line=pinned.line.name))
    if current.is_held:
        return Decision(state=state, reason=Reason(Code.HELD, line=current.line.name))
    return None


def _by_quality(
    state: State, current: Candidate, living: Sequence[Candidate], now: float, policy: Policy
) -> Decision | None:
    if current.health.verdict is Verdict.UP or current.is_pinned:
        return None
    cause = current.health.reason.code.value
    here = current.line.name
    others = [c for c in living if c is not current and not c.is_held and c.line.metered <= current.line.metered]
    proven = next((c for c in others if c.is_proven), None)
    if proven is not None:
        move, reason = proven, Reason(Code.LINE_DEGRADED, line=here, cause=cause, to=proven.line.name)
    else:
        less_bad = next((c for c in others if is_clearly_better(c, current)), None)
        if less_bad is None:
            return None
        move, reason = less_bad, Reason(Code.LEAST_BAD, line=here, cause=cause, to=less_bad.line.name)
    return _stay_first(state, move, now, policy) or _use(state, move, now, policy, reason)


def _by_preference(
    state: State,
    current: Candidate,
    living: Sequence[Candidate],
    now: float,
    policy: Policy,
    minute: int | None,
) -> Decision | None:
    here = (current.line.metered, current.line.preferred)
    wanted = sorted(
        (c for c in living if (c.line.metered, c.line.preferred) < here),
        key=lambda c: (c.line.metered, c.line.preferred),
    )
    if not wanted or current.is_pinned:
        return None
    refusals = []
    for candidate in wanted:
        refusal = _refusal(candidate, current, now, minute)
        if refusal is None:
            leaves_metered = current.line.metered and not candidate.line.metered
            good_s = now - (now if candidate.health.good_since is None else candidate.health.good_since)
            reason = Reason(Code.FAILBACK, line=candidate.line.name, good_s=good_s)
            if leaves_metered:
                reason = Reason(Code.METERED, line=current.line.name, to=candidate.line.name)
            return _stay_first(state, candidate, now, policy) or _use(state, candidate, now, policy, reason)
        refusals.append(refusal)
    return Decision(state=state, reason=refusals[0])


def _refusal(candidate: Candidate, current: Candidate, now: float, minute: int | None) -> Reason | None:
    """Why this line, though preferred, is not returned to now."""
    name, detect = candidate.line.name, candidate.line.detect
    if candidate.is_held:
        return Reason(Code.HELD, line=name)
    if candidate.is_suppressed:
        points = flap.penalty(candidate.health.flap, now, detect)
        return Reason(Code.SUPPRESSED, line=name, penalty=points, reuse=detect.reuse)
    left_s = failback_wait_s(candidate, now)
    if left_s > 0:
        return Reason(Code.HOLD_RUNS, line=name, left_s=left_s)
    if current.line.metered and not candidate.line.metered:
        return None  # every minute on a metered line costs: no hours are waited for
    if candidate.health.verdict is not Verdict.UP:
        return Reason(Code.NO_BETTER_LINE, line=name, cause=candidate.health.reason.code.value)
    rule = candidate.line.failback
    if rule.kind is FailbackKind.MANUAL:
        return Reason(Code.FAILBACK_MANUAL, line=name)
    if rule.kind is FailbackKind.WINDOW and not rule.is_open(minute):
        return Reason(Code.FAILBACK_WINDOW, line=name)
    return None


# ---- small pieces


def _stay_first(state: State, wanted: Candidate, now: float, policy: Policy) -> Decision | None:
    left_s = policy.min_stay_s - (now - state.since)
    if left_s <= 0:
        return None
    return Decision(state=state, reason=Reason(Code.MIN_STAY, line=wanted.line.name, left_s=left_s))


def _pinned_or_best(living: Sequence[Candidate]) -> Candidate:
    return next((candidate for candidate in living if candidate.is_pinned), living[0])


def _why_stay(current: Candidate) -> Reason:
    if current.health.verdict is Verdict.UP:
        return STEADY
    return Reason(Code.NO_BETTER_LINE, line=current.line.name, cause=current.health.reason.code.value)


def _use(state: State, chosen: Candidate, now: float, policy: Policy, reason: Reason) -> Decision:
    name = chosen.line.name
    mode = Mode.ONLINE if name == policy.first else Mode.BACKUP
    if mode is state.mode and name == state.line:
        return Decision(state=state)
    moved = replace(state, mode=mode, line=name, routed=name, since=now, lost_at=None, reason=reason)
    return Decision(state=moved, actions=(UseLine(name),), reason=reason)
