"""Desired routing against present routing, played on a small kernel, and stopped after every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.core.plan import (
    ACTIVE_METRIC,
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
    adopted,
    adopted_mtus,
    changes,
    desired,
    leads_onto,
    probing,
)

LAYOUT = Layout(
    lines=tuple(
        LineRoute(
            name=name,
            preferred=n,
            interface=f"en{n}",
            address=f"10.{n}.1.2",
            gateway=f"10.{n}.1.1",
            table=100 + n,
            mark=n,
        )
        for n, name in enumerate(("telecom", "unicom", "mobile"), start=1)
    ),
    cloud_prefixes=("10.100.0.0/24", "10.101.0.0/24"),
    service_ip="10.9.0.1",
)
NAMES = [line.name for line in LAYOUT.lines]
FOREIGN = Route(table=100, prefix="10.200.0.0/16", metric=5, protocol=186, interface="en9")
FOREIGN_RULE = Rule(preference=10, table=50, protocol=4, mark=77)
EMPTY = Routing()


def apply(present: Routing, steps: Sequence[Change]) -> Routing:
    """A kernel that does what netlink does: replace by key, delete exactly, refuse what is not there."""
    routes, rules = {route.key: route for route in present.routes}, set(present.rules)
    addresses = set(present.addresses)
    for step in steps:
        match step:
            case AddAddress(address):
                assert address not in addresses
                addresses.add(address)
            case ReplaceRoute(route) if route.source == LAYOUT.service_ip:
                assert route.source in addresses, "the kernel refuses a source that is not ours"
                routes[route.key] = route
            case ReplaceRoute(route):
                routes[route.key] = route
            case DeleteRoute(route):
                assert routes.pop(route.key) == route
            case AddRule(rule):
                assert rule not in rules
                rules.add(rule)
            case DeleteRule(rule):
                rules.remove(rule)
    return Routing(routes=frozenset(routes.values()), rules=frozenset(rules), addresses=frozenset(addresses))


def plan(wanted: Routing, present: Routing) -> tuple[Change, ...]:
    return changes(wanted, present, protocol=LAYOUT.protocol)


def routing(in_use: str | None, *healthy: str) -> Routing:
    return desired(LAYOUT, in_use=in_use, healthy=frozenset(healthy))


def test_a_planned_switch_is_one_replace_per_prefix_and_then_order() -> None:
    """The line that was in use becomes the fallback, the fallback that is now in use goes."""
    steps = plan(routing("unicom", *NAMES), routing("telecom", *NAMES))
    kinds = [(type(step), step.route.metric) for step in steps if isinstance(step, ReplaceRoute | DeleteRoute)]
    assert kinds == [(ReplaceRoute, ACTIVE_METRIC)] * 2 + [(ReplaceRoute, 1001)] * 2 + [(DeleteRoute, 1002)] * 2
    assert len(steps) == len(kinds)


def test_the_routes_of_a_cloud_prefix() -> None:
    routes = sorted((r for r in routing("telecom", "telecom", "mobile").routes if r.table == 100), key=lambda r: r.key)
    assert [(r.prefix, r.metric, r.interface, r.source) for r in routes[:3]] == [
        ("10.100.0.0/24", 10, "en1", "10.9.0.1"),
        ("10.100.0.0/24", 1003, "en3", "10.9.0.1"),
        ("10.100.0.0/24", GUARD_METRIC, None, None),
    ]


def test_nothing_decided_yet_still_guards_and_can_probe() -> None:
    routes = routing(None).routes
    assert {r.kind for r in routes if r.table == 100} == {RouteKind.UNREACHABLE}
    assert {r.table for r in routes if r.kind is RouteKind.VIA} == {101, 102, 103}


def test_what_is_not_ours_stays() -> None:
    present = Routing(routes=frozenset({FOREIGN}), rules=frozenset({FOREIGN_RULE}))
    built = apply(present, plan(routing("telecom", *NAMES), present))
    emptied = apply(built, plan(EMPTY, built))
    assert FOREIGN in built.routes and FOREIGN_RULE in built.rules
    assert (emptied.routes, emptied.rules) == (present.routes, present.rules)


def test_observing_moves_nothing_but_probes() -> None:
    wanted = probing(LAYOUT)
    assert {route.table for route in wanted.routes} == {101, 102, 103}
    assert all(rule.mark is not None and rule.source is None and rule.destination is None for rule in wanted.rules)
    assert not wanted.addresses
    assert plan(wanted, routing("telecom", *NAMES)), "from enforce to observe: the cloud's routes go"


def test_a_line_whose_interface_is_gone_has_guard_and_rules_but_no_route() -> None:
    wanted = desired(LAYOUT, in_use="telecom", healthy=frozenset(NAMES), standing=frozenset({"unicom"}))
    assert {route.interface for route in wanted.routes if route.kind is RouteKind.VIA} == {"en2"}
    assert {r.table for r in wanted.routes if r.metric == GUARD_METRIC} == {100, 101, 102, 103}
    assert wanted.rules == routing("telecom", *NAMES).rules


def test_a_line_without_an_address_has_no_rule_for_it() -> None:
    nameless = replace(LAYOUT, lines=(replace(LAYOUT.lines[0], address=None), *LAYOUT.lines[1:]))
    rules = desired(nameless, in_use=None, healthy=frozenset()).rules
    assert {rule.source for rule in rules} == {None, "10.2.1.2", "10.3.1.2"}


@pytest.mark.parametrize("in_use", [None, *NAMES])
def test_the_line_of_an_earlier_run_is_adopted(in_use: str | None) -> None:
    assert adopted(LAYOUT, routing(in_use, *NAMES)) == in_use
    assert adopted(replace(LAYOUT, protocol=99), routing(in_use, *NAMES)) is None


def test_a_line_is_led_onto_by_its_table_and_its_rule() -> None:
    present, line = probing(LAYOUT), LAYOUT.lines[0]
    assert leads_onto(line, LAYOUT, present)
    assert not leads_onto(line, LAYOUT, replace(present, rules=frozenset()))
    guards = frozenset(route for route in present.routes if route.kind is RouteKind.UNREACHABLE)
    assert not leads_onto(line, LAYOUT, replace(present, routes=guards))


def test_a_stranger_at_our_key_is_replaced_never_deleted() -> None:
    wanted = routing("telecom")
    ours = next(route for route in wanted.routes if route.metric == ACTIVE_METRIC)
    stranger = replace(ours, protocol=4, interface="en9")
    steps = plan(wanted, replace(wanted, routes=(wanted.routes - {ours}) | {stranger}))
    assert steps == (ReplaceRoute(ours),)


def narrow(mtu: int | None) -> Layout:
    return replace(LAYOUT, lines=(replace(LAYOUT.lines[0], mtu=mtu), *LAYOUT.lines[1:]))


def test_a_smaller_mtu_is_a_replace_in_the_cloud_s_table_and_in_the_line_s_own() -> None:
    wanted = desired(narrow(1400), in_use="telecom", healthy=frozenset(NAMES))
    steps = plan(wanted, routing("telecom", *NAMES))
    changed = [(s.route.table, s.route.metric, s.route.mtu) for s in steps if isinstance(s, ReplaceRoute)]
    assert len(changed) == len(steps) and sorted(changed) == [(100, 10, 1400), (100, 10, 1400), (101, 0, 1400)]
    assert adopted_mtus(LAYOUT, wanted) == {"telecom": 1400} and not adopted_mtus(LAYOUT, routing("telecom"))
    assert adopted_mtus(replace(LAYOUT, protocol=99), wanted) == {}


@pytest.mark.parametrize("before, after", [(None, 1400), (1400, None), (1400, 1280)])
def test_an_mtu_that_is_set_or_taken_back_survives_every_cut(before: int | None, after: int | None) -> None:
    present, wanted = (desired(narrow(mtu), in_use="telecom", healthy=frozenset(NAMES)) for mtu in (before, after))
    steps = plan(wanted, present)
    for cut in range(len(steps) + 1):
        halfway = apply(present, steps[:cut])
        assert apply(halfway, plan(wanted, halfway)) == wanted
        assert adopted(LAYOUT, halfway) == "telecom", "packets have a way all the time"


decisions = st.builds(
    lambda in_use, healthy: routing(in_use, *healthy), st.sampled_from([None, *NAMES]), st.sets(st.sampled_from(NAMES))
)


@settings(deadline=None)  # a loaded machine is no mistake of the plan
@given(wanted=decisions, before=decisions, torn=st.sets(st.integers(0, 40)))
def test_stopped_after_any_step_and_resumed(wanted: Routing, before: Routing, torn: set[int]) -> None:
    """From whatever an earlier decision and somebody's deletions left, every prefix of the plan leads to the end."""
    left = {route for n, route in enumerate(sorted(before.routes, key=lambda r: r.key)) if n not in torn}
    present = Routing(routes=frozenset(left | {FOREIGN}), rules=before.rules)
    steps = plan(wanted, present)
    end = apply(present, steps)
    assert plan(wanted, end) == ()
    assert end.routes == wanted.routes | {FOREIGN} and end.rules == wanted.rules
    for cut in range(len(steps) + 1):
        halfway = apply(present, steps[:cut])
        assert apply(halfway, plan(wanted, halfway)) == end
        guarded = {(r.table, r.prefix) for r in halfway.routes if r.metric == GUARD_METRIC}
        added = {s.route for s in steps[:cut] if isinstance(s, ReplaceRoute)}
        assert all((r.table, r.prefix) in guarded for r in added), "a route stands before its guard"


@pytest.mark.parametrize("before", NAMES)
@pytest.mark.parametrize("after", NAMES)
def test_a_switch_never_leaves_a_prefix_without_a_way(before: str, after: str) -> None:
    present = routing(before, *NAMES)
    steps = plan(routing(after, *NAMES), present)
    for cut in range(len(steps) + 1):
        metrics = {(r.prefix, r.metric) for r in apply(present, steps[:cut]).routes if r.table == 100}
        assert {(prefix, ACTIVE_METRIC) for prefix in LAYOUT.cloud_prefixes} <= metrics
