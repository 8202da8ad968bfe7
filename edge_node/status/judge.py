"""Status files and the time in, the whole node out; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_node.base.clock import ClockState, clock_state
from edge_node.base.errors import ExitCode
from edge_node.base.files import ServiceStatus
from edge_node.status import shapes
from edge_node.status.lines import LinesRead, read_links
from edge_node.status.model import NO_OUTBOX, NO_REPLICA, NodeStatus, Reason, ServiceState
from edge_node.status.outbox import outbox_problems, read_outbox
from edge_node.status.posture import judge_posture

# Below this a database soon cannot be written; the alert and `status` use the same figure.
DISK_FREE_FLOOR_BYTES = 256 * 1024 * 1024


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
    """`now` is boot time in seconds."""
    services = {name: _service_state(file, now, this_boot) for name, file in files.items()}
    is_ok = {name for name, state in services.items() if state is ServiceState.OK}
    written = [shapes.moment_ms(file.written_at) for file in files.values() if file and file.boot_id != this_boot]
    clock = clock_state(
        wall_ms, synchronised=synchronised, newest_record_ms=max((at for at in written if at is not None), default=None)
    )
    links = read_links(files.get("links"), fresh="links" in is_ok, this_boot=this_boot)
    outbox, outbox_file = read_outbox(files.get("outbox")), files.get("outbox")
    replica_file = files.get("replica")
    replica = _replica(replica_file, fresh="replica" in is_ok)
    superseded = _superseded(files)
    heard_outbox = outbox if "outbox" in is_ok else None
    own_problems = shapes.reasons(outbox_file.state.get("problems")) if outbox_file and "outbox" in is_ok else ()
    his_file = files.get("his")
    paged = shapes.reasons(his_file.state.get("problems")) if his_file and "his" in is_ok else ()
    monitor_file = files.get("monitor")
    monitored = shapes.reasons(monitor_file.state.get("problems")) if monitor_file and "monitor" in is_ok else ()
    problems = [
        *(
            Reason(code=f"service-{state}", args={"service": name})
            for name, state in services.items()
            if state is not ServiceState.OK
        ),
        *([Reason(code="clock-suspect", args={"wall_ms": wall_ms})] if clock is ClockState.SUSPECT else []),
        *_disk_problems(disk_free_bytes),
        *([superseded] if superseded else []),
        *(_his_problems(his_file) if superseded is None else []),
        *paged,
        *(outbox_problems(heard_outbox, own_problems) if heard_outbox else own_problems),
        *(_replica_problems(replica_file, replica, rpo_limits_s) if "replica" in is_ok else []),
        *_line_problems(links),
        *links.problems,
        *monitored,
    ]
    return NodeStatus(
        node_id=node_id,
        epoch=_epoch(replica_file),
        superseded_by=str(superseded.args["machine"]) if superseded else None,
        mode=links.mode,
        mode_since=links.since,
        mode_reason=links.reason,
        posture=judge_posture(
            links,
            outbox=outbox,
            destinations=replica["destinations"],
            destinations_at_ms=shapes.moment_ms(replica_file.written_at) if replica_file else None,
            wall_ms=wall_ms,
        ),
        exercise=False,
        lines=links.lines,
        replica=replica,
        outbox=outbox or NO_OUTBOX,
        files=files,
        services=services,
        problems=problems,
        clock=clock,
        disk_free_bytes=disk_free_bytes,
        rpo_limits_s=rpo_limits_s,
        watch=links.watch,
        outbox_is_known=heard_outbox is not None,
        exits={
            **{problem.code: ExitCode.DATA for problem in (*paged, *own_problems, *monitored)},
            **{problem.code: ExitCode.NETWORK for problem in links.problems},
        },
    )


def _service_state(file: ServiceStatus | None, now: float, this_boot: str) -> ServiceState:
    if file is None or file.stopped:
        return ServiceState.STOPPED
    return ServiceState.STALE if file.is_stale(now, this_boot=this_boot) else ServiceState.OK


def _superseded(files: Mapping[str, ServiceStatus | None]) -> Reason | None:
    """Was this machine replaced? For ever: what any service said last holds, however long ago."""
    for file in (files.get("replica"), files.get("his")):
        said = shapes.mapping(file.state.get("superseded")) if file else {}
        if by := shapes.words(said.get("by")):
            since, why = shapes.moment(said.get("claimed_at")), shapes.words(said.get("why"))
            args = {"machine": by, "epoch": shapes.count(said.get("epoch")) or 0, "since": since or "-"}
            return Reason(code="superseded", args={**args, "said": why} if why else args)
    return None


def _epoch(file: ServiceStatus | None) -> int:
    return (shapes.count(file.state.get("epoch")) if file else None) or 1


def _replica(file: ServiceStatus | None, *, fresh: bool) -> Mapping[str, Any]:
    if file is None:
        return NO_REPLICA
    known = {key: file.state.get(key, default) for key, default in NO_REPLICA.items()}
    known["txid"] = shapes.count(known["txid"]) or 0
    known["captured_at"] = shapes.moment(known["captured_at"])
    known["destinations"] = [
        {**row, "confirmed_at": shapes.moment(row["confirmed_at"])} if "confirmed_at" in row else row
        for row in shapes.objects(known["destinations"])
        if shapes.words(row.get("name")) and shapes.words(row.get("state"))
    ]
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


def _line_problems(links: LinesRead) -> list[Reason]:
    """A line that is down, unless an order holds it: then somebody knows."""
    return [
        Reason(code="line-down", args={"line": line["name"], "cause": line["reason"]})
        for line in links.lines
        if line["verdict"] == "down" and line["order"] != "hold"
    ]


def _replica_problems(
    file: ServiceStatus | None, replica: Mapping[str, Any], rpo_limits_s: Mapping[str, float]
) -> list[Reason]:
    # During an upgrade the file may be another version's: a replicator that does not say that it captures does not.
    problems = list(shapes.reasons(file.state.get("problems"))) if file else []
    if replica["litestream"] != "running":
        why = shapes.words(file.state.get("litestream_reason")) if file else None
        args = {"state": replica["litestream"], **({"why": why} if why else {})}
        problems.append(Reason(code="litestream-down", args=args))
    for destination in replica["destinations"]:
        name, copy, rpo = destination["name"], destination["state"], shapes.number(destination.get("rpo_s"))
        if copy in ("unreachable", "refused"):
            why = shapes.words(shapes.mapping(shapes.mapping(destination.get("reason")).get("args")).get("why"))
            args = {"destination": name, **({"why": why} if why else {})}
            problems.append(Reason(code=f"destination-{copy}", args=args))
        elif rpo is not None and rpo > rpo_limits_s.get(name, float("inf")):
            problems.append(
                Reason(code="rpo-exceeded", args={"destination": name, "rpo_s": rpo, "limit_s": rpo_limits_s[name]})
            )
    return problems
