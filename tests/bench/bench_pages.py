"""A page of the clinic against a bare page of the same server, in turn: `python -m tests.bench.bench_pages`.

Both are served by the same uvicorn over a2wsgi with as many threads; the bare page is a Flask view that returns a word.
The ratio says what a session, the database, the posture and a template cost. Needs wrk (Debian).
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.desk import Desk, phone_number
from tests.support.node import free_port, running_node
from tests.support.waiting import until

ROUNDS, SECONDS, CONNECTIONS = 5, 4, 16
GOAL = 0.4
WAITING = 20


def serve_bare(port: int) -> None:
    """The bare page, until SIGTERM."""
    from typing import Any, cast

    from a2wsgi import WSGIMiddleware
    from flask import Flask

    from edge_node.config.values import Endpoint
    from edge_node.services.his import THREADS
    from edge_node.services.web_server import AsgiApp, listening, make_server

    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello")

    async def serve() -> None:
        server = make_server(cast(AsgiApp, WSGIMiddleware(cast(Any, app), workers=THREADS)), tls=None)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: setattr(server, "should_exit", True))
        with listening(Endpoint("127.0.0.1", port), setting="bench") as sockets:
            await server.serve(sockets=sockets)

    asyncio.run(serve())


@contextmanager
def bare_server() -> Iterator[str]:
    port = free_port()
    code = f"from tests.bench.bench_pages import serve_bare; serve_bare({port})"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        url = f"http://127.0.0.1:{port}/"
        until(lambda: _answers(url))
        yield url
    finally:
        child.terminate()
        child.wait()


def _answers(url: str) -> bool:
    try:
        return Desk(url).get("/").status == 200
    except OSError:
        return False


def requests_per_s(url: str, cookie: str = "") -> tuple[float, str]:
    """What wrk measured, and the p99 it saw."""
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-H", f"Cookie: {cookie}", url]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    rate, p99 = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"99%\s+(\S+)", said)
    assert rate
    assert p99
    return float(rate[1]), p99[1]


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("needs wrk: make test-deps")
    with tempfile.TemporaryDirectory() as folder, running_node(Path(folder) / "node") as node, bare_server() as bare:
        desk = Desk(node.url)
        desk.sign_in("zhoumin", node.passwords()["zhoumin"])
        for number in range(WAITING):
            assert desk.register(f"候诊{number}", phone_number(number)).status == 302
        cookie = desk.cookie()
        pages = {"/reception": [], "/patients": [], "/posture": []}  # type: dict[str, list[float]]
        bares: list[float] = []
        p99 = {}
        for _ in range(ROUNDS):
            rate, _p = requests_per_s(bare)
            bares.append(rate)
            for path, rates in pages.items():
                rate, p99[path] = requests_per_s(node.url + path, cookie)
                rates.append(rate / bares[-1])
        print(f"bare page: {statistics.median(bares):.0f} requests/s (median of {ROUNDS}, {CONNECTIONS} connections)")
        print(f"{'page':<14}{'ratio min':>10}{'median':>9}{'max':>7}   p99")
        for path, ratios in pages.items():
            print(
                f"{path:<14}{min(ratios):>10.2f}{statistics.median(ratios):>9.2f}{max(ratios):>7.2f}   {p99[path]}"
                f"   (goal: at least {GOAL})"
            )


if __name__ == "__main__":
    main()
