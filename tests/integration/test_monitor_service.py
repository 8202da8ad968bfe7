"""The monitor as it runs: real files under it, a real socket before it, and Prometheus's own tool as the judge."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ExitCode, ServiceError
from edge_node.base.files import StatusFile, read_status
from edge_node.base.instruments import Counter, Histogram
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.services import monitor
from monitoring.collector import to_metric
from monitoring.families import FAMILIES
from monitoring.family import Kind, Sample
from monitoring.snapshot import Distribution, Value
from tests.support.node_files import an_upstream, on_backup, outbox_state
from tests.support.waiting import until

PROMTOOL = shutil.which("promtool")
HALF_OPEN = 100


class Running:
    """A monitor that serves a home folder on a port of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.endpoint: Endpoint | None = None
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        until(lambda: self.endpoint or not self._thread.is_alive())

    def _run(self) -> None:
        async def serve() -> None:
            stop = asyncio.Event()
            self._stop = asyncio.get_running_loop(), stop
            await monitor.serve(a_config(self.home), SystemClock(), stop, on_ready=self._is_ready)

        asyncio.run(serve())

    def _is_ready(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def stop(self) -> None:
        if self._thread.is_alive() and self._stop is not None:
            loop, stop = self._stop
            loop.call_soon_threadsafe(stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def get(self, path: str = "/metrics", *, method: str = "GET") -> tuple[int, str]:
        assert self.endpoint is not None
        connection = http.client.HTTPConnection(self.endpoint.host, self.endpoint.port, timeout=5)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def sample(self, name: str, **labels: str) -> float | None:
        """The value of one sample, or None where there is no such series."""
        for family in text_string_to_metric_families(self.get()[1]):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return None


def a_config(home: Path, listen: Endpoint | None = None) -> Config:
    config = Config.model_validate(
        {
            "node": {"id": "clinic-0042", "state_dir": str(home), "run_dir": str(home / "run")},
            "replica": {"plain": True, "local": str(home / "replica")},
        }
    )
    # Port 0 is refused in a file; here the kernel chooses.
    return config.model_copy(
        update={"monitor": config.monitor.model_copy(update={"listen": listen or Endpoint("127.0.0.1", 0)})}
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node's folder with what the services leave there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "his.db").touch()
    (tmp_path / "data" / "his.db-wal").write_bytes(b"x" * 4152)
    requests = Histogram((0.01, 0.1))
    requests.observe(0.05, "/patients/<int:patient_id>", "GET", "200")
    StatusFile(tmp_path / "run", "his", every_s=2).write(
        {"writable": True, "requests": requests.samples(), "commit_seconds": [], "commit_batch_size": []},
        SystemClock(),
    )
    write_replica(tmp_path, rpo_s=1.5)
    write_lines_and_outbox(tmp_path)
    return tmp_path


def write_replica(home: Path, *, rpo_s: float) -> None:
    state: dict[str, Any] = {
        "epoch": 1,
        "superseded_by": None,
        "litestream": "running",
        "litestream_version": "0.5.17",
        "litestream_restarts": 0,
        "txid": 4,
        "captured_at": None,
        "problems": [],
        "uploads": [{"labels": ["cloud", "done"], "value": 3.0}],
        "destinations": [
            {"name": "local", "state": "current"},
            {"name": "cloud", "state": "behind", "confirmed_txid": 3, "rpo_s": rpo_s, "behind_bytes": 4120},
        ],
    }
    StatusFile(home / "run", "replica", every_s=1).write(state, SystemClock())


def write_lines_and_outbox(home: Path) -> None:
    moves, probes, attempts = Counter(), Counter(), Counter()
    moves.add("online", "backup", "line-down")
    probes.add("telecom", "10.100.0.1", "silent", by=5)
    attempts.add("platform", "delivered", by=7)
    round_trips, switch = Histogram((0.01, 0.1)), Histogram((1.0,))
    round_trips.observe(0.018, "unicom", "10.100.0.1")
    switch.observe(0.9)
    links = on_backup(
        transitions=moves.samples(), probes=probes.samples(), rtt_seconds=round_trips.samples(),
        switch_seconds=switch.samples(), blind_seconds=1.5,
    )  # fmt: skip
    StatusFile(home / "run", "links", every_s=1).write(links, SystemClock())
    waits = an_upstream(queued=3, dead=1, oldest_queued_at="2026-11-22T01:14:02.500Z")
    StatusFile(home / "run", "outbox", every_s=1).write(outbox_state(waits, attempts=attempts.samples()), SystemClock())


@pytest.fixture
def running(home: Path) -> Iterator[Running]:
    node = Running(home)
    try:
        yield node
    finally:
        node.stop()


def promtool(text: str) -> str:
    """What Prometheus's own lint says of a page of metrics; empty when it is content."""
    if PROMTOOL is None:
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run(
        (PROMTOOL, "check", "metrics"), input=text, capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"returned {done.returncode}")


def test_the_real_page_pleases_prometheus(running: Running) -> None:
    status, text = running.get()
    assert status == 200
    assert promtool(text) == ""


def test_every_name_pleases_prometheus_once_it_has_a_sample() -> None:
    """Lint looks at a family only when it has a sample; so each gets one here, also those that come later."""
    examples: dict[Kind, Sample] = {
        kind: Distribution(bounds=(1.0,), counts=(1, 0), total=0.5) if kind is Kind.HISTOGRAM else Value(value=1.0)
        for kind in Kind
    }

    class OneEach(Collector):
        def collect(self) -> Iterator[Metric]:
            for family in FAMILIES:
                sample = examples[family.kind]
                labels = tuple(f"some-{label}" for label in family.labels)
                match sample:
                    case Value():
                        yield to_metric(family, [Value(labels=labels, value=sample.value)])
                    case Distribution(bounds=bounds, counts=counts, total=total):
                        yield to_metric(
                            family, [Distribution(labels=labels, bounds=bounds, counts=counts, total=total)]
                        )

    registry = CollectorRegistry()
    registry.register(OneEach())
    assert promtool(generate_latest(registry).decode()) == ""


def test_the_judge_can_say_no() -> None:
    assert "no help text" in promtool("# TYPE edge_x gauge\nedge_x 1\n")


def test_what_lies_in_the_files_is_what_prometheus_reads(running: Running) -> None:
    home = running.home
    assert running.sample("edge_mode", mode="backup") == 1
    moved = {"from": "online", "to": "backup", "reason": "line-down"}
    assert running.sample("edge_mode_transitions_total", **moved) == 1
    assert running.sample("edge_line_verdict", line="telecom", verdict="down") == 1
    assert running.sample("edge_line_active", line="unicom") == 1
    asked = {"line": "telecom", "target": "10.100.0.1"}
    assert running.sample("edge_line_loss_ratio", **asked, direction="both") == 0.0
    assert running.sample("edge_line_probes_total", **asked, outcome="silent") == 5
    assert running.sample("edge_line_switch_seconds_bucket", le="1.0") == 1
    assert running.sample("edge_line_blind_seconds_total") == 1.5
    assert running.sample("edge_outbox_messages", upstream="platform", state="queued") == 3
    assert running.sample("edge_outbox_attempts_total", upstream="platform", outcome="delivered") == 7
    assert running.sample("edge_outbox_oldest_queued_timestamp_seconds", upstream="platform") == 1_795_310_042.5
    assert running.sample("edge_replica_rpo_seconds", destination="cloud") == 1.5
    assert running.sample("edge_replica_uploads_total", destination="cloud", outcome="done") == 3
    assert running.sample("edge_wal_bytes", path=str(home / "data/his.db")) == 4152
    assert running.sample("edge_wal_bytes", path=str(home / "data/node.db")) is None, "there is no such database here"
    assert (
        running.sample(
            "edge_his_request_seconds_bucket", le="0.1", route="/patients/<int:patient_id>", method="GET", status="200"
        )
        == 1
    )
    free = running.sample("edge_disk_free_bytes", path=str(home))
    assert free == pytest.approx(shutil.disk_usage(home).free, rel=0.2)
    assert running.sample("edge_disk_free_bytes", path=str(home / "replica")) is None, "there is no such folder yet"


def test_a_scrape_reads_the_files_of_that_moment(running: Running) -> None:
    write_replica(running.home, rpo_s=0.0)
    assert running.sample("edge_replica_rpo_seconds", destination="cloud") == 0.0
    (running.home / "run/replica/status.json").write_text("{torn")
    assert running.sample("edge_replica_rpo_seconds", destination="cloud") is None
    assert running.sample("edge_service_status_timestamp_seconds", service="replica") == 0
    his_at = running.sample("edge_service_status_timestamp_seconds", service="his")
    assert his_at is not None
    assert his_at > 1_700_000_000


def test_the_monitor_says_that_it_lives(running: Running) -> None:
    status = read_status(running.home / "run", "monitor")
    assert status is not None
    assert not status.stopped
    assert status.state["listen"] == str(running.endpoint)
    running.stop()
    last = read_status(running.home / "run", "monitor")
    assert last is not None
    assert last.stopped


def test_a_status_file_that_cannot_be_written_stops_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As on a full disk, where the run folder lies on it; said once, not on every turn."""
    (home / "run" / "monitor").write_text("in the way")
    node = Running(home)
    try:
        assert node.sample("edge_mode", mode="backup") == 1
    finally:
        node.stop()
    lines = [line for line in capsys.readouterr().err.splitlines() if "status_not_written" in line]
    assert len(lines) == 1
    assert "times=1" in lines[0]


def test_half_open_connections_cost_the_reader_nothing(running: Running) -> None:
    """They said GET and no more; each would hold a thread of a server that has threads."""
    assert running.endpoint is not None
    address = (running.endpoint.host, running.endpoint.port)
    hanging = [socket.create_connection(address, timeout=5) for _ in range(HALF_OPEN)]
    try:
        for connection in hanging:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        status, text = running.get()
        assert status == 200
        assert "edge_mode" in text
        running.stop()
    finally:
        for connection in hanging:
            connection.close()


def test_a_taken_address_is_an_error_that_says_who_to_ask(running: Running) -> None:
    assert running.endpoint is not None
    config = a_config(running.home, running.endpoint)
    with pytest.raises(ServiceError) as caught:
        asyncio.run(monitor.serve(config, SystemClock(), asyncio.Event()))
    assert caught.value.code == "already-running"
    assert caught.value.exit_code is ExitCode.BUSY
    assert caught.value.hint is not None
    assert f"sport = :{running.endpoint.port}" in caught.value.hint


def test_an_address_of_another_machine_is_refused(home: Path) -> None:
    # TEST-NET-1 (RFC 5737) belongs to nobody.
    with pytest.raises(ServiceError) as caught:
        asyncio.run(monitor.serve(a_config(home, Endpoint("192.0.2.1", 9108)), SystemClock(), asyncio.Event()))
    assert caught.value.code == "privilege-missing"
    assert caught.value.exit_code is ExitCode.NETWORK


MAIN = """
import json, sys
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.services import monitor
config = Config.model_validate(json.loads(sys.argv[1]))
listen = Endpoint("127.0.0.1", 0)
monitor.run(config.model_copy(update={"monitor": config.monitor.model_copy(update={"listen": listen})}))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_stops_the_process_in_order(home: Path, number: signal.Signals) -> None:
    """The supervisor hears READY and STOPPING, and the last state says that the stop was meant."""
    document = json.dumps(
        {
            "node": {"id": "clinic-0042", "state_dir": str(home), "run_dir": str(home / "run")},
            "replica": {"plain": True},
        }
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(home / "notify"))
        supervisor.settimeout(20)
        process = subprocess.Popen(
            (sys.executable, "-c", MAIN, document),
            env={**os.environ, "NOTIFY_SOCKET": str(home / "notify")},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert supervisor.recv(100) == b"READY=1"
            process.send_signal(number)
            _, talk = process.communicate(timeout=10)
        finally:
            process.kill()
            process.communicate()
        assert supervisor.recv(100) == b"STOPPING=1"
    assert process.returncode == 0
    # There is no node.db here: that is said once, and ends nothing.
    said = [line.split()[1] for line in talk.splitlines()]
    assert sorted(said) == ["history_not_written", "monitor_started", "monitor_stopped"]
    last = read_status(home / "run", "monitor")
    assert last is not None
    assert last.stopped
