"""After which moves connections are ended, and when they are not."""

from __future__ import annotations

import pytest

from failover.core.evidence import Evidence, Watched
from failover.core.model import Detect, LineHealth, Mode, Order, OrderKind, State, Verdict
from failover.core.stuck import Step, is_heard, left_behind, next_step
from failover.core.window import Window

ONLINE = State(mode=Mode.ONLINE, line="telecom", routed="telecom")
BACKUP = State(mode=Mode.BACKUP, line="unicom", routed="unicom")
OFFLINE = State(mode=Mode.OFFLINE, routed="telecom")
STARTING = State(mode=Mode.STARTING, routed="telecom")
REHEARSED = (Order(kind=OrderKind.REHEARSE, line="telecom", since=0, until=100),)
UP, DOWN, DEGRADED, UNKNOWN = Verdict.UP, Verdict.DOWN, Verdict.DEGRADED, Verdict.UNKNOWN


def lines(telecom: Verdict, unicom: Verdict = UP) -> dict[str, LineHealth]:
    return {"telecom": LineHealth(verdict=telecom), "unicom": LineHealth(verdict=unicom)}


@pytest.mark.parametrize(
    "before, after, health, orders, left",
    [
        pytest.param(ONLINE, BACKUP, lines(DOWN), (), "telecom", id="the-line-in-use-failed"),
        pytest.param(ONLINE, BACKUP, lines(UP), REHEARSED, "telecom", id="its-failure-is-rehearsed"),
        pytest.param(STARTING, BACKUP, lines(DOWN), (), "telecom", id="it-failed-before-this-start"),
        pytest.param(OFFLINE, BACKUP, lines(DOWN), (), "telecom", id="both-failed-and-the-other-is-back"),
        pytest.param(OFFLINE, ONLINE, lines(UP, DOWN), (), None, id="both-failed-and-the-same-is-back"),
        pytest.param(ONLINE, OFFLINE, lines(DOWN, DOWN), (), None, id="no-line-lives"),
        pytest.param(ONLINE, ONLINE, lines(UP, DOWN), (), None, id="a-line-not-in-use-failed"),
        pytest.param(ONLINE, BACKUP, lines(DEGRADED), (), None, id="left-for-quality"),
        pytest.param(ONLINE, BACKUP, lines(UP), (), None, id="pinned-away"),
        pytest.param(BACKUP, ONLINE, lines(UP), (), None, id="failback"),
        pytest.param(BACKUP, ONLINE, lines(UP, DOWN), (), "unicom", id="back-because-the-other-failed"),
        pytest.param(State(), ONLINE, lines(UP, DOWN), (), None, id="the-first-line-of-all"),
    ],
)
def test_what_is_left_behind(
    before: State, after: State, health: dict[str, LineHealth], orders: tuple[Order, ...], left: str | None
) -> None:
    assert left_behind(before, after, health, orders, 50.0) == left


def test_a_rehearsal_that_is_over_is_none() -> None:
    assert left_behind(ONLINE, BACKUP, lines(UP), REHEARSED, 100.0) is None


@pytest.mark.parametrize(
    "state, health, routed, step",
    [
        pytest.param(BACKUP, lines(DOWN), "unicom", Step.END, id="the-routes-lead-elsewhere"),
        pytest.param(BACKUP, lines(DOWN), "telecom", Step.WAIT, id="not-yet"),
        pytest.param(BACKUP, lines(DOWN), None, Step.WAIT, id="nowhere"),
        pytest.param(BACKUP, lines(DOWN, DOWN), "unicom", Step.WAIT, id="the-other-died-meanwhile"),
        pytest.param(OFFLINE, lines(DOWN, DOWN), "unicom", Step.WAIT, id="offline"),
        pytest.param(BACKUP, lines(UNKNOWN), "unicom", Step.WAIT, id="started-over-and-not-judged-yet"),
        pytest.param(BACKUP, lines(UP), "unicom", Step.DROP, id="it-lives-again"),
        pytest.param(ONLINE, lines(UP), "telecom", Step.DROP, id="it-is-used-again"),
        pytest.param(BACKUP, {"unicom": LineHealth(verdict=UP)}, "unicom", Step.DROP, id="it-is-no-line-any-more"),
    ],
)
def test_what_to_do_about_it(state: State, health: dict[str, LineHealth], routed: str | None, step: Step) -> None:
    assert next_step("telecom", state, health, (), 50.0, routed=routed, is_heard=True) is step


def test_not_while_the_line_moved_to_may_be_dying() -> None:
    assert next_step("telecom", BACKUP, lines(DOWN), (), 50.0, routed="unicom", is_heard=False) is Step.WAIT
    window = Window(30.0)
    known = Evidence(targets=(Watched(target="cloud", window=window),))
    window.asked(10.0)
    assert not is_heard(LineHealth(), known, 10.1, Detect()), "it never answered"
    window.answered(10.0, 0.01)
    assert is_heard(LineHealth(), known, 10.4, Detect()) and not is_heard(LineHealth(), known, 10.5, Detect())
    assert is_heard(LineHealth(), Evidence(), 10.0, Detect()), "a line without targets is taken at its link's word"
