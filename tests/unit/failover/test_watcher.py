"""The loop on a kernel in memory: what is set, what is left alone, what is adopted, what is said."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from failover.core.model import LinePolicy, Mode, Order, OrderKind, Policy, Verdict
from failover.core.plan import Change, DeleteRoute, DeleteRule, ReplaceRoute, Route, RouteKind, Routing
from failover.netlink.links import Interface
from failover.netlink.routes import ChangeRefused
from failover.setup import Act, Setup
from failover.watcher import ProblemCode
from tests.support.kernel import FakeKernel
from tests.support.watching import (
    DEFAULT_BY_TELECOM,
    LAYOUT,
    LINK_ONLY,
    OBSERVED,
    POLICY,
    PROBED,
    Desk,
    interfaces,
)


def test_a_dead_line_is_left_and_the_routes_follow() -> None:
    desk = Desk(PROBED).run(5)
    assert desk.cloud_routes() == [(10, "en1"), (1002, "en2"), (4294967295, None)]
    desk.silent.add("en1")
    desk.run(1.5)
    assert desk.cloud_routes() == [(10, "en2"), (4294967295, None)]
    assert [(m.after.mode, m.after.line) for m in desk.moves] == [(Mode.ONLINE, "telecom"), (Mode.BACKUP, "unicom")]
    assert desk.watcher.view().routed == "unicom" and len(desk.switches) == 2
    assert not desk.problems()


def test_before_the_first_decision_cloud_traffic_is_left_alone() -> None:
    desk = Desk(PROBED)
    desk.silent |= {"en1", "en2"}
    desk.run(0.5)
    assert desk.cloud_routes() == [] and not any(rule.destination for rule in desk.kernel.routing.rules)
    assert {rule.source for rule in desk.kernel.routing.rules} == {None, "10.1.1.2", "10.2.1.2"}


def test_offline_changes_no_route() -> None:
    desk = Desk(PROBED).run(5)
    desk.silent.add("en2")
    desk.run(2)
    before = desk.cloud_routes()
    desk.silent.add("en1")
    desk.run(8)
    assert desk.watcher.view().state.mode is Mode.OFFLINE
    assert desk.cloud_routes() == before and desk.active == "en1"


def test_observing_sets_what_probes_need_and_never_a_cloud_route() -> None:
    desk = Desk(OBSERVED, FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM}))).run(5)
    desk.silent.add("en1")
    desk.run(3)
    view = desk.watcher.view()
    assert view.state.line == "unicom" and not view.may_route
    assert view.routed == "telecom", "the truth is what the main table does"
    assert desk.cloud_routes() == [] and not desk.kernel.routing.addresses
    assert {route.table for route in desk.kernel.routing.routes} == {101, 102}
    assert all(rule.mark is not None for rule in desk.kernel.routing.rules)
    assert not desk.switches and not desk.problems()


def test_observing_lines_without_targets_touches_nothing() -> None:
    kernel = FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM}))
    desk = Desk(replace(LINK_ONLY, act=Act.OBSERVE), kernel).run(3)
    assert not kernel.applied
    verdicts = {name: seen.verdict for name, seen in desk.watcher.view().judgement.health.items()}
    assert verdicts == {"telecom": Verdict.UP, "unicom": Verdict.DOWN}, "nothing leads out by unicom"
    assert desk.watcher.view().state.mode is Mode.ONLINE


@pytest.mark.parametrize("setup", [PROBED, OBSERVED])
def test_without_the_privilege_nothing_is_touched_and_it_is_said(setup: Setup) -> None:
    kernel = FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM}), permitted=False)
    desk = Desk(setup, kernel).run(40)
    assert not kernel.applied
    health = desk.watcher.view().judgement.health
    assert health["telecom"].verdict is Verdict.UP
    assert health["unicom"].verdict is Verdict.DOWN, "it has no route at all in the main table"
    assert all(pin.mark is None for pin in desk.pins)
    assert ProblemCode.PROBE_UNPINNED in desk.problems()
    assert (ProblemCode.ROUTE_NOT_PERMITTED in desk.problems()) is (setup.act is Act.ENFORCE)


def test_a_line_that_cannot_be_asked_is_unknown_and_never_down() -> None:
    connected = Route(table=254, prefix="10.2.1.0/30", metric=0, protocol=2, interface="en2")
    kernel = FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM, connected}), permitted=False)
    desk = Desk(OBSERVED, kernel).run(40)
    assert desk.watcher.view().judgement.health["unicom"].verdict is Verdict.UNKNOWN
    assert desk.watcher.view().state.mode is Mode.ONLINE
    assert desk.problems().count(ProblemCode.PROBE_IMPOSSIBLE) == 2


def test_a_strict_reverse_path_filter_is_no_silence() -> None:
    strict = {name: replace(each, is_strict=True) for name, each in interfaces().items()}
    desk = Desk(OBSERVED, FakeKernel(strict, main=frozenset({DEFAULT_BY_TELECOM}))).run(3)
    assert desk.watcher.view().judgement.health["unicom"].verdict is Verdict.UNKNOWN
    (why,) = {p.args["why"] for p in desk.watcher.view().problems}
    assert why == "reverse-path-filter"
    enforced = Desk(PROBED, FakeKernel(strict)).run(3)
    assert enforced.watcher.view().judgement.health["unicom"].verdict is Verdict.UP, "its rule by source lets it in"


def test_a_watcher_that_starts_over_changes_nothing() -> None:
    first = Desk(PROBED).run(5)
    first.silent.add("en1")
    first.run(2)
    first.silent.clear()
    first.run(15)
    assert first.cloud_routes() == [(10, "en2"), (1001, "en1"), (4294967295, None)]
    second = Desk(PROBED, replace(first.kernel, applied=[])).run(5)
    assert second.kernel.applied == []
    assert second.moves[0].reason.code == "adopted" and second.watcher.view().state.line == "unicom"
    assert not second.switches, "nothing was switched"


def test_what_somebody_else_wiped_is_back_before_anybody_judges() -> None:
    desk = Desk(PROBED).run(5)
    wanted, told = desk.kernel.routing, len(desk.verdicts)
    desk.kernel.routing = replace(wanted, routes=frozenset(), rules=frozenset())
    desk.hint()
    desk.run(0.1)
    assert desk.kernel.routing == wanted and len(desk.verdicts) == told
    desk.kernel.routing = replace(wanted, routes=frozenset())
    desk.run(11)
    assert desk.kernel.routing == wanted, "and within ten seconds when no message came"


def test_an_address_that_goes_and_comes_back() -> None:
    desk = Desk(PROBED).run(5)
    wanted = desk.kernel.routing
    desk.kernel.take_address("en1")
    desk.hint()
    desk.run(0.1)
    assert desk.watcher.view().judgement.health["telecom"].reason.code == "no-address"
    assert desk.active == "en2" and not desk.problems()
    opened = len(desk.pins)
    desk.kernel.interfaces = interfaces()
    desk.hint()
    desk.run(90)
    assert desk.kernel.routing == wanted
    assert len(desk.pins) > opened, "the old sockets are bound to an address that went"


def test_a_cut_cable_is_left_at_once() -> None:
    desk = Desk(PROBED).run(5)
    desk.kernel.cut("en1")
    desk.hint()
    desk.run(0.1)
    assert desk.active == "en2" and desk.moves[-1].reason.args == {"line": "telecom", "cause": "no-carrier"}


def test_a_refused_route_is_told_in_the_kernel_s_words_and_tried_again() -> None:
    kernel = FakeKernel(interfaces())
    kernel.refuses = lambda c: (
        errno.ENETUNREACH if isinstance(c, ReplaceRoute) and c.route.gateway == "10.1.1.1" else None
    )
    desk = Desk(PROBED, kernel).run(5)
    problem = next(p for p in desk.watcher.view().problems if p.code is ProblemCode.ROUTE_REFUSED)
    assert problem.args["said"] == "ENETUNREACH" and "via 10.1.1.1 dev en1" in str(problem.args["change"])
    assert desk.active == "en2" and desk.watcher.view().judgement.health["telecom"].reason.code == "no-route"
    kernel.refuses = lambda change: None
    desk.run(90)
    assert desk.active == "en1" and not desk.problems()


def test_a_privilege_that_proves_missing_ends_in_observing() -> None:
    kernel = FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM}))
    kernel.refuses = lambda change: errno.EPERM
    desk = Desk(PROBED, kernel).run(5)
    assert not desk.watcher.view().may_route and ProblemCode.ROUTE_NOT_PERMITTED in desk.problems()
    assert desk.watcher.view().judgement.health["telecom"].verdict is Verdict.UP


def test_a_kernel_that_cannot_be_read_is_said_and_the_lines_are_still_judged() -> None:
    desk = Desk(PROBED).run(5)
    desk.kernel.unreadable = True
    desk.silent.add("en1")
    desk.hint()
    desk.run(2)
    assert ProblemCode.KERNEL_UNREADABLE in desk.problems() and desk.active == "en2"
    desk.kernel.unreadable = False
    desk.run(3)
    assert not desk.problems()


def test_a_rehearsed_line_is_no_fallback_either() -> None:
    desk = Desk(PROBED).run(5)
    desk.orders = [Order(kind=OrderKind.REHEARSE, line="telecom", since=0, until=desk.now + 10)]
    desk.run(1)
    assert desk.cloud_routes() == [(10, "en2"), (4294967295, None)]
    desk.run(75)
    assert desk.active == "en1"


def test_other_lines_from_now_on() -> None:
    desk = Desk(PROBED).run(5)
    turned = Policy(lines=(LinePolicy(name="telecom", preferred=2), LinePolicy(name="unicom", preferred=1)))
    desk.watcher.reload(replace(PROBED, policy=turned))
    desk.run(1)
    assert (desk.moves[-1].after.mode, desk.moves[-1].after.line) == (Mode.BACKUP, "telecom"), "the line is kept"
    only = replace(PROBED, policy=Policy(lines=POLICY.lines[1:]), layout=replace(LAYOUT, lines=LAYOUT.lines[1:]))
    desk.watcher.reload(only)
    desk.run(2)
    assert desk.active == "en2" and desk.watcher.view().state.mode is Mode.ONLINE
    assert {rule.table for rule in desk.kernel.routing.rules} == {100, 102}


def test_from_enforce_to_observe_the_cloud_s_routes_go() -> None:
    desk = Desk(PROBED).run(5)
    desk.watcher.reload(OBSERVED)
    desk.run(1)
    assert desk.cloud_routes() == []


@pytest.mark.parametrize("cut", range(12))
def test_acting_that_was_interrupted_is_finished_by_the_next_one(cut: int) -> None:
    """The process dies after any change of its first decision; another begins on what is there."""
    made: list[Change] = []

    def until_the_end(change: Change) -> int | None:
        made.append(change)
        return errno.EINTR if len(made) > cut else None

    kernel = FakeKernel(interfaces(), refuses=until_the_end)
    Desk(PROBED, kernel).run(0.7)
    complete = Desk(PROBED, replace(kernel, refuses=lambda change: None)).run(3)
    assert complete.kernel.routing == Desk(PROBED).run(5).kernel.routing


def changes_of(kernel: FakeKernel, kind: type[Change]) -> Sequence[Change]:
    return [change for change in kernel.applied if isinstance(change, kind)]


def test_a_planned_switch_never_deletes_before_it_replaces() -> None:
    desk = Desk(PROBED).run(70)
    desk.kernel.applied.clear()
    desk.orders = [Order(kind=OrderKind.PIN, line="unicom", since=0, until=desk.now + 100)]
    desk.run(0.5)
    first, *_ = desk.kernel.applied
    assert isinstance(first, ReplaceRoute) and (first.route.metric, first.route.interface) == (10, "en2")
    assert not changes_of(desk.kernel, DeleteRule)
    assert [c.route.metric for c in desk.kernel.applied if isinstance(c, DeleteRoute)] == [1002]
    assert all(r.kind is RouteKind.VIA or r.metric == 4294967295 for r in desk.kernel.routing.routes)


class Wiped(FakeKernel):
    """Somebody removes everything as soon as it is set."""

    async def apply(
        self, changes: Sequence[Change], interfaces: Mapping[str, Interface], *, protocol: int
    ) -> tuple[ChangeRefused, ...]:
        refused = await super().apply(changes, interfaces, protocol=protocol)
        if self.wiping:
            self.routing = Routing()
        return refused

    wiping: bool = False


def test_a_fight_over_the_tables_condemns_no_line() -> None:
    kernel = Wiped(interfaces())
    desk = Desk(PROBED, kernel).run(5)
    wanted, told, kernel.wiping = kernel.routing, len(desk.verdicts), True
    kernel.routing = Routing()
    for _ in range(20):
        desk.hint()
        desk.run(0.2)
    assert len(desk.verdicts) == told
    kernel.wiping = False
    desk.run(2)
    assert kernel.routing == wanted
