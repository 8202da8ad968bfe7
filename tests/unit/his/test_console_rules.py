"""What the console makes of a status: unknown is unknown, and behind the limit is not green."""

from __future__ import annotations

from typing import Any

import pytest

from edge_node.base.files import ServiceStatus
from edge_node.his.console.rules import copies, services
from edge_node.status import NodeStatus, ServiceState
from tests.support.his import a_node_status

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
