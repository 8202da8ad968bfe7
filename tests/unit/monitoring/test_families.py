"""A NodeSnapshot in, samples out: what each value of the node becomes, and what silence becomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.core import Metric

from monitoring.collector import NodeCollector, make_registry, to_metric
from monitoring.families import FAMILIES
from monitoring.family import Family, Kind
from monitoring.fill import DESTINATION_STATES, MODES, VERDICTS
from monitoring.snapshot import Build, Destination, Distribution, Line, NodeSnapshot, Target, Upstream, Value

# A node on its first second: nothing has written, nothing was measured.
SILENT = NodeSnapshot(
    build=Build(version="0.1.0", litestream=None, sqlite="3.53.0"),
    mode=None,
    superseded=None,
    service_written_at={},
    clock_synchronised=None,
    disk_free_bytes={},
    wal_bytes={},
    certificate_not_after={},
)


def samples_of(node: NodeSnapshot, name: str) -> dict[tuple[str, ...], Any]:
    """Label values in the family's order, and the value."""
    family = next(family for family in FAMILIES if family.name == name)
    return {
        sample.labels: sample.value if isinstance(sample, Value) else sample.counts for sample in family.samples(node)
    }


TELECOM = Line(
    name="telecom", verdict="down", active=False, carrier="China Telecom", order="hold", hold_left_s=58.5,
    penalty=1000.0,
    targets=(
        Target(address="10.1", loss_ratio=1.0),
        Target(address="10.1", loss_ratio=0.5, lost_out_ratio=0.4, lost_back_ratio=0.0, jitter_s=0.1),
    ),
)  # fmt: skip
UNICOM = Line(name="unicom", verdict="up", active=True)
LINES = {"lines": (TELECOM, UNICOM)}
MOVES = (Value(labels=("online", "backup", "line-down"), value=2),)
PLATFORM = Upstream(name="platform", queued=3, waiting=1, dead=0, oldest_queued_at=1_700_000_000.5)
CASES = [
    pytest.param(LINES, "edge_line_verdict",
                 {("telecom", "unknown"): 0, ("telecom", "up"): 0, ("telecom", "degraded"): 0, ("telecom", "down"): 1,
                  ("unicom", "unknown"): 0, ("unicom", "up"): 1, ("unicom", "degraded"): 0, ("unicom", "down"): 0},
                 id="one-verdict-is-1"),
    pytest.param(LINES, "edge_line_info", {("telecom", "China Telecom"): 1, ("unicom", "unknown"): 1}, id="carriers"),
    pytest.param(LINES, "edge_line_order",
                 {("telecom", "pin"): 0, ("telecom", "hold"): 1, ("telecom", "rehearse"): 0,
                  ("unicom", "pin"): 0, ("unicom", "hold"): 0, ("unicom", "rehearse"): 0}, id="one-order-or-none-is-1"),
    pytest.param(LINES, "edge_line_active", {("telecom",): 0, ("unicom",): 1}, id="the-line-in-use-is-1"),
    pytest.param(LINES, "edge_line_hold_remaining_seconds", {("telecom",): 58.5}, id="an-unknown-hold-is-no-zero"),
    pytest.param(LINES, "edge_line_flap_penalty", {("telecom",): 1000}, id="penalty"),
    pytest.param(LINES, "edge_line_loss_ratio",
                 {("telecom", "10.1", "out"): 0.4, ("telecom", "10.1", "back"): 0.0, ("telecom", "10.1", "both"): 1.0},
                 id="an-address-that-is-asked-in-two-ways-is-one-series-of-the-worse"),
    pytest.param(LINES, "edge_line_jitter_seconds", {("telecom", "10.1"): 0.1}, id="jitter"),
    pytest.param({"transitions": MOVES}, "edge_mode_transitions_total", {("online", "backup", "line-down"): 2},
                 id="transitions"),
    pytest.param({"switches": MOVES}, "edge_line_switches_total", {("online", "backup", "line-down"): 2},
                 id="switches"),
    pytest.param({"switch_seconds": (Distribution(bounds=(1.0,), counts=(1, 0), total=0.9),)},
                 "edge_line_switch_seconds", {(): (1, 0)}, id="switch-seconds"),
    pytest.param({"probes": (Value(labels=("telecom", "10.1", "silent"), value=5),)}, "edge_line_probes_total",
                 {("telecom", "10.1", "silent"): 5}, id="probes"),
    pytest.param({"rtt_seconds": (Distribution(labels=("telecom", "10.1"), bounds=(0.1,), counts=(9, 0), total=0.2),)},
                 "edge_line_rtt_seconds", {("telecom", "10.1"): (9, 0)}, id="round-trips"),
    pytest.param({"blind_s": 0.0}, "edge_line_blind_seconds_total", {(): 0}, id="never-blind-is-0"),
    pytest.param({"blind_s": None}, "edge_line_blind_seconds_total", {}, id="blindness-unknown"),
    pytest.param({"upstreams": (PLATFORM,)}, "edge_outbox_messages",
                 {("platform", "queued"): 3, ("platform", "waiting"): 1, ("platform", "dead"): 0}, id="messages"),
    pytest.param({"upstreams": (PLATFORM, Upstream(name="cdc", queued=0, waiting=0, dead=0))},
                 "edge_outbox_oldest_queued_timestamp_seconds", {("platform",): 1_700_000_000.5},
                 id="nothing-waits-has-no-oldest"),
    pytest.param({"attempts": (Value(labels=("platform", "delivered"), value=7),)}, "edge_outbox_attempts_total",
                 {("platform", "delivered"): 7}, id="attempts"),
    pytest.param({"mode": "backup"}, "edge_mode",
                 {("starting",): 0, ("online",): 0, ("backup",): 1, ("offline",): 0}, id="one-mode-is-1"),
    pytest.param({"mode": None}, "edge_mode", {}, id="an-unknown-mode-is-no-mode"),
    pytest.param({"superseded": False}, "edge_node_superseded", {(): 0}, id="not-superseded-is-0"),
    pytest.param({"superseded": True}, "edge_node_superseded", {(): 1}, id="superseded-is-1"),
    pytest.param({"superseded": None}, "edge_node_superseded", {}, id="superseded-unknown"),
    pytest.param({"clock_synchronised": True}, "edge_clock_synchronised", {(): 1}, id="clock-synchronised"),
    pytest.param({"clock_synchronised": False}, "edge_clock_synchronised", {(): 0}, id="clock-free-running"),
    pytest.param({"clock_synchronised": None}, "edge_clock_synchronised", {}, id="clock-cannot-be-asked"),
    pytest.param({"service_written_at": {"his": 1_700_000_000.25, "replica": None}},
                 "edge_service_status_timestamp_seconds", {("his",): 1_700_000_000.25, ("replica",): 0},
                 id="a-service-that-never-wrote-is-0"),
    pytest.param({"disk_free_bytes": {"/data": 12}}, "edge_disk_free_bytes", {("/data",): 12}, id="disk"),
    pytest.param({"disk_size_bytes": {"/data": 40}}, "edge_disk_size_bytes", {("/data",): 40}, id="disk-size"),
    pytest.param({"problems": {"line-down": 2}}, "edge_problems", {("line-down",): 2}, id="problems-are-counted"),
    pytest.param({"litestream": "failing"}, "edge_litestream_state",
                 {("running",): 0, ("stopped",): 0, ("failing",): 1}, id="litestream-fails"),
    pytest.param({"litestream": None}, "edge_litestream_state", {}, id="litestream-unknown"),
    pytest.param({"destinations": (Destination(name="cloud", state="behind", rpo_s=9.0, rpo_limit_s=300.0),)},
                 "edge_replica_rpo_limit_seconds", {("cloud",): 300}, id="the-limit-stands-beside-the-rpo"),
    pytest.param({"destinations": (Destination(name="cloud", state="current", drill_at=1.7e9, drill_ok_at=1.6e9),
                                   Destination(name="nas", state="current"))},
                 "edge_drill_last_timestamp_seconds", {("cloud",): 1.7e9}, id="a-drill-that-failed-was-one"),
    pytest.param({"wal_bytes": {"/data/his.db": 4152}}, "edge_wal_bytes", {("/data/his.db",): 4152}, id="wal"),
    pytest.param({"certificate_not_after": {"his-cert": 2e9}}, "edge_certificate_not_after_timestamp_seconds",
                 {("his-cert",): 2e9}, id="certificate"),
    pytest.param({"litestream_restarts": 0}, "edge_litestream_restarts_total", {(): 0}, id="never-restarted-is-0"),
    pytest.param({"replica_local_bytes": 5}, "edge_replica_local_bytes", {(): 5}, id="local-bytes"),
    pytest.param({"replica_budget_bytes": 9}, "edge_replica_budget_bytes", {(): 9}, id="budget-bytes"),
    pytest.param({"litestream_restarts": None}, "edge_litestream_restarts_total", {}, id="restarts-unknown"),
    pytest.param({"uploads": (Value(labels=("cloud", "done"), value=7),)}, "edge_replica_uploads_total",
                 {("cloud", "done"): 7}, id="uploads"),
    pytest.param({"destinations": (Destination(name="cloud", state="refused"),)}, "edge_destination_state",
                 {("cloud", "current"): 0, ("cloud", "behind"): 0, ("cloud", "unreachable"): 0,
                  ("cloud", "refused"): 1, ("cloud", "paused"): 0}, id="one-state-is-1"),
    pytest.param({"destinations": (Destination(name="local", state="current"),
                                   Destination(name="cloud", state="behind", rpo_s=2.5),)},
                 "edge_replica_rpo_seconds", {("cloud",): 2.5}, id="the-local-copy-has-no-rpo"),
    pytest.param({"destinations": (Destination(name="cloud", state="current", rpo_s=0.0),)},
                 "edge_replica_rpo_seconds", {("cloud",): 0}, id="an-rpo-of-0-is-said"),
    pytest.param({"destinations": (Destination(name="cloud", state="behind", behind_bytes=4120),)},
                 "edge_replica_behind_bytes", {("cloud",): 4120}, id="bytes-behind"),
    pytest.param({"destinations": (Destination(name="cloud", state="behind", confirmed_txid=0),)},
                 "edge_replica_confirmed_txid", {("cloud",): 0}, id="nothing-confirmed-is-0"),
    pytest.param({"his_requests": (Distribution(labels=("/", "GET", "200"), bounds=(0.1,), counts=(3, 1), total=1),)},
                 "edge_his_request_seconds", {("/", "GET", "200"): (3, 1)}, id="requests"),
    pytest.param({"his_commit_seconds": (Distribution(bounds=(0.1,), counts=(3, 1), total=1),)},
                 "edge_his_commit_seconds", {(): (3, 1)}, id="commits"),
    pytest.param({"his_commit_batch_size": (Distribution(bounds=(1, 2), counts=(3, 1, 0), total=5),)},
                 "edge_his_commit_batch_size", {(): (3, 1, 0)}, id="batches"),
    pytest.param({}, "edge_build_info", {("0.1.0", "unknown", "3.53.0"): 1}, id="litestream-not-asked-yet"),
    pytest.param({"build": Build(version="0.2.0", litestream="0.5.17", sqlite="3.53.0")}, "edge_build_info",
                 {("0.2.0", "0.5.17", "3.53.0"): 1}, id="build"),
]  # fmt: skip


