"""A decision to routes and rules, and the changes that lead there from what the kernel has.

The layout, per cloud prefix in our own table:

    metric 10              the line in use; replaced in one message, so that a planned switch loses nothing
    metric 1000+preferred  every other healthy line: the kernel falls back to it by itself when a cable is cut
    metric 4294967295      unreachable: what no line can carry must not leak to the default route

and per line, in its own table, a default route through its gateway with an unreachable guard behind it. Without the
guard a probe whose route is gone would leave by another line and report this one as up.

Changes are ordered so that stopping after any of them is safe: our own address (routes name it as their source),
guards, routes by metric, rules (a rule never points at an unguarded table), then what is no longer wanted. Applying
them twice changes nothing the second time. Only routes and rules with our protocol number are ever deleted.

A watcher that only observes wants `probing`: each line's own table and the rule of its mark, without which a line that
is not in use could not be asked; nothing in it carries a packet that is not a probe.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import StrEnum

ACTIVE_METRIC = 10
FALLBACK_METRIC = 1000
GUARD_METRIC = 4294967295
DEFAULT = "0.0.0.0/0"
MARK_RULES = 300  # a rule by mark stands at 300 + mark
SOURCE_RULES = 400  # a rule by source address stands at 400 + mark


class RouteKind(StrEnum):
    VIA = "via"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An IPv4 route as we write it and as the kernel gives it back. `gateway` is `None` on a point-to-point line."""

    table: int
    prefix: str
    metric: int
    protocol: int
    kind: RouteKind = RouteKind.VIA
    interface: str | None = None
    gateway: str | None = None
    source: str | None = None
    mtu: int | None = None

    @property
    def key(self) -> tuple[int, str, int]:
        """The kernel holds one route of this key for us; replacing names it."""
        return self.table, self.prefix, self.metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A routing rule: by mark, by source address, or by destination (the cloud's prefixes)."""

    preference: int
    table: int
    protocol: int
    mark: int | None = None
    source: str | None = None
    destination: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """A set of routes and rules: what we want, or what the kernel has (others' included)."""

    routes: Set[Route] = frozenset()
    rules: Set[Rule] = frozenset()
    addresses: Set[str] = frozenset()  # on the loopback interface


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Our own address towards the cloud, /32 on the loopback interface. Only a cleanup takes it away."""

    address: str


@dataclass(frozen=True, slots=True)
class ReplaceRoute:
    route: Route


@dataclass(frozen=True, slots=True)
class AddRule:
    rule: Rule


@dataclass(frozen=True, slots=True)
class DeleteRule:
    rule: Rule


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    route: Route


Change = AddAddress | ReplaceRoute | AddRule | DeleteRule | DeleteRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRoute:
    """How packets get onto one line. `mtu` is set when a black hole was found.

    `address` is without prefix length; `None`: not configured, and none found on the interface yet.
    """

    name: str
    preferred: int
    interface: str
    address: str | None
    table: int
    mark: int
    gateway: str | None = None
    mtu: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Everything about routing that the configuration fixes."""

    lines: tuple[LineRoute, ...]
    cloud_prefixes: tuple[str, ...]
    table: int = 100
    protocol: int = 222
    rule_preference: int = 500
    service_ip: str | None = None


def desired(layout: Layout, *, in_use: str | None, healthy: Set[str], standing: Set[str] | None = None) -> Routing:
    """The routing for a decision: `in_use` is `State.routed`, `healthy` the lines that may serve as fallbacks.

    With `in_use` `None` (nothing decided yet) there are guards, rules and the lines' own tables, so that lines can be
    probed, and cloud traffic is refused at once rather than sent the wrong way. `standing` are the lines whose
    interface can carry a route now (`None`: all): of the others the kernel has dropped the routes, and would refuse
    them.
    """
    routes = {*_line_routes(layout, standing), *_cloud_routes(layout, in_use, healthy, standing)}
    rules = (*_mark_rules(layout), *_source_rules(layout), *_cloud_rules(layout))
    addresses = frozenset(() if layout.service_ip is None else (layout.service_ip,))
    return Routing(routes=frozenset(routes), rules=frozenset(rules), addresses=addresses)


def probing(layout: Layout, *, standing: Set[str] | None = None, by_source: bool = False) -> Routing:
    """What probes need to leave by their own line, and nothing that moves traffic to the cloud.

    `by_source` also sends what carries a line's own address by that line.
    """
    rules = (*_mark_rules(layout), *(_source_rules(layout) if by_source else ()))
    return Routing(routes=frozenset(_line_routes(layout, standing)), rules=frozenset(rules))


def adopted(layout: Layout, present: Routing) -> str | None:
    """The line that the routes of an earlier run point to: what a watcher that starts over goes on with."""
    for prefix in layout.cloud_prefixes:
        for route in present.routes:
            if route.key == (layout.table, prefix, ACTIVE_METRIC) and route.protocol == layout.protocol:
                return next((line.name for line in layout.lines if line.interface == route.interface), None)
    return None


def adopted_fallbacks(layout: Layout, present: Routing) -> frozenset[str]:
    """The lines that stand behind the one in use, from an earlier run: they stay until they are judged."""
    metrics = {(line.interface, FALLBACK_METRIC + line.preferred): line.name for line in layout.lines}
    return frozenset(
        metrics[route.interface, route.metric]
        for route in present.routes
        if route.table == layout.table
        and route.protocol == layout.protocol
        and route.interface is not None
        and (route.interface, route.metric) in metrics
    )


def adopted_mtus(layout: Layout, present: Routing) -> dict[str, int]:
    """The MTUs that an earlier run set on the lines' own routes: black holes that it found."""
    tables = {line.table: line.name for line in layout.lines}
    return {
        tables[route.table]: route.mtu
        for route in present.routes
        if route.table in tables
        and route.prefix == DEFAULT
        and route.protocol == layout.protocol
        and route.mtu is not None
    }


def is_steered(layout: Layout, present: Routing) -> bool:
    """Do rules of ours send cloud traffic to our table already?"""
    return any(rule in present.rules for rule in _cloud_rules(layout))


def leads_onto(line: LineRoute, layout: Layout, present: Routing) -> bool:
    """Do marked packets leave by this line? Its own table leads there, and the rule of its mark leads to the table."""
    return any(
        route.table == line.table
        and route.prefix == DEFAULT
        and route.kind is RouteKind.VIA
        and route.interface == line.interface
        for route in present.routes
    ) and any(rule in present.rules for rule in _mark_rules(layout) if rule.mark == line.mark)


def changes(wanted: Routing, present: Routing, *, protocol: int) -> tuple[Change, ...]:
    """What leads from `present` to `wanted`, in an order that is safe to stop within.

    A route of somebody else at a key of ours is replaced, since our tables are ours; nothing else of theirs is touched.
    """
    missing = sorted(wanted.routes - present.routes, key=_replace_order)
    taken = {route.key for route in wanted.routes}
    ours = {route for route in present.routes - wanted.routes if route.protocol == protocol}
    # The kernel drops what a replace overwrites; only where the wanted route stands already is the other a leftover.
    standing = {route.key for route in wanted.routes & present.routes}
    leftover = (route for route in ours if route.key not in taken or route.key in standing)
    rules_gone = (rule for rule in present.rules - wanted.rules if rule.protocol == protocol)
    return (
        *(AddAddress(address) for address in sorted(wanted.addresses - present.addresses)),
        *(ReplaceRoute(route) for route in missing),
        *(AddRule(rule) for rule in sorted(wanted.rules - present.rules, key=_rule_order)),
        *(DeleteRule(rule) for rule in sorted(rules_gone, key=_rule_order)),
        *(DeleteRoute(route) for route in sorted(leftover, key=_delete_order)),
    )


def _line_routes(layout: Layout, standing: Set[str] | None) -> Iterator[Route]:
    for line in layout.lines:
        yield _guard(layout, line.table, DEFAULT)
        if standing is None or line.name in standing:
            yield Route(
                table=line.table,
                prefix=DEFAULT,
                metric=0,
                protocol=layout.protocol,
                interface=line.interface,
                gateway=line.gateway,
                source=line.address,
                mtu=line.mtu,
            )


def _cloud_routes(layout: Layout, in_use: str | None, healthy: Set[str], standing: Set[str] | None) -> Iterator[Route]:
    for prefix in layout.cloud_prefixes:
        yield _guard(layout, layout.table, prefix)
        for line in layout.lines:
            if standing is not None and line.name not in standing:
                continue
            if line.name == in_use:
                metric = ACTIVE_METRIC
            elif line.name in healthy:
                metric = FALLBACK_METRIC + line.preferred
            else:
                continue
            yield Route(
                table=layout.table,
                prefix=prefix,
                metric=metric,
                protocol=layout.protocol,
                interface=line.interface,
                gateway=line.gateway,
                source=layout.service_ip or line.address,
                mtu=line.mtu,
            )


def _guard(layout: Layout, table: int, prefix: str) -> Route:
    return Route(table=table, prefix=prefix, metric=GUARD_METRIC, protocol=layout.protocol, kind=RouteKind.UNREACHABLE)


def _mark_rules(layout: Layout) -> Iterator[Rule]:
    for line in layout.lines:
        yield Rule(preference=MARK_RULES + line.mark, table=line.table, protocol=layout.protocol, mark=line.mark)


def _source_rules(layout: Layout) -> Iterator[Rule]:
    for line in layout.lines:
        if line.address is not None:
            yield Rule(
                preference=SOURCE_RULES + line.mark, table=line.table, protocol=layout.protocol, source=line.address
            )


def _cloud_rules(layout: Layout) -> Iterator[Rule]:
    for prefix in layout.cloud_prefixes:
        yield Rule(preference=layout.rule_preference, table=layout.table, protocol=layout.protocol, destination=prefix)


def _replace_order(route: Route) -> tuple[bool, int, int, str]:
    return route.kind is not RouteKind.UNREACHABLE, route.metric, route.table, route.prefix


def _delete_order(route: Route) -> tuple[bool, int, int, str, str]:
    """Guards go last."""
    return route.kind is RouteKind.UNREACHABLE, -route.metric, route.table, route.prefix, route.interface or ""


def _rule_order(rule: Rule) -> tuple[int, str]:
    return rule.preference, rule.destination or rule.source or ""
