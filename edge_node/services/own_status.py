"""A service's own status file, written also where the disk is full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock
from edge_node.base.files import StatusFile
from edge_node.base.logs import Repeated, event


class OwnStatus:
    """What the service says of itself. A full disk may hold the file (with --home): a reason to go on, not to die."""

    def __init__(self, run_dir: Path, service: str, clock: Clock, *, every_s: float) -> None:
        self._file = StatusFile(run_dir, service, every_s=every_s)
        self._clock = clock
        self._failing = Repeated()

    def write(self, state: Mapping[str, Any], *, stopped: bool = False) -> None:
        """Write the state now, or log that it could not be written; the file that is there then grows stale."""
        try:
            self._file.write(state, self._clock, stopped=stopped)
        except OSError as error:
            if self._failing.failed():
                event("status_not_written", level="warning", error=error, times=self._failing.count)
        else:
            if times := self._failing.recovered():
                event("status_written_again", failed=times)
