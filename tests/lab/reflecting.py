"""The far end of STAMP in the laboratory's cloud: the real reflector, and one that answers whatever a test likes."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from failover.probes.stamp_packet import PORT
from tests.lab.namespace import Namespace
from tests.lab.topology import LINES, ROOT, TARGETS
from tests.support.waiting import until

TARGET = TARGETS[0]


@contextmanager
def reflector(cloud: Namespace, log: Path, *options: str, address: str = TARGET) -> Iterator[subprocess.Popen[bytes]]:
    """The real one, as its unit starts it. In force when this begins; ended by SIGTERM, orderly."""
    allow = [word for line in LINES for word in ("--allow", line.prefixes[0])]
    argv = [sys.executable, "-m", "edge_node", "reflector", "--listen", f"{address}:{PORT}", *allow, *options]
    with log.open("ab") as said:
        child = cloud.popen(*argv, stderr=said, cwd=ROOT)
    try:
        until(lambda: f"{address}:{PORT}" in cloud.run("ss", "-Hlun").stdout or child.poll() is not None)
        assert child.poll() is None, log.read_text()
        yield child
        assert child.poll() is None, log.read_text()
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=10)
    assert child.returncode == 0, log.read_text()


@contextmanager
def impostor(
    cloud: Namespace, answer: Callable[[bytes], bytes], *, answers_from: str = TARGET
) -> Iterator[Callable[[], int]]:
    """Somebody else on the reflector's port, who answers each question as told; how many it has answered."""
    count, over = 0, threading.Event()
    with cloud.socket(socket.SOCK_DGRAM) as heard, cloud.socket(socket.SOCK_DGRAM) as other:
        heard.bind((TARGET, PORT))
        says = heard
        if answers_from != TARGET:
            other.bind((answers_from, PORT))
            says = other

        def run() -> None:
            nonlocal count
            while not over.is_set():
                if select.select([heard], [], [], 0.05)[0]:
                    data, source = heard.recvfrom(9100)
                    says.sendto(answer(data), source)
                    count += 1

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield lambda: count
        finally:
            over.set()
            thread.join()
