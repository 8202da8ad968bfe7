"""The service `links` as its unit starts it; on this machine's own network, so it probes nothing and sets nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_node.base.clock import SystemClock
from edge_node.orders import LineOrderKind, links_path, new_order, place
from tests.support.waiting import until

NO_LINES = '[node]\nid = "clinic-0042"\n'
# An interface that no machine has: judged by its link alone, so nothing is sent and nothing is set.
GONE = '[[line]]\nname = "telecom"\npreferred = 1\ninterface = "no-such-if0"\n'


class Service:
    """`edge-node run links` on a folder of the test."""

    def __init__(self, home: Path) -> None:
        self.home, self.log = home, home / "log"
        self.supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.supervisor.bind(str(home / "notify"))
        self.supervisor.setblocking(False)
        self.said: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, configuration: str, watchdog_s: float = 2.0) -> None:
        self.write(configuration)
        environment = {
            **os.environ, "NOTIFY_SOCKET": str(self.home / "notify"), "WATCHDOG_USEC": str(int(watchdog_s * 1e6)),
        }  # fmt: skip
        argv = [sys.executable, "-m", "edge_node", "run", "links", "--home", str(self.home)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        until(lambda: "READY=1" in self.heard() and self.state(), within_s=30)

    def write(self, configuration: str) -> None:
        (self.home / "edge-node.toml").write_text(configuration)

    def heard(self) -> list[str]:
        """Everything that it said to its supervisor."""
        while True:
            try:
                self.said.append(self.supervisor.recv(1024).decode())
            except BlockingIOError:
                return self.said

    def document(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.home / "run/links/status.json").read_bytes()))
        except FileNotFoundError:
            return {}

    def state(self) -> dict[str, Any]:
        return dict(self.document().get("state", {}))

    def end(self, number: int = signal.SIGTERM) -> float:
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=10)
        return time.monotonic() - began


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(tmp_path)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait()
    running.supervisor.close()


def test_without_a_line_it_runs_and_says_so(service: Service) -> None:
    service.start(NO_LINES)
    state = service.state()
    assert state["mode"]["name"] == "online" and state["mode"]["reason"] == {"code": "no-lines", "args": {}}
    assert state["lines"] == [] and state["problems"] == [] and service.document()["every_s"] == 1.0
    until(lambda: service.heard().count("WATCHDOG=1") >= 3)
    took_s = service.end()
    assert took_s < 1, f"{took_s:.2f} s to stop"
    assert service.process is not None and service.process.returncode == 0
    assert service.document()["stopped"] is True and "STOPPING=1" in service.heard()


def test_a_line_whose_interface_is_gone_is_down_and_it_is_written_down(service: Service) -> None:
    service.start(NO_LINES + GONE)
    until(lambda: service.state()["mode"]["name"] == "offline")
    (line,) = service.state()["lines"]
    assert (line["verdict"], line["reason"]["code"], line["interface"]) == ("down", "no-link", "no-such-if0")
    assert {row["rule"] for row in line["explain"]} >= {"link", "silence", "hold", "penalty", "preference"}
    assert service.state()["transitions"] == [{"labels": ["starting", "offline", "every-line-down"], "value": 1.0}]
    service.end(signal.SIGKILL)
    path = service.home / "links/transitions.jsonl"
    written = path.read_bytes()
    assert [json.loads(row)["seq"] for row in written.splitlines()] == [1, 2]
    path.write_bytes(written + b'{"seq":3,"torn')
    service.start(NO_LINES + GONE)
    until(lambda: len(path.read_bytes().splitlines()) == 4)
    rows = [json.loads(row) for row in path.read_bytes().splitlines()]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4], "the torn line is gone and the numbers go on"
    assert [(r["kind"], r["subject"], r["from"], r["to"]) for r in rows[2:]] == [
        ("verdict", "telecom", "unknown", "down"), ("mode", "node", "starting", "offline"),
    ]  # fmt: skip


def test_orders_arrive_within_seconds_and_what_is_no_order_is_named(service: Service) -> None:
    service.start(NO_LINES + GONE)
    now_ms = SystemClock().wall_ms()
    order = new_order(LineOrderKind.HOLD, "telecom", now_ms=now_ms, for_s=60, by="wang", why="works")
    place(service.home, order, lines=["telecom"], now_ms=now_ms)
    until(lambda: service.state()["orders"], within_s=5)
    (shown,) = service.state()["orders"]
    assert (shown["id"], shown["kind"], shown["by"], shown["why"]) == (order.id, "hold", "wang", "works")
    assert service.state()["lines"][0]["order"] == "hold"
    links_path(service.home).write_text("not JSON")
    until(lambda: service.state()["problems"], within_s=5)
    (problem,) = service.state()["problems"]
    assert problem["code"] == "orders-unreadable"
    until(lambda: service.state()["orders"] == [], within_s=5)


def test_a_reload_brings_other_lines_and_a_bad_one_changes_nothing(service: Service) -> None:
    service.start(NO_LINES)
    service.write(NO_LINES + GONE)
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    until(lambda: [line["name"] for line in service.state()["lines"]] == ["telecom"], within_s=5)
    service.write(NO_LINES + GONE.replace('name = "telecom"', "name = telecom"))
    service.process.send_signal(signal.SIGHUP)
    until(lambda: [p["code"] for p in service.state()["problems"]] == ["reload-failed"], within_s=5)
    assert [line["name"] for line in service.state()["lines"]] == ["telecom"]
    service.write(NO_LINES)
    service.process.send_signal(signal.SIGHUP)
    until(lambda: service.state()["mode"]["reason"]["code"] == "no-lines", within_s=5)
    assert service.state()["problems"] == []
    assert service.end() < 1


def test_an_ipv6_address_is_refused_with_a_sentence(service: Service) -> None:
    service.write(NO_LINES + GONE + '[[line.target]]\naddress = "2001:db8::1"\n')
    argv = [sys.executable, "-m", "edge_node", "run", "links", "--home", str(service.home)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "line[0].target[0].address" in done.stderr and "IPv6 is not watched" in done.stderr
