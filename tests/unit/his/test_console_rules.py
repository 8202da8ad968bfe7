"""What the console makes of a status: unknown is unknown, and behind the limit is not green."""

from __future__ import annotations

from typing import Any

import pytest

from edge_node.base.files import ServiceStatus
from edge_node.his.console import rules
from edge_node.his.console.rules import copies, services
from edge_node.i18n import ENGLISH, Text, translate
from edge_node.status import NodeStatus, ServiceState
from tests.support.his import a_node_status
from tests.support.node_files import (
    WALL_MS,
    a_line,
    a_node,
    ago,
    an_upstream,
    links_state,
    offline,
    on_backup,
    outbox_state,
)
from tests.support.node_files import a_file as a_service_file

NOW = 1_795_139_940_000


def a_file(service: str, written_at: str) -> ServiceStatus:
    return ServiceStatus(
        service=service,
        pid=1,
        boot_id="b",
        started_at=written_at,
        written_at=written_at,
        boottime=0.0,
        every_s=1.0,
        stopped=False,
        state={},
    )


def with_copies(*rows: dict[str, Any], service: ServiceState = ServiceState.OK) -> NodeStatus:
    return a_node_status(
        services={"replica": service},
        replica={"litestream": "running", "txid": 9, "captured_at": None, "destinations": list(rows)},
    )


@pytest.mark.parametrize(
    "state, rpo_s, service, words, kind",
    [
        pytest.param("current", 0.0, ServiceState.OK, "current", "ok", id="current"),
        pytest.param("behind", 12.0, ServiceState.OK, "catching up", "ok", id="behind-within-the-limit"),
        pytest.param("behind", 301.0, ServiceState.OK, "behind", "warn", id="behind-beyond-the-limit"),
        pytest.param("unreachable", 2.0, ServiceState.OK, "unreachable", "bad", id="unreachable"),
        pytest.param("refused", 900.0, ServiceState.OK, "refused", "bad", id="refused-and-beyond-the-limit"),
        pytest.param("paused", None, ServiceState.OK, "paused", "warn", id="paused"),
        pytest.param("current", 0.0, ServiceState.STALE, "not known", "dim", id="the-service-is-stale"),
        pytest.param("current", 0.0, ServiceState.STOPPED, "not known", "dim", id="the-service-is-stopped"),
        pytest.param("dancing", 0.0, ServiceState.OK, "not known", "dim", id="a-state-of-a-newer-program"),
    ],
)
def test_the_badge_of_a_copy(state: str, rpo_s: float | None, service: ServiceState, words: str, kind: str) -> None:
    [row] = copies(with_copies({"name": "cloud", "state": state, "rpo_s": rpo_s}, service=service))
    assert (row.badge.words.message, row.badge.kind) == (words, kind)


def test_the_figures_of_a_copy() -> None:
    [local, cloud] = copies(
        with_copies(
            {"name": "local", "state": "current"},
            {
                "name": "cloud",
                "state": "behind",
                "rpo_s": 1.8,
                "behind_txids": 1,
                "behind_bytes": 4120,
                "confirmed_txid": 8,
                "confirmed_at": "2026-11-20T01:58:58Z",
            },
        )
    )
    assert (local.rpo_s, local.rpo_limit_s, local.behind_txids, local.confirmed_at) == (None, None, None, None)
    assert (cloud.rpo_s, cloud.rpo_limit_s, cloud.behind_txids, cloud.behind_bytes) == (1.8, 300.0, 1, 4120)
    assert cloud.confirmed_at == NOW - 2_000


def test_an_old_figure_is_not_shown_as_the_present() -> None:
    [row] = copies(with_copies({"name": "cloud", "state": "current", "rpo_s": 0.0}, service=ServiceState.STALE))
    assert row.rpo_s is None


def test_services_and_how_old_their_word_is() -> None:
    status = a_node_status(
        services={"his": ServiceState.OK, "monitor": ServiceState.STALE, "replica": ServiceState.STOPPED},
        files={"his": a_file("his", "2026-11-20T01:58:59Z"), "monitor": a_file("monitor", "2026-11-20T01:57:26Z")},
    )
    rows = services(status, NOW)
    assert [(row.name, row.badge.words.message, row.written_s_ago) for row in rows] == [
        ("his", "running", 1.0),
        ("monitor", "stale", 94.0),
        ("replica", "stopped", None),
    ]


def said(sentence: Text) -> str:
    return translate(sentence, ENGLISH)


def test_why_a_store_cannot_be_reached_stands_beside_it_in_its_own_words() -> None:
    reason = {"code": "destination-refused", "args": {"destination": "cloud", "why": "HTTP 403 AccessDenied"}}
    [row] = copies(with_copies({"name": "cloud", "state": "refused", "rpo_s": 9.0, "reason": reason}))
    assert row.why == "HTTP 403 AccessDenied"
    [healed] = copies(with_copies({"name": "cloud", "state": "current", "rpo_s": 0.0, "reason": reason}))
    assert healed.why is None
    [silent] = copies(with_copies({"name": "cloud", "state": "refused", "reason": reason}, service=ServiceState.STALE))
    assert silent.why is None


def node_with(links: dict[str, Any], *, age_s: float = 0.5) -> NodeStatus:
    return a_node(links=a_service_file("links", age_s=age_s, **links))


