"""A real Prometheus and a real Alertmanager, as the examples configure them: from a cause to whoever is told."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from monitoring.families import FAMILIES
from monitoring.family import Family, Kind
from tests.support.alert_rules import ALERT_NAMES, FILES, HOME, INVENTORY
from tests.support.node import RunningNode, running_node
from tests.support.prometheus import (
    Alertmanager,
    Prometheus,
    Receiver,
    a_prometheus,
    a_receiver,
    an_alertmanager,
    with_prometheus,
)
from tests.support.waiting import until

pytestmark = [with_prometheus, pytest.mark.timeout(400)]
# A machine that is busy scrapes late.
WITHIN_S = 90.0


def alertmanager_config(receiver: Receiver) -> str:
    """The example; it tells the test, and at once."""
    text = (HOME / "alertmanager.example.yml").read_text().replace("http://127.0.0.1:9087", receiver.url)
    return re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", text)


def prometheus_config(folder: Path, target: str, *, manager: Alertmanager | None = None, **labels: str) -> str:
    """The example at a faster pace; beside it the rules, which do not wait, the inventory, and one target."""
    config = yaml.safe_load((HOME / "prometheus.example.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["scrape_timeout"] = "1s"
    managers = [manager.url.removeprefix("http://")] if manager else []
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = managers
    for name in ("alerts", "clinics"):
        (folder / name).mkdir(parents=True)
    for path in FILES:
        (folder / "alerts" / path.name).write_text(re.sub(r"\n +for: \w+", "", path.read_text()))
    (folder / "clinics" / "all.json").write_text(json.dumps([{"targets": [target], "labels": labels}]))
    shutil.copy(INVENTORY, folder / "inventory.rules.yml")
    return yaml.safe_dump(config)


class Stack(NamedTuple):
    node: RunningNode
    prometheus: Prometheus
    receiver: Receiver


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A node as clinic-0042, watched; of clinic-0043 there is nothing but its place in the inventory."""
    folder = tmp_path_factory.mktemp("stack")
    with (
        running_node(folder / "home") as node,
        a_receiver() as receiver,
        an_alertmanager(folder / "alertmanager", alertmanager_config(receiver)) as manager,
    ):
        central, target = folder / "prometheus", f"127.0.0.1:{node.port + 1}"
        config = prometheus_config(central, target, manager=manager, clinic="clinic-0042", region="east")
        with a_prometheus(central, config) as prometheus:
            until(lambda: prometheus.query("up == 1"), within_s=WITHIN_S)
            yield Stack(node, prometheus, receiver)


def page_of(node: RunningNode) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", node.port + 1, timeout=30)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def known_as(family: Family) -> tuple[str, str]:
    """Name and type in Prometheus's metadata, which come from the OpenMetrics page that it asks for."""
    return family.name.removesuffix("_total").removesuffix("_info"), str(family.kind)


def test_prometheus_knows_every_family_of_a_real_node(stack: Stack) -> None:
    """HELP and TYPE, also of what has no sample yet; the names of the contract are among them (test_reference.py)."""

    def metadata() -> dict[str, tuple[str, str]]:
        found = stack.prometheus.get("/api/v1/targets/metadata", match_target='{job="edge-node"}')["data"]
        return {one["metric"]: (one["type"], one["help"]) for one in found}

    until(lambda: len(metadata()) >= len(FAMILIES), within_s=WITHIN_S)
    known = metadata()
    for family in FAMILIES:
        name, kind = known_as(family)
        assert known[name] == (kind, family.text)
    page = page_of(stack.node)
    for family in FAMILIES:
        kind = Kind.GAUGE if family.kind is Kind.INFO else family.kind
        assert f"# HELP {family.name} {family.text}\n# TYPE {family.name} {kind}\n" in page


