"""Which way packets take, by the main table of a machine, and what that says about asking a target."""

from __future__ import annotations

from dataclasses import replace

import pytest

from failover import ways
from failover.core.plan import Route, RouteKind
from failover.netlink.kernel import Seen
from failover.netlink.links import Interface
from failover.setup import ProbeKind, Target
from tests.support.watching import LAYOUT, OBSERVED, PROBED, interfaces


def main(prefix: str, interface: str | None, metric: int = 0, kind: RouteKind = RouteKind.VIA) -> Route:
    return Route(table=254, prefix=prefix, metric=metric, protocol=3, kind=kind, interface=interface)


DEFAULT, CLOUD, NARROW = main("0.0.0.0/0", "en1"), main("10.100.0.0/24", "en2", 100), main("10.100.0.2/32", "en1")


@pytest.mark.parametrize(
    "routes, target, interface",
    [
        pytest.param([DEFAULT], "10.100.0.1", "en1", id="the-default"),
        pytest.param([DEFAULT, CLOUD], "10.100.0.1", "en2", id="the-narrower-first"),
        pytest.param([DEFAULT, CLOUD, NARROW], "10.100.0.2", "en1", id="the-narrowest"),
        pytest.param([CLOUD, replace(CLOUD, interface="en1", metric=50)], "10.100.0.1", "en1", id="the-lower-metric"),
        pytest.param(
            [main("10.100.0.0/24", None, kind=RouteKind.UNREACHABLE), DEFAULT], "10.100.0.1", None, id="no-way"
        ),
        pytest.param([CLOUD], "10.9.9.9", None, id="nowhere"),
    ],
)
def test_where_the_main_table_leads(routes: list[Route], target: str, interface: str | None) -> None:
    assert ways.leads_through(routes, target) == interface


def test_the_line_that_traffic_really_takes() -> None:
    assert ways.routed_by_main(LAYOUT, [DEFAULT, CLOUD]) == "unicom"
    assert ways.routed_by_main(LAYOUT, [main("0.0.0.0/0", "wlan0")]) is None
    assert ways.routed_by_main(replace(LAYOUT, cloud_prefixes=()), [DEFAULT]) == "telecom"


def test_an_address_that_is_not_configured_is_found() -> None:
    bare = replace(LAYOUT, lines=tuple(replace(line, address=None) for line in LAYOUT.lines))
    assert [line.address for line in ways.settled(bare, interfaces()).lines] == ["10.1.1.2", "10.2.1.2"]
    assert [line.address for line in ways.settled(bare, {}).lines] == [None, None]


def test_only_an_interface_that_is_up_and_has_the_address_can_carry_a_route() -> None:
    seen = interfaces()
    seen["en1"] = replace(seen["en1"], has_carrier=False)
    assert ways.standing(LAYOUT, seen) == {"telecom", "unicom"}, "without carrier the route may stand"
    seen["en1"] = replace(seen["en1"], is_up=False)
    seen["en2"] = Interface(name="en2", index=2, is_up=True, has_carrier=True, mtu=1500, addresses=("10.7.7.7",))
    assert ways.standing(LAYOUT, seen) == frozenset()


@pytest.mark.parametrize("kind", ProbeKind)
def test_every_kind_of_target_is_asked(kind: ProbeKind) -> None:
    setup = replace(PROBED, targets={"telecom": (Target(address="10.100.0.1", kind=kind, port=862),)})
    probing = ways.probings(setup, LAYOUT, LAYOUT, Seen(interfaces=interfaces()))["telecom"]
    assert probing.barred == {}


@pytest.mark.parametrize("is_permitted", [True, False])
def test_the_mark_is_set_where_a_rule_looks_at_it(is_permitted: bool) -> None:
    plumbing = ways.plumbed(OBSERVED, LAYOUT, is_permitted=is_permitted)
    seen = Seen(interfaces=interfaces(), main=frozenset({DEFAULT}))
    probing = ways.probings(OBSERVED, LAYOUT, plumbing, seen)["telecom"]
    assert probing.pin.mark == (1 if is_permitted else None)
    assert (probing.pin.interface, probing.pin.address) == ("en1", "10.1.1.2")
