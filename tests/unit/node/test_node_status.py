"""Status files and the time in, the whole node out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from edge_node.base.errors import ExitCode
from edge_node.base.files import ServiceStatus
from edge_node.i18n import REASONS
from edge_node.status import PROBLEM_EXITS
from tests.support.node_files import (
    CLOUD,
    DOWN,
    STATES,
    a_file,
    a_line,
    a_node,
    an_upstream,
    links_state,
    offline,
    on_backup,
    outbox_state,
)
from tests.support.status_schema import STATUS_SCHEMA


def without(*keys: str) -> ServiceStatus:
    """A replicator's file that lacks these parts of its state."""
    return replace(a_file("replica"), state={k: v for k, v in STATES["replica"].items() if k not in keys})


def test_a_healthy_node_has_no_problem_and_the_contracts_shape() -> None:
    node = a_node()
    assert node.problems == []
    assert node.exit_code() == 0
    document = json.loads(json.dumps(node.as_json()))
    jsonschema.validate(document, STATUS_SCHEMA)
    assert document["mode"]["name"] == "online"
    assert document["mode"]["reason"] == {"code": "no-lines", "args": {}}
    assert [service["state"] for service in document["services"]] == ["ok"] * 5


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
    pytest.param(
        {"his": a_file("his", problems=[{"code": "certificate-expired", "args": {"certificate": "x", "day": "y"}}])},
        ["certificate-expired"],
        4,
        id="browsers-warn-of-the-pages",
    ),
    pytest.param(
        {"his": a_file("his", age_s=7, problems=[{"code": "certificate-expired", "args": {}}])},
        ["service-stale"],
        4,
        id="what-a-silent-his-said-of-its-certificate-is-past",
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
        {"replica": a_file("replica", problems=[{"code": "replica-budget-filling", "args": {"percent": 60}}])},
        ["replica-budget-filling"],
        0,
        id="what-is-told-in-good-time-is-healthy",
    ),
    pytest.param(
        {
            "links": a_file("links", **on_backup()),
            "replica": a_file("replica", problems=[{"code": "replica-budget-filling", "args": {"percent": 60}}]),
        },
        ["replica-budget-filling", "line-down"],
        6,
        id="and-hides-nothing-else",
    ),
    pytest.param(
        {"his": None, "replica": a_file("replica", litestream="stopped")},
        ["service-stopped", "litestream-down"],
        4,
        id="the-first-that-applies-is-the-exit-code",
    ),
    pytest.param({"links": a_file("links", **on_backup())}, ["line-down"], 6, id="a-line-is-down"),
    pytest.param(
        {"links": a_file("links", **on_backup(lines=[a_line(**DOWN, order="hold"), a_line("unicom", active=True)]))},
        [],
        0,
        id="a-line-is-down-and-somebody-knows",
    ),
    pytest.param(
        {"links": a_file("links", **on_backup(lines=[a_line(**DOWN, order="rehearse"), a_line("unicom")]))},
        ["line-down"],
        6,
        id="a-rehearsal-excuses-no-line-that-is-really-down",
    ),
    pytest.param(
        {"links": a_file("links", **on_backup(lines=[a_line(order="rehearse"), a_line("unicom", active=True)]))},
        [],
        0,
        id="a-rehearsal",
    ),
    pytest.param(
        {"links": a_file("links", **offline()), "outbox": a_file("outbox", **outbox_state(an_upstream(dead=2)))},
        ["outbox-dead", "line-down", "line-down"],
        4,
        id="dead-letters-come-before-lines",
    ),
    pytest.param(
        {
            "links": a_file("links", **offline()),
            "replica": a_file("replica", destinations=[{**CLOUD, "state": "unreachable"}]),
        },
        ["destination-unreachable", "line-down", "line-down"],
        5,
        id="copies-come-before-lines",
    ),
    pytest.param(
        {"links": a_file("links", **links_state(lines=[a_line(verdict="degraded"), a_line("unicom")]))},
        [],
        0,
        id="a-degraded-line-still-carries",
    ),
    pytest.param(
        {"links": a_file("links", **links_state(problems=[{"code": "route-rejected", "args": {"why": "EPERM"}}]))},
        ["route-rejected"],
        6,
        id="what-only-the-watcher-knows-is-of-the-lines",
    ),
    pytest.param(
        {"outbox": a_file("outbox", **outbox_state(problems=[{"code": "credential-missing", "args": {}}]))},
        ["credential-missing"],
        4,
        id="what-only-the-outbox-knows-is-of-the-data",
    ),
    pytest.param(
        {"monitor": a_file("monitor", problems=[{"code": "history-not-written", "args": {"why": "db-busy"}}])},
        ["history-not-written"],
        4,
        id="what-only-the-monitor-knows-is-of-the-data",
    ),
    pytest.param(
        {"monitor": a_file("monitor", age_s=99, problems=[{"code": "history-not-written", "args": {}}])},
        ["service-stale"],
        4,
        id="what-a-stale-monitor-said-is-not-the-present",
    ),
    pytest.param(
        {
            "outbox": a_file(
                "outbox",
                **outbox_state(an_upstream(waiting=3, paused={"code": "refused-key", "args": {"status": 401}})),
            )
        },
        ["upstream-paused"],
        4,
        id="an-upstream-is-paused",
    ),
    pytest.param(
        {"outbox": a_file("outbox", queued=0, waiting=0, dead=3, upstreams="nonsense")},
        ["outbox-dead"],
        4,
        id="dead-letters-of-nobody-knows-whom",
    ),
    pytest.param(
        {"outbox": a_file("outbox", age_s=60, **outbox_state(an_upstream(dead=2)))},
        ["service-stale"],
        4,
        id="a-silent-outbox",
    ),
    pytest.param({"links": a_file("links", age_s=60, **offline())}, ["service-stale"], 4, id="a-silent-watcher"),
    pytest.param({"links": None}, ["service-stopped"], 4, id="no-watcher"),
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


def test_why_litestream_fails_is_told_with_it() -> None:
    [problem] = a_node(replica=a_file("replica", litestream="failing", litestream_reason="no space left")).problems
    assert problem.args == {"state": "failing", "why": "no space left"}


def test_every_problem_has_an_exit_code_and_a_sentence() -> None:
    assert set(PROBLEM_EXITS) <= set(REASONS)


@pytest.mark.parametrize("teller", ["replica", "his"])
@pytest.mark.parametrize("age_s", [0.5, 90_000.0])
def test_a_machine_that_was_replaced_says_so_for_ever(teller: str, age_s: float) -> None:
    owner = {"by": "east-2", "epoch": 2, "claimed_at": "2026-11-22T01:14:02.000Z", "why": "fire"}
    file = a_file(teller, age_s=age_s, superseded=owner, writable=False)
    node = a_node(his=file) if teller == "his" else a_node(replica=file)
    assert node.superseded_by == "east-2"
    assert node.as_json()["node"]["superseded_by"] == "east-2"
    assert node.exit_code() is ExitCode.DATA
    codes = [problem.code for problem in node.problems]
    assert "superseded" in codes
    assert "his-cannot-write" not in codes, "that it cannot write is what superseded means"
