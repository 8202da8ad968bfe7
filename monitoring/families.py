"""Every metric of the node, with its type, labels and meaning. `fill.py` says how a NodeSnapshot becomes samples.

The names are a promise to whoever built dashboards and alerts on them (see README.md beside this file; a test compares
the two). A family is exported also while it has no sample, so that a misspelt name in a rule is told from a quiet one.
"""

from __future__ import annotations

from monitoring import fill
from monitoring.family import Family, Kind

FAMILIES: tuple[Family, ...] = (
    # The node
    Family(
        name="edge_build_info", kind=Kind.INFO, labels=("version", "litestream", "sqlite"), samples=fill.build,
        text="What runs: this program, the Litestream binary (unknown until asked), and SQLite.",
    ),
    Family(
        name="edge_mode", kind=Kind.GAUGE, labels=("mode",), samples=fill.mode,
        text="1 for the mode that the node is in, 0 for the others.",
    ),
    Family(
        name="edge_mode_transitions_total", kind=Kind.COUNTER, labels=("from", "to", "reason"),
        samples=lambda node: node.transitions,
        text="Changes of mode.",
    ),
    Family(
        name="edge_problems", kind=Kind.GAUGE, labels=("code",), samples=lambda node: fill.each(node.problems),
        text="Problems that `edge-node status` names, by code; no sample where there is none.",
    ),
    Family(
        name="edge_node_superseded", kind=Kind.GAUGE, samples=lambda node: fill.known(node.superseded),
        text="1 when another machine has taken over this clinic: this one must not be written to.",
    ),
    Family(
        name="edge_service_status_timestamp_seconds", kind=Kind.GAUGE, labels=("service",),
        samples=fill.service_timestamps,
        text="When a service wrote its state last, seconds since 1970; 0 when it never did.",
    ),
    Family(
        name="edge_clock_synchronised", kind=Kind.GAUGE, samples=lambda node: fill.known(node.clock_synchronised),
        text="1 while a time service disciplines the clock of the kernel.",
    ),
    Family(
        name="edge_disk_free_bytes", kind=Kind.GAUGE, labels=("path",),
        samples=lambda node: fill.each(node.disk_free_bytes),
        text="Bytes that we may still write on the disk that holds this folder.",
    ),
    Family(
        name="edge_disk_size_bytes", kind=Kind.GAUGE, labels=("path",),
        samples=lambda node: fill.each(node.disk_size_bytes),
        text="Bytes of that disk that are written or that we may still write.",
    ),
    Family(
        name="edge_certificate_not_after_timestamp_seconds", kind=Kind.GAUGE, labels=("name",),
        samples=lambda node: fill.each(node.certificate_not_after),
        text="When a certificate ends, seconds since 1970.",
    ),
    # The databases and the HIS
    Family(
        name="edge_wal_bytes", kind=Kind.GAUGE, labels=("path",), samples=lambda node: fill.each(node.wal_bytes),
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
        samples=fill.per_destination(lambda destination: destination.rpo_s),
        text="Age of the oldest change that a destination lacks; 0 when it has all.",
    ),
    Family(
        name="edge_replica_rpo_limit_seconds", kind=Kind.GAUGE, labels=("destination",),
        samples=fill.per_destination(lambda destination: destination.rpo_limit_s),
        text="The RPO that a destination may have (rpo_limit).",
    ),
    Family(
        name="edge_replica_behind_bytes", kind=Kind.GAUGE, labels=("destination",),
        samples=fill.per_destination(lambda destination: destination.behind_bytes),
        text="Bytes that a destination lacks.",
    ),
    Family(
        name="edge_replica_confirmed_txid", kind=Kind.GAUGE, labels=("destination",),
        samples=fill.per_destination(lambda destination: destination.confirmed_txid),
        text="TXID that a restore from a destination reaches.",
    ),
    Family(
        name="edge_destination_state", kind=Kind.GAUGE, labels=("destination", "state"),
        samples=fill.destination_states,
        text="1 for the state that a destination is in, 0 for the others.",
    ),
    Family(
        name="edge_replica_uploads_total", kind=Kind.COUNTER, labels=("destination", "outcome"),
        samples=lambda node: node.uploads,
        text="LTX files sent to a destination, by outcome.",
    ),
    Family(
        name="edge_litestream_state", kind=Kind.GAUGE, labels=("state",), samples=fill.litestream,
        text="1 for the state that Litestream is in, 0 for the others; only while running it captures.",
    ),
    Family(
        name="edge_litestream_restarts_total", kind=Kind.COUNTER,
        samples=lambda node: fill.known(node.litestream_restarts),
        text="Times that Litestream ended by itself and was started again.",
    ),
    Family(
        name="edge_replica_local_bytes", kind=Kind.GAUGE,
        samples=lambda node: fill.known(node.replica_local_bytes),
        text="Bytes that the local replica takes on its disk.",
    ),
    Family(
        name="edge_replica_budget_bytes", kind=Kind.GAUGE,
        samples=lambda node: fill.known(node.replica_budget_bytes),
        text="Bytes that the local replica may take (disk_budget); its oldest restore points go from 85 percent on.",
    ),
    Family(
        name="edge_drill_last_timestamp_seconds", kind=Kind.GAUGE, labels=("destination",),
        samples=fill.per_destination(lambda destination: destination.drill_at),
        text="When the last restore drill from a destination was, good or not, seconds since 1970.",
    ),
    Family(
        name="edge_drill_last_success_timestamp_seconds", kind=Kind.GAUGE, labels=("destination",),
        samples=fill.per_destination(lambda destination: destination.drill_ok_at),
        text="When a restore drill from a destination succeeded last, seconds since 1970.",
    ),
    Family(
        name="edge_drill_rto_seconds", kind=Kind.GAUGE, labels=("destination",),
        samples=fill.per_destination(lambda destination: destination.drill_rto_s),
        text="How long the last successful restore drill from a destination took.",
    ),
    # The lines
    Family(
        name="edge_line_info", kind=Kind.INFO, labels=("line", "carrier"), samples=fill.line_infos,
        text="Whose line it is: the carrier as the configuration names it, or unknown.",
    ),
    Family(
        name="edge_line_verdict", kind=Kind.GAUGE, labels=("line", "verdict"),
        samples=fill.verdicts,
        text="1 for the verdict on a line, 0 for the others.",
    ),
    Family(
        name="edge_line_active", kind=Kind.GAUGE, labels=("line",),
        samples=fill.per_line(lambda line: line.active),
        text="1 for the line that is in use.",
    ),
    Family(
        name="edge_line_mtu_ok", kind=Kind.GAUGE, labels=("line",), samples=fill.per_line(lambda line: line.mtu_ok),
        text="1 while packets of the full size pass a line.",
    ),
    Family(
        name="edge_line_rtt_seconds", kind=Kind.HISTOGRAM, labels=("line", "target"),
        samples=lambda node: node.rtt_seconds,
        text="Round-trip time of probes.",
    ),
    Family(
        name="edge_line_loss_ratio", kind=Kind.GAUGE, labels=("line", "target", "direction"),
        samples=fill.losses,
        text="Share of the window's probes that were lost, 0 to 1.",
    ),
    Family(
        name="edge_line_jitter_seconds", kind=Kind.GAUGE, labels=("line", "target"),
        samples=fill.per_target(lambda target: target.jitter_s),
        text="Mean difference between successive round-trip times of the window.",
    ),
    Family(
        name="edge_line_probes_total", kind=Kind.COUNTER, labels=("line", "target", "outcome"),
        samples=lambda node: node.probes,
        text="Probes, by outcome.",
    ),
    Family(
        name="edge_line_blind_seconds_total", kind=Kind.COUNTER,
        samples=lambda node: fill.known(node.blind_s),
        text="Time in which the watcher could not probe; neither good nor bad.",
    ),
    Family(
        name="edge_line_hold_remaining_seconds", kind=Kind.GAUGE, labels=("line",),
        samples=fill.per_line(lambda line: line.hold_left_s),
        text="How long a line must still stay good before it may be used again.",
    ),
    Family(
        name="edge_line_flap_penalty", kind=Kind.GAUGE, labels=("line",),
        samples=fill.per_line(lambda line: line.penalty),
        text="Penalty for recent changes of verdict; it decays.",
    ),
    Family(
        name="edge_line_order", kind=Kind.GAUGE, labels=("line", "order"), samples=fill.orders,
        text="1 for the order that stands on a line, 0 for the others.",
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
        samples=fill.messages,
        text="Messages in the outbox.",
    ),
    Family(
        name="edge_outbox_oldest_queued_timestamp_seconds", kind=Kind.GAUGE, labels=("upstream",),
        samples=fill.oldest,
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
    # What is pushed to a central Prometheus
    Family(
        name="edge_remote_write_backlog_samples", kind=Kind.GAUGE,
        samples=lambda node: fill.known(node.push.backlog_samples if node.push else None),
        text="Samples that wait to be pushed.",
    ),
    Family(
        name="edge_remote_write_oldest_timestamp_seconds", kind=Kind.GAUGE,
        samples=lambda node: fill.known(node.push.oldest_at if node.push else None),
        text="When the oldest sample that waits was taken, seconds since 1970; no sample where none waits.",
    ),
    Family(
        name="edge_remote_write_samples_total", kind=Kind.COUNTER, labels=("outcome",),
        samples=lambda node: node.push.samples if node.push else (),
        text="Samples that wait no longer, by outcome; counted on over restarts.",
    ),
    Family(
        name="edge_remote_write_requests_total", kind=Kind.COUNTER, labels=("outcome",),
        samples=lambda node: node.push.requests if node.push else (),
        text="Requests to the receiver, by outcome.",
    ),
)  # fmt: skip
