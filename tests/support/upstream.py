"""UpstreamSimulator: a receiver of messages on loopback that keeps what it gets, and fails as it is told to.

with upstream_simulator() as upstream:
    upstream.fail(3, status=503)          # the next three answers
    upstream.lose(1)                      # the next one is kept, and its answer lost
    upstream.judge = lambda got: 422 if got.document["version"] == 7 else None

As a process, for measurements: `python -m tests.support.upstream`; it prints its port and, at its end, what it kept.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came; `at` is monotonic."""

    id: str
    topic: str
    node: str
    token: str | None
    path: str
    body: bytes
    at: float
    headers: dict[str, str]

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def key(self) -> str:
        """Whose message it is: the patient."""
        return str(self.document["patient"]["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """What becomes of one request. `keeps`: it was taken before the answer went wrong."""

    status: int | None = None
    keeps: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    hangs: bool = False


@dataclass
class UpstreamSimulator:
    """`kept` holds the first of each id in order of arrival, `arrivals` every request with a sound body."""

    kept: dict[str, Received] = field(default_factory=dict)
    arrivals: list[Received] = field(default_factory=list)
    unsound: list[str] = field(default_factory=list)
    judge: Callable[[Received], int | None] = lambda got: None
    token: str | None = None
    delay_s: float = 0.0
    port: int = 0
    connections: int = 0
    under_way: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    overlaps: list[str] = field(default_factory=list)
    _faults: deque[_Fault] = field(default_factory=deque)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/messages"

    def fail(self, times: int, *, status: int, **headers: str) -> None:
        """The next so many requests are answered like this, and not kept."""
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        self._faults.extend([_Fault(status=status, headers=named)] * times)

    def lose(self, times: int) -> None:
        """The next so many requests are kept, and the connection is closed without an answer."""
        self._faults.extend([_Fault(keeps=True)] * times)

    def drop(self, times: int) -> None:
        """The next so many requests are neither kept nor answered: the connection is closed."""
        self._faults.extend([_Fault()] * times)

    def hang(self, times: int) -> None:
        """The next so many requests are kept and never answered; the connection stays open."""
        self._faults.extend([_Fault(keeps=True, hangs=True)] * times)

    def attempts_of(self, message_id: str) -> int:
        return sum(got.id == message_id for got in self.arrivals)

    def order_by_key(self) -> dict[str, list[str]]:
        """The ids in order of their first arrival, by patient."""
        found: dict[str, list[str]] = {}
        for got in self.kept.values():
            found.setdefault(got.key, []).append(got.id)
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        self._writers.add(writer)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self._answer(head[0].split()[1], headers, body, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        got = Received(
            id=headers.get("idempotency-key", ""), topic=headers.get("edge-topic", ""),
            node=headers.get("edge-node", ""), path=path, body=body, at=time.monotonic(), headers=headers,
            token=headers["authorization"].removeprefix("Bearer ") if "authorization" in headers else None,
        )  # fmt: skip
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        if headers.get("content-digest") != f"sha-256=:{digest}:" or not got.id:
            self.unsound.append(got.id)
        self.arrivals.append(got)
        key = got.key
        self.under_way[key] += 1
        if self.under_way[key] > 1:
            self.overlaps.append(key)
        self.most_at_once = max(self.most_at_once, self.under_way.total())
        try:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
        finally:
            self.under_way[key] -= 1
        fault = self._faults.popleft() if self._faults else None
        if fault is not None:
            if fault.keeps:
                self.kept.setdefault(got.id, got)
            if fault.hangs:
                await asyncio.sleep(3600)
            if fault.status is None:
                return False
            return await self._say(writer, fault.status, fault.headers)
        status = 401 if self.token is not None and got.token != self.token else self.judge(got)
        if status is None:
            self.kept.setdefault(got.id, got)
            status = 200
        return await self._say(writer, status)

    async def _say(self, writer: asyncio.StreamWriter, status: int, headers: tuple[tuple[str, str], ...] = ()) -> bool:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 2\r\n{lines}\r\n{{}}".encode())
        await writer.drain()
        return True

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()


@contextlib.contextmanager
def upstream_simulator(*, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[UpstreamSimulator]:
    """A simulator that answers from a thread of its own until the block ends."""
    simulator = UpstreamSimulator()
    loop = asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(simulator.serve, "127.0.0.1", port, ssl=tls, limit=2**20)
        simulator.port = server.sockets[0].getsockname()[1]
        ready.set()
        await end.wait()
        server.close()
        simulator.hang_up()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def run() -> None:
        try:
            loop.run_until_complete(main())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10)
        assert simulator.port, "the port could not be had"
        yield simulator
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(end.set)
        thread.join(10)


def main() -> None:
    """Serve until standard input ends; then say what was kept."""
    with upstream_simulator() as upstream:
        print(upstream.port, flush=True)
        sys.stdin.read()
        said = {
            "kept": len(upstream.kept),
            "arrivals": len(upstream.arrivals),
            "unsound": len(upstream.unsound),
            "overlaps": len(upstream.overlaps),
            "first_at": upstream.arrivals[0].at if upstream.arrivals else None,
            "last_at": upstream.arrivals[-1].at if upstream.arrivals else None,
        }
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
