"""Whether the interfaces of the lines are on this machine: what the watcher says at its start, and `doctor`."""

from __future__ import annotations

from pathlib import Path

from edge_node.base.errors import Problem
from edge_node.config.schema import Config

SYSTEM = Path("/sys/class/net")


def absent_interfaces(config: Config, *, system: Path = SYSTEM) -> list[Problem]:
    """A problem for each line whose interface is not there now.

    The watcher starts all the same: a modem may be plugged in later, and the other lines must be watched meanwhile.
    """
    have = ", ".join(sorted(path.name for path in system.iterdir() if path.name != "lo")) or "none"
    return [
        Problem(
            path=f"line[{i}].interface",
            text=f"there is no interface {line.interface} for line {line.name}; this machine has: {have}",
        )
        for i, line in enumerate(config.line)
        if not (system / line.interface).exists()
    ]
