"""The HIS as a process of its own that times every request inside the server, beside a bare page of the same server.

    python -m tests.support.timed_his --home HOME --port PORT --out FILE

The bare page is a Flask view that returns a word, over an a2wsgi of its own with as many threads as the clinic's pages
have: what any page of this server costs at least, with the same neighbours. A request's time runs from when uvicorn has
its head until its last byte is handed on. At SIGTERM the times are written.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from edge_node.base.clock import SystemClock
from edge_node.config.load import load
from edge_node.config.values import Endpoint
from edge_node.services import his as service
from edge_node.services.web_server import AsgiApp, Message, Receive, Send
from edge_node.services.web_turns import run_until_signal
from edge_node.simulation.browser import kind
from tests.support.his_alone import HisAlone

BARE = "/bare"
BARE_KIND = f"GET {BARE}"


class Timed:
    """Around the application; `seconds` by the kind of request."""

    def __init__(self, app: AsgiApp) -> None:
        self._app, self._bare = app, _bare()
        self.seconds: dict[str, list[float]] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        app = self._bare if scope.get("path") == BARE else self._app
        await app(scope, receive, send)
        if scope["type"] == "http":
            of_kind = kind(scope["method"], scope["path"])
            self.seconds.setdefault(of_kind, []).append(time.perf_counter() - began)


def _bare() -> AsgiApp:
    from a2wsgi import WSGIMiddleware
    from flask import Flask

    app = Flask(__name__)
    app.add_url_rule(BARE, view_func=lambda: "hello")
    return cast(AsgiApp, WSGIMiddleware(cast(Any, app), workers=service.THREADS))


class TimedHis(HisAlone):
    """`stop()` it, then `seconds()` tells how long each request took inside it."""

    def _argv(self) -> list[str]:
        argv = [sys.executable, "-m", "tests.support.timed_his", "--home", str(self.home), "--port", str(self.port)]
        return [*argv, "--out", str(self._out)]

    @property
    def _out(self) -> Path:
        return self.home.parent / f"{self.home.name}.seconds.json"

    def seconds(self) -> dict[str, list[float]]:
        """By the kind of request; the process has stopped."""
        return cast(dict[str, list[float]], json.loads(self._out.read_bytes()))


@contextlib.contextmanager
def timed_his(home: Path, *, prepare: Callable[[Path], None] | None = None) -> Iterator[TimedHis]:
    """One that answers; nothing of it is left afterwards, also when the test fails."""
    node = TimedHis(home)
    node.prepare = prepare
    try:
        node.start()
        yield node
    finally:
        node.kill_whatever_is_left()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    config = load(given.home / "edge-node.toml", home=given.home)
    listen = Endpoint("127.0.0.1", given.port)
    config = config.model_copy(update={"his": config.his.model_copy(update={"listen": listen})})
    timed: list[Timed] = []

    def around(app: AsgiApp) -> AsgiApp:
        timed.append(Timed(app))
        return timed[0]

    async def serve(stop: asyncio.Event) -> None:
        await service.serve(config, SystemClock(), stop, around=around)

    service._allow_many_connections()
    sys.setswitchinterval(service.SWITCH_S)
    run_until_signal(serve)
    given.out.write_text(json.dumps(timed[0].seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
