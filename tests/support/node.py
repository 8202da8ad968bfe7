"""A real node: `edge-node up` on a folder of the test, watched from outside as an operator would."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.waiting import until

# Some seconds on a quiet machine.
STARTS_WITHIN_S = 90.0
# The contract allows ten seconds; the rest is for a loaded machine that is slow to notice.
STOPS_WITHIN_S = 12.0


def free_port() -> int:
    """A port whose next one is free as well (pages and metrics).

    Below those that the kernel gives to outgoing connections, and drawn by lot: tests that run at the same time, and
    their browsers, must not take it before the node does.
    """
    for _ in range(50):
        port = random.SystemRandom().randrange(12_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("no two free ports beside each other")


def edge_node(
    *arguments: str, home: Path, check: bool = False, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """One command on the node's folder."""
    argv = [sys.executable, "-m", "edge_node", *arguments, "--home", str(home)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=check)


def processes_of(home: Path) -> dict[int, str]:
    """Every living process whose command line names this folder (our services) or that works in it (Litestream)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command and (str(home) in command or (entry / "cwd").readlink().is_relative_to(home)):
                    found[int(entry.name)] = command.strip()
    return found


class RunningNode:
    """`edge-node up --home HOME --port PORT` as a child; `output` is what it printed so far."""

    def __init__(self, home: Path, port: int | None = None) -> None:
        self.home = home
        self.port = port or free_port()
        self.log = home.parent / f"{home.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        already = len(self.output)
        argv = [sys.executable, "-m", "edge_node", "up", "--home", str(self.home), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until(lambda: "ready; Ctrl-C" in self.output[already:] or self._ended(), within_s=STARTS_WITHIN_S)
        assert not self._ended(), f"edge-node up ended with {self._process.returncode}:\n{self.output}"

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Ask it to stop and wait; returns how many seconds that took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(number)
        self._process.wait(timeout=STOPS_WITHIN_S)
        return time.monotonic() - began

    def kill_whatever_is_left(self) -> None:
        for pid in processes_of(self.home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pid_of(self, part: str) -> int | None:
        """The pid of `his`, `replica`, `monitor` or `litestream`; None while it does not run."""
        sign = "litestream replicate" if part == "litestream" else f"edge_node run {part} "
        return next((pid for pid, command in processes_of(self.home).items() if sign in command), None)

    def passwords(self) -> dict[str, str]:
        """The first passwords that the first start printed, by code."""
        return dict(re.findall(r"^  (\w+) +([a-z2-9]{4}(?:-[a-z2-9]{4}){2}) ", self.output, flags=re.MULTILINE))

    def recovery_identity(self) -> str:
        found = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", self.output)
        assert found, self.output
        return found[0]

    def status(self) -> dict[str, Any]:
        return dict(json.loads(edge_node("status", "--json", home=self.home).stdout))


@contextlib.contextmanager
def running_node(home: Path, port: int | None = None) -> Iterator[RunningNode]:
    """A node that has started; nothing of it is left afterwards, also when the test fails."""
    node = RunningNode(home, port)
    try:
        node.start()
        yield node
    finally:
        node.kill_whatever_is_left()