@pytest.mark.parametrize("known, name, expected", CASES)
def test_what_is_known_becomes_samples(known: dict[str, Any], name: str, expected: dict[tuple[str, ...], Any]) -> None:
    assert samples_of(replace(SILENT, **known), name) == expected


def test_a_silent_node_announces_every_family_and_claims_nothing() -> None:
    metrics = list(NodeCollector(lambda: SILENT).collect())
    assert len(metrics) == len(FAMILIES)
    assert {metric.name for metric in metrics if metric.samples} == {"edge_build"}


def test_every_member_of_a_closed_set_is_exported() -> None:
    for mode in MODES:
        assert sum(samples_of(replace(SILENT, mode=mode), "edge_mode").values()) == 1
    for state in DESTINATION_STATES:
        node = replace(SILENT, destinations=(Destination(name="nas", state=state),))
        assert sum(samples_of(node, "edge_destination_state").values()) == 1
    for verdict in VERDICTS:
        node = replace(SILENT, lines=(Line(name="telecom", verdict=verdict, active=False),))
        assert sum(samples_of(node, "edge_line_verdict").values()) == 1


def test_buckets_become_cumulative_under_an_infinite_bound() -> None:
    family = Family(name="edge_x_seconds", kind=Kind.HISTOGRAM, text="X.", labels=("route",))
    distribution = Distribution(labels=("/",), bounds=(0.005, 1.0), counts=(4, 2, 1), total=9.5)
    metric = to_metric(family, [distribution])
    buckets = {sample.labels["le"]: sample.value for sample in metric.samples if sample.name.endswith("_bucket")}
    assert buckets == {"0.005": 4, "1.0": 6, "+Inf": 7}
    assert plain(metric, "_count") == 7
    assert plain(metric, "_sum") == 9.5


