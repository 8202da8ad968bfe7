"""The platform's side of the outbox: takes messages, answers, and keeps what it got.

    python -m tests.lab.receiver --address 10.100.0.10 --port 8080 --out got.jsonl

A message is kept once, under its Idempotency-Key; the same key again is counted and answered as the first time. What
its Content-Digest does not match is refused. Every attempt is a line of --out.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TextIO

from tests.lab.cloud import is_listening
from tests.lab.namespace import Namespace
from tests.lab.topology import RECEIVER_ADDRESS, ROOT
from tests.support.waiting import until

PORT, PATH = 8080, "/messages"
URL = f"http://{RECEIVER_ADDRESS}:{PORT}{PATH}"
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One delivery as it arrived. `status` is what was answered; `again` when the key had been kept before."""

    at_s: float
    idempotency_key: str
    topic: str
    node: str
    digest_ok: bool | None
    again: bool
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Received:
    """What a receiver has kept, in order of arrival."""

    attempts: tuple[Attempt, ...]

    @property
    def kept(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.status < 300 and not attempt.again]

    @property
    def duplicates(self) -> int:
        """How often something that was kept already came again, as after a lost answer."""
        return sum(attempt.again and attempt.status < 300 for attempt in self.attempts)

    @property
    def refused(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.status >= 300]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A running receiver's file, readable at any time."""

    path: Path

    def received(self) -> Received:
        """Everything until now; a line that is being written is not there yet."""
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        return Received(tuple(Attempt(**json.loads(line)) for line in lines))


@contextlib.contextmanager
def receiver(space: Namespace, folder: Path, *, address: str = RECEIVER_ADDRESS) -> Iterator[Receiver]:
    """A receiver that listens in this namespace."""
    path = folder / "got.jsonl"
    with (folder / "receiver.log").open("ab") as log:
        child = space.popen(
            *(sys.executable, "-m", "tests.lab.receiver", "--address", address, "--port", str(PORT)),
            *("--out", str(path)), stdout=log, stderr=log, cwd=ROOT,
        )  # fmt: skip
    try:
        until(lambda: is_listening(space, address, PORT) or child.poll() is not None)
        assert child.poll() is None, (folder / "receiver.log").read_text()
        yield Receiver(path=path)
    finally:
        child.kill()
        child.wait()


class _Book:
    """What was kept, and the file that says so."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._kept: dict[str, str] = {}

    def take(self, headers: dict[str, str], body: str) -> Attempt:
        key = headers.get("idempotency-key", "")
        digest_ok = digest_matches(headers.get("content-digest"), body.encode())
        with self._lock:
            before = self._kept.get(key)
            status = 200
            if not key or digest_ok is False:
                status = 400
            elif before is not None and before != body:
                # The same key over something else: the sender has mixed two messages up.
                status = 422
            attempt = Attempt(
                at_s=time.monotonic(), idempotency_key=key, topic=headers.get("edge-topic", ""),
                node=headers.get("edge-node", ""), digest_ok=digest_ok, again=before is not None, status=status,
                body=body,
            )  # fmt: skip
            if status == 200:
                self._kept.setdefault(key, body)
            self._out.write(json.dumps(asdict(attempt), ensure_ascii=False) + "\n")
            self._out.flush()
            return attempt


def digest_matches(header: str | None, body: bytes) -> bool | None:
    """Does RFC 9530's Content-Digest fit? None where there is none."""
    if header is None:
        return None
    found = _DIGEST.search(header)
    return bool(found) and base64.b64decode(found[1]) == hashlib.sha256(body).digest() if found else False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    book: _Book

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path != PATH:
            return self._answer(404, {})
        attempt = self.book.take({name.lower(): value for name, value in self.headers.items()}, body)
        return self._answer(attempt.status, {"id": attempt.idempotency_key, "again": attempt.again})

    def _answer(self, status: int, document: dict[str, object]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The file says it all."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    with asked.out.open("a") as out:
        _Handler.book = _Book(out)
        ThreadingHTTPServer((asked.address, asked.port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
