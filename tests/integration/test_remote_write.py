"""Metrics pushed by the real monitor: to Debian's Prometheus after an outage, and to receivers that misbehave.

Two hours of outage are written into the spool by a clock that the test moves; what follows is real.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_node.base.clock import SystemClock
from edge_node.base.files import StatusFile
from edge_node.push.policy import Answer
from edge_node.push.receiver import Receiver
from edge_node.push.spool import open_spool
from edge_node.services.pushing import SPOOL, STEP_S, moment_ms
from edge_node.store.connection import connect_reader
from monitoring.remote_write import PROBE, Series, Step, compressed, sampled, write_request
from tests.support.node import edge_node, free_port
from tests.support.push import a_two_line_snapshot
from tests.support.remote_write import NEEDS, PROGRAM, Prometheus, a_central, a_prometheus
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)
REAL = pytest.mark.skipif(PROGRAM is None, reason=NEEDS)
CLINIC = "clinic-0042"
STEP_MS = STEP_S * 1000
TWO_HOURS = 7200 // STEP_S


class Monitor:
    """`edge-node run monitor` on a folder, pushing to `url`."""

    def __init__(self, home: Path, url: str, **remote: str) -> None:
        self.home, self.log = home, home.parent / "monitor.log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        written = ", ".join(f'{key} = "{value}"' for key, value in {"url": url, **remote}.items())
        config = home / "edge-node.toml"
        text = f'[node]\nid = "{CLINIC}"\n\n[replica]\nplain = true\n\n[monitor]\nremote_write = {{ {written} }}\n'
        config.write_text(text, encoding="utf-8")
        (home / "data").mkdir()

    @property
    def spool(self) -> Path:
        return self.home.joinpath(*SPOOL)

    def start(self) -> None:
        argv = [sys.executable, "-m", "edge_node", "run", "monitor", "--listen", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*argv, "--home", str(self.home)], stdout=log, stderr=log)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def state(self) -> dict[str, Any]:
        """What the process that runs now says of pushing."""
        try:
            document = json.loads((self.home / "run/monitor/status.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        assert self.process is not None
        if document["pid"] != self.process.pid:
            return {}
        codes = [problem["code"] for problem in document["state"]["problems"]]
        return {"problems": codes, **document["state"].get("remote_write", {})}

    def ended(self) -> dict[str, int]:
        with contextlib.closing(connect_reader(self.spool)) as conn:
            return dict(map(tuple, conn.execute("SELECT outcome, samples FROM ended")))

    def pending(self) -> list[int]:
        """The moments that wait."""
        with contextlib.closing(connect_reader(self.spool)) as conn:
            return [at for (at,) in conn.execute("SELECT at FROM step, cursor WHERE seq > done ORDER BY seq")]

    def scrape(self) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


@contextlib.contextmanager
def a_monitor(folder: Path, url: str, **remote: str) -> Iterator[Monitor]:
    home = folder / "node"
    home.mkdir()
    monitor = Monitor(home, url, **remote)
    try:
        yield monitor
    finally:
        if monitor.process is not None and monitor.process.poll() is None:
            monitor.end(signal.SIGKILL)


def an_outage(monitor: Monitor, *, steps: int = TWO_HOURS, until_ms: int | None = None) -> list[Step]:
    """The recorder's work of an outage that ends now: a step every 30 seconds.

    A series appears in the middle, and one ends there.
    """
    last = moment_ms(SystemClock().wall_ms(), CLINIC) if until_ms is None else until_ms
    node, outage = a_two_line_snapshot(), []
    with contextlib.closing(open_spool(monitor.spool)) as spool:
        for number in range(steps):
            half = number * 2 >= steps
            seen = replace(
                node,
                problems={"line-down" if half else "disk-low": 1},
                blind_s=number / 4,
                mode="online" if half else "offline",
            )
            step = Step(at_ms=last - STEP_MS * (steps - 1 - number), values=sampled(seen))
            assert spool.record(step)
            outage.append(step)
    return outage


def another_clinic_is_there(central: Prometheus) -> None:
    """The head of the database is at the present: without an out-of-order window nothing older than an hour gets in."""
    clock = SystemClock()
    step = Step(at_ms=clock.wall_ms(), values={(("__name__", "edge_mode"), ("mode", "online")): 1.0})
    receiver = Receiver(central.write_url, secret_path=None, clock=clock)
    with contextlib.closing(receiver):
        reply = receiver.post(compressed(write_request([step], labels={"clinic": "clinic-0001"})))
    assert reply.answer is Answer.TAKEN, reply.words


def arrived(central: Prometheus, outage: list[Step]) -> int:
    """How many of its moments are there."""
    span_s = (outage[-1].at_ms - outage[0].at_ms) // 1000 + 1
    asked = f'count_over_time(edge_mode{{clinic="{CLINIC}",mode="online"}}[{span_s}s])'
    ((_, count),) = central.query(asked, at_ms=outage[-1].at_ms)
    return int(count)


def assert_whole(central: Prometheus, outage: list[Step]) -> None:
    """Every sample of the outage is there once, with its time and its value, and no other."""
    assert arrived(central, outage) == len(outage)
    found = central.samples(f'{{clinic="{CLINIC}"}}', from_ms=outage[0].at_ms, to_ms=outage[-1].at_ms)
    sent: dict[Series, list[tuple[int, float]]] = {}
    for step in outage:
        for series, value in step.values.items():
            labels = tuple(sorted([*series, ("job", "edge-node"), ("instance", CLINIC), ("clinic", CLINIC)]))
            sent.setdefault(labels, []).append((step.at_ms, value))
    assert {series: samples for series, samples in found.items() if dict(series)["__name__"] != PROBE} == sent


@REAL
def test_two_hours_of_outage_arrive_afterwards_without_a_gap_and_once(tmp_path: Path) -> None:
    with a_prometheus(tmp_path / "central") as central, a_monitor(tmp_path, central.write_url) as monitor:
        another_clinic_is_there(central)
        outage = an_outage(monitor)
        monitor.start()
        until(lambda: monitor.state().get("backlog_samples") == 0, within_s=120)
        assert_whole(central, outage)
        # A series that ended is gone at once, and not five minutes later.
        middle = outage[len(outage) // 2].at_ms
        codes = central.query(f'edge_problems{{clinic="{CLINIC}"}}', at_ms=middle)
        assert [labels["code"] for labels, _ in codes] == ["line-down"]
        earlier = central.query(f'edge_problems{{clinic="{CLINIC}"}}', at_ms=middle - STEP_MS)
        assert [labels["code"] for labels, _ in earlier] == ["disk-low"]
        # And the monitor tells of it, in its own words and to whoever scrapes.
        assert set(monitor.ended()) == {"sent"}
        assert monitor.state()["problems"] == ["history-not-written"], "there is no node.db in this folder"
        assert "edge_remote_write_backlog_samples 0.0" in monitor.scrape()
        assert monitor.end() == 0


@REAL
def test_killed_and_started_again_on_the_way_it_arrives_whole(tmp_path: Path) -> None:
    with a_prometheus(tmp_path / "central") as central, a_monitor(tmp_path, central.write_url) as monitor:
        another_clinic_is_there(central)
        outage = an_outage(monitor)
        whole = 0
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            monitor.start()
            until(lambda sent=whole: monitor.ended().get("sent", 0) > sent, within_s=60, every_s=0.005)
            assert monitor.end(number) == (-number if number == signal.SIGKILL else 0)
            whole = monitor.ended()["sent"]
        assert outage[-1].at_ms in monitor.pending(), "all of it was sent before the last kill: the test shows nothing"
        monitor.start()
        until(lambda: monitor.state().get("backlog_samples") == 0, within_s=120)
        assert_whole(central, outage)


@REAL
@pytest.mark.parametrize("window", [None, "90m"])
def test_what_lies_before_the_receivers_window_is_skipped_and_counted_and_the_rest_arrives(
    tmp_path: Path, window: str | None
) -> None:
    """Without a window Prometheus answers 400 beyond an hour; with one, 2.42 answers 500 to what lies before it."""
    with a_prometheus(tmp_path / "central", window=window) as central:
        another_clinic_is_there(central)
        with a_monitor(tmp_path, central.write_url) as monitor:
            outage = an_outage(monitor)
            monitor.start()
            until(lambda: monitor.state().get("backlog_samples") == 0, within_s=200)
            ended, series = monitor.ended(), len(sampled(a_two_line_snapshot()))
            there = arrived(central, outage)
            about = {None: 120, "90m": 180}[window]
            assert about - 10 <= there <= about + 10
            assert_whole(central, outage[-there:])
            assert ended["refused"] == pytest.approx((TWO_HOURS - there) * series, rel=0.02)
            requests = {row["labels"][0]: row["value"] for row in monitor.state()["requests"]}
            assert requests["refused" if window is None else "failed"] >= 3
            assert sum(requests.values()) < 80, "the limit is found by halving"


@REAL
def test_what_is_older_than_our_own_window_is_not_even_tried(tmp_path: Path) -> None:
    with (
        a_prometheus(tmp_path / "central") as central,
        a_monitor(tmp_path, central.write_url, window="1h") as monitor,
    ):
        another_clinic_is_there(central)
        outage = an_outage(monitor)
        monitor.start()
        until(lambda: monitor.state().get("backlog_samples") == 0, within_s=120)
        there, series = arrived(central, outage), len(sampled(a_two_line_snapshot()))
        assert 110 <= there <= 121, "a start may take a while"
        assert_whole(central, outage[-there:])
        assert monitor.ended()["expired"] == pytest.approx((TWO_HOURS - there) * series, rel=0.02)


def test_a_receiver_that_hangs_delays_no_sample_and_no_scrape(tmp_path: Path) -> None:
    with a_central() as central, a_monitor(tmp_path, central.url) as monitor:
        an_outage(monitor, steps=5, until_ms=moment_ms(SystemClock().wall_ms(), CLINIC) - 4 * STEP_MS)
        central.hangs.set()
        monitor.start()
        until(lambda: central.asked, within_s=60)
        monitor.scrape()
        until(lambda: len(monitor.pending()) > 5, within_s=STEP_S + 45)
        until(lambda: monitor.state().get("trouble") == "no answer within 10 s", within_s=60)
        assert not monitor.ended()
        central.hangs.clear()
        until(lambda: monitor.state().get("backlog_samples") == 0, within_s=120)
        assert monitor.state()["trouble"] is None
        at = {at_ms for _, at_ms in central.kept.samples}
        assert len(at) >= 6
        # A stop does not wait for a receiver.
        central.hangs.set()
        asked = central.asked
        until(lambda: central.asked > asked, within_s=STEP_S + 45)
        began = time.monotonic()
        assert monitor.end() == 0
        assert time.monotonic() - began < 8


def test_a_receiver_that_refuses_our_secret_is_named_and_the_new_secret_needs_no_restart(tmp_path: Path) -> None:
    with a_central() as central, a_monitor(tmp_path, central.url, credential="prom-key") as monitor:
        outage = an_outage(monitor, steps=20)
        secret = monitor.home / "credentials" / "prom-key"
        secret.parent.mkdir()
        central.secret = "Bearer s3cret"
        secret.write_text("wrong\n")
        monitor.start()
        until(lambda: "remote-write-refused" in monitor.state().get("problems", ()), within_s=60)
        assert monitor.state()["trouble"] == "HTTP 401: the test says no"
        shown = edge_node("status", home=monitor.home)
        assert "the central Prometheus does not take our samples: HTTP 401" in shown.stdout
        assert shown.returncode == 4
        assert not monitor.ended()
        secret.write_text("s3cret\n")
        until(lambda: monitor.state().get("backlog_samples") == 0, within_s=120)
        assert {step.at_ms for step in outage} <= {at_ms for _, at_ms in central.kept.samples}
        assert "remote-write-refused" not in monitor.state()["problems"]


def test_samples_are_taken_every_half_minute_at_seconds_of_the_nodes_own(tmp_path: Path) -> None:
    with a_central() as central, a_monitor(tmp_path, central.url) as monitor:
        StatusFile(monitor.home / "run", "his", every_s=2).write({"writable": True}, SystemClock())
        monitor.start()
        until(lambda: len({at_ms for _, at_ms in central.kept.samples}) >= 2, within_s=2 * STEP_S + 60)
        first, second = sorted({at_ms for _, at_ms in central.kept.samples})[:2]
        assert (second - first) % STEP_MS == 0
        assert first % STEP_MS == moment_ms(first, CLINIC) % STEP_MS
        labels = {dict(series)["__name__"]: dict(series) for series, _ in central.kept.samples}
        assert labels["edge_clock_synchronised" if "edge_clock_synchronised" in labels else "edge_build_info"]
        told = labels["edge_service_status_timestamp_seconds"]
        assert {told["job"], told["instance"], told["clinic"]} == {"edge-node", CLINIC}


def test_where_samples_cannot_be_kept_it_is_named_and_tried_again(tmp_path: Path) -> None:
    with a_central() as central, a_monitor(tmp_path, central.url) as monitor:
        monitor.spool.parent.write_text("a file where the folder should be")
        monitor.start()
        until(lambda: "samples-not-kept" in monitor.state().get("problems", ()), within_s=60)
        assert "edge_remote_write_backlog_samples" in monitor.scrape()
        shown = edge_node("status", home=monitor.home)
        assert f"samples for the central Prometheus cannot be kept: {monitor.spool.parent}" in shown.stdout
        monitor.spool.parent.unlink()
        until(lambda: central.kept.samples, within_s=STEP_S + 60)
        until(lambda: "samples-not-kept" not in monitor.state().get("problems", ()), within_s=30)


def test_without_remote_write_nothing_is_kept(tmp_path: Path) -> None:
    with a_monitor(tmp_path, "http://127.0.0.1:9/api/v1/write") as monitor:
        config = monitor.home / "edge-node.toml"
        config.write_text(config.read_text().partition("[monitor]")[0])
        monitor.start()
        until(lambda: (monitor.home / "run/monitor/status.json").exists(), within_s=60)
        document = json.loads((monitor.home / "run/monitor/status.json").read_bytes())
        assert "remote_write" not in document["state"]
        assert not monitor.spool.exists()
        assert "\nedge_remote_write" not in monitor.scrape()
