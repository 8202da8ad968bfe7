"""Every status file of this node, read now and judged together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edge_node.base.clock import Clock, boot_id, kernel_synchronised
from edge_node.base.files import disk_free_bytes, read_status
from edge_node.config.schema import Config
from edge_node.status.judge import judge
from edge_node.status.model import SERVICES, NodeStatus


def status_reader(config: Config, clock: Clock) -> Callable[[], NodeStatus]:
    """A function that reads every status file of this node when it is called."""
    limits = {destination.name: destination.rpo_limit_s for destination in config.replica.destination}

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


def read_node_status(
    *,
    node_id: str,
    run_dir: Path,
    state_dir: Path,
    rpo_limits_s: Mapping[str, float],
    clock: Clock,
    synchronised: bool | None,
    disk_free: Callable[[Path], int | None],
) -> NodeStatus:
    """Read every status file now and judge them together."""
    files = {name: read_status(run_dir, name) for name in SERVICES}
    free = disk_free(state_dir)
    return judge(
        node_id=node_id,
        files=files,
        rpo_limits_s=rpo_limits_s,
        now=clock.boottime(),
        wall_ms=clock.wall_ms(),
        this_boot=boot_id(),
        synchronised=synchronised,
        disk_free_bytes=free,
    )
