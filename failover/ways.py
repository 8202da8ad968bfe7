"""Which way packets take from this machine, by what was read from the kernel. Pure.

A probe may only be asked where its answer would say something about its line. With our own tables and rules in place
it always does. Without them (nothing of ours may be set) it does where the main table leads to the target through the
line; elsewhere a silence would be this machine's own, so the target is not asked, and the line stays unknown: never
down.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum

from failover.core.model import LinkState
from failover.core.plan import Change, Layout, LineRoute, ReplaceRoute, Route, RouteKind, leads_onto
from failover.netlink.kernel import Seen
from failover.netlink.links import Interface, link_state
from failover.probes.engine import LineProbing
from failover.probes.pin import Pin
from failover.setup import Act, Setup, Target

_BY_THE_KERNEL = 2  # routing protocol of the routes that come with an address


class Barred(StrEnum):
    """Why a target is not asked. The engine adds `icmp-not-permitted` and `device-not-permitted`."""

    NO_WAY = "no-route"
    REVERSE_PATH = "reverse-path-filter"


def settled(layout: Layout, interfaces: Mapping[str, Interface]) -> Layout:
    """The layout with every line's address: the configured one, else the first on its interface."""

    def found(line: LineRoute) -> str | None:
        if line.address is not None or line.interface not in interfaces:
            return line.address
        return next(iter(interfaces[line.interface].addresses), None)

    return replace(layout, lines=tuple(replace(line, address=found(line)) for line in layout.lines))


def standing(layout: Layout, interfaces: Mapping[str, Interface]) -> frozenset[str]:
    """The lines whose interface can carry a route now. Of the others the kernel has dropped the routes."""
    return frozenset(
        line.name
        for line in layout.lines
        if (interface := interfaces.get(line.interface)) is not None
        and interface.is_up
        and line.address in interface.addresses
    )


def plumbed(setup: Setup, layout: Layout, *, is_permitted: bool) -> Layout:
    """The lines that get a table and rules of their own: in observe, those that are probed; without privilege, none."""
    if not is_permitted:
        return replace(layout, lines=())
    if setup.act is Act.ENFORCE:
        return layout
    return replace(layout, lines=tuple(line for line in layout.lines if setup.targets_of(line.name)))


def leads_through(main: Iterable[Route], target: str) -> str | None:
    """The interface by which the main table leads to an address; `None` where it leads nowhere."""
    best = min((route for route in main if _covers(route, target)), key=_specific_first, default=None)
    return best.interface if best is not None and best.kind is RouteKind.VIA else None


def links(
    setup: Setup, layout: Layout, plumbing: Layout, seen: Seen, refused: Collection[Change] = ()
) -> dict[str, LinkState]:
    """Every line's link. `layout` is settled; `plumbing` holds the lines that have a table of their own.

    A route of our own that is missing says nothing about the line while it can be put back (somebody wiped the table
    between two looks); one that the kernel refuses (`refused`) does.
    """
    stand, own = standing(layout, seen.interfaces), {line.name for line in plumbing.lines}
    configured = {line.name: line.address for line in setup.layout.lines}
    tables = {change.route.table for change in refused if isinstance(change, ReplaceRoute)}

    def has_route(line: LineRoute) -> bool | None:
        if line.name not in stand:
            return None
        if line.name in own:
            return leads_onto(line, plumbing, seen.routing) or (False if line.table in tables else None)
        ways = (route for route in seen.main if route.interface == line.interface and route.kind is RouteKind.VIA)
        # Without a target there must be a way to somewhere; the carrier's own network is none.
        return any(setup.targets_of(line.name) or route.protocol != _BY_THE_KERNEL for route in ways)

    return {
        line.name: link_state(line.interface, configured[line.name], seen.interfaces, has_route=has_route(line))
        for line in layout.lines
    }


def probings(setup: Setup, layout: Layout, plumbing: Layout, seen: Seen) -> dict[str, LineProbing]:
    """How every line is asked."""
    own = {line.name for line in plumbing.lines}
    return {
        line.name: LineProbing(
            pin=Pin(
                interface=line.interface,
                address=line.address,
                mark=line.mark if line.name in own else None,
                dscp=setup.dscp.get(line.name, 0),
            ),
            targets=setup.targets_of(line.name),
            detect=setup.policy.line(line.name).detect,
            barred=dict(_barred(setup, line, seen, is_plumbed=line.name in own)),
        )
        for line in layout.lines
    }


def routed_by_main(layout: Layout, main: Iterable[Route]) -> str | None:
    """The line by which the main table leads to the first cloud prefix, or to the world where there is none."""
    first = layout.cloud_prefixes[0] if layout.cloud_prefixes else None
    target = "192.0.2.1" if first is None else str(ipaddress.ip_network(first)[0])
    interface = leads_through(main, target)
    return next((line.name for line in layout.lines if line.interface == interface), None)


def _barred(setup: Setup, line: LineRoute, seen: Seen, *, is_plumbed: bool) -> Iterator[tuple[str, str]]:
    interface = seen.interfaces.get(line.interface)
    for target in setup.targets_of(line.name):
        why = _why_barred(setup, line, target, seen, interface, is_plumbed=is_plumbed)
        if why is not None:
            yield target.name, why.value


def _why_barred(
    setup: Setup, line: LineRoute, target: Target, seen: Seen, interface: Interface | None, *, is_plumbed: bool
) -> Barred | None:
    if interface is None or not interface.addresses:
        return None  # its link says enough
    if is_plumbed and setup.act is Act.ENFORCE:
        return None
    if interface.is_strict and leads_through(seen.main, target.address) != line.interface:
        return Barred.REVERSE_PATH  # without a rule by source the kernel would drop every answer
    ways = (route for route in seen.main if route.interface == line.interface and route.kind is RouteKind.VIA)
    if not is_plumbed and not any(_covers(route, target.address) for route in ways):
        return Barred.NO_WAY
    return None


def _covers(route: Route, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(route.prefix)


def _specific_first(route: Route) -> tuple[int, int]:
    return -int(route.prefix.rpartition("/")[2]), route.metric