def plain(metric: Metric, suffix: str) -> float:
    return next(sample.value for sample in metric.samples if sample.name == metric.name + suffix)


@pytest.mark.parametrize(
    "kind, labels, sample, why",
    [
        pytest.param(
            Kind.GAUGE,
            (),
            Distribution(bounds=(), counts=(0,), total=0),
            "cannot hold a Distribution",
            id="a-distribution-in-a-gauge",
        ),
        pytest.param(Kind.HISTOGRAM, (), Value(value=1), "cannot hold a Value", id="a-value-in-a-histogram"),
        pytest.param(Kind.COUNTER, ("line",), Value(value=1), "has the labels", id="a-label-is-missing"),
    ],
)
def test_a_sample_that_does_not_fit_its_family_is_a_bug(
    kind: Kind, labels: tuple[str, ...], sample: Any, why: str
) -> None:
    with pytest.raises(TypeError, match=why):
        to_metric(Family(name="edge_x_total", kind=kind, text="X.", labels=labels), [sample])


def test_a_distribution_counts_once_per_bound_and_once_above() -> None:
    with pytest.raises(ValueError, match="2 bounds need 3 counts, not 2"):
        Distribution(bounds=(1, 2), counts=(1, 2), total=0)


def test_each_scrape_reads_the_node_anew() -> None:
    modes = iter(("online", "backup"))
    registry = make_registry(lambda: replace(SILENT, mode=next(modes)))
    assert registry.get_sample_value("edge_mode", {"mode": "online"}) == 1
    assert registry.get_sample_value("edge_mode", {"mode": "online"}) == 0


def test_registering_does_not_read_the_node() -> None:
    """The names are known at start, also when the node cannot be read yet."""

    def read() -> NodeSnapshot:
        raise AssertionError("read while registering")

    make_registry(read)
