"""Status files into the values that the metrics are made of; and what a file that says nonsense takes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from edge_node import __version__, status
from edge_node.base.files import ServiceStatus
from edge_node.base.instruments import Counter, Histogram
from edge_node.replication.destination import CopyState
from edge_node.replication.supervisor import LitestreamState
from edge_node.services.node_snapshot import snapshot
from edge_node.status import judge
from failover.core.model import OrderKind, Verdict
from monitoring.fill import DESTINATION_STATES, LITESTREAM_STATES, MODES, ORDERS, VERDICTS
from monitoring.snapshot import Destination, Line, NodeSnapshot, Push, Target, Upstream, Value
from tests.support.node_files import a_line, an_upstream, links_state, on_backup, outbox_state


def a_file(service: str, state: Mapping[str, Any], *, written_at: str = "2026-11-22T01:14:02.500Z") -> ServiceStatus:
    return ServiceStatus(
        service=service,
        pid=1,
        boot_id="this-boot",
        started_at="2026-11-22T01:00:00.000Z",
        written_at=written_at,
        boottime=100.0,
        every_s=2.0,
        stopped=False,
        state=state,
    )


REPLICA: dict[str, Any] = {
    "epoch": 1, "superseded_by": None, "litestream": "running", "litestream_version": "0.5.17",
    "litestream_restarts": 2, "txid": 9, "captured_at": None, "problems": [], "uploads": [],
    "destinations": [
        {"name": "local", "state": "current"},
        {
            "name": "cloud", "state": "behind", "confirmed_txid": 7, "rpo_s": 1.8, "behind_txids": 2,
            "behind_bytes": 4120,
        },
    ],
}  # fmt: skip


def taken(
    his: Mapping[str, Any] | None = None,
    replica: Mapping[str, Any] | None = None,
    *,
    links: Mapping[str, Any] | None = None,
    outbox: Mapping[str, Any] | None = None,
    monitor: Mapping[str, Any] | None = None,
    written_at: str = "2026-11-22T01:14:02.500Z",
    now: float = 101.0,
) -> NodeSnapshot:
    """The snapshot of a node whose services wrote these states; None for a service that never wrote."""
    states = {"links": links, "his": his, "replica": replica, "outbox": outbox, "monitor": monitor}
    node = judge(
        node_id="clinic-0042",
        files={
            name: None if state is None else a_file(name, state, written_at=written_at)
            for name, state in states.items()
        },
        rpo_limits_s={"cloud": 300.0},
        now=now,
        wall_ms=1_795_310_043_000,
        this_boot="this-boot",
        synchronised=True,
        disk_free_bytes=None,
    )
    return snapshot(
        node,
        clock_synchronised=None,
        disk_free_bytes={"/data": 5},
        disk_size_bytes={"/data": 7},
        wal_bytes={"/data/his.db": 6},
        sqlite_version="3.53.0",
    )


def test_a_node_that_has_not_begun() -> None:
    node = taken()
    assert node.service_written_at == dict.fromkeys(("links", "his", "replica", "outbox", "monitor"))
    assert node.mode is None, "who never heard of the lines knows no mode"
    assert (node.build.version, node.build.litestream, node.build.sqlite) == (__version__, None, "3.53.0")
    assert node.superseded is None, "who never heard of an epoch does not know"
    assert node.litestream_restarts is None
    assert not (node.destinations or node.uploads or node.his_requests)
    assert (node.disk_free_bytes, node.disk_size_bytes, node.wal_bytes) == (
        {"/data": 5},
        {"/data": 7},
        {"/data/his.db": 6},
    )
    assert node.problems == {"service-stopped": 5}


def test_what_the_replica_says() -> None:
    node = taken(replica=REPLICA)
    assert node.destinations == (
        Destination(name="local", state="current"),
        Destination(name="cloud", state="behind", confirmed_txid=7, rpo_s=1.8, rpo_limit_s=300.0, behind_bytes=4120),
    )
    assert node.build.litestream == "0.5.17"
    assert (node.litestream, node.litestream_restarts) == ("running", 2)
    assert node.superseded is False
    assert (node.replica_local_bytes, node.replica_budget_bytes) == (None, None)
    disk = {"used_bytes": 5, "budget_bytes": 9, "told_at": None}
    weighed = taken(replica={**REPLICA, "disk": disk})
    assert (weighed.replica_local_bytes, weighed.replica_budget_bytes) == (5, 9)
    assert taken(replica={**REPLICA, "superseded": {"by": "clinic-0042-b", "epoch": 2}}).superseded is True


def test_the_last_drill_and_the_last_good_one() -> None:
    drilled = {"last_drill": {"at": "2026-11-22T01:14:02.500Z", "ok": False, "rto_s": None, "outcome": "missing"},
               "last_drill_ok": {"at": "2026-11-15T01:14:02.500Z", "rto_s": 41.2}}  # fmt: skip
    (cloud,) = taken(replica={**REPLICA, "destinations": [{**REPLICA["destinations"][1], **drilled}]}).destinations
    assert (cloud.drill_at, cloud.drill_ok_at, cloud.drill_rto_s) == (1_795_310_042.5, 1_794_705_242.5, 41.2)
    odd = {"last_drill": {"at": "yesterday"}}
    (cloud,) = taken(replica={**REPLICA, "destinations": [{**REPLICA["destinations"][1], **odd}]}).destinations
    assert (cloud.drill_at, cloud.rpo_s) == (None, 1.8), "an odd time hides nothing else"


def test_counters_and_histograms_travel_whole() -> None:
    """From the instruments of a service, through its file, into the metrics, with nothing lost."""
    uploads, requests, commits = Counter(), Histogram((0.01, 0.1)), Histogram((0.001,))
    uploads.add("cloud", "done", by=3)
    for seconds in (0.005, 0.01, 0.05, 3.0):
        requests.observe(seconds, "/patients", "GET", "200")
    commits.observe(0.5)
    node = taken(
        his={"requests": requests.samples(), "commit_seconds": commits.samples(), "commit_batch_size": []},
        replica={**REPLICA, "uploads": uploads.samples()},
    )
    assert node.uploads == (Value(labels=("cloud", "done"), value=3.0),)
    (request,) = node.his_requests
    assert (request.labels, request.bounds, request.counts) == (("/patients", "GET", "200"), (0.01, 0.1), (2, 1, 1))
    assert request.total == pytest.approx(3.065)
    (commit,) = node.his_commit_seconds
    assert (commit.labels, commit.counts) == ((), (0, 1))


def test_a_dead_service_keeps_its_last_values_and_its_old_time() -> None:
    node = taken(replica=REPLICA, now=100_000.0)
    assert node.service_written_at["replica"] == pytest.approx(1_795_310_042.5)
    assert [destination.rpo_s for destination in node.destinations] == [None, 1.8]


@pytest.mark.parametrize(
    "certificates, expected",
    [
        pytest.param(
            [{"name": "his-cert", "not_after": 1_800_000_000_000}, {"name": "odd"}],
            {"his-cert": 1.8e9},
            id="milliseconds",
        ),
        pytest.param(None, {}, id="no-tls"),
    ],
)
def test_the_certificates(certificates: object, expected: dict[str, float]) -> None:
    assert taken(his={"certificates": certificates}).certificate_not_after == expected


PUSHED: dict[str, Any] = {
    "backlog_samples": 3, "oldest_at": "2026-11-22T01:14:02.500Z", "sent_at": None, "trouble": None,
    "samples": [{"labels": ["sent"], "value": 9}], "requests": [{"labels": ["taken"], "value": 2}],
}  # fmt: skip


def test_what_is_pushed() -> None:
    assert taken(monitor={"remote_write": PUSHED}).push == Push(
        backlog_samples=3,
        oldest_at=1_795_310_042.5,
        samples=(Value(labels=("sent",), value=9.0),),
        requests=(Value(labels=("taken",), value=2.0),),
    )


@pytest.mark.parametrize("odd", [{}, {"remote_write": {}}, {"remote_write": {**PUSHED, "backlog_samples": "many"}}])
def test_a_node_that_pushes_nothing_or_says_so_oddly_has_no_figures(odd: dict[str, Any]) -> None:
    assert taken(monitor=odd).push is None


GOOD = {"labels": ["/", "GET", "200"], "bounds": [1.0], "counts": [1, 0], "sum": 0.5}


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({**GOOD, "labels": ["/"]}, id="labels-are-missing"),
        pytest.param({**GOOD, "counts": [1]}, id="a-count-is-missing"),
        pytest.param({**GOOD, "sum": None}, id="no-sum"),
        pytest.param({**GOOD, "bounds": "abc"}, id="bounds-are-a-word"),
        pytest.param({"labels": ["/", "GET", "200"]}, id="half-of-it"),
        pytest.param("nonsense", id="a-word"),
        pytest.param(None, id="nothing"),
    ],
)
def test_an_odd_sample_is_left_out_alone(odd: object) -> None:
    (request,) = taken(his={"requests": [odd, GOOD]}).his_requests
    assert request.counts == (1, 0)


@pytest.mark.parametrize("odd", [{}, 0.5, "text", None, [[]]], ids=repr)
def test_a_list_that_is_none_hides_nothing_else(odd: object) -> None:
    node = taken(his={"requests": odd}, replica={**REPLICA, "uploads": odd, "litestream_restarts": odd})
    assert (node.his_requests, node.uploads, node.litestream_restarts) == ((), (), None)
    assert len(node.destinations) == 2


def test_what_the_watcher_says() -> None:
    moves, probes, round_trips = Counter(), Counter(), Histogram((0.1,))
    moves.add("online", "backup", "line-down")
    probes.add("telecom", "10.100.0.1", "silent", by=5)
    round_trips.observe(0.02, "unicom", "10.100.0.1")
    node = taken(
        links=on_backup(
            transitions=moves.samples(), switches=moves.samples(), probes=probes.samples(), blind_seconds=1.5,
            rtt_seconds=round_trips.samples(), switch_seconds=[{**GOOD, "labels": []}],
        )
    )  # fmt: skip
    assert node.mode == "backup"
    assert node.lines[1] == Line(
        name="unicom", verdict="up", active=True, carrier="China Unicom", hold_left_s=0.0, penalty=0.0,
        targets=(Target(address="10.100.0.1", loss_ratio=0.0, jitter_s=0.001),),
    )  # fmt: skip
    assert node.transitions == node.switches == (Value(labels=("online", "backup", "line-down"), value=1.0),)
    assert node.probes == (Value(labels=("telecom", "10.100.0.1", "silent"), value=5.0),)
    assert (node.rtt_seconds[0].counts, node.switch_seconds[0].counts, node.blind_s) == ((1, 0), (1, 0), 1.5)


def test_what_the_outbox_says() -> None:
    attempts = Counter()
    attempts.add("platform", "delivered", by=7)
    waits = an_upstream(queued=3, waiting=1, dead=2, oldest_queued_at="2026-11-22T01:14:02.500Z")
    node = taken(outbox=outbox_state(waits, an_upstream("cdc"), attempts=attempts.samples()))
    assert node.upstreams == (
        Upstream(name="platform", queued=3, waiting=1, dead=2, oldest_queued_at=1_795_310_042.5),
        Upstream(name="cdc", queued=0, waiting=0, dead=0),
    )
    assert node.attempts == (Value(labels=("platform", "delivered"), value=7.0),)


@pytest.mark.parametrize("odd", [None, "text", 0.5, [[]], [None], [{"name": "telecom"}]], ids=repr)
def test_lines_and_upstreams_of_another_shape_are_left_out(odd: object) -> None:
    node = taken(links=links_state(lines=odd, probes=odd, blind_seconds="long"), outbox={"upstreams": odd})
    assert (node.lines, node.probes, node.blind_s, node.upstreams) == ((), (), None, ())
    whole = [a_line(verdict="dancing"), {**a_line("unicom"), "targets": odd}]
    [telecom, unicom] = taken(links=links_state(lines=whole)).lines
    assert (telecom.verdict, unicom.verdict, unicom.targets) == ("unknown", "up", ())


def test_a_time_that_is_none_counts_as_never() -> None:
    assert taken(his={}, written_at="yesterday").service_written_at["his"] is None


def test_the_metrics_know_every_mode_and_every_state() -> None:
    """monitoring may not import us, so the closed sets stand twice."""
    assert set(MODES) == set(status.Mode)
    assert set(DESTINATION_STATES) == set(CopyState)
    assert set(VERDICTS) == set(Verdict)
    assert set(ORDERS) == set(OrderKind)
    assert set(LITESTREAM_STATES) == set(LitestreamState)
