"""The configuration turned into what every service and command asks for: the whole node's status, now."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edge_node.base.clock import Clock, kernel_synchronised
from edge_node.config.schema import Config
from edge_node.status import NodeStatus, read_node_status


def status_reader(config: Config, clock: Clock) -> Callable[[], NodeStatus]:
    """A function that reads every status file when it is called."""
    limits = {destination.name: destination.rpo_limit_s for destination in config.replica.destinations}

    def read() -> NodeStatus:
        return read_node_status(
            node_id=config.node.id,
            run_dir=config.node.run_dir,
            state_dir=config.node.state_dir,
            rpo_limits_s=limits,
            clock=clock,
            synchronised=kernel_synchronised(),
            disk_free=disk_free_bytes,
        )

    return read


def disk_free_bytes(path: Path) -> int | None:
    """Bytes that an ordinary user may still write on the file system of `path`; None where it cannot be asked."""
    try:
        room = os.statvfs(path)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize
