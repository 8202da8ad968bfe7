"""Status files of a healthy node, in memory: what a test changes is the story, the rest stays well.

a_node(links=a_file("links", mode=offline(at)), outbox=None)
"""

from __future__ import annotations

from typing import Any

from edge_node.base.clock import utc_text
from edge_node.base.files import ServiceStatus
from edge_node.status import SERVICES, NodeStatus, judge

BOOT, NOW, WALL_MS = "this-boot", 5000.0, 1_795_000_000_000


def ago(seconds: float) -> str:
    """A time before the moment of the test, as status files carry it."""
    return utc_text(WALL_MS - round(seconds * 1000))


CLOUD: dict[str, Any] = {
    "name": "cloud", "state": "current", "confirmed_txid": 12, "confirmed_at": ago(0), "rpo_s": 0.0, "behind_txids": 0,
    "behind_bytes": 0, "catch_up_s": 0.0, "last_drill": None,
}  # fmt: skip


def a_line(name: str = "telecom", **changes: Any) -> dict[str, Any]:
    """A line that is well, as the watcher writes it."""
    return {
        "name": name, "carrier": "China Telecom" if name == "telecom" else "China Unicom", "verdict": "up",
        "active": False, "preferred": 1 if name == "telecom" else 2, "rtt_s": 0.018, "rtt_p95_s": 0.024,
        "loss_ratio": 0.0, "since": ago(86_400), "reason": {"code": "answers", "args": {}}, "metered": False,
        "interface": f"{name}0", "hold_left_s": 0.0, "penalty": 0.0, "suppressed": False, "order": None,
        "targets": [{"address": "10.100.0.1", "kind": "icmp", "role": "cloud", "loss_ratio": 0.0, "rtt_s": 0.018,
                     "jitter_s": 0.001, "silent_s": 0.1}],
        **changes,
    }  # fmt: skip


SILENT: dict[str, Any] = {"code": "silent", "args": {"silent_s": 1.04, "targets": 2}}
DOWN: dict[str, Any] = {"verdict": "down", "rtt_s": None, "rtt_p95_s": None, "loss_ratio": 1.0, "reason": SILENT}


def a_mode(name: str, code: str, *, since_s: float = 720.0, **args: Any) -> dict[str, Any]:
    """The mode as the watcher writes it."""
    return {"name": name, "since": ago(since_s), "reason": {"code": code, "args": args}}


def links_state(**changes: Any) -> dict[str, Any]:
    """Two lines, the preferred one in use."""
    return {
        "act": "enforce", "may_route": True, "why_not": None, "mode": a_mode("online", "first-line", line="telecom"),
        "wait": {"code": "steady", "args": {}}, "line": "telecom", "routed": "telecom",
        "lines": [a_line(active=True, rtt_s=0.004), a_line("unicom")], "troubles": [], "problems": [], "orders": [],
        "transitions": [], "switches": [], "switch_seconds": [], "probes": [], "rtt_seconds": [], "blind_seconds": 0.0,
        **changes,
    }  # fmt: skip


def on_backup(**changes: Any) -> dict[str, Any]:
    """The preferred line is silent, the other in use."""
    return links_state(
        **{
            "mode": a_mode("backup", "line-down", line="telecom", cause="silent"),
            "line": "unicom",
            "routed": "unicom",
            "lines": [a_line(**DOWN, since=ago(720)), a_line("unicom", active=True)],
            **changes,
        }
    )


def offline(*, since_s: float = 720.0, **changes: Any) -> dict[str, Any]:
    """Both lines are silent; the routes stay as they were."""
    return links_state(
        **{
            "mode": a_mode("offline", "every-line-down", since_s=since_s),
            "wait": {"code": "still-offline", "args": {}},
            "line": None,
            "lines": [a_line(**DOWN, since=ago(since_s)), a_line("unicom", **DOWN, since=ago(since_s))],
            **changes,
        }
    )


def without_lines() -> dict[str, Any]:
    return links_state(mode=a_mode("online", "no-lines"), line=None, routed=None, lines=[])


def an_upstream(name: str = "platform", **changes: Any) -> dict[str, Any]:
    return {"name": name, "queued": 0, "waiting": 0, "dead": 0, "held": 0, "oldest_queued_at": None, "paused": None,
            "failing": None, "last_delivered_at": ago(8), **changes}  # fmt: skip


def outbox_state(*upstreams: dict[str, Any], since_outage: int | None = None, **changes: Any) -> dict[str, Any]:
    """An outbox whose totals are those of its upstreams."""
    rows = list(upstreams) or [an_upstream()]
    total = {key: sum(row[key] for row in rows) for key in ("queued", "waiting", "dead", "held")}
    return {
        **total,
        "oldest_queued_at": min((row["oldest_queued_at"] for row in rows if row["oldest_queued_at"]), default=None),
        "paused_upstreams": [row["name"] for row in rows if row["paused"]],
        "since_outage": total["queued"] + total["waiting"] if since_outage is None else since_outage,
        "last_delivered_at": ago(8),
        "upstreams": rows,
        "attempts": [],
        "problems": [],
        **changes,
    }


STATES: dict[str, dict[str, Any]] = {
    "links": without_lines(),
    "his": {"writable": True},
    "replica": {
        "epoch": 1, "litestream": "running", "txid": 12, "captured_at": ago(0),
        "destinations": [{"name": "local", "state": "current"}, CLOUD], "problems": [],
    },
    "outbox": outbox_state(),
    "monitor": {},
}  # fmt: skip


def a_file(service: str, *, age_s: float = 0.5, boot: str = BOOT, stopped: bool = False, **state: Any) -> ServiceStatus:
    """A service's file, written so long ago; its state is a healthy one with these changes."""
    return ServiceStatus(
        service=service, pid=1, boot_id=boot, started_at=ago(60), written_at=ago(age_s), boottime=NOW - age_s,
        every_s=2.0, stopped=stopped, state={**STATES[service], **state},
    )  # fmt: skip


def a_node(*, free: int | None = 10**12, wall_ms: int = WALL_MS, **files: ServiceStatus | None) -> NodeStatus:
    """The node whose services wrote these files; a healthy one for each that is not named."""
    return judge(
        node_id="clinic-0042",
        files={name: files.get(name, a_file(name)) for name in SERVICES},
        rpo_limits_s={"cloud": 300.0},
        now=NOW,
        wall_ms=wall_ms,
        this_boot=BOOT,
        synchronised=True,
        disk_free_bytes=free,
    )
