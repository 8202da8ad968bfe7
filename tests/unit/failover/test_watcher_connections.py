"""What hangs on a failed line is ended once the routes lead elsewhere, also where the process died in between."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from failover.core.model import Mode, Order, OrderKind, Verdict
from failover.core.plan import Change, ReplaceRoute
from failover.setup import Existing, Setup
from tests.support.kernel import FakeKernel
from tests.support.watching import DEFAULT_BY_TELECOM, OBSERVED, PROBED, Desk, interfaces

KILLING = {"telecom": Existing.KILL_SOCKETS, "unicom": Existing.KILL_SOCKETS}
KILLS = replace(PROBED, existing=KILLING)
OF_TELECOM = ("10.1.1.2", ("10.100.0.0/24",))


def fallen(setup: Setup = KILLS, kernel: FakeKernel | None = None) -> Desk:
    desk = Desk(setup, kernel).run(5)
    desk.silent.add("en1")
    return desk.run(2)


def test_the_line_in_use_fails() -> None:
    desk = fallen()
    assert desk.kernel.freed == [OF_TELECOM] and desk.ended_on == ["telecom"]
    desk.run(5)
    assert len(desk.kernel.freed) == 1, "once"
    desk.silent.clear()
    desk.run(75)
    assert desk.active == "en1" and len(desk.kernel.freed) == 1, "a failback is soft"


@pytest.mark.parametrize("existing", [Existing.SERVICE_IP, Existing.NONE, None])
def test_only_where_the_line_is_to_be_treated_so(existing: Existing | None) -> None:
    desk = fallen(replace(PROBED, existing={} if existing is None else {"telecom": existing}))
    assert desk.active == "en2" and desk.kernel.freed == []


def test_never_while_observing_without_the_privilege_or_for_another_line() -> None:
    observing = replace(OBSERVED, existing=KILLING)
    desk = fallen(observing, FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM})))
    assert desk.watcher.view().state.line == "unicom" and desk.kernel.freed == []
    without = FakeKernel(interfaces(), main=frozenset({DEFAULT_BY_TELECOM}), permitted=False)
    assert fallen(KILLS, without).kernel.freed == []
    standby = Desk(KILLS).run(5)
    standby.silent.add("en2")
    assert standby.run(5).kernel.freed == []


def test_never_with_no_living_line_and_then_for_the_one_that_stays_dead() -> None:
    desk = Desk(KILLS).run(5)
    desk.silent |= {"en1", "en2"}
    desk.run(30)
    assert desk.kernel.freed == []
    desk.silent.discard("en2")
    desk.run(15)
    assert desk.active == "en2" and desk.kernel.freed == [OF_TELECOM]


def test_where_both_die_at_once_nothing_is_ended() -> None:
    """The one in use is judged first: for a moment the other one seems to live, though it is silent already."""
    for first in (0.0, 0.1, 0.3, 0.5):
        desk = Desk(KILLS).run(2)
        desk.silent.add("en1")
        desk.run(first)
        desk.silent.add("en2")
        desk.run(6)
        assert desk.kernel.freed == [] and desk.watcher.view().state.mode is Mode.OFFLINE, first


def test_a_rehearsal_shows_what_a_failure_does_and_a_pin_does_not() -> None:
    desk = Desk(KILLS).run(5)
    desk.orders = [Order(kind=OrderKind.PIN, line="unicom", since=0, until=desk.now + 10)]
    desk.run(1)
    assert desk.active == "en2" and desk.kernel.freed == []
    desk.orders = [Order(kind=OrderKind.REHEARSE, line="unicom", since=0, until=desk.now + 10)]
    desk.run(1)
    assert desk.active == "en1" and desk.kernel.freed == [("10.2.1.2", ("10.100.0.0/24",))]


def test_only_after_the_kernel_has_the_route() -> None:
    kernel = FakeKernel(interfaces())

    def refuses(change: Change) -> int | None:
        is_move = isinstance(change, ReplaceRoute) and (change.route.metric, change.route.interface) == (10, "en2")
        return errno.ENETUNREACH if is_move else None

    kernel.refuses = refuses
    desk = fallen(KILLS, kernel)
    assert desk.watcher.view().state.line == "unicom" and desk.kernel.freed == []
    kernel.refuses = lambda change: None
    desk.run(11)
    assert desk.active == "en2" and desk.kernel.freed == [OF_TELECOM]


@pytest.mark.parametrize("used, left", [("telecom", None), ("unicom", "telecom")])
def test_a_process_that_died_between_the_route_and_the_connections(used: str | None, left: str | None) -> None:
    """Before the move stood in its record, or after: the next one finishes, once it has judged the line itself."""
    first = fallen()
    kernel = replace(first.kernel, freed=[])
    second = Desk(KILLS, kernel, used=used, left=left)
    second.silent.add("en1")
    second.run(0.5)
    assert second.kernel.freed == [], "nothing is known of the line yet"
    second.run(2)
    assert second.kernel.freed == [OF_TELECOM]
    assert second.watcher.view().judgement.health["telecom"].verdict is Verdict.DOWN


@pytest.mark.parametrize("used, left", [("telecom", None), ("unicom", "telecom")])
def test_and_leaves_it_where_the_line_lives_again(used: str, left: str | None) -> None:
    kernel = replace(fallen().kernel, freed=[])
    second = Desk(KILLS, kernel, used=used, left=left).run(3)
    second.silent.add("en1")
    second.run(3)
    assert second.kernel.freed == [], "a line that was not in use failed"
