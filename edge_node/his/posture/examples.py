"""What the line looks like in each posture, so that nobody sees one for the first time in a bad moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_node.base.clock import ClockState, utc_text
from edge_node.base.files import ServiceStatus
from edge_node.his.posture.rules import Line, line
from edge_node.i18n import Text, text
from edge_node.status import NO_OUTBOX, NO_REPLICA, Mode, NodeStatus, Posture, Reason, ServiceState, Watch

_BEGUN_MS, _NOW_MS = 1_795_396_860_000, 1_795_399_140_000


def _row(name: str, preferred: int, **changes: Any) -> Mapping[str, Any]:
    up = {"code": "answers", "args": {}}
    return {"name": name, "carrier": None, "preferred": preferred, "verdict": "up", "active": False, "rtt_s": 0.004,
            "reason": up, **changes}  # fmt: skip


def _down(name: str, preferred: int) -> Mapping[str, Any]:
    silent = {"code": "silent", "args": {"silent_s": 1.0, "targets": 2}}
    return _row(name, preferred, verdict="down", rtt_s=None, reason=silent)


def _outbox(**changes: Any) -> Mapping[str, Any]:
    upstream = {"name": "platform", "queued": 0, "waiting": 0, "dead": 0, "oldest_queued_at": None, "paused": None}
    return {**NO_OUTBOX, "upstreams": [upstream], **changes}


def _copies(rpo_s: float, state: str) -> Mapping[str, Any]:
    rows = [{"name": "local", "state": "current", "rpo_s": 0.0}, {"name": "cloud", "state": state, "rpo_s": rpo_s}]
    return {**NO_REPLICA, "litestream": "running", "destinations": rows}


_ONLINE = NodeStatus(
    node_id="example", epoch=1, superseded_by=None, mode=Mode.ONLINE, mode_since=utc_text(_BEGUN_MS),
    mode_reason=Reason(code="first-line", args={"line": "telecom"}), posture=Posture.ONLINE, exercise=False,
    lines=(_row("telecom", 1, active=True), _row("unicom", 2)), replica=_copies(0.0, "current"), outbox=_outbox(),
    files={}, services={"links": ServiceState.OK, "replica": ServiceState.OK, "outbox": ServiceState.OK}, problems=(),
    clock=ClockState.SYNCED, disk_free_bytes=None, rpo_limits_s={}, watch=Watch(line="telecom", routed="telecom"),
)  # fmt: skip
_BACKUP = replace(
    _ONLINE, posture=Posture.BACKUP, mode=Mode.BACKUP, watch=Watch(line="unicom", routed="unicom"),
    mode_reason=Reason(code="line-down", args={"line": "telecom", "cause": "silent"}),
    lines=(_down("telecom", 1), _row("unicom", 2, active=True)), outbox=_outbox(queued=3),
)  # fmt: skip
_OFFLINE = replace(
    _ONLINE, posture=Posture.OFFLINE, mode=Mode.OFFLINE, watch=Watch(routed="telecom"),
    mode_reason=Reason(code="every-line-down"), lines=(_down("telecom", 1), _down("unicom", 2)),
    outbox=_outbox(queued=37, oldest_queued_at=utc_text(_BEGUN_MS + 60_000)), replica=_copies(2280.0, "unreachable"),
)  # fmt: skip
_RECOVERING = replace(
    _ONLINE, posture=Posture.RECOVERING, mode_since=utc_text(_NOW_MS - 45_000), replica=_copies(12.0, "behind"),
    mode_reason=Reason(code="back-online", args={"line": "telecom", "alive_s": 10.0}),
    outbox=_outbox(queued=144, since_outage=412, last_delivered_at=utc_text(_NOW_MS)),
)  # fmt: skip
_UNKNOWN = replace(
    _ONLINE, posture=Posture.UNKNOWN, services={**_ONLINE.services, "links": ServiceState.STALE},
    outbox=_outbox(queued=5), files={
        "links": ServiceStatus(
            service="links", pid=0, boot_id="", started_at=utc_text(_BEGUN_MS), written_at=utc_text(_NOW_MS - 240_000),
            boottime=0.0, every_s=1.0, stopped=False, state={},
        )
    },
)  # fmt: skip

_SITUATIONS = (
    (text("Online: quiet, one row"), _ONLINE),
    (text("Backup line: everything works, you are only told"), _BACKUP),
    (text("Offline: dark, with a second row on what goes on and what waits"), _OFFLINE),
    (text("Recovering: a line is back; green only when everything has left"), _RECOVERING),
    (text("Unknown: stripes; nobody knows, which does not mean that it is broken"), _UNKNOWN),
    (text("Exercise: a flag before the name, a frame round the page"), replace(_ONLINE, exercise=True)),
)


def samples() -> list[tuple[Text, Line]]:
    """One of each, with what is typical of it."""
    return [(words, line(status, _NOW_MS)) for words, status in _SITUATIONS]
