"""The status files of all services read into one NodeStatus; what `status`, the pages and the monitor show.

`model` is the value, `judge` makes it (pure) from files that `read` reads; `lines`, `outbox` and `posture` are parts of
that. The shape of `NodeStatus.as_json` is the contract's, section 2. No patient data.
"""

from edge_node.status.judge import DISK_FREE_FLOOR_BYTES, judge
from edge_node.status.model import (
    NO_OUTBOX,
    NO_REPLICA,
    PROBLEM_EXITS,
    SERVICES,
    Mode,
    NodeStatus,
    Posture,
    Reason,
    ServiceState,
    Watch,
)
from edge_node.status.read import read_node_status, status_reader

__all__ = [
    "DISK_FREE_FLOOR_BYTES",
    "NO_OUTBOX",
    "NO_REPLICA",
    "PROBLEM_EXITS",
    "SERVICES",
    "Mode",
    "NodeStatus",
    "Posture",
    "Reason",
    "ServiceState",
    "Watch",
    "judge",
    "read_node_status",
    "status_reader",
]
