"""Random weather: whatever happens to the lines, some things never do."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from failover.core import flap
from failover.core.model import (
    Code,
    Decision,
    Detect,
    LineHealth,
    LinePolicy,
    Mode,
    Order,
    OrderKind,
    Policy,
    State,
    UseLine,
    Verdict,
)
from failover.core.rank import Candidate, candidates
from failover.core.reasons import REASONS, Kind, Reason
from tests.support.lines import Moment, Story

SLOW = Detect(interval_s=1.0, dead_after_s=5.0)  # one question a second: five times the weather for the same work
LINES = Policy(
    lines=(
        LinePolicy(name="telecom", preferred=1, detect=SLOW),
        LinePolicy(name="unicom", preferred=2, detect=SLOW),
        LinePolicy(name="mobile", preferred=3, metered=True, detect=SLOW),
    )
)
ALIVE = (Verdict.UP, Verdict.DEGRADED)
RETURNS = (Code.FAILBACK, Code.METERED)
SHOWERS = "+++++++---xx%%~bcC3?"
SECONDS = 900


def weather(rng: random.Random, seconds: int) -> str:
    """Mostly fine, with showers of every kind, some of seconds and some of minutes, often on several lines at once."""
    at, sky, script = 0.0, ["+", "+", "+"], []
    while at < seconds:
        script.append(f"{at:.0f} {''.join(sky)}")
        at += rng.choice((1, 2, 3, 8, 20, 70, 200)) * rng.uniform(1, 1.5)
        place = rng.randrange(3)
        sky[place] = rng.choice(SHOWERS)
        if rng.random() < 0.15:
            sky = [rng.choice("-+")] * 3
        if rng.random() < 0.05:
            script.append(f"{at:.0f} z++")
            at += rng.choice((2, 30))
    return " | ".join(script)


def wishes(rng: random.Random, seconds: int) -> list[Order]:
    orders = []
    for _ in range(rng.randrange(4)):
        since = rng.uniform(0, seconds)
        kind, line = rng.choice(list(OrderKind)), rng.choice(LINES.lines).name
        orders.append(Order(kind=kind, line=line, since=since, until=since + rng.choice((5, 60, 300))))
    return orders


def check(moment: Moment, orders: list[Order], lived_at: float) -> None:
    before, decision, now = moment.before, moment.decision, moment.at
    after, health = decision.state, moment.judgement.health
    standing = [order for order in orders if order.holds_at(now)]
    living = {candidate.line.name: candidate for candidate in candidates(health, now, standing, LINES)}

    has_moved = (before.mode, before.line) != (after.mode, after.line)
    assert has_moved == bool(decision.actions), "an action without a change, or a change without an action"
    spec = REASONS[decision.reason.code]
    assert (spec.kind is Kind.MOVE) == has_moved
    assert not has_moved or (before.mode, after.mode) in spec.moves, f"{decision.reason.code} is not in the diagram"
    for reason in (decision.reason, *moment.judgement.troubles, *(seen.reason for seen in health.values())):
        assert set(reason.args) == set(REASONS[reason.code].args)
        assert str(reason)

    if after.line is not None and health[after.line].verdict is Verdict.DOWN:
        assert not living, "on a line judged down while another lives"
    if has_moved and after.line is not None:
        assert after.line in living, "moved to a line that does not live"
    if decision.reason.code in RETURNS:
        assert after.line is not None
        seen = health[after.line]
        assert seen.good_since is not None
        hold_s = max(SLOW.hold_s, flap.hold_s(seen.flap, now, SLOW))
        assert now - seen.good_since >= hold_s, "back before the hold"
        assert not flap.is_suppressed(seen.flap, now, SLOW)
    if decision.reason.code in (*RETURNS, Code.LINE_DEGRADED, Code.LEAST_BAD):
        assert now - before.since >= LINES.min_stay_s, "quality or preference moved us within the hold-down"
    check_orders(before, after, standing, living)
    if decision.reason.code is Code.HELD:
        assert (OrderKind.HOLD, decision.reason.args["line"]) in {(order.kind, order.line) for order in standing}
    if has_moved and after.mode is Mode.OFFLINE:
        assert not living
        assert now - lived_at >= LINES.offline_after_s, "offline too soon"
        assert after.routed == before.routed, "offline must leave the routes alone"
    assert (after.line is None) == (after.mode in (Mode.STARTING, Mode.OFFLINE))
    for seen in health.values():
        check_health(seen, now)


def check_orders(before: State, after: State, standing: list[Order], living: Mapping[str, Candidate]) -> None:
    wishes = {(order.kind, order.line) for order in standing}
    assert (OrderKind.REHEARSE, after.line) not in wishes or not living, "on a rehearsed line while another lives"
    if before.line is None or after.line is None or before.line == after.line:
        return
    to_pinned = (OrderKind.PIN, after.line) in wishes
    if before.line in living:
        assert to_pinned or (OrderKind.PIN, before.line) not in wishes, "left a living pinned line"
        assert to_pinned or (OrderKind.HOLD, before.line) not in wishes, "left a living held line"
    if (OrderKind.HOLD, after.line) in wishes and not to_pinned:
        assert all((OrderKind.HOLD, name) in wishes for name in living), "came to a held line while another lives"


def check_health(seen: LineHealth, now: float) -> None:
    assert (seen.alive_since is not None) == (seen.verdict in ALIVE) == (seen.good_since is not None)
    assert REASONS[seen.reason.code].kind is Kind.VERDICT
    assert seen.since <= now and (seen.good_since is None or seen.good_since <= now)


def endure(seed: int, seconds: int) -> int:
    rng = random.Random(seed)
    orders = wishes(rng, seconds)
    story = Story(policy=LINES, targets=("cloud-1", "cloud-2"), gateway=seed % 2 == 0, orders=orders, seed=seed)
    lived_at, moved = 0.0, 0
    for moment in story.run(weather(rng, seconds), seconds):
        check(moment, orders, lived_at)
        standing = [order for order in orders if order.holds_at(moment.at)]
        if candidates(moment.judgement.health, moment.at, standing, LINES):
            lived_at = moment.at
        moved += bool(moment.decision.actions)
    return moved


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_weather(seed: int) -> None:
    assert endure(seed, SECONDS) > 0


@pytest.mark.long
def test_thousands_of_stories() -> None:
    assert sum(endure(seed, SECONDS) for seed in range(1000, 4000)) > 3000


def test_the_checks_can_fail() -> None:
    """Weather that always passes proves little: a forged failback is seen."""
    story = Story(policy=LINES)
    *_, last = story.run("0 +++ | 30 -++ | 50 +++", 60)
    reason = Reason(Code.FAILBACK, line="telecom", good_s=9.0)
    state = State(mode=Mode.ONLINE, line="telecom", routed="telecom", since=last.at)
    forged = replace(last, decision=Decision(state=state, actions=(UseLine("telecom"),), reason=reason))
    with pytest.raises(AssertionError, match="back before the hold"):
        check(forged, [], last.at)
