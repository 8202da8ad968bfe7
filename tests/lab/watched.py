"""The watcher alone, as a process in the laboratory's clinic, and what its routes and a stream of packets say of it."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_node.config.render import toml
from failover.probes.icmp import echo_request
from tests.lab.topology import CLOUD_PREFIX, LINES, ROOT, SERVICE_IP, TARGETS, Laboratory
from tests.support.waiting import until

STARTS_WITHIN_S = 30.0
TABLE, ACTIVE_METRIC, PROTOCOL = 100, 10, 222


def configuration(home: Path, act: str, **lines: Any) -> None:
    """Two lines with two targets each; `lines` are more keys of [lines]."""
    document = {
        "node": {"id": "clinic-lab"},
        "lines": {"act": act, "cloud_prefixes": [CLOUD_PREFIX], "service_ip": SERVICE_IP, **lines},
        "line": [
            {
                "name": line.name,
                "preferred": line.number,
                "interface": line.name,
                "address": f"{line.address}/30",
                "gateway": line.gateway,
                "target": [{"address": address} for address in TARGETS],
            }
            for line in LINES
        ],
    }
    home.mkdir(exist_ok=True)
    text = "".join(f"{name} = {toml(value)}\n" for name, value in document.items())
    (home / "edge-node.toml").write_text(text, encoding="utf-8")


@dataclass
class WatchedLines:
    """`edge-node run links` in the clinic."""

    lab: Laboratory
    home: Path
    prefix: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.home.with_suffix(".log")

    def start(self) -> None:
        """Start it and wait for its first status."""
        before = self.written_at()
        argv = (*self.prefix, sys.executable, "-m", "edge_node", "run", "links", "--home", str(self.home))
        with self.log.open("ab") as log:
            self.process = self.lab.clinic.popen(*argv, stdout=log, stderr=log, cwd=ROOT)
        until(lambda: self.written_at() != before or self.process.poll() is not None, within_s=STARTS_WITHIN_S)  # type: ignore[union-attr]
        assert self.process.poll() is None, self.log.read_text()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int) -> float:
        """Send a signal that ends it; how long that took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=10)
        return time.monotonic() - began

    def written_at(self) -> str | None:
        with contextlib.suppress(FileNotFoundError):
            return str(json.loads((self.home / "run/links/status.json").read_bytes())["written_at"])
        return None

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "run/links/status.json").read_bytes())["state"])

    def line(self, name: str) -> dict[str, Any]:
        return next(line for line in self.state["lines"] if line["name"] == name)

    def mode(self) -> tuple[str, str | None]:
        state = self.state
        return state["mode"]["name"], state["line"]

    def until_mode(self, *mode: str | None, within_s: float = 20.0) -> None:
        until(lambda: self.mode() == mode, within_s=within_s)

    def until_up(self, *names: str, within_s: float = 20.0) -> None:
        until(lambda: all(self.line(name)["verdict"] == "up" for name in names), within_s=within_s)

    def until_blind(self, seconds: float, *, within_s: float = 20.0) -> None:
        until(lambda: self.state["blind_seconds"] >= seconds, within_s=within_s)

    def transitions(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            text = (self.home / "links/transitions.jsonl").read_text()
            return [json.loads(line) for line in text.splitlines()]
        return []

    def decided_since(self, known: int) -> list[dict[str, Any]]:
        """Verdicts and moves after the first `known` transitions; what was done in their course is told a bit later."""
        return [told for told in self.transitions()[known:] if told["kind"] in ("verdict", "mode")]

    def written_until(self, mode: str) -> int:
        """Wait until the newest move in the file is to this mode, and the lines' verdicts stand there as in the status.

        How many transitions there are then. The status file tells of a change before the disk has taken it.
        """

        def count() -> int:
            written = self.transitions()
            moves = [transition["to"] for transition in written if transition["kind"] == "mode"]
            verdicts = {each["subject"]: each["to"] for each in written if each["kind"] == "verdict"}
            told = {line["name"]: line["verdict"] for line in self.state["lines"] if line["verdict"] != "unknown"}
            return len(written) if moves and moves[-1] == mode and verdicts == told else 0

        return until(count)

    def active(self) -> str | None:
        """The device that carries the cloud's prefix, as the kernel says."""
        return next((dev for metric, dev in self._cloud_routes() if metric == ACTIVE_METRIC), None)

    def has_fallback(self, device: str) -> bool:
        """Would the kernel go on by this device if the active one lost its carrier?"""
        return any(dev == device and metric > ACTIVE_METRIC for metric, dev in self._cloud_routes())

    def _cloud_routes(self) -> list[tuple[int, str | None]]:
        said = self.lab.clinic.run("ip", "-j", "route", "show", "table", str(TABLE), check=False).stdout
        return [(route.get("metric", 0), route.get("dev")) for route in json.loads(said or "[]")]

    def ours(self) -> tuple[str, str]:
        """Every route and rule of our protocol."""
        routes = self.lab.clinic.run("ip", "route", "show", "table", "all", "proto", str(PROTOCOL), check=False).stdout
        rules = self.lab.clinic.run("ip", "rule", "show").stdout
        return routes, "\n".join(row for row in rules.splitlines() if f"proto {PROTOCOL}" in row)


@contextlib.contextmanager
def watched(
    lab: Laboratory, home: Path, act: str = "enforce", *, prefix: Sequence[str] = (), **lines: Any
) -> Iterator[WatchedLines]:
    """A watcher that has started; it is gone afterwards."""
    configuration(home, act, **lines)
    watcher = WatchedLines(lab, home, prefix)
    try:
        watcher.start()
        yield watcher
    except BaseException:
        print(watcher.log.read_text() if watcher.log.exists() else "no log")
        raise
    finally:
        if watcher.process is not None and watcher.process.poll() is None:
            watcher.process.kill()
            watcher.process.wait()


class RouteNews:
    """Every route and rule that changes in the clinic, with the moment: a netlink socket in its namespace."""

    _GROUPS = (1 << 6) | (1 << 7)  # IPv4 routes and rules
    _NEW_ROUTE = 24

    def __init__(self, lab: Laboratory) -> None:
        self._socket = lab.clinic.within(self._opened)
        self.indices = {
            link["ifindex"]: link["ifname"] for link in json.loads(lab.clinic.run("ip", "-j", "link", "show").stdout)
        }

    def _opened(self) -> socket.socket:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        sock.bind((0, self._GROUPS))
        return sock

    def take(self, *, within_s: float = 0.0) -> list[tuple[float, int, str | None]]:
        """What came: when, the kind of message, and for a new active route of ours the device it goes by."""
        found: list[tuple[float, int, str | None]] = []
        if within_s:
            select.select([self._socket], [], [], within_s)
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return found
            at, offset = time.monotonic(), 0
            while offset < len(data):
                length, kind = struct.unpack_from("=IH", data, offset)
                found.append((at, kind, self._active(data[offset + 16 : offset + length]) if kind == 24 else None))
                offset += (length + 3) & ~3

    def _active(self, route: bytes) -> str | None:
        attributes, offset = {}, 12
        while offset + 4 <= len(route):
            length, kind = struct.unpack_from("=HH", route, offset)
            if length < 4:
                break
            if length == 8:
                (attributes[kind],) = struct.unpack_from("=I", route, offset + 4)
            offset += (length + 3) & ~3
        rta_oif, rta_priority, rta_table = attributes.get(4), attributes.get(6), attributes.get(15)
        is_active = (rta_table, rta_priority) == (TABLE, ACTIVE_METRIC)
        return self.indices.get(rta_oif) if is_active else None

    def __enter__(self) -> RouteNews:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()


class Stream:
    """A thousand echo requests a second from the clinic's own address to the cloud, and which were answered."""

    def __init__(self, lab: Laboratory) -> None:
        self._socket = lab.clinic.within(self._opened)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent_at: list[float] = []
        self.errors = 0
        self._answered: set[int] = set()

    def _opened(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind((SERVICE_IP, 0))
        sock.connect((TARGETS[0], 0))
        return sock

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._over.is_set():
            number = len(self.sent_at)
            try:
                self._socket.send(echo_request(0, number & 0xFFFF, struct.pack("!I", number) + bytes(28)))
            except OSError:
                self.errors += 1
            self.sent_at.append(time.monotonic())
            self._read()
            time.sleep(max(0.0, began + len(self.sent_at) * 0.001 - time.monotonic()))
        end = time.monotonic() + 0.5
        while time.monotonic() < end and len(self._answered) < len(self.sent_at):
            self._read()
            time.sleep(0.01)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._answered.add(struct.unpack_from("!I", self._socket.recv(128), 8)[0])

    def lost(self) -> list[int]:
        return [number for number in range(len(self.sent_at)) if number not in self._answered]

    def gap_s(self) -> float:
        """From the first lost packet to the last."""
        lost = self.lost()
        return self.sent_at[lost[-1]] - self.sent_at[lost[0]] if lost else 0.0
