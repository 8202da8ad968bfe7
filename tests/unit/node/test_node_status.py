"""Status files and the time in, the whole node out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge_node.base.clock import utc_text
from edge_node.base.files import ServiceStatus
from edge_node.i18n import REASONS
from edge_node.status import PROBLEM_EXITS, NodeStatus, judge
from tests.support.status_schema import STATUS_SCHEMA

BOOT, NOW, WALL_MS = "this-boot", 5000.0, 1_795_000_000_000
CLOUD = {
    "name": "cloud",
    "state": "current",
    "confirmed_txid": 12,
    "confirmed_at": utc_text(WALL_MS),
    "rpo_s": 0.0,
    "behind_txids": 0,
    "behind_bytes": 0,
    "catch_up_s": 0.0,
    "last_drill": None,
}
STATES: dict[str, dict[str, Any]] = {
    "his": {"writable": True},
    "replica": {
        "epoch": 1,
        "litestream": "running",
        "txid": 12,
        "captured_at": utc_text(WALL_MS),
        "destinations": [{"name": "local", "state": "current"}, CLOUD],
        "problems": [],
    },
    "monitor": {},
}


def a_file(service: str, *, age_s: float = 0.5, boot: str = BOOT, stopped: bool = False, **state: Any) -> ServiceStatus:
    return ServiceStatus(
        service=service,
        pid=1,
        boot_id=boot,
        started_at=utc_text(WALL_MS - 60_000),
        written_at=utc_text(WALL_MS - round(age_s * 1000)),
        boottime=NOW - age_s,
        every_s=2.0,
        stopped=stopped,
        state={**STATES[service], **state},
    )


def without(*keys: str) -> ServiceStatus:
    """A replicator's file that lacks these parts of its state."""
    return replace(a_file("replica"), state={k: v for k, v in STATES["replica"].items() if k not in keys})


def a_node(*, free: int | None = 10**12, wall_ms: int = WALL_MS, **files: ServiceStatus | None) -> NodeStatus:
    return judge(
        node_id="clinic-0042",
        files={name: files.get(name, a_file(name)) for name in STATES},
        rpo_limits_s={"cloud": 300.0},
        now=NOW,
        wall_ms=wall_ms,
        this_boot=BOOT,
        synchronised=True,
        disk_free_bytes=free,
    )


def test_a_healthy_node_has_no_problem_and_the_contracts_shape() -> None:
    node = a_node()
    assert node.problems == []
    assert node.exit_code() == 0
    document = json.loads(json.dumps(node.as_json()))
    jsonschema.validate(document, STATUS_SCHEMA)
    assert document["mode"]["name"] == "online"
    assert document["mode"]["reason"] == {"code": "no-lines", "args": {}}
    assert [service["state"] for service in document["services"]] == ["ok", "ok", "ok"]


STORIES = [
    pytest.param({"his": None}, ["service-stopped"], 4, id="a-service-never-ran"),
    pytest.param({"his": a_file("his", stopped=True)}, ["service-stopped"], 4, id="a-service-was-stopped"),
    pytest.param({"his": a_file("his", age_s=7)}, ["service-stale"], 4, id="a-service-hangs"),
    pytest.param({"monitor": a_file("monitor", boot="before")}, ["service-stale"], 4, id="a-file-of-the-boot-before"),
    pytest.param({"free": 1000}, ["disk-low"], 4, id="the-disk-is-nearly-full"),
    pytest.param({"free": None}, [], 0, id="an-unknown-disk-is-not-a-full-one"),
    pytest.param(
        {"his": a_file("his", writable=False, write_error="x")}, ["his-cannot-write"], 4, id="the-his-cannot-write"
    ),
    pytest.param({"replica": without("litestream")}, ["litestream-down"], 5, id="a-replicator-of-another-version"),
    pytest.param({"replica": without("destinations", "problems")}, [], 0, id="a-replicator-without-destinations"),
    pytest.param({"replica": without(*STATES["replica"])}, ["litestream-down"], 5, id="a-replicator-that-says-nothing"),
    pytest.param({"replica": a_file("replica", litestream="failing")}, ["litestream-down"], 5, id="litestream-fails"),
    pytest.param(
        {"replica": a_file("replica", destinations=[{**CLOUD, "state": "unreachable"}])},
        ["destination-unreachable"],
        5,
        id="the-store-is-gone",
    ),
    pytest.param(
        {"replica": a_file("replica", destinations=[{**CLOUD, "state": "behind", "rpo_s": 12.0}])},
        [],
        0,
        id="catching-up-within-its-limit-is-healthy",
    ),
    pytest.param(
        {"replica": a_file("replica", destinations=[{**CLOUD, "state": "behind", "rpo_s": 301.0}])},
        ["rpo-exceeded"],
        5,
        id="too-far-behind",
    ),
    pytest.param(
        {"replica": a_file("replica", problems=[{"code": "replica-set-back", "args": {"destination": "cloud"}}])},
        ["replica-set-back"],
        5,
        id="the-disk-was-set-back",
    ),
    pytest.param(
        {"his": None, "replica": a_file("replica", litestream="stopped")},
        ["service-stopped", "litestream-down"],
        4,
        id="the-first-that-applies-is-the-exit-code",
    ),
    pytest.param({"wall_ms": 1_000_000}, ["clock-suspect"], 4, id="the-clock-lost-its-battery"),
]


@pytest.mark.parametrize("change, problems, exit_code", STORIES)
def test_story(change: dict[str, Any], problems: list[str], exit_code: int) -> None:
    node = a_node(**change)
    assert [problem.code for problem in node.problems] == problems
    assert node.exit_code() == exit_code
    jsonschema.validate(json.loads(json.dumps(node.as_json())), STATUS_SCHEMA)


def test_what_a_dead_replicator_said_last_is_not_told_as_the_present() -> None:
    node = a_node(replica=a_file("replica", age_s=60))
    assert node.replica["litestream"] == "stopped"


def test_every_problem_has_an_exit_code_and_a_sentence() -> None:
    assert set(PROBLEM_EXITS) <= set(REASONS)


def test_the_text_screen_reads_like_the_contract(tmp_path: Path) -> None:
    from edge_node.cli.status import screen

    text = screen(
        a_node(replica=a_file("replica", destinations=[{"name": "local", "state": "current"}, CLOUD])), WALL_MS
    )
    head, table, services = text.split("\n\n")
    assert head.startswith("clinic-0042          online since ")
    assert [line.split()[0] for line in table.splitlines()] == ["REPLICA", "local", "cloud"]
    assert services == "services  3 of 3     none stale"
