"""The watcher and large packets: a black hole is found, set on the routes, shown, and taken back when it is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from failover.core.model import Mode, Policy, Verdict
from failover.core.path_mtu import TRY_LARGER_S
from failover.setup import Setup
from tests.support.kernel import FakeKernel
from tests.support.watching import DEFAULT_BY_TELECOM, OBSERVED, POLICY, PROBED, Desk, interfaces


def mtus(desk: Desk) -> set[tuple[int, int, int | None]]:
    """Table, metric and MTU of every route by telecom."""
    return {(r.table, r.metric, r.mtu) for r in desk.kernel.routing.routes if r.interface == "en1"}


def troubles(desk: Desk) -> list[tuple[str, dict[str, object]]]:
    return [(t.code.value, dict(t.args)) for t in desk.watcher.view().judgement.troubles]


def is_ok(desk: Desk, line: str = "telecom") -> bool | None:
    path = desk.watcher.view().evidence[line].path
    return None if path is None else path.is_ok


def test_a_black_hole_is_set_on_the_routes_within_forty_seconds_and_nobody_moves() -> None:
    desk = Desk(PROBED).run(12)
    assert is_ok(desk) is True and is_ok(desk, "unicom") is True
    desk.narrow["en1"] = 1400
    desk.run(40)
    assert mtus(desk) == {(100, 10, 1400), (101, 0, 1400)}
    assert troubles(desk) == [("mtu-small", {"line": "telecom", "mtu": 1400, "expected": 1500})]
    view = desk.watcher.view()
    assert view.judgement.health["telecom"].verdict is Verdict.UP and view.mtus == {"telecom": 1400}
    assert view.state.mode is Mode.ONLINE and len(desk.moves) == 1 and desk.mtus == [("telecom", 1400)]
    assert min(desk.sizes_asked) >= 576 and not desk.problems()
    asked = len(desk.sizes_asked)
    desk.run(30)
    assert len(desk.sizes_asked) - asked <= 2 * 30 / 10 + 1, "calm again: one question every ten seconds and line"
    del desk.narrow["en1"]
    desk.now += TRY_LARGER_S
    desk.run(15)
    assert mtus(desk) == {(100, 10, None), (101, 0, None)} and is_ok(desk) is True
    assert troubles(desk) == [] and desk.mtus == [("telecom", 1400), ("telecom", 1500)]


def test_observing_it_is_told_and_the_other_line_would_be_better() -> None:
    desk = Desk(OBSERVED, FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM}))).run(1)
    desk.now += 60  # for the least stay
    desk.narrow["en1"] = 1400
    desk.run(36)
    assert all(route.mtu is None for route in desk.kernel.routing.routes)
    health = desk.watcher.view().judgement.health["telecom"]
    assert (health.verdict, health.reason.code) == (Verdict.DEGRADED, "mtu")
    assert health.reason.args == {"mtu": 1400, "expected": 1500}
    assert desk.moves[-1].reason.code == "line-degraded" and desk.moves[-1].reason.args["cause"] == "mtu"
    del desk.narrow["en1"]
    desk.now += TRY_LARGER_S
    desk.run(25)
    assert desk.watcher.view().judgement.health["telecom"].verdict is Verdict.UP


def test_a_watcher_that_starts_over_adopts_the_mtu_and_tries_the_larger_one() -> None:
    first = Desk(PROBED)
    first.narrow["en1"] = 1400
    first.run(50)
    second = Desk(PROBED, replace(first.kernel, applied=[]))
    second.narrow["en1"] = 1400
    second.run(30)
    assert second.kernel.applied == [] and second.mtus == [], "nothing is changed, and nothing told again"
    healed = Desk(PROBED, replace(first.kernel, applied=[])).run(30)
    assert mtus(healed) == {(100, 10, None), (101, 0, None)}


@pytest.mark.parametrize("cut", range(3))
def test_setting_it_was_interrupted(cut: int) -> None:
    """The process dies after any of the changes that set the MTU; another finds what is there, and ends at the same."""
    kernel = FakeKernel(interfaces())
    first = Desk(PROBED, kernel)
    first.narrow["en1"] = 1400
    made = 0

    def refuses(change: object) -> int | None:
        nonlocal made
        made += getattr(getattr(change, "route", None), "mtu", None) is not None
        return 4 if made > cut else None

    kernel.refuses = refuses
    first.run(36)
    assert [route.mtu for route in kernel.routing.routes if route.mtu] == [1400] * min(cut, 2)
    second = Desk(PROBED, replace(kernel, refuses=lambda change: None, applied=[]))
    second.narrow["en1"] = 1400
    second.run(36)
    assert mtus(second) == {(100, 10, 1400), (101, 0, 1400)} and second.active == "en1"


def test_a_dead_line_is_not_asked_and_a_dying_one_proves_nothing() -> None:
    desk = Desk(PROBED).run(12)
    desk.silent.add("en1")
    desk.run(3)
    asked = len(desk.sizes_asked)
    desk.run(60)
    assert len(desk.sizes_asked) - asked <= 7, "only unicom's"
    assert is_ok(desk) is True and troubles(desk) == []


def test_a_router_s_word_degrades_nobody_even_while_observing() -> None:
    desk = Desk(OBSERVED, FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM})))
    desk.narrow["en1"], desk.told = 1400, {"en1"}
    desk.run(30)
    assert desk.watcher.view().judgement.health["telecom"].verdict is Verdict.UP
    assert [code for code, _ in troubles(desk)] == ["mtu-small"] and is_ok(desk) is False


def never_asked() -> Setup:
    lines = tuple(replace(line, detect=replace(line.detect, mtu_every_s=0.0)) for line in POLICY.lines)
    return replace(PROBED, policy=Policy(lines=lines))


def test_switched_off_nothing_is_asked() -> None:
    desk = Desk(never_asked()).run(30)
    assert desk.sizes_asked == [] and is_ok(desk) is None


def test_another_interface_mtu_is_another_question() -> None:
    desk = Desk(PROBED).run(12)
    desk.kernel.interfaces["en1"] = replace(desk.kernel.interfaces["en1"], mtu=1450)
    desk.hint()
    desk.run(12)
    assert 1450 in desk.sizes_asked and is_ok(desk) is True
