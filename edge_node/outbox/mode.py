"""What the watcher of the lines says of the mode: a hint, since delivery is the truth."""

from __future__ import annotations

from collections.abc import Mapping

from edge_node.base.files import ServiceStatus
from edge_node.status import Mode


def is_offline(file: ServiceStatus | None, *, now: float, this_boot: str) -> bool:
    """Is the node known to be offline? A watcher that is gone, stale or odd says nothing: messages go as usual."""
    if file is None or file.stopped or file.is_stale(now, this_boot=this_boot):
        return False
    mode = file.state.get("mode")
    return isinstance(mode, Mapping) and mode.get("name") == Mode.OFFLINE
