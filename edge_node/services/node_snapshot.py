"""NodeStatus into NodeSnapshot: what the services wrote, as the plain values that `monitoring` is handed. Pure.

Counters and histograms travel in the status files (base.instruments). During an upgrade a service may be older or newer
than this one: what does not have the expected shape is left out, so that one service's odd word hides nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from edge_node import __version__
from edge_node.base.clock import parse_utc
from edge_node.base.files import ServiceStatus
from edge_node.status import NodeStatus
from monitoring.fill import VERDICTS
from monitoring.snapshot import Build, Destination, Distribution, Line, NodeSnapshot, Push, Target, Upstream, Value

T = TypeVar("T")
State = Mapping[str, Any]

UPLOAD_LABELS = 2  # destination, outcome
REQUEST_LABELS = 3  # route, method, status
MOVE_LABELS = 3  # from, to, reason
PROBE_LABELS = 3  # line, target, outcome
RTT_LABELS = 2  # line, target
ATTEMPT_LABELS = 2  # upstream, outcome
ENDED_LABELS = 1  # line
OUTCOME_LABELS = 1  # outcome


def snapshot(
    status: NodeStatus,
    *,
    clock_synchronised: bool | None,
    disk_free_bytes: Mapping[str, int],
    disk_size_bytes: Mapping[str, int],
    wal_bytes: Mapping[str, int],
    sqlite_version: str,
) -> NodeSnapshot:
    """One moment of the node for its metrics. Paths are the labels of what was measured there."""
    his = _state(status.files.get("his"))
    replica = _state(status.files.get("replica"))
    links = _state(status.files.get("links"))
    outbox = _state(status.files.get("outbox"))
    return NodeSnapshot(
        build=Build(version=__version__, litestream=_text(replica.get("litestream_version")), sqlite=sqlite_version),
        mode=None if status.files.get("links") is None else status.mode,
        superseded=None if status.files.get("replica") is None else status.superseded_by is not None,
        service_written_at={name: _written_at(file) for name, file in status.files.items()},
        clock_synchronised=clock_synchronised,
        disk_free_bytes=disk_free_bytes,
        disk_size_bytes=disk_size_bytes,
        problems=Counter(problem.code for problem in status.problems),
        wal_bytes=wal_bytes,
        destinations=tuple(_every(_destination(status.rpo_limits_s), replica.get("destinations"))),
        uploads=tuple(_every(_value(UPLOAD_LABELS), replica.get("uploads"))),
        litestream=_text(replica.get("litestream")),
        litestream_restarts=_whole(replica.get("litestream_restarts")),
        replica_local_bytes=_whole(_state_of(replica, "disk").get("used_bytes")),
        replica_budget_bytes=_whole(_state_of(replica, "disk").get("budget_bytes")),
        his_requests=tuple(_every(_distribution(REQUEST_LABELS), his.get("requests"))),
        his_commit_seconds=tuple(_every(_distribution(0), his.get("commit_seconds"))),
        his_commit_batch_size=tuple(_every(_distribution(0), his.get("commit_batch_size"))),
        certificate_not_after=dict(_every(_certificate, his.get("certificates"))),
        lines=tuple(_every(_line, links.get("lines"))),
        transitions=tuple(_every(_value(MOVE_LABELS), links.get("transitions"))),
        switches=tuple(_every(_value(MOVE_LABELS), links.get("switches"))),
        switch_seconds=tuple(_every(_distribution(0), links.get("switch_seconds"))),
        probes=tuple(_every(_value(PROBE_LABELS), links.get("probes"))),
        rtt_seconds=tuple(_every(_distribution(RTT_LABELS), links.get("rtt_seconds"))),
        blind_s=_number(links.get("blind_seconds")),
        connections_ended=tuple(_every(_value(ENDED_LABELS), links.get("connections_ended"))),
        upstreams=tuple(_every(_upstream, outbox.get("upstreams"))),
        attempts=tuple(_every(_value(ATTEMPT_LABELS), outbox.get("attempts"))),
        push=next(_every(_push, [_state(status.files.get("monitor")).get("remote_write")]), None),
    )


def _state(file: ServiceStatus | None) -> State:
    return file.state if file else {}


def _state_of(state: State, name: str) -> State:
    """A part of a state; empty for what is none."""
    part = state.get(name)
    return part if isinstance(part, Mapping) else {}


def _written_at(file: ServiceStatus | None) -> float | None:
    return _seconds(file.written_at) if file else None


def _every(read: Callable[[State], T], raw: object) -> Iterator[T]:
    """What `read` makes of each object in a list, without those that it cannot read."""
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        return
    for entry in raw:
        try:
            yield read(entry)
        except (KeyError, TypeError, ValueError):
            continue


def _destination(limits_s: Mapping[str, float]) -> Callable[[State], Destination]:
    def read(raw: State) -> Destination:
        name, good = str(raw["name"]), _state_of(raw, "last_drill_ok")
        return Destination(
            name=name,
            state=str(raw["state"]),
            confirmed_txid=_whole(raw.get("confirmed_txid")),
            rpo_s=_number(raw.get("rpo_s")),
            rpo_limit_s=limits_s.get(name),
            behind_bytes=_whole(raw.get("behind_bytes")),
            drill_at=_seconds(_state_of(raw, "last_drill").get("at")),
            drill_ok_at=_seconds(good.get("at")),
            drill_rto_s=_number(good.get("rto_s")),
        )

    return read


def _line(raw: State) -> Line:
    verdict = str(raw["verdict"])
    return Line(
        name=str(raw["name"]),
        # A word of a newer watcher is none of ours, and not the same as down.
        verdict=verdict if verdict in VERDICTS else "unknown",
        active=raw.get("active") is True,
        carrier=_text(raw.get("carrier")),
        order=_text(raw.get("order")),
        hold_left_s=_number(raw.get("hold_left_s")),
        penalty=_number(raw.get("penalty")),
        mtu_ok=ok if isinstance(ok := raw.get("mtu_ok"), bool) else None,
        targets=tuple(_every(_target, raw.get("targets"))),
    )


def _target(raw: State) -> Target:
    return Target(
        address=str(raw["address"]),
        loss_ratio=_number(raw.get("loss_ratio")),
        lost_out_ratio=_lost_towards(raw, "out"),
        lost_back_ratio=_lost_towards(raw, "back"),
        jitter_s=_number(raw.get("jitter_s")),
    )


def _lost_towards(raw: State, way: str) -> float | None:
    ways = raw.get("direction")
    told = ways.get(way) if isinstance(ways, Mapping) else None
    return _number(told.get("loss_ratio")) if isinstance(told, Mapping) else None


def _upstream(raw: State) -> Upstream:
    queued, waiting, dead = (_whole(raw[name]) for name in ("queued", "waiting", "dead"))
    if queued is None or waiting is None or dead is None:
        raise ValueError("a count is none")
    return Upstream(
        name=str(raw["name"]),
        queued=queued,
        waiting=waiting,
        dead=dead,
        oldest_queued_at=_seconds(raw.get("oldest_queued_at")),
    )


def _push(raw: State) -> Push:
    return Push(
        backlog_samples=int(raw["backlog_samples"]),
        oldest_at=_seconds(raw["oldest_at"]),
        samples=tuple(_every(_value(OUTCOME_LABELS), raw["samples"])),
        requests=tuple(_every(_value(OUTCOME_LABELS), raw["requests"])),
    )


def _certificate(raw: State) -> tuple[str, float]:
    return str(raw["name"]), float(raw["not_after"]) / 1000


def _value(label_count: int) -> Callable[[State], Value]:
    def read(raw: State) -> Value:
        return Value(labels=_labels(raw, label_count), value=float(raw["value"]))

    return read


def _distribution(label_count: int) -> Callable[[State], Distribution]:
    def read(raw: State) -> Distribution:
        return Distribution(
            labels=_labels(raw, label_count),
            bounds=tuple(float(bound) for bound in raw["bounds"]),
            counts=tuple(int(count) for count in raw["counts"]),
            total=float(raw["sum"]),
        )

    return read


def _labels(raw: State, count: int) -> tuple[str, ...]:
    labels = tuple(str(label) for label in raw["labels"])
    if len(labels) != count:
        raise ValueError(f"{count} labels were expected, not {labels}")
    return labels


def _seconds(raw: object) -> float | None:
    """UTC text as seconds since 1970."""
    try:
        return parse_utc(raw) / 1000 if isinstance(raw, str) else None
    except ValueError:
        return None


def _number(raw: object) -> float | None:
    return float(raw) if isinstance(raw, int | float) and not isinstance(raw, bool) else None


def _whole(raw: object) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def _text(raw: object) -> str | None:
    return raw if isinstance(raw, str) and raw else None
