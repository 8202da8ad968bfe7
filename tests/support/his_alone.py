"""The HIS alone as a real process, and beside it status files that the test writes in the name of the other services.

No line, no replicator and no outbox run: what they would say is the test's to say, at once and exactly.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_node.base.clock import SystemClock
from edge_node.base.files import StatusFile
from tests.support.node import RunningNode, edge_node
from tests.support.waiting import until

# A word of the test is believed for three times this, far longer than a test takes.
BELIEVED_S = 600.0


class HisAlone(RunningNode):
    """`edge-node run his` on a training clinic; `says` writes another service's status file.

    `prepare` is given the folder of the new clinic before the HIS starts: what is written there, it finds.
    """

    prepare: Callable[[Path], None] | None = None

    def start(self) -> None:
        made = edge_node("init", "--training", home=self.home, check=True)
        if self.prepare is not None:
            self.prepare(self.home)
        self.log.write_text(made.stdout + made.stderr, encoding="utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until(lambda: self.answers() or self._ended(), within_s=40)
        assert self.answers(), self.output

    def _argv(self) -> list[str]:
        argv = [sys.executable, "-m", "edge_node", "run", "his", "--home", str(self.home)]
        return [*argv, "--listen", f"127.0.0.1:{self.port}"]

    @property
    def pid(self) -> int:
        """Of the process that serves."""
        assert self._process is not None
        return self._process.pid

    def answers(self) -> bool:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def says(self, service: str, *, every_s: float = BELIEVED_S, stopped: bool = False, **state: Any) -> None:
        """Write a service's status file, as if it had just written it."""
        StatusFile(self.home / "run", service, every_s=every_s).write(state, SystemClock(), stopped=stopped)


@contextlib.contextmanager
def his_alone(home: Path, *, prepare: Callable[[Path], None] | None = None) -> Iterator[HisAlone]:
    """A HIS that answers; nothing of it is left afterwards, also when the test fails."""
    node = HisAlone(home)
    node.prepare = prepare
    try:
        node.start()
        yield node
    finally:
        node.kill_whatever_is_left()