def test_promtool_has_nothing_to_say_of_a_real_page(stack: Stack) -> None:
    done = subprocess.run(
        ("promtool", "check", "metrics"), input=page_of(stack.node), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_rule_can_be_evaluated(stack: Stack) -> None:
    def groups() -> Any:
        found = stack.prometheus.get("/api/v1/rules")["data"]["groups"]
        return found if all(rule["lastEvaluation"] > "0002" for group in found for rule in group["rules"]) else None

    rules = [rule for group in until(groups, within_s=WITHIN_S) for rule in group["rules"]]
    assert {rule["name"] for rule in rules} > set(ALERT_NAMES)
    assert [(rule["name"], rule["health"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


def test_a_healthy_node_alerts_for_nothing_but_this_machine(stack: Stack) -> None:
    """No time service runs here, and its disk may be anything. Nothing else fires, once every service has spoken twice
    (the rules here do not wait)."""

    def firing() -> set[tuple[str, str]]:
        found = {(alert["labels"]["alertname"], alert["labels"]["clinic"]) for alert in stack.prometheus.firing()}
        return {pair for pair in found if pair[0] not in ("EdgeClockNotSynchronised", "EdgeDiskFilling")}

    until(lambda: stack.prometheus.query("count_over_time(edge_mode[1h]) > 5"), within_s=WITHIN_S)
    until(lambda: firing() == {("EdgeNodeSilent", "clinic-0043")}, within_s=WITHIN_S)


def test_an_alert_travels_from_its_cause_to_the_desk_and_is_taken_back(stack: Stack) -> None:
    cloud, away = stack.node.home / "cloud", stack.node.home / "cloud-unplugged"

    def told(status: str) -> list[dict[str, Any]]:
        posts = [alert for post in stack.receiver.told("/desk") for alert in post["alerts"]]
        return [
            alert
            for alert in posts
            if alert["labels"]["alertname"] == "EdgeDestinationUnreachable" and alert["status"] == status
        ]

    cloud.rename(away)
    try:
        (alert, *_) = until(lambda: told("firing"), within_s=WITHIN_S)
    finally:
        away.rename(cloud)
    assert alert["annotations"]["summary"] == "clinic-0042: destination cloud does not answer"
    assert alert["annotations"]["summary_zh"] == "clinic-0042：目的地 cloud 连不上"
    labels = alert["labels"]
    assert (labels["clinic"], labels["region"], labels["severity"]) == ("clinic-0042", "east", "ticket")
    until(lambda: told("resolved"), within_s=WITHIN_S)


# ---- every alert, in words


def everything_at_once(look: int, now: float) -> str:
    """A page of nodes of which everything is wrong; `look` counts, so that what must change does."""
    lines = [
        f'edge_service_status_timestamp_seconds{{clinic="c1",service="monitor"}} {now}',
        'edge_service_status_timestamp_seconds{clinic="c1",service="his"} 0',
        'edge_service_status_timestamp_seconds{clinic="c1",service="outbox"} 0',
        f'edge_service_status_timestamp_seconds{{clinic="late",service="monitor"}} {now - 3600}',
        'edge_node_superseded{clinic="c1"} 1',
        'edge_problems{clinic="c1",code="kit-incomplete"} 1',
        'edge_clock_synchronised{clinic="c1"} 0',
        'edge_disk_free_bytes{clinic="c1",path="/data"} 5',
        'edge_disk_size_bytes{clinic="c1",path="/data"} 100',
        f'edge_certificate_not_after_timestamp_seconds{{clinic="c1",name="his-cert"}} {now - 5}',
        f'edge_certificate_not_after_timestamp_seconds{{clinic="c1",name="ca-cert"}} {now + 5 * 86400}',
        'edge_mode{clinic="c1",mode="offline"} 1',
        'edge_litestream_state{clinic="c1",state="running"} 0',
        f'edge_litestream_restarts_total{{clinic="c1"}} {look * 3}',
        'edge_wal_bytes{clinic="c1",path="/data/his.db"} 3e8',
        'edge_replica_rpo_seconds{clinic="c1",destination="cloud"} 4000',
        'edge_replica_rpo_limit_seconds{clinic="c1",destination="cloud"} 300',
        'edge_destination_state{clinic="c1",destination="cloud",state="unreachable"} 1',
        'edge_destination_state{clinic="c1",destination="nas",state="refused"} 1',
        f'edge_drill_last_timestamp_seconds{{clinic="c1",destination="cloud"}} {now - 60}',
        f'edge_drill_last_success_timestamp_seconds{{clinic="c1",destination="cloud"}} {now - 20 * 86400}',
        f'edge_outbox_oldest_queued_timestamp_seconds{{clinic="c1",upstream="platform"}} {now - 7300}',
        'edge_outbox_messages{clinic="c1",upstream="platform",state="dead"} 2',
    ]
    for clinic in ("c1", "c2", "c3", "c4", "c5"):
        of = f'clinic="{clinic}",region="east",line="telecom"'
        lines += [
            f'edge_line_info{{{of},carrier="China Telecom"}} 1',
            f'edge_line_verdict{{{of},verdict="down"}} {1 if clinic != "c5" else look % 2}',
            f'edge_line_verdict{{{of},verdict="up"}} 0',
        ]
    return "\n".join(lines) + "\n"


@contextmanager
def a_bad_day() -> Iterator[str]:
    """The address of such a page."""
    looks = iter(range(1_000_000))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = everything_at_once(next(looks), time.time()).encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """The test looks at the alerts."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_alert_reads_well_in_both_languages(tmp_path: Path) -> None:
    """No template fails or leaves a hole; the labels that a person needs are in the sentence."""
    with a_bad_day() as target:
        config = yaml.safe_load(prometheus_config(tmp_path, target))
        config["scrape_configs"][0]["honor_labels"] = True
        missed = [
            {"record": "edge_node_inventory", "expr": "vector(1)", "labels": {"clinic": f"m{number}", "region": "east"}}
            for number in range(5)
        ]
        (tmp_path / "inventory.rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "i", "rules": missed}]}))
        with a_prometheus(tmp_path, yaml.safe_dump(config)) as prometheus:
            firing = until(lambda: every_alert_of(prometheus), within_s=WITHIN_S)
    for alert in firing:
        labels, words = alert["labels"], alert["annotations"]
        for text in words.values():
            assert not re.search(r"error expanding|<no value>|\{\{|%!", text), text
        for told in ("clinic", "destination", "line", "upstream", "code"):
            if told in labels:
                assert labels[told] in words["summary"] + words["description"], (labels["alertname"], told)
    said = {alert["labels"]["alertname"]: alert["annotations"]["summary"] for alert in firing}
    assert said["EdgeRpoOverLimit"] == "c1: cloud lacks the last 1h 6m 40s"
    assert said["EdgeCertificateExpired"] == "c1: certificate his-cert has ended"
    assert said["EdgeCarrierDown"].startswith("China Telecom in east: lines down at ")
    assert said["EdgeManyNodesSilent"] == "5 nodes are silent in east"


def every_alert_of(prometheus: Prometheus) -> list[dict[str, Any]] | None:
    """All that fire, as soon as each does."""
    firing = prometheus.firing()
    return firing if {alert["labels"]["alertname"] for alert in firing} == set(ALERT_NAMES) else None


# ---- causes and consequences


def alerts(name: str, severity: str, *clinics: str, **labels: str) -> list[dict[str, Any]]:
    return [{"labels": {"alertname": name, "severity": severity, "clinic": clinic, **labels}} for clinic in clinics]


def test_a_carrier_that_fails_at_300_clinics_is_one_page(tmp_path: Path) -> None:
    clinics = [f"clinic-{number:04}" for number in range(300)]
    down = alerts("EdgeLineDown", "ticket", *clinics, carrier="China Telecom", region="east", line="telecom")
    page = {"alertname": "EdgeCarrierDown", "severity": "page", "carrier": "China Telecom", "region": "east"}
    elsewhere = alerts("EdgeLineDown", "ticket", "west-1", carrier="China Telecom", region="west", line="telecom")
    other = alerts("EdgeLineDown", "ticket", "east-9", carrier="China Unicom", region="east", line="unicom")
    with (
        a_receiver() as receiver,
        an_alertmanager(tmp_path, alertmanager_config(receiver)) as manager,
    ):
        manager.post([{"labels": page}, *down, *elsewhere, *other])
        until(lambda: len(receiver.told("/desk")) >= 2 and receiver.told("/duty"), within_s=WITHIN_S)
        held = manager.alerts()["EdgeLineDown"]
        assert sum(alert["status"]["state"] == "suppressed" for alert in held) == 300
        (duty,) = receiver.told("/duty")
        assert [alert["labels"]["alertname"] for alert in duty["alerts"]] == ["EdgeCarrierDown"]
        desk = [alert["labels"]["clinic"] for post in receiver.told("/desk") for alert in post["alerts"]]
        assert sorted(desk) == ["east-9", "west-1"]


CAUSES = [
    pytest.param(
        alerts("EdgeOffline", "page", "c1"),
        alerts("EdgeRpoOverLimit", "page", "c1", destination="cloud")
        + alerts("EdgeDestinationUnreachable", "ticket", "c1", destination="cloud")
        + alerts("EdgeOutboxOld", "ticket", "c1", upstream="platform")
        + alerts("EdgeLineDown", "ticket", "c1", line="telecom", carrier="China Telecom"),
        alerts("EdgeDeadLetters", "ticket", "c1", upstream="platform")
        + alerts("EdgeRpoOverLimit", "page", "c2", destination="cloud"),
        id="an-offline-node",
    ),
    pytest.param(
        alerts("EdgeServiceStale", "page", "c1", service="replica"),
        alerts("EdgeRpoOverLimit", "page", "c1", destination="cloud")
        + alerts("EdgeLitestreamDown", "page", "c1")
        + alerts("EdgeDrillFailed", "ticket", "c1", destination="cloud"),
        alerts("EdgeOffline", "page", "c1") + alerts("EdgeServiceStale", "ticket", "c2", service="outbox"),
        id="a-stale-replicator",
    ),
    pytest.param(
        alerts("EdgeServiceStale", "page", "c1", service="links"),
        alerts("EdgeLineFlapping", "ticket", "c1", line="telecom", carrier="China Telecom"),
        alerts("EdgeRpoOverLimit", "page", "c1", destination="cloud"),
        id="a-stale-watcher",
    ),
    pytest.param(
        [{"labels": {"alertname": "EdgeManyNodesSilent", "severity": "page", "region": "east"}}],
        alerts("EdgeNodeSilent", "page", "c1", "c2", region="east"),
        alerts("EdgeNodeSilent", "page", "w1", region="west"),
        id="a-silent-region",
    ),
    pytest.param(
        alerts("EdgeDiskFilling", "page", "c1", path="/data"),
        alerts("EdgeDiskFilling", "ticket", "c1", path="/data"),
        alerts("EdgeDiskFilling", "ticket", "c1", path="/replica"),
        id="a-disk-that-is-fuller",
    ),
    pytest.param(
        alerts("EdgeDeadLetters", "ticket", "c1", upstream="platform"),
        alerts("EdgeOutboxOld", "ticket", "c1", upstream="platform"),
        alerts("EdgeOutboxOld", "ticket", "c1", upstream="cdc"),
        id="a-dead-letter",
    ),
    pytest.param(
        alerts("EdgeNodeSuperseded", "page", "c1", instance="old"),
        alerts("EdgeRpoOverLimit", "page", "c1", instance="old", destination="cloud"),
        alerts("EdgeRpoOverLimit", "page", "c1", instance="new", destination="cloud"),
        id="a-machine-that-was-replaced",
    ),
]


@pytest.mark.parametrize("cause, silenced, told", CAUSES)
def test_a_cause_silences_its_consequences_and_nothing_else(
    tmp_path: Path, cause: list[dict[str, Any]], silenced: list[dict[str, Any]], told: list[dict[str, Any]]
) -> None:
    with (
        a_receiver() as receiver,
        an_alertmanager(tmp_path, alertmanager_config(receiver)) as manager,
    ):
        manager.post([*cause, *silenced, *told])
        wanted = sorted(repr(sorted(alert["labels"].items())) for alert in (*cause, *told))

        def heard() -> list[str]:
            posts = [alert for _, post in list(receiver.posts) for alert in post["alerts"]]
            return sorted({repr(sorted(alert["labels"].items())) for alert in posts})

        until(lambda: len(heard()) >= len(wanted), within_s=WITHIN_S)
        suppressed = [
            alert["labels"]
            for alerts_of_a_name in manager.alerts().values()
            for alert in alerts_of_a_name
            if alert["status"]["state"] == "suppressed"
        ]
        assert heard() == wanted
        assert len(suppressed) == len(silenced)
        assert all({"labels": labels} in silenced for labels in suppressed)
