"""The node as one value, and the closed sets that it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edge_node import __version__
from edge_node.base.clock import ClockState
from edge_node.base.errors import ExitCode
from edge_node.base.files import ServiceStatus

# The services that exist; the list grows with the program.
SERVICES = ("links", "his", "replica", "outbox", "monitor")


class ServiceState(StrEnum):
    OK = "ok"
    STALE = "stale"
    STOPPED = "stopped"


class Mode(StrEnum):
    """What the node does."""

    STARTING = "starting"
    ONLINE = "online"
    BACKUP = "backup"
    OFFLINE = "offline"


class Posture(StrEnum):
    """What staff are shown."""

    ONLINE = "online"
    BACKUP = "backup"
    OFFLINE = "offline"
    RECOVERING = "recovering"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is as it is: a code, and what its sentence needs."""

    code: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "args": dict(self.args)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the watcher of the lines does beside the mode; None is "not known".

    `line` is in use, `routed` is where the routes point (it stays when the node goes offline). `wait` is why nothing
    is done at the moment, `why_not` why no route may be set.
    """

    act: str | None = None
    may_route: bool | None = None
    why_not: Reason | None = None
    wait: Reason | None = None
    line: str | None = None
    routed: str | None = None
    troubles: Sequence[Reason] = ()
    orders: Sequence[Mapping[str, Any]] = ()


NO_REPLICA: Mapping[str, Any] = {"litestream": "stopped", "txid": 0, "captured_at": None, "destinations": []}
NO_OUTBOX: Mapping[str, Any] = {
    "queued": 0,
    "waiting": 0,
    "dead": 0,
    "held": 0,
    "oldest_queued_at": None,
    "paused_upstreams": [],
    "since_outage": 0,
    "last_delivered_at": None,
    "upstreams": [],
}

# Every problem that a NodeStatus can name by itself, and the exit code of `status` that it leads to; with DONE it is
# told in good time, and the node is healthy. What the services name in their files is passed on: of the lines 6, of
# the others 4 (see `exits` below).
PROBLEM_EXITS: Mapping[str, ExitCode] = {
    "service-stale": ExitCode.DATA,
    "service-stopped": ExitCode.DATA,
    "clock-suspect": ExitCode.DATA,
    "disk-low": ExitCode.DATA,
    "his-cannot-write": ExitCode.DATA,
    "certificate-expiring": ExitCode.DATA,
    "certificate-expired": ExitCode.DATA,
    "certificate-mismatch": ExitCode.DATA,
    "certificate-unusable": ExitCode.DATA,
    "outbox-dead": ExitCode.DATA,
    "upstream-paused": ExitCode.DATA,
    "litestream-down": ExitCode.REPLICA,
    "destination-unreachable": ExitCode.REPLICA,
    "destination-refused": ExitCode.REPLICA,
    "rpo-exceeded": ExitCode.REPLICA,
    "replica-set-back": ExitCode.REPLICA,
    "changes-left-behind": ExitCode.REPLICA,
    "replica-unreadable": ExitCode.REPLICA,
    "replica-broken": ExitCode.REPLICA,
    "replica-file-unsound": ExitCode.REPLICA,
    "epoch-taken": ExitCode.REPLICA,
    "replica-budget-filling": ExitCode.DONE,
    "replica-budget": ExitCode.REPLICA,
    "replica-disk-low": ExitCode.REPLICA,
    "replica-budget-stuck": ExitCode.REPLICA,
    "superseded": ExitCode.DATA,
    "superseded-tail": ExitCode.DATA,
    "superseded-tail-missing": ExitCode.DATA,
    "outbox-superseded": ExitCode.DATA,
    "conditional-puts-missing": ExitCode.REPLICA,
    "kit-incomplete": ExitCode.REPLICA,
    "audit-contradicted": ExitCode.DATA,
    "clock-set-ahead": ExitCode.DATA,
    "clock-set-back": ExitCode.DATA,
    "upgrade-unfinished": ExitCode.DONE,
    "upgrade-cut-off": ExitCode.DONE,
    "line-down": ExitCode.NETWORK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """The whole node at one moment.

    `files` holds each service's status file as read, None where there is none. While the watcher of the lines is not
    heard, `mode` is the last one known and `posture` is unknown. `outbox_is_known` is false while the outbox is not
    heard; its counts are then the last ones. `exits` are the exit codes of problems that only their service knows.
    """

    node_id: str
    epoch: int
    superseded_by: str | None
    mode: Mode
    mode_since: str | None
    mode_reason: Reason
    posture: Posture
    exercise: bool
    lines: Sequence[Mapping[str, Any]]
    replica: Mapping[str, Any]
    outbox: Mapping[str, Any]
    files: Mapping[str, ServiceStatus | None]
    services: Mapping[str, ServiceState]
    problems: Sequence[Reason]
    clock: ClockState
    disk_free_bytes: int | None
    rpo_limits_s: Mapping[str, float]
    watch: Watch = field(default_factory=Watch)
    outbox_is_known: bool = True
    exits: Mapping[str, ExitCode] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The document of `status --json` and `/api/status`."""
        return {
            "schema": 1,
            "node": {
                "id": self.node_id,
                "epoch": self.epoch,
                "superseded_by": self.superseded_by,
                "version": __version__,
            },
            "mode": {"name": self.mode, "since": self.mode_since, "reason": self.mode_reason.as_json()},
            "posture": {"name": self.posture, "exercise": self.exercise},
            "lines": [dict(line) for line in self.lines],
            "replica": dict(self.replica),
            "outbox": dict(self.outbox),
            "services": [
                {"name": name, "state": state, "written_at": file.written_at if (file := self.files[name]) else None}
                for name, state in self.services.items()
            ],
            "problems": [problem.as_json() for problem in self.problems],
        }

    def exit_code(self) -> ExitCode:
        """0 when the node is healthy, else the first that applies of data (4), replica (5), lines (6)."""
        known = {**self.exits, **PROBLEM_EXITS}
        codes = (known.get(problem.code, ExitCode.DATA) for problem in self.problems)
        return min((code for code in codes if code is not ExitCode.DONE), default=ExitCode.DONE)

    def why(self) -> Reason:
        """The reason of the mode; what it says of a line that is down is completed by that line's own figures."""
        reason, cause = self.mode_reason, self.mode_reason.args.get("cause")
        for line in self.lines:
            if isinstance(cause, str) and line["name"] == reason.args.get("line") and line["reason"]["code"] == cause:
                return Reason(code=reason.code, args={**reason.args, "cause": line["reason"]})
        return reason
