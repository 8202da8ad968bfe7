"""Every metric of the node: its name, type, labels and meaning, and how a NodeSnapshot fills it.

The names are a promise to whoever built dashboards and alerts on them (see README.md beside this file; a test compares
the two). A family is exported also while it has no sample, so that a misspelt name in a rule is told from a quiet one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from monitoring.snapshot import Destination, Distribution, Line, NodeSnapshot, Target, Value

# Closed sets: every member is exported as 0 or 1, so that a change of state changes a value and never makes a series.
MODES = ("starting", "online", "backup", "offline")
DESTINATION_STATES = ("current", "behind", "unreachable", "refused", "paused")
VERDICTS = ("unknown", "up", "degraded", "down")
MESSAGE_STATES = ("queued", "waiting", "dead")
# A probe that only comes back or does not says nothing of the direction in which it was lost: it has only "both".
DIRECTIONS: Mapping[str, Callable[[Target], float | None]] = {
    "out": lambda target: target.lost_out_ratio,
    "back": lambda target: target.lost_back_ratio,
    "both": lambda target: target.loss_ratio,
}

Sample = Value | Distribution


class Kind(StrEnum):
    """The types of the exposition format that we use; `info` is a gauge of 1 whose labels are the message."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


def _no_source(_: NodeSnapshot) -> Iterable[Sample]:
    """The service that knows this does not exist yet; the family is announced without a sample."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric. `name` is the name as exported, with `_total` or `_info`; `text` becomes its HELP line."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    samples: Callable[[NodeSnapshot], Iterable[Sample]] = _no_source


def _one_of(members: tuple[str, ...], present: str, *labels: str) -> Iterator[Value]:
    """1 for the member that is present, 0 for the others."""
    for member in members:
        yield Value(labels=(*labels, member), value=float(member == present))


def _known(value: float | None) -> Iterator[Value]:
    """A number without labels, or nothing while it is not known; True and False count as 1 and 0."""
    if value is not None:
        yield Value(value=float(value))


def _each(values: Mapping[str, float]) -> Iterator[Value]:
    for label, value in values.items():
        yield Value(labels=(label,), value=float(value))


def _mode(node: NodeSnapshot) -> Iterable[Sample]:
    return () if node.mode is None else _one_of(MODES, node.mode)


def _service_timestamps(node: NodeSnapshot) -> Iterable[Sample]:
    # 0 for a service that never wrote: an alert on the age must fire for it too, and cannot on a missing series.
    return _each({service: at or 0.0 for service, at in node.service_written_at.items()})


def _destination_states(node: NodeSnapshot) -> Iterable[Sample]:
    for destination in node.destinations:
        yield from _one_of(DESTINATION_STATES, destination.state, destination.name)


def _per_destination(pick: Callable[[Destination], float | None]) -> Callable[[NodeSnapshot], Iterable[Sample]]:
    def samples(node: NodeSnapshot) -> Iterable[Sample]:
        return _each({d.name: value for d in node.destinations if (value := pick(d)) is not None})

    return samples


def _per_line(pick: Callable[[Line], float | None]) -> Callable[[NodeSnapshot], Iterable[Sample]]:
    def samples(node: NodeSnapshot) -> Iterable[Sample]:
        return _each({line.name: value for line in node.lines if (value := pick(line)) is not None})

    return samples


def _per_target(pick: Callable[[Target], float | None], *more: str) -> Callable[[NodeSnapshot], Iterable[Sample]]:
    def samples(node: NodeSnapshot) -> Iterable[Sample]:
        # An address may be asked in two ways through one line; a series there is only one, of the worse.
        worst: dict[tuple[str, ...], float] = {}
        for line in node.lines:
            for target in line.targets:
                if (value := pick(target)) is not None:
                    labels = (line.name, target.address, *more)
                    worst[labels] = max(value, worst.get(labels, value))
        return (Value(labels=labels, value=value) for labels, value in worst.items())

    return samples


def _losses(node: NodeSnapshot) -> Iterable[Sample]:
    for direction, pick in DIRECTIONS.items():
        yield from _per_target(pick, direction)(node)


def _verdicts(node: NodeSnapshot) -> Iterable[Sample]:
    for line in node.lines:
        yield from _one_of(VERDICTS, line.verdict, line.name)


def _messages(node: NodeSnapshot) -> Iterable[Sample]:
    for upstream in node.upstreams:
        for state, count in zip(MESSAGE_STATES, (upstream.queued, upstream.waiting, upstream.dead), strict=True):
            yield Value(labels=(upstream.name, state), value=float(count))


def _oldest(node: NodeSnapshot) -> Iterable[Sample]:
    return _each({up.name: up.oldest_queued_at for up in node.upstreams if up.oldest_queued_at is not None})


def _build(node: NodeSnapshot) -> Iterable[Sample]:
    build = node.build
    yield Value(labels=(build.version, build.litestream or "unknown", build.sqlite), value=1.0)


FAMILIES: tuple[Family, ...] = (
    # The node
    Family(
        name="edge_build_info", kind=Kind.INFO, labels=("version", "litestream", "sqlite"), samples=_build,
        text="What runs: this program, the Litestream binary (unknown until asked), and SQLite.",
    ),
    Family(
        name="edge_mode", kind=Kind.GAUGE, labels=("mode",), samples=_mode,
        text="1 for the mode that the node is in, 0 for the others.",
    ),
    Family(
        name="edge_mode_transitions_total", kind=Kind.COUNTER, labels=("from", "to", "reason"),
        samples=lambda node: node.transitions,
        text="Changes of mode.",
    ),
    Family(
        name="edge_node_superseded", kind=Kind.GAUGE, samples=lambda node: _known(node.superseded),
        text="1 when another machine has taken over this clinic: this one must not be written to.",
    ),
    Family(
        name="edge_service_status_timestamp_seconds", kind=Kind.GAUGE, labels=("service",),
        samples=_service_timestamps,
        text="When a service wrote its state last, seconds since 1970; 0 when it never did.",
    ),
    Family(
        name="edge_clock_synchronised", kind=Kind.GAUGE, samples=lambda node: _known(node.clock_synchronised),
        text="1 while a time service disciplines the clock of the kernel.",
    ),
    Family(
        name="edge_disk_free_bytes", kind=Kind.GAUGE, labels=("path",),
        samples=lambda node: _each(node.disk_free_bytes),
        text="Bytes that we may still write on the disk that holds this folder.",
    ),
    Family(
        name="edge_certificate_not_after_timestamp_seconds", kind=Kind.GAUGE, labels=("name",),
        samples=lambda node: _each(node.certificate_not_after),
        text="When a certificate ends, seconds since 1970.",
    ),
    # The databases and the HIS
    Family(
        name="edge_wal_bytes", kind=Kind.GAUGE, labels=("path",), samples=lambda node: _each(node.wal_bytes),
        text="Size of the write-ahead log of a database; it grows while Litestream does not checkpoint.",
    ),
    Family(
        name="edge_his_request_seconds", kind=Kind.HISTOGRAM, labels=("route", "method", "status"),
        samples=lambda node: node.his_requests,
        text="How long the HIS took to answer, by route.",
    ),
    Family(
        name="edge_his_commit_seconds", kind=Kind.HISTOGRAM, samples=lambda node: node.his_commit_seconds,
        text="How long a group commit took, until it was on the disk.",
    ),
    Family(
        name="edge_his_commit_batch_size", kind=Kind.HISTOGRAM, samples=lambda node: node.his_commit_batch_size,
        text="Pieces of work in one group commit.",
    ),
    # The replica and its destinations
    Family(
        name="edge_replica_rpo_seconds", kind=Kind.GAUGE, labels=("destination",),
        samples=_per_destination(lambda destination: destination.rpo_s),
        text="Age of the oldest change that a destination lacks; 0 when it has all.",
    ),
    Family(
        name="edge_replica_behind_bytes", kind=Kind.GAUGE, labels=("destination",),
        samples=_per_destination(lambda destination: destination.behind_bytes),
        text="Bytes that a destination lacks.",
    ),
    Family(
        name="edge_replica_confirmed_txid", kind=Kind.GAUGE, labels=("destination",),
        samples=_per_destination(lambda destination: destination.confirmed_txid),
        text="TXID that a restore from a destination reaches.",
    ),
    Family(
        name="edge_destination_state", kind=Kind.GAUGE, labels=("destination", "state"), samples=_destination_states,
        text="1 for the state that a destination is in, 0 for the others.",
    ),
    Family(
        name="edge_replica_uploads_total", kind=Kind.COUNTER, labels=("destination", "outcome"),
        samples=lambda node: node.uploads,
        text="LTX files sent to a destination, by outcome.",
    ),
    Family(
        name="edge_litestream_restarts_total", kind=Kind.COUNTER,
        samples=lambda node: _known(node.litestream_restarts),
        text="Times that Litestream ended by itself and was started again.",
    ),
    Family(
        name="edge_replica_local_bytes", kind=Kind.GAUGE,
        samples=lambda node: _known(node.replica_local_bytes),
        text="Bytes that the local replica takes on its disk.",
    ),
    Family(
        name="edge_replica_budget_bytes", kind=Kind.GAUGE,
        samples=lambda node: _known(node.replica_budget_bytes),
        text="Bytes that the local replica may take (disk_budget); its oldest restore points go from 85 percent on.",
    ),
    Family(
        name="edge_drill_last_success_timestamp_seconds", kind=Kind.GAUGE, labels=("destination",),
        samples=_per_destination(lambda destination: destination.drill_ok_at),
        text="When a restore drill from a destination succeeded last, seconds since 1970.",
    ),
    Family(
        name="edge_drill_rto_seconds", kind=Kind.GAUGE, labels=("destination",),
        samples=_per_destination(lambda destination: destination.drill_rto_s),
        text="How long the last successful restore drill from a destination took.",
    ),
    # The lines
    Family(
        name="edge_line_verdict", kind=Kind.GAUGE, labels=("line", "verdict"),
        samples=_verdicts,
        text="1 for the verdict on a line, 0 for the others.",
    ),
    Family(
        name="edge_line_active", kind=Kind.GAUGE, labels=("line",),
        samples=_per_line(lambda line: line.active),
        text="1 for the line that is in use.",
    ),
    Family(
        name="edge_line_mtu_ok", kind=Kind.GAUGE, labels=("line",), samples=_per_line(lambda line: line.mtu_ok),
        text="1 while packets of the full size pass a line.",
    ),
    Family(
        name="edge_line_rtt_seconds", kind=Kind.HISTOGRAM, labels=("line", "target"),
        samples=lambda node: node.rtt_seconds,
        text="Round-trip time of probes.",
    ),
    Family(
        name="edge_line_loss_ratio", kind=Kind.GAUGE, labels=("line", "target", "direction"),
        samples=_losses,
        text="Share of the window's probes that were lost, 0 to 1.",
    ),
    Family(
        name="edge_line_jitter_seconds", kind=Kind.GAUGE, labels=("line", "target"),
        samples=_per_target(lambda target: target.jitter_s),
        text="Mean difference between successive round-trip times of the window.",
    ),
    Family(
        name="edge_line_probes_total", kind=Kind.COUNTER, labels=("line", "target", "outcome"),
        samples=lambda node: node.probes,
        text="Probes, by outcome.",
    ),
    Family(
        name="edge_line_blind_seconds_total", kind=Kind.COUNTER,
        samples=lambda node: _known(node.blind_s),
        text="Time in which the watcher could not probe; neither good nor bad.",
    ),
    Family(
        name="edge_line_hold_remaining_seconds", kind=Kind.GAUGE, labels=("line",),
        samples=_per_line(lambda line: line.hold_left_s),
        text="How long a line must still stay good before it may be used again.",
    ),
    Family(
        name="edge_line_flap_penalty", kind=Kind.GAUGE, labels=("line",),
        samples=_per_line(lambda line: line.penalty),
        text="Penalty for recent changes of verdict; it decays.",
    ),
    Family(
        name="edge_line_switches_total", kind=Kind.COUNTER, labels=("from", "to", "reason"),
        samples=lambda node: node.switches,
        text="Changes of the line in use.",
    ),
    Family(
        name="edge_line_switch_seconds", kind=Kind.HISTOGRAM,
        samples=lambda node: node.switch_seconds,
        text="From the first lost probe to traffic on another line.",
    ),
    Family(
        name="edge_line_connections_ended_total", kind=Kind.COUNTER, labels=("line",),
        samples=lambda node: node.connections_ended,
        text="Connections that hung on a line that failed, and were ended.",
    ),
    # The outbox and the work list
    Family(
        name="edge_outbox_messages", kind=Kind.GAUGE, labels=("upstream", "state"),
        samples=_messages,
        text="Messages in the outbox.",
    ),
    Family(
        name="edge_outbox_oldest_queued_timestamp_seconds", kind=Kind.GAUGE, labels=("upstream",),
        samples=_oldest,
        text="When the oldest message that waits was put, seconds since 1970.",
    ),
    Family(
        name="edge_outbox_attempts_total", kind=Kind.COUNTER, labels=("upstream", "outcome"),
        samples=lambda node: node.attempts,
        text="Tries to deliver a message, by outcome.",
    ),
    Family(
        name="edge_work_items", kind=Kind.GAUGE, labels=("kind",),
        text="Open items of the work list.",
    ),
    Family(
        name="edge_work_item_next_due_timestamp_seconds", kind=Kind.GAUGE, labels=("kind",),
        text="When the next item of the work list is due, seconds since 1970.",
    ),
)  # fmt: skip
