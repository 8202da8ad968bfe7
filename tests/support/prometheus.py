"""Debian's Prometheus and Alertmanager on loopback, their tools, and a receiver of what the Alertmanager tells.

with a_receiver() as receiver, an_alertmanager(tmp_path / "am", config) as manager:
    manager.post([{"labels": {"alertname": "EdgeOffline", "clinic": "c1"}}])
    until(lambda: receiver.told("/duty"))

Each dies with the test's process, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.node import free_port
from tests.support.waiting import until

PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
with_prometheus = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)), reason="no prometheus, no alertmanager: sudo make test-deps"
)
STARTS_WITHIN_S = 60.0
# Proxies of the machine are none of the test's.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def judged(*argv: str | Path, cwd: Path | None = None, timeout_s: float = 100) -> str:
    """What promtool or amtool objects to; empty when it is content."""
    done = subprocess.run(
        [str(part) for part in argv], capture_output=True, text=True, timeout=timeout_s, check=False, cwd=cwd
    )
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}returned {done.returncode}"


class Server:
    """A running one of them; `log` is what it said."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log = url, log

    def get(self, path: str, **query: str) -> Any:
        with _OPENER.open(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
            return json.load(answer)


class Prometheus(Server):
    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The vector of an instant query, by sorted labels."""
        found = self.get("/api/v1/query", query=expression)["data"]["result"]
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in found}

    def firing(self) -> list[dict[str, Any]]:
        """Every alert that fires, with labels and annotations."""
        return [alert for alert in self.get("/api/v1/alerts")["data"]["alerts"] if alert["state"] == "firing"]


class Alertmanager(Server):
    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Alerts as a Prometheus sends them."""
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts", json.dumps(alerts).encode(), {"content-type": "application/json"}
        )
        _OPENER.open(request, timeout=30).close()

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """What it holds, by name: labels, and in `status` whether it is told or silenced and by what."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self.get("/api/v2/alerts"):
            found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found


@contextlib.contextmanager
def a_prometheus(folder: Path, config: str) -> Iterator[Prometheus]:
    """One with this configuration; paths in it are relative to `folder`, which must be there."""
    (folder / "prometheus.yml").write_text(config)
    argv = ("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data")
    with _serving(folder, argv) as (url, log):
        yield Prometheus(url, log)


@contextlib.contextmanager
def an_alertmanager(folder: Path, config: str) -> Iterator[Alertmanager]:
    """One with this configuration, alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(config)
    argv = (
        *("prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=data"),
        "--cluster.listen-address=",
    )
    with _serving(folder, argv) as (url, log):
        yield Alertmanager(url, log)


@contextlib.contextmanager
def _serving(folder: Path, argv: Sequence[str]) -> Iterator[tuple[str, Path]]:
    address, log = f"127.0.0.1:{free_port()}", folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", *argv, f"--web.listen-address={address}"),
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder,
        )  # fmt: skip
    try:

        def is_ready() -> bool:
            with contextlib.suppress(OSError), _OPENER.open(f"http://{address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
            return False

        until(lambda: is_ready() or process.poll() is not None, within_s=STARTS_WITHIN_S)
        assert process.poll() is None, log.read_text()
        yield f"http://{address}", log
    finally:
        process.kill()
        process.wait()


class Receiver:
    """Who is told: what was posted to each path, in order."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.url = ""

    def told(self, path: str) -> list[dict[str, Any]]:
        return [document for at, document in list(self.posts) if at == path]


@contextlib.contextmanager
def a_receiver() -> Iterator[Receiver]:
    """A webhook on loopback that takes whatever it is sent."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.posts.append((self.path, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The test looks at `posts`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
