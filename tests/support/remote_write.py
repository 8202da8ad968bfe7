"""What a remote-write request holds, read by code that shares nothing with the writer; and a real Prometheus.

with a_prometheus(tmp_path, window="7d") as central:
    central.query("count_over_time(edge_mode[2h])", at_ms=now)
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import struct
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monitoring.remote_write import Series, Step
from tests.support.node import free_port
from tests.support.waiting import until

PROGRAM = shutil.which("prometheus")
NEEDS = "needs Debian's prometheus: make test-deps"
# Proxies of the machine are none of the test's.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# --- what was sent


def a_step(at_ms: int, **values: float) -> Step:
    """One sample for each name."""
    return Step(at_ms=at_ms, values={(("__name__", name),): value for name, value in values.items()})


def decompressed(block: bytes) -> bytes:
    """The content of a block of snappy, after google/snappy's format_description.txt. Raises ValueError."""
    size, at = _varint(block, 0)
    content = bytearray()
    while at < len(block):
        tag = block[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(block[at : at + extra], "little")
                at += extra
            content += block[at : at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, offset, extra = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | block[at], 1
        else:
            extra = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(block[at : at + extra], "little")
        at += extra
        if not 0 < offset <= len(content):
            raise ValueError(f"a copy from {offset} before {len(content)}")
        for _ in range(length):
            content.append(content[-offset])
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes where {size} were announced")
    return bytes(content)


def series_in(request: bytes) -> list[tuple[Series, list[tuple[int, bytes]]]]:
    """The series of an uncompressed request in their order, each with its samples: time, and the value as 8 bytes."""
    found = []
    for number, series in _fields(request):
        assert number == 1
        labels, samples = [], []
        for part, content in _fields(series):
            if part == 1:
                pair = dict(_fields(content))
                labels.append((pair[1].decode(), pair[2].decode()))
            else:
                inner = dict(_fields(content))
                samples.append((inner[2], inner[1]))
        found.append((tuple(labels), samples))
    return found


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        match key & 7:
            case 0:
                value, at = _varint(message, at)
                yield key >> 3, value
            case 1:
                yield key >> 3, message[at : at + 8]
                at += 8
            case 2:
                size, at = _varint(message, at)
                yield key >> 3, message[at : at + size]
                at += size
            case other:
                raise ValueError(f"wire type {other}")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


class Kept:
    """What a receiver has: it takes the same sample twice, and never another in its place."""

    def __init__(self) -> None:
        self.samples: dict[tuple[Series, int], bytes] = {}

    def take(self, body: bytes) -> None:
        for series, samples in series_in(decompressed(body)):
            assert list(series) == sorted(series), "labels must be sorted"
            for at_ms, value in samples:
                assert self.samples.setdefault((series, at_ms), value) == value, (series, at_ms)

    def values(self) -> Mapping[tuple[Series, int], float]:
        return {key: struct.unpack("<d", value)[0] for key, value in self.samples.items()}


class Central:
    """A receiver on loopback that answers as it is told: `status`, or nothing at all while `hangs`; `secret` is the
    Authorization that it wants."""

    def __init__(self) -> None:
        self.kept, self.status, self.secret = Kept(), 204, ""
        self.hangs = threading.Event()
        self.asked = 0
        central = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                central.asked += 1
                while central.hangs.is_set():
                    time.sleep(0.05)
                is_known = central.secret in ("", self.headers.get("Authorization"))
                status = central.status if is_known else 401
                if status == 204:
                    central.kept.take(body)
                said = b"" if status == 204 else b"the test says no\nand more of it"
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Whoever hung up: that is what some tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/v1/write"


@contextlib.contextmanager
def a_central() -> Iterator[Central]:
    central = Central()
    thread = threading.Thread(target=central.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield central
    finally:
        central.hangs.clear()
        central.server.shutdown()
        central.server.server_close()
        thread.join()


# --- a real one


class Prometheus:
    """A running server; `log` is what it said."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log = url, log

    @property
    def write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    def query(self, expression: str, *, at_ms: int) -> list[tuple[dict[str, str], float]]:
        """The vector of an instant query."""
        return [(one["metric"], float(one["value"][1])) for one in self._asked(expression, at_ms)]

    def samples(self, selector: str, *, from_ms: int, to_ms: int) -> dict[Series, list[tuple[int, float]]]:
        """Every sample between the two, by series: time in ms, value. Markers of an end are not shown."""
        found = self._asked(f"{selector}[{(to_ms - from_ms) // 1000 + 1}s]", to_ms)
        return {
            tuple(sorted(one["metric"].items())): [(round(at * 1000), float(value)) for at, value in one["values"]]
            for one in found
        }

    def _asked(self, expression: str, at_ms: int) -> list[Any]:
        asked = urllib.parse.urlencode({"query": expression, "time": at_ms / 1000})
        with _OPENER.open(f"{self.url}/api/v1/query?{asked}", timeout=30) as answer:
            return list(json.load(answer)["data"]["result"])

    def is_ready(self) -> bool:
        try:
            with _OPENER.open(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextlib.contextmanager
def a_prometheus(folder: Path, *, window: str | None = "7d") -> Iterator[Prometheus]:
    """Debian's Prometheus on loopback, as a receiver. `window` is its out-of-order window; None leaves it at none."""
    assert PROGRAM is not None, NEEDS
    folder.mkdir()
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text(f"storage:\n  tsdb:\n    out_of_order_time_window: {window}\n" if window else "{}\n")
    port = free_port()
    argv = [
        PROGRAM, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
    ]  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        central = Prometheus(f"http://127.0.0.1:{port}", log)
        until(lambda: central.is_ready() or process.poll() is not None, within_s=60)
        assert process.poll() is None, log.read_text()
        yield central
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
