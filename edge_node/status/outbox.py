"""What the outbox wrote: how much waits to leave, in all and for each upstream. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_node.base.files import ServiceStatus
from edge_node.status import shapes
from edge_node.status.model import Reason


def read_outbox(file: ServiceStatus | None) -> Mapping[str, Any] | None:
    """The file of the service `outbox`; None where there is none, or one without the counts."""
    if file is None or (counts := _counts(file.state)) is None:
        return None
    state = file.state
    upstreams = [row for raw in shapes.objects(state.get("upstreams")) if (row := _upstream(raw))]
    paused = state.get("paused_upstreams")
    named = [name for name in paused if isinstance(name, str)] if isinstance(paused, list) else []
    return {
        **counts,
        "oldest_queued_at": shapes.moment(state.get("oldest_queued_at")),
        "paused_upstreams": named or [row["name"] for row in upstreams if row["paused"]],
        "since_outage": shapes.count(state.get("since_outage")) or 0,
        "last_delivered_at": shapes.moment(state.get("last_delivered_at")),
        "upstreams": upstreams,
    }


def outbox_problems(outbox: Mapping[str, Any], told: Sequence[Reason]) -> list[Reason]:
    """Dead letters and paused upstreams, which need a person, and what the service itself has `told`, once each."""
    rows = outbox["upstreams"]
    dead = [Reason(code="outbox-dead", args={"upstream": row["name"], "n": row["dead"]}) for row in rows if row["dead"]]
    if outbox["dead"] and not dead:
        dead = [Reason(code="outbox-dead", args={"n": outbox["dead"]})]
    why = {row["name"]: row["paused"] for row in rows}
    paused = [
        Reason(code="upstream-paused", args={"upstream": name, **({"cause": why[name]} if why.get(name) else {})})
        for name in outbox["paused_upstreams"]
    ]
    return [*dead, *paused, *(reason for reason in told if reason.as_json() not in why.values())]


def _counts(raw: Mapping[str, Any]) -> dict[str, int] | None:
    queued, waiting, dead = (shapes.count(raw.get(name)) for name in ("queued", "waiting", "dead"))
    if queued is None or waiting is None or dead is None:
        return None
    # Of the queued and waiting, those behind a dead letter of their key: they wait for a person, and for no line.
    held = min(shapes.count(raw.get("held")) or 0, queued + waiting)
    return {"queued": queued, "waiting": waiting, "dead": dead, "held": held}


def _upstream(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    name, counts = shapes.words(raw.get("name")), _counts(raw)
    if name is None or counts is None:
        return None
    paused = shapes.reason(raw.get("paused"))
    if paused is None and raw.get("paused"):
        paused = Reason(code="unknown")
    return {
        "name": name,
        **counts,
        "oldest_queued_at": shapes.moment(raw.get("oldest_queued_at")),
        "paused": paused.as_json() if paused else None,
        "failing": failing.as_json() if (failing := shapes.reason(raw.get("failing"))) else None,
        "last_delivered_at": shapes.moment(raw.get("last_delivered_at")),
    }
