"""All services in the foreground, for one machine without systemd and for trying the node.

systemd supervises a real installation; this restarts a child that ends, and stops all of them in the right order: who
writes first, the replicator last, so that what was written last is still copied.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_node.base.clock import Clock
from edge_node.base.errors import ExitCode
from edge_node.base.logs import event
from edge_node.base.process import PARENT_VARIABLE, clean_environment, ended, stop
from edge_node.base.retry import backoff_s

# A mistake that only a person can mend: restarting would repeat it (contract, exit codes).
NOT_RESTARTED = (ExitCode.USAGE, ExitCode.CONFIG, ExitCode.DATA)
# Writers stop first and share one grace; the replicator gets the rest of the ten seconds that the contract allows.
WRITERS_GRACE_S = 2.5
REPLICATOR_GRACE_S = 7.0
# Staff wait at the desk meanwhile, and a start takes a second: no longer than that between two tries.
RESTART_BASE_S, RESTART_CAP_S = 0.25, 1.0
# A child that ran this long has not failed at starting: its next restart is quick again.
SETTLED_S = 30.0
TURN_S = 0.1


@dataclass(slots=True)
class Child:
    """One service as a child process."""

    name: str
    argv: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = 0.0
    restart_at: float = 0.0

    def start(self, now: float, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, env=dict(env), process_group=0)
        self.started_at = now

    def ended(self, now: float) -> int | None:
        """Its return code if it has just ended; plans the restart."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.process = None
        self.failures = 1 if now - self.started_at > SETTLED_S else self.failures + 1
        self.restart_at = now + backoff_s(self.failures, base_s=RESTART_BASE_S, cap_s=RESTART_CAP_S, jitter=0.5)
        return code


@dataclass(slots=True)
class Foreground:
    """Runs the services of `names` until a signal; `arguments` are those of the services' own command lines."""

    arguments: Mapping[str, Sequence[str]]
    clock: Clock
    on_ready: Callable[[], None]
    is_ready: Callable[[], bool]
    _children: list[Child] = field(default_factory=list)
    _stopping: bool = False

    def run(self) -> int:
        """Returns the exit code: 0 after a signal, else that of a service that only a person can mend."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        env = {**clean_environment(), **_kept_environment(), PARENT_VARIABLE: str(os.getpid())}
        self._children = [
            Child(name=name, argv=(sys.executable, "-m", "edge_node", "run", name, *arguments))
            for name, arguments in self.arguments.items()
        ]
        try:
            return self._turns(env)
        finally:
            self._stop_all()

    def _turns(self, env: Mapping[str, str]) -> int:
        told = False
        while not self._stopping:
            now = self.clock.boottime()
            for child in self._children:
                code = child.ended(now)
                if code is not None:
                    event("service_ended", level="warning", service=child.name, how=ended(code))
                    if code in NOT_RESTARTED:
                        return code
                if child.process is None and now >= child.restart_at:
                    child.start(now, env)
            if not told and self.is_ready():
                told = True
                self.on_ready()
            time.sleep(TURN_S)
        return ExitCode.DONE

    def _ask_to_stop(self, *_: object) -> None:
        self._stopping = True

    def _stop_all(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        running = [child for child in self._children if child.process is not None]
        writers = [child for child in running if child.name != "replica"]
        for child in writers:
            assert child.process is not None
            child.process.terminate()
        deadline = time.monotonic() + WRITERS_GRACE_S
        for child in writers:
            assert child.process is not None
            stop(child.process, grace_s=max(0.0, deadline - time.monotonic()))
        for child in running:
            if child.name == "replica" and child.process is not None:
                stop(child.process, grace_s=REPLICATOR_GRACE_S)


def _kept_environment() -> dict[str, str]:
    """What of the caller's environment the services may see: where they look for secrets and how Python behaves."""
    prefixes = ("PYTHON", "CREDENTIALS_DIRECTORY", "HOME", "TZ", "EDGE_", "SSL_CERT_FILE")
    return {key: value for key, value in os.environ.items() if key.startswith(prefixes)}
