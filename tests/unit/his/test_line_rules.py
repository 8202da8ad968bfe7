"""The page of a line from the watcher's word: every rule in words, and nothing of a watcher that is silent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge_node.his.console import explained
from edge_node.his.console.explained import RuleRow, rules_of
from edge_node.his.console.line_rules import LinePage, incidents, line_page
from edge_node.his.line_history import Past
from edge_node.i18n import ENGLISH, Text, translate
from edge_node.status import NodeStatus, ServiceState
from failover.core import explain as explain_module
from failover.core.explain import explain
from failover.core.judge import Evidence
from failover.core.model import LinePolicy, LinkState, Order, OrderKind, Policy
from tests.support.lines import TWO_LINES, Story
from tests.support.node_files import a_file, a_line, a_node, ago, links_state


def english(words: Text | str) -> str:
    return words if isinstance(words, str) else translate(words, ENGLISH)


def as_written(script: str, seconds: float, name: str = "telecom", *orders: Order, **changes: Any) -> list[RuleRow]:
    """What the console makes of the rules of a line whose story is known, by way of a status file."""
    story = Story(targets=("cloud-1", "cloud-2"), orders=orders)
    *_, last = story.run(script, seconds)
    known = Evidence(link=LinkState(present=True, carrier=True, has_address=None, has_route=True),
                     targets=story._watched[name])  # fmt: skip
    policy = changes.get("policy", TWO_LINES)
    found = explain(policy.line(name), last.judgement.health, known, last.at, orders=orders, policy=policy)
    raw = [{"rule": row.rule, "value": row.value, "limit": row.limit, "holds": row.holds, "args": dict(row.args)}
           for row in found]  # fmt: skip
    return rules_of(json.loads(json.dumps({"explain": raw})))


@pytest.mark.parametrize(
    "script, seconds, name",
    [
        pytest.param("0 ++", 100, "telecom", id="well"),
        pytest.param("0 ++", 100, "unicom", id="standing-by"),
        pytest.param("0 ++ | 60 -+", 70, "telecom", id="silent"),
        pytest.param("0 ++ | 60 -+ | 65 ++", 70, "telecom", id="returning"),
        pytest.param("0 ++ | 60 ~+", 80, "telecom", id="slow"),
        pytest.param("0 ??", 1, "telecom", id="unknown"),
    ],
)
def test_every_rule_of_the_watcher_has_words(script: str, seconds: float, name: str) -> None:
    """A rule in the watcher's own English would stand on a Chinese page: none of today's does."""
    rehearsal = Order(kind=OrderKind.REHEARSE, line=name, since=0, until=1000, by="wang")
    rows = as_written(script, seconds, name, rehearsal)
    assert len(rows) >= 6
    assert [row for row in rows if not isinstance(row.value, Text)] == []


def test_rules_are_told_with_their_figures() -> None:
    told = {english(row.name): row for row in as_written("0 ++ | 60 -+", 70)}
    said = {name: (english(row.value), english(row.limit), row.is_met) for name, row in told.items()}
    assert said["Link"] == ("interface yes, carrier yes, address not known, route yes", "all there", True)
    assert said["Silence"][0].endswith(" s") and said["Silence"][1:] == ("below 1.02 s on 2 of 2 targets", False)
    assert said["RTT p95"][1] == "up to 200 ms"
    assert said["Hold"] == ("good for 0 s", "at least 1 min", False)
    assert said["Flap penalty"][1:] == ("below 2,500", True)
    assert said["Preference"] == ("preferred 1", "no living line comes before it", True)


def test_large_packets_and_applications_are_told() -> None:
    rows = rules_of({"explain": [
        {"rule": "mtu", "holds": False, "args": {"mtu": 1400, "expected": 1500, "is_set": True}},
        {"rule": "mtu", "holds": True, "args": {"mtu": 1500, "expected": 1500, "is_set": False}},
        {"rule": "application", "holds": False, "args": {"target": "10.100.0.1:443", "is_quiet": True}},
    ]})  # fmt: skip
    assert [english(row.value) for row in rows] == [
        "1400 bytes pass, set on its routes", "1500 bytes pass", "10.100.0.1:443: silent",
    ]  # fmt: skip
    assert [english(row.limit) for row in rows[:2]] == ["1500 bytes"] * 2


def test_every_rule_has_words_here() -> None:
    """A new rule of the watcher would stand in English on a Chinese page."""
    source = Path(explain_module.__file__).read_text(encoding="utf-8")
    rules = set(re.findall(r'rule="([^"]+)"', source))
    assert len(rules) >= 9
    assert rules == set(explained._RULES)


def test_orders_and_metered_lines_are_told() -> None:
    metered = LinePolicy(name="telecom", preferred=1, metered=True)
    policy = Policy(lines=(metered, TWO_LINES.lines[1]))
    pin = Order(kind=OrderKind.PIN, line="telecom", since=0, until=7260, by="wang")
    rows = {english(row.name): row for row in as_written("0 ++", 60, "telecom", pin, policy=policy)}
    assert (english(rows["Order"].value), english(rows["Order"].limit)) == ("pin, by wang", "2 h left")
    assert english(rows["Preference"].value) == "preferred 1, metered"
    assert english(rows["Preference"].limit) == "after unicom"


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"rule": "moon", "value": "full", "limit": "new", "holds": False, "args": {}}, id="a-new-rule"),
        pytest.param({"rule": "hold", "value": "full", "limit": "new", "holds": False}, id="without-figures"),
        pytest.param({"rule": "hold", "value": "full", "limit": "new", "args": {"good_s": "x", "hold_s": 1}}, id="odd"),
        pytest.param({"rule": "order", "value": "full", "limit": "new", "args": {"kind": "moon"}}, id="a-new-order"),
    ],
)
def test_what_is_not_known_here_is_shown_as_the_watcher_wrote_it(row: dict[str, Any]) -> None:
    (shown,) = rules_of({"explain": [row, "nothing", {}, {"rule": 3}]})
    assert shown == RuleRow(name=row["rule"], value="full", limit="new", is_met=False)


def shown(status: NodeStatus, name: str = "telecom") -> LinePage:
    found = line_page(status, name)
    assert found is not None
    return found


def test_targets_with_what_is_lost_each_way() -> None:
    ways = {"out": {"loss_ratio": 0.14, "jitter_s": 0.001}, "back": {"loss_ratio": 0.0}, "unknown": {"loss_ratio": 0.0}}
    one = {"address": "10.100.0.1", "name": "10.100.0.1:862", "kind": "stamp", "role": "cloud", "loss_ratio": 0.14,
           "rtt_s": 0.004, "jitter_s": 0.001, "silent_s": 0.1, "direction": ways}  # fmt: skip
    gateway = {"address": "10.1.1.1", "kind": "icmp", "role": "carrier", "loss_ratio": 2, "direction": "?"}
    line = a_line(targets=[one, gateway, {"kind": "icmp"}], mtu=1400, mtu_ok=False)
    page = shown(a_node(links=a_file("links", **links_state(lines=[line]))))
    first, second = page.targets
    assert (first.address, first.out_ratio, first.back_ratio) == ("10.100.0.1:862", 0.14, 0.0)
    assert (second.address, second.loss_ratio, second.out_ratio, second.back_ratio) == ("10.1.1.1", None, None, None)
    assert (page.tells_ways, page.mtu, page.mtu_is_ok) == (True, 1400, False)


def test_of_a_silent_watcher_nothing_is_shown_as_it_was() -> None:
    line = a_line(mtu=1400, mtu_ok=False, penalty=900.0, hold_left_s=30.0,
                  explain=[{"rule": "hold", "value": "", "limit": "", "holds": True, "args": {}}])  # fmt: skip
    status = a_node(links=a_file("links", age_s=3600, **links_state(lines=[line])))
    assert status.services["links"] is not ServiceState.OK
    page = shown(status)
    assert (page.is_known, page.targets, page.rules, page.mtu, page.mtu_is_ok) == (False, [], [], None, None)
    assert (page.penalty, page.hold_left_s, page.row.badge.kind) == (None, None, "dim")


def test_only_the_orders_of_this_line() -> None:
    orders = [{"id": n, "kind": "hold", "line": n, "since": ago(9), "until": ago(-9), "by": "gu", "why": "x"}
              for n in ("telecom", "unicom")]  # fmt: skip
    status = a_node(links=a_file("links", **links_state(orders=orders)))
    assert [order.line for order in shown(status, "unicom").orders] == ["unicom"]
    assert line_page(status, "mobile") is None


def test_an_incident_has_its_sentence() -> None:
    past = Past(ref="1.2", start_ms=0, length_s=480.0, state="down", code="silent",
                args={"silent_s": 1.04, "targets": 2})  # fmt: skip
    odd = Past(ref="1.3", start_ms=0, length_s=1.0, state="haunted", code="moon-in-the-way")
    first, second = incidents([past, odd])
    assert english(first.why) == "silent for 1.0 s on 2 of 2 targets"
    assert (first.badge.kind, second.badge.kind) == ("bad", "dim")
