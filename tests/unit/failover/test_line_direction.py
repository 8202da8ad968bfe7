"""From the direction that targets tell to the verdict that names it."""

from __future__ import annotations

import pytest

from failover.core import judge
from failover.core.judge import Evidence, Watched
from failover.core.model import Code, LineHealth, LinePolicy, LinkState, Policy, Role, Verdict
from failover.core.window import Window

LINE = LinePolicy(name="telecom", preferred=1)
UP = LinkState(present=True, carrier=True, has_address=True, has_route=True)


def target(name: str, towards: str | None, *, role: Role = Role.CLOUD, lossy: bool = True) -> Watched:
    """A minute of answers, of which every fifth is missing."""
    window = Window(LINE.detect.window_s)
    for n in range(300):
        window.asked(n * 0.2)
        if not lossy or n % 5:
            window.answered(n * 0.2, 0.01)
    return Watched(target=name, window=window, role=role, lost_towards=towards)


def verdict(*targets: Watched) -> LineHealth:
    health: dict[str, LineHealth] = {
        "telecom": LineHealth(verdict=Verdict.UP, since=1.0, weighed_at=59.0, bad_since=50.0, good_since=1.0)
    }
    evidence = {"telecom": Evidence(link=UP, targets=targets)}
    return judge.verdicts(health, evidence, 60.0, Policy(lines=(LINE,))).health["telecom"]


STAMP, ECHO = "10.100.0.1:862", "10.100.0.2"


@pytest.mark.parametrize(
    "targets, code",
    [
        pytest.param([(STAMP, "out")], Code.LOSS_OUT, id="out"),
        pytest.param([(STAMP, "back")], Code.LOSS_BACK, id="back"),
        pytest.param([(STAMP, None)], Code.LOSS, id="not-clear"),
        pytest.param([(STAMP, "out"), (ECHO, None)], Code.LOSS_OUT, id="one-tells-for-all"),
        pytest.param([(STAMP, "out"), ("10.100.0.3:862", "out")], Code.LOSS_OUT, id="two-agree"),
        pytest.param([(STAMP, "out"), ("10.100.0.3:862", "back")], Code.LOSS, id="two-disagree"),
    ],
)
def test_the_reason_names_the_direction_where_it_is_known(targets: list[tuple[str, str | None]], code: Code) -> None:
    seen = verdict(*(target(name, towards) for name, towards in targets))
    assert (seen.verdict, seen.reason.code) == (Verdict.DEGRADED, code)
    assert seen.reason.args == {"loss": pytest.approx(0.2, abs=0.01), "limit": 0.1}


def test_what_is_lost_to_the_carrier_s_gateway_names_no_direction_of_the_line() -> None:
    seen = verdict(target(ECHO, None), target("10.1.1.1:862", "out", role=Role.CARRIER))
    assert seen.reason.code is Code.LOSS


def test_a_direction_alone_degrades_no_line() -> None:
    assert verdict(target(STAMP, "out", lossy=False)).verdict is Verdict.UP
