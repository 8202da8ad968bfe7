"""What the monitor knows of a node at one moment, as plain values.

Whoever composes the program fills a NodeSnapshot; nothing here reads a file or asks for the time. None means "not
known", and what is not known gets no sample: a gap in a chart is honest, a zero is a statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One number; `labels` are the values of its family's labels, in their order."""

    labels: tuple[str, ...] = ()
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How often values fell below each bound.

    `counts` has one entry for each of the ascending `bounds` and a last one for what lies above; not cumulative.
    """

    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.bounds) + 1:
            raise ValueError(f"{len(self.bounds)} bounds need {len(self.bounds) + 1} counts, not {len(self.counts)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A store that mirrors the replica, as the replica service described it last."""

    name: str
    state: str
    confirmed_txid: int | None = None
    rpo_s: float | None = None
    rpo_limit_s: float | None = None
    behind_bytes: int | None = None
    # The last drill, however it ended: seconds since 1970. The last good one, and how long that took.
    drill_at: float | None = None
    drill_ok_at: float | None = None
    drill_rto_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address that is asked through a line; figures over the watcher's window.

    `lost_out_ratio` and `lost_back_ratio` are None where the probe cannot tell directions.
    """

    address: str
    loss_ratio: float | None = None
    lost_out_ratio: float | None = None
    lost_back_ratio: float | None = None
    jitter_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One carrier's line, as the watcher described it last."""

    name: str
    verdict: str
    active: bool
    carrier: str | None = None
    order: str | None = None
    hold_left_s: float | None = None
    penalty: float | None = None
    mtu_ok: bool | None = None
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What waits for one receiver of messages; `oldest_queued_at` in seconds since 1970."""

    name: str
    queued: int
    waiting: int
    dead: int
    oldest_queued_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What is pushed to a central Prometheus; `oldest_at` in seconds since 1970, None where nothing waits."""

    backlog_samples: int
    oldest_at: float | None
    samples: tuple[Value, ...]
    requests: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What runs. `litestream` is None until the replica service has asked the binary for its version."""

    version: str
    litestream: str | None
    sqlite: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSnapshot:
    """One node at one moment.

    What comes from a service's status file is what the service said last, however long ago: `service_written_at` (in
    seconds since 1970; None for a service that never wrote) says how far the rest is to be believed.
    """

    build: Build
    mode: str | None
    superseded: bool | None
    service_written_at: Mapping[str, float | None]
    clock_synchronised: bool | None
    disk_free_bytes: Mapping[str, int]
    wal_bytes: Mapping[str, int]
    disk_size_bytes: Mapping[str, int] = field(default_factory=dict)
    # What `edge-node status` names as wrong, by code.
    problems: Mapping[str, int] = field(default_factory=dict)
    destinations: tuple[Destination, ...] = ()
    uploads: tuple[Value, ...] = ()
    litestream: str | None = None
    litestream_restarts: int | None = None
    replica_local_bytes: int | None = None
    replica_budget_bytes: int | None = None
    his_requests: tuple[Distribution, ...] = ()
    his_commit_seconds: tuple[Distribution, ...] = ()
    his_commit_batch_size: tuple[Distribution, ...] = ()
    certificate_not_after: Mapping[str, float]
    lines: tuple[Line, ...] = ()
    transitions: tuple[Value, ...] = ()
    switches: tuple[Value, ...] = ()
    switch_seconds: tuple[Distribution, ...] = ()
    probes: tuple[Value, ...] = ()
    rtt_seconds: tuple[Distribution, ...] = ()
    blind_s: float | None = None
    connections_ended: tuple[Value, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    attempts: tuple[Value, ...] = ()
    # None where nothing is pushed.
    push: Push | None = None
