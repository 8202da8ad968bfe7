"""A node with two lines as its metrics see it, and a sender in virtual time."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from edge_node.base.instruments import Histogram
from edge_node.services.line_record import _RTT_BOUNDS
from edge_node.services.node_snapshot import snapshot
from monitoring.snapshot import NodeSnapshot
from tests.support.node_files import CLOUD, STATES, a_file, a_line, a_node, links_state

ASKED = [(line, target) for line in ("telecom", "unicom") for target in ("10.100.0.1", "10.100.0.2")]


def a_two_line_snapshot(**changes: Any) -> NodeSnapshot:
    """Two lines with two targets each, a cloud and a NAS, some hours after the start."""
    lot, rtt = Random(1), Histogram(_RTT_BOUNDS)
    for line, target in ASKED * 500:
        rtt.observe(lot.lognormvariate(-4, 0.4), line, target)
    lines = [
        a_line(name, active=name == "telecom", targets=[
            {"address": target, "kind": "icmp", "role": "cloud", "loss_ratio": 0.0, "rtt_s": 0.018, "jitter_s": 0.001}
            for line, target in ASKED if line == name
        ])
        for name in ("telecom", "unicom")
    ]  # fmt: skip
    links = links_state(
        lines=lines,
        rtt_seconds=rtt.samples(),
        probes=[{"labels": [*asked, end], "value": 54_321} for asked in ASKED for end in ("answered", "lost")],
    )
    replica = {
        **STATES["replica"],
        "destinations": [{"name": "local", "state": "current"}, CLOUD, {**CLOUD, "name": "nas"}],
        "uploads": [{"labels": [to, end], "value": 777} for to in ("cloud", "nas") for end in ("sent", "vanished")],
    }
    node = snapshot(
        a_node(links=a_file("links", **links), replica=a_file("replica", **replica)),
        clock_synchronised=True,
        disk_free_bytes={"/var/lib/edge-node": 10**11, "/srv/replica": 10**12},
        disk_size_bytes={"/var/lib/edge-node": 10**12, "/srv/replica": 10**13},
        wal_bytes={"/var/lib/edge-node/data/his.db": 4152, "/var/lib/edge-node/data/node.db": 123_456},
        sqlite_version="3.53.0",
    )
    return replace(node, **changes)
