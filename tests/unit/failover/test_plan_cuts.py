"""Every list of changes, whatever it leads from and to, cut after each step: it can be resumed, and nothing leaks.

`test_route_plan.py` does so between two decisions; here the two sides differ in everything that a setup can change:
observing or enforcing, lines that come and go, MTUs, the service address; and anybody may have removed anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from failover.core.plan import (
    DEFAULT,
    GUARD_METRIC,
    AddAddress,
    AddRule,
    Change,
    DeleteRoute,
    DeleteRule,
    Layout,
    LineRoute,
    ReplaceRoute,
    Route,
    RouteKind,
    Routing,
    Rule,
    changes,
    desired,
    probing,
)

NAMES = ("telecom", "unicom", "mobile")
PROTOCOL = 222
THEIRS = Route(table=100, prefix="10.200.0.0/16", metric=5, protocol=186, interface="en9")
THEIR_RULE = Rule(preference=10, table=50, protocol=4, mark=77)

subsets = st.sets(st.sampled_from(NAMES))
mtus = st.sampled_from((None, 1400, 1280))


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    lines = tuple(
        LineRoute(
            name=name, preferred=n, interface=f"en{n}", address=draw(st.sampled_from((f"10.{n}.1.2", None))),
            gateway=f"10.{n}.1.1", table=100 + n, mark=n, mtu=draw(mtus),
        )
        for n, name in enumerate(NAMES, start=1)
        if draw(st.booleans()) or name == "telecom"
    )  # fmt: skip
    prefixes = draw(st.sampled_from((("10.100.0.0/24",), ("10.100.0.0/24", "10.101.0.0/24"), ())))
    return Layout(lines=lines, cloud_prefixes=prefixes, service_ip=draw(st.sampled_from((None, "10.9.0.1"))))


@st.composite
def wanted_routings(draw: st.DrawFn) -> Routing:
    layout, standing = draw(layouts()), draw(st.none() | subsets)
    if draw(st.booleans()):
        return probing(layout, standing=standing, by_source=draw(st.booleans()))
    in_use = draw(st.none() | st.sampled_from([line.name for line in layout.lines]))
    return desired(layout, in_use=in_use, healthy=draw(subsets), standing=standing)


@st.composite
def torn(draw: st.DrawFn) -> Routing:
    """What an earlier setup left, less what anybody removed, and beside it what is not ours."""
    whole = draw(wanted_routings())
    routes = sorted(whole.routes, key=lambda route: route.key)
    rules = sorted(whole.rules, key=str)
    gone = draw(st.sets(st.integers(0, 40)))
    return Routing(
        routes=frozenset({*(route for n, route in enumerate(routes) if n not in gone), THEIRS}),
        rules=frozenset({*(rule for n, rule in enumerate(rules) if n + 20 not in gone), THEIR_RULE}),
        addresses=whole.addresses if 40 not in gone else frozenset(),
    )


def after(present: Routing, step: Change) -> Routing:
    """One step, as the kernel obeys it: a replace goes by its key, and only what is there can be deleted."""
    match step:
        case AddAddress(address):
            assert address not in present.addresses
            return replace(present, addresses={*present.addresses, address})
        case ReplaceRoute(route):
            kept = {other for other in present.routes if other.key != route.key}
            return replace(present, routes=frozenset({*kept, route}))
        case DeleteRoute(route):
            assert route in present.routes
            return replace(present, routes=frozenset(present.routes - {route}))
        case AddRule(rule):
            assert rule not in present.rules
            return replace(present, rules=frozenset({*present.rules, rule}))
        case DeleteRule(rule):
            assert rule in present.rules
            return replace(present, rules=frozenset(present.rules - {rule}))


def halfways(present: Routing, steps: Sequence[Change]) -> list[Routing]:
    """What the kernel has before the first step, and after each."""
    found = [present]
    for step in steps:
        found.append(after(found[-1], step))
    return found


def unguarded(routing: Routing) -> set[tuple[int, str]]:
    """Tables that a rule of ours leads into, and the destinations in them that have no guard: there packets leak."""
    guards = {
        (route.table, route.prefix)
        for route in routing.routes
        if route.kind is RouteKind.UNREACHABLE and route.metric == GUARD_METRIC
    }
    led = {(rule.table, rule.destination or DEFAULT) for rule in routing.rules if rule.protocol == PROTOCOL}
    return led - guards


def same(one: Routing, other: Routing) -> bool:
    """But for addresses: only a cleanup takes ours away."""
    return (one.routes, one.rules) == (other.routes, other.rules) and one.addresses >= other.addresses


@settings(deadline=None, max_examples=150)  # a loaded machine is no mistake of the plan
@given(wanted=wanted_routings(), present=torn())
def test_cut_after_each_step_it_is_resumed_and_nothing_leaks(wanted: Routing, present: Routing) -> None:
    steps = changes(wanted, present, protocol=PROTOCOL)
    states = halfways(present, steps)
    end = states[-1]
    assert end.routes == wanted.routes | {THEIRS} and end.rules == wanted.rules | {THEIR_RULE}
    assert end.addresses >= wanted.addresses
    leaks = unguarded(present)
    for halfway in states:
        assert unguarded(halfway) <= leaks, "a step opened a leak that was not there"
        leaks = unguarded(halfway)
        resumed = halfways(halfway, changes(wanted, halfway, protocol=PROTOCOL))[-1]
        assert same(resumed, end) and changes(wanted, resumed, protocol=PROTOCOL) == ()


@settings(deadline=None, max_examples=150)
@given(wanted=wanted_routings(), present=torn())
def test_a_source_address_is_there_before_a_route_names_it(wanted: Routing, present: Routing) -> None:
    """The kernel refuses a route whose source is not an address of this machine."""
    service = wanted.addresses
    for halfway in halfways(present, changes(wanted, present, protocol=PROTOCOL))[1:]:
        named = {route.source for route in halfway.routes & wanted.routes} & service
        assert named <= halfway.addresses or named <= {route.source for route in present.routes}


@settings(deadline=None, max_examples=150)
@given(wanted=wanted_routings(), present=torn())
def test_a_table_that_leaks_is_guarded_first(wanted: Routing, present: Routing) -> None:
    """Where somebody removed a guard, it comes back before any route behind a rule is touched."""
    steps = changes(wanted, present, protocol=PROTOCOL)
    guards = [n for n, step in enumerate(steps) if isinstance(step, ReplaceRoute) and step.route.metric == GUARD_METRIC]
    others = [n for n, step in enumerate(steps) if not isinstance(step, AddAddress) and n not in guards]
    assert not guards or not others or max(guards) < min(others)


def test_the_checks_can_fail() -> None:
    """A plan in the wrong order is seen."""
    layout = Layout(lines=(LineRoute(name="telecom", preferred=1, interface="en1", address=None, table=101, mark=1),),
                    cloud_prefixes=())  # fmt: skip
    steps = changes(probing(layout), Routing(), protocol=PROTOCOL)
    assert not any(unguarded(halfway) for halfway in halfways(Routing(), steps))
    assert any(unguarded(halfway) for halfway in halfways(Routing(), tuple(reversed(steps))))
