"""The status files of all services read into one NodeStatus; what `status`, the pages and the monitor show.

The shape of `as_json` is the contract's, section 2. No patient data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_node import __version__
from edge_node.base.clock import Clock, ClockState, boot_id, clock_state, kernel_synchronised, parse_utc
from edge_node.base.errors import ExitCode
from edge_node.base.files import ServiceStatus, disk_free_bytes, read_status
from edge_node.config.schema import Config

# The services that exist; the list grows with the program.
SERVICES = ("links", "his", "replica", "outbox", "monitor")
# Below this a database soon cannot be written; the alert and `status` use the same figure.
DISK_FREE_FLOOR_BYTES = 256 * 1024 * 1024


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """The whole node at one moment. `files` holds each service's status file as read, None where there is none."""

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
            "mode": {"name": self.mode, "since": self.mode_since, "reason": _reason(self.mode_reason)},
            "posture": {"name": self.posture, "exercise": self.exercise},
            "lines": [dict(line) for line in self.lines],
            "replica": dict(self.replica),
            "outbox": dict(self.outbox),
            "services": [
                {"name": name, "state": state, "written_at": file.written_at if (file := self.files[name]) else None}
                for name, state in self.services.items()
            ],
            "problems": [_reason(problem) for problem in self.problems],
        }

    def exit_code(self) -> ExitCode:
        """0 when the node is healthy, else the first that applies of data (4), replica (5), lines (6)."""
        codes = {PROBLEM_EXITS.get(problem.code, ExitCode.DATA) for problem in self.problems}
        return min(codes, default=ExitCode.DONE)


# Every problem that a NodeStatus can name, and the exit code of `status` that it leads to.
PROBLEM_EXITS: Mapping[str, ExitCode] = {
    "service-stale": ExitCode.DATA,
    "service-stopped": ExitCode.DATA,
    "clock-suspect": ExitCode.DATA,
    "disk-low": ExitCode.DATA,
    "his-cannot-write": ExitCode.DATA,
    "litestream-down": ExitCode.REPLICA,
    "destination-unreachable": ExitCode.REPLICA,
    "destination-refused": ExitCode.REPLICA,
    "rpo-exceeded": ExitCode.REPLICA,
    "replica-set-back": ExitCode.REPLICA,
    "epoch-taken": ExitCode.REPLICA,
}

NO_REPLICA: Mapping[str, Any] = {"litestream": "stopped", "txid": 0, "captured_at": None, "destinations": []}
NO_OUTBOX: Mapping[str, Any] = {
    "queued": 0,
    "waiting": 0,
    "dead": 0,
    "oldest_queued_at": None,
    "paused_upstreams": [],
}


def _reason(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code, "args": dict(reason.args)}


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


def judge(
    *,
    node_id: str,
    files: Mapping[str, ServiceStatus | None],
    rpo_limits_s: Mapping[str, float],
    now: float,
    wall_ms: int,
    this_boot: str,
    synchronised: bool | None,
    disk_free_bytes: int | None,
) -> NodeStatus:
    """Status files and the time in, the whole node out; pure. `now` is boot time in seconds."""
    services = {name: _service_state(file, now, this_boot) for name, file in files.items()}
    newest = max(
        (parse_utc(file.written_at) for file in files.values() if file and file.boot_id != this_boot), default=None
    )
    clock = clock_state(wall_ms, synchronised=synchronised, newest_record_ms=newest)
    replica_file = files.get("replica")
    replica = _replica(replica_file, fresh=services.get("replica") is ServiceState.OK)
    problems = [
        *(
            Reason(code=f"service-{state}", args={"service": name})
            for name, state in services.items()
            if state is not ServiceState.OK
        ),
        *([Reason(code="clock-suspect", args={"wall_ms": wall_ms})] if clock is ClockState.SUSPECT else []),
        *_disk_problems(disk_free_bytes),
        *_his_problems(files.get("his")),
        *(_replica_problems(replica_file, rpo_limits_s) if services.get("replica") is ServiceState.OK else []),
    ]
    return NodeStatus(
        node_id=node_id,
        epoch=int(replica_file.state.get("epoch", 1)) if replica_file else 1,
        superseded_by=replica_file.state.get("superseded_by") if replica_file else None,
        mode=Mode.ONLINE,
        mode_since=min((file.started_at for file in files.values() if file), default=None),
        mode_reason=Reason(code="no-lines"),
        posture=Posture.ONLINE,
        exercise=False,
        lines=(),
        replica=replica,
        outbox=NO_OUTBOX,
        files=files,
        services=services,
        problems=problems,
        clock=clock,
        disk_free_bytes=disk_free_bytes,
        rpo_limits_s=rpo_limits_s,
    )


def _service_state(file: ServiceStatus | None, now: float, this_boot: str) -> ServiceState:
    if file is None or file.stopped:
        return ServiceState.STOPPED
    return ServiceState.STALE if file.is_stale(now, this_boot=this_boot) else ServiceState.OK


def _replica(file: ServiceStatus | None, *, fresh: bool) -> Mapping[str, Any]:
    if file is None:
        return NO_REPLICA
    known = {key: file.state.get(key, default) for key, default in NO_REPLICA.items()}
    # What a service that is gone said last is evidence, not the present: it is not running, whatever it wrote.
    return known if fresh else {**known, "litestream": "stopped"}


def _disk_problems(free: int | None) -> list[Reason]:
    if free is None or free >= DISK_FREE_FLOOR_BYTES:
        return []
    return [Reason(code="disk-low", args={"free_bytes": free, "floor_bytes": DISK_FREE_FLOOR_BYTES})]


def _his_problems(file: ServiceStatus | None) -> list[Reason]:
    if file is None or file.state.get("writable", True):
        return []
    return [Reason(code="his-cannot-write", args={"why": file.state.get("write_error", "")})]


def _replica_problems(file: ServiceStatus | None, rpo_limits_s: Mapping[str, float]) -> list[Reason]:
    # During an upgrade the file may be another version's: a replicator that does not say that it captures does not.
    state = {**NO_REPLICA, **(file.state if file else {})}
    problems = [Reason(code=problem["code"], args=problem.get("args", {})) for problem in state.get("problems", ())]
    if state["litestream"] != "running":
        problems.append(Reason(code="litestream-down", args={"state": state["litestream"]}))
    for destination in state["destinations"]:
        name, copy, rpo = destination["name"], destination["state"], destination.get("rpo_s")
        if copy in ("unreachable", "refused"):
            problems.append(Reason(code=f"destination-{copy}", args={"destination": name}))
        elif rpo is not None and rpo > rpo_limits_s.get(name, float("inf")):
            problems.append(
                Reason(code="rpo-exceeded", args={"destination": name, "rpo_s": rpo, "limit_s": rpo_limits_s[name]})
            )
    return problems
