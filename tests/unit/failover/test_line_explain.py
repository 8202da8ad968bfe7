"""`line explain`: rule by rule, of lines whose story is known."""

from __future__ import annotations

import pytest

from failover.core.explain import Row, explain
from failover.core.judge import Evidence
from failover.core.model import LinkState, Order, OrderKind
from tests.support.lines import TWO_LINES, Story


def rows(script: str, seconds: float, line: str, *orders: Order) -> dict[str, Row]:
    story = Story(targets=("cloud-1", "cloud-2"), orders=orders)
    *_, last = story.run(script, seconds)
    link = LinkState(present=True, carrier=script.split()[-1][0] != "x", has_address=True, has_route=True)
    known = Evidence(link=link, targets=story._watched[line])
    policy = TWO_LINES.line(line)
    found = explain(policy, last.judgement.health, known, last.at, orders=orders, policy=TWO_LINES)
    return {row.rule: row for row in found}


def broken(found: dict[str, Row]) -> set[str]:
    return {name for name, row in found.items() if not row.holds}


def test_everything_holds_for_a_line_that_is_up_and_wanted() -> None:
    found = rows("0 ++", 100, "telecom")
    assert broken(found) == set()
    assert list(found) == ["link", "silence", "loss", "delay (p95)", "hold", "penalty", "preference"]
    assert found["loss"].value == "0.0%" and found["delay (p95)"].limit == "200 ms"
    assert found["preference"] == Row(rule="preference", value="1", limit="first", holds=True)


@pytest.mark.parametrize(
    "script, seconds, line, rules",
    [
        pytest.param("0 ++", 100, "unicom", {"preference"}, id="the-other-one-is-preferred"),
        pytest.param("0 ++ | 60 -+", 70, "telecom", {"silence", "loss", "hold"}, id="silent"),
        pytest.param("0 ++ | 60 x+", 70, "telecom", {"link", "silence", "loss", "hold"}, id="a-cut-cable"),
        pytest.param("0 ++ | 60 ~+", 80, "telecom", {"delay (p95)", "hold"}, id="slow"),
        pytest.param("0 ++ | 60 -+ | 65 ++", 70, "telecom", {"loss", "clean", "hold"}, id="returning"),
        pytest.param("0 ++ | 60 -+ | 65 ++", 100, "telecom", {"hold"}, id="serves-its-hold"),
        pytest.param("0 ++ | 60 -+ | 65 ++", 130, "telecom", set(), id="has-served-it"),
    ],
)
def test_what_keeps_a_line_out_of_use(script: str, seconds: float, line: str, rules: set[str]) -> None:
    assert broken(rows(script, seconds, line)) - {"loss"} == rules - {"loss"}


def test_an_order_is_a_rule_too() -> None:
    rehearsal = Order(kind=OrderKind.REHEARSE, line="telecom", since=0, until=100, by="wang")
    found = rows("0 ++", 50, "telecom", rehearsal)
    assert found["order"].value == "rehearse, by wang" and not found["order"].holds
    pin = Order(kind=OrderKind.PIN, line="telecom", since=0, until=100)
    assert rows("0 ++", 50, "telecom", pin)["order"].holds


def test_a_line_without_targets_has_no_rule_about_them() -> None:
    story = Story(targets=())
    *_, last = story.run("0 ++", 100)
    known = Evidence(link=LinkState(present=True, carrier=True, has_address=True))
    found = explain(TWO_LINES.line("telecom"), last.judgement.health, known, last.at, orders=(), policy=TWO_LINES)
    assert [row.rule for row in found] == ["link", "silence", "hold", "penalty", "preference"]
    assert found[0].value == "present yes, carrier yes, address yes, route unknown" and found[0].holds