def test_the_line_that_is_down_and_the_one_in_use() -> None:
    [telecom, unicom] = rules.lines(node_with(on_backup()))
    assert (telecom.badge.words.message, telecom.badge.kind, telecom.in_use) == ("down", "bad", False)
    assert said(telecom.why) == "silent for 1.0 s on 2 of 2 targets"
    assert (telecom.rtt_s, telecom.loss_ratio) == (None, 1.0)
    assert (unicom.badge.kind, unicom.in_use, unicom.rtt_s) == ("ok", True, 0.018)


def test_lines_of_a_silent_watcher_are_not_known() -> None:
    status = node_with(on_backup(), age_s=60)
    assert [row.badge.words.message for row in rules.lines(status)] == ["not known", "not known"]
    [(head, words)] = rules.why_now(status)
    assert (said(head), "silent" in said(words)) == ("Not known now:", True)
    assert said(rules.mode_words(status)) == "the watcher of the lines is silent"


WHY_NOW = [
    pytest.param(on_backup(), ["Why unicom now: telecom down: silent for 1.0 s on 2 of 2 targets"], id="backup"),
    pytest.param(
        on_backup(wait={"code": "hold-runs", "args": {"line": "telecom", "left_s": 119.5}}),
        [
            "Why unicom now: telecom down: silent for 1.0 s on 2 of 2 targets",
            "Waited for: telecom must be good for 2 min more",
        ],
        id="and-what-is-waited-for",
    ),
    pytest.param(offline(), ["Why no line now: no line lives"], id="offline"),
    pytest.param(
        links_state(act="observe", may_route=False, why_not={"code": "observing", "args": {}}),
        ["Why telecom now: telecom is the best line that answers", "Sets no routes: the configuration says observe"],
        id="it-only-watches",
    ),
    pytest.param(
        links_state(may_route=False, why_not={"code": "route-not-permitted", "args": {}}),
        [
            "Why telecom now: telecom is the best line that answers",
            "Sets no routes: routes may not be set: the privilege is missing",
        ],
        id="it-may-not",
    ),
    pytest.param(
        links_state(troubles=[{"code": "target-silent", "args": {"target": "10.0.0.1", "line": "telecom"}}]),
        [
            "Why telecom now: telecom is the best line that answers",
            "Targets: 10.0.0.1 is silent on telecom, which others prove alive",
        ],
        id="a-target-is-silent",
    ),
    pytest.param(links_state(lines=[]), [], id="no-lines"),
]


@pytest.mark.parametrize("links, told", WHY_NOW)
def test_why_it_is_as_it_is(links: dict[str, Any], told: list[str]) -> None:
    assert [f"{said(head)} {said(words)}" for head, words in rules.why_now(node_with(links))] == told


def test_orders_that_stand() -> None:
    order = {"id": "a1", "kind": "rehearse", "line": "telecom", "since": ago(60), "until": ago(-7200), "by": "gu",
             "why": "monthly"}  # fmt: skip
    status = node_with(
        links_state(lines=[a_line(order="rehearse"), a_line("unicom", active=True)], orders=[order, {"kind": "odd"}])
    )
    [row] = rules.orders(status)
    assert (row.badge.words.message, row.line, row.until, row.by, row.why) == (
        "rehearse", "telecom", WALL_MS + 7_200_000, "gu", "monthly",
    )  # fmt: skip
    [telecom, unicom] = rules.lines(status)
    assert telecom.order is not None and telecom.order.words.message == "rehearse"
    assert unicom.order is None


PAUSED = {"code": "refused", "args": {"why": "401"}}
SENDING = [
    pytest.param(an_upstream(), False, "all sent", "ok", id="nothing-waits"),
    pytest.param(an_upstream(queued=3, oldest_queued_at=ago(4)), False, "sending", "ok", id="on-its-way"),
    pytest.param(an_upstream(waiting=3, oldest_queued_at=ago(4)), False, "tries again", "warn", id="no-answer-there"),
    pytest.param(an_upstream(queued=3, oldest_queued_at=ago(4)), True, "waits for a line", "warn", id="offline"),
    pytest.param(an_upstream(dead=1), True, "to handle", "badq", id="a-dead-letter"),
    pytest.param(an_upstream(dead=1, waiting=2, paused=PAUSED), False, "paused", "warn", id="paused"),
]


@pytest.mark.parametrize("upstream, is_offline, words, kind", SENDING)
def test_the_badge_of_an_upstream(upstream: dict[str, Any], is_offline: bool, words: str, kind: str) -> None:
    status = a_node(
        links=a_service_file("links", **(offline() if is_offline else links_state())),
        outbox=a_service_file("outbox", **outbox_state(upstream)),
    )
    [row] = rules.upstreams(status, WALL_MS)
    assert (row.badge.words.message, row.badge.kind) == (words, kind)
    assert (row.why is not None) == (upstream["paused"] is not None)
    assert row.oldest_s == (4.0 if upstream["oldest_queued_at"] else None)


def test_counts_of_a_silent_outbox_are_not_known() -> None:
    outbox = outbox_state(an_upstream(queued=3, oldest_queued_at=ago(90)))
    status = a_node(outbox=a_service_file("outbox", age_s=60, **outbox))
    [row] = rules.upstreams(status, WALL_MS)
    assert (row.badge.words.message, row.queued, row.dead, row.oldest_s) == ("not known", None, None, None)
    assert rules.last_delivered(status) is None
