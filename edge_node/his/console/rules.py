"""What the console makes of a NodeStatus: rows with a badge and words; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.base.clock import parse_utc
from edge_node.i18n import Text, reason_text, text
from edge_node.status import NodeStatus, Posture, ServiceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A state as shape, colour and word; see the guide's table."""

    kind: str
    shape: str
    words: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    name: str
    badge: Badge
    written_s_ago: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRow:
    """One destination; figures are None where they are not known, which is not zero.

    `why` is what the store or the network said, in its own words, or who ordered a pause (`is_ordered`); `hint` is what
    to do about a refusal.
    """

    name: str
    badge: Badge
    rpo_s: float | None
    rpo_limit_s: float | None
    over_limit: bool
    behind_txids: int | None
    behind_bytes: int | None
    confirmed_at: int | None
    confirmed_txid: int | None
    why: str | None = None
    hint: str | None = None
    is_ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """One line; figures are None where they are not known. `order` is what the watcher was told about it."""

    name: str
    carrier: str | None
    preferred: int
    badge: Badge
    in_use: bool
    order: Badge | None
    why: Text
    since: int | None
    rtt_s: float | None
    rtt_p95_s: float | None
    loss_ratio: float | None
    metered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """A wish of an operator that stands."""

    badge: Badge
    line: str
    until: int | None
    by: str | None
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRow:
    """What waits for one upstream; counts are None while the outbox is not heard."""

    name: str
    badge: Badge
    why: Text | None
    queued: int | None
    waiting: int | None
    dead: int | None
    oldest_s: float | None


SERVICE_BADGES: Mapping[ServiceState, Badge] = {
    ServiceState.OK: Badge(kind="ok", shape="up", words=text("running")),
    ServiceState.STALE: Badge(kind="dim", shape="unk", words=text("stale")),
    ServiceState.STOPPED: Badge(kind="badq", shape="down", words=text("stopped")),
}
COPY_BADGES: Mapping[str, Badge] = {
    "current": Badge(kind="ok", shape="up", words=text("current")),
    "behind": Badge(kind="ok", shape="rec", words=text("catching up")),
    "unreachable": Badge(kind="bad", shape="down", words=text("unreachable")),
    "refused": Badge(kind="bad", shape="stop", words=text("refused")),
    "paused": Badge(kind="warn", shape="lock", words=text("paused")),
}
NOT_KNOWN = Badge(kind="dim", shape="unk", words=text("not known"))
OVER_LIMIT = Badge(kind="warn", shape="deg", words=text("behind"))
VERDICT_BADGES: Mapping[str, Badge] = {
    "up": Badge(kind="ok", shape="up", words=text("up")),
    "degraded": Badge(kind="warn", shape="deg", words=text("degraded")),
    "down": Badge(kind="bad", shape="down", words=text("down")),
}
ORDER_BADGES: Mapping[str, Badge] = {
    "pin": Badge(kind="accent", shape="lock", words=text("pin")),
    "hold": Badge(kind="warn", shape="lock", words=text("hold")),
    "rehearse": Badge(kind="exercise", shape="exercise", words=text("rehearse")),
}
# Reasons of a watcher that waits for nothing in particular.
NOTHING_WAITED_FOR = ("steady", "still-offline")
ALL_SENT = Badge(kind="ok", shape="up", words=text("all sent"))
SENDING = Badge(kind="ok", shape="rec", words=text("sending"))
WAITS = Badge(kind="warn", shape="wait", words=text("waits for a line"))
RETRIES = Badge(kind="warn", shape="wait", words=text("tries again"))
PAUSED = Badge(kind="warn", shape="lock", words=text("paused"))
TO_HANDLE = Badge(kind="badq", shape="down", words=text("to handle"))


def services(status: NodeStatus, now_ms: int) -> list[ServiceRow]:
    """One row for each service that exists."""
    rows = []
    for name, state in status.services.items():
        file = status.files.get(name)
        age = (now_ms - parse_utc(file.written_at)) / 1000 if file else None
        rows.append(ServiceRow(name=name, badge=SERVICE_BADGES[state], written_s_ago=age))
    return rows


def copies(status: NodeStatus) -> list[CopyRow]:
    """One row for each destination, the local one first; all unknown while the replica service is not heard."""
    known = status.services.get("replica") is ServiceState.OK
    rows = []
    for row in status.replica["destinations"]:
        limit, rpo = status.rpo_limits_s.get(row["name"]), row.get("rpo_s")
        over = rpo is not None and limit is not None and rpo > limit
        badge = COPY_BADGES.get(row["state"], NOT_KNOWN)
        if over and row["state"] in ("current", "behind"):
            badge = OVER_LIMIT
        rows.append(
            CopyRow(
                name=row["name"],
                badge=badge if known else NOT_KNOWN,
                rpo_s=rpo if known else None,
                rpo_limit_s=limit,
                over_limit=over,
                behind_txids=row.get("behind_txids"),
                behind_bytes=row.get("behind_bytes"),
                confirmed_at=parse_utc(row["confirmed_at"]) if row.get("confirmed_at") else None,
                confirmed_txid=row.get("confirmed_txid"),
                why=_words(row, "why") if known else None,
                hint=_words(row, "hint") if known else None,
                is_ordered=isinstance(reason := row.get("reason"), Mapping) and reason.get("code") == "paused-by-order",
            )
        )
    return rows


def _words(row: Mapping[str, Any], name: str) -> str | None:
    reason = row.get("reason")
    args = reason.get("args") if isinstance(reason, Mapping) else None
    words = args.get(name) if isinstance(args, Mapping) else None
    return words if isinstance(words, str) and row["state"] not in ("current", "behind") else None


def lines(status: NodeStatus) -> list[LineRow]:
    """One row for each line, the preferred first."""
    return [
        LineRow(
            name=row["name"],
            carrier=row["carrier"],
            preferred=row["preferred"],
            badge=VERDICT_BADGES.get(row["verdict"], NOT_KNOWN),
            in_use=row["active"],
            order=ORDER_BADGES.get(row["order"] or ""),
            why=reason_text(row["reason"]["code"], row["reason"]["args"]),
            since=parse_utc(row["since"]) if row["since"] else None,
            rtt_s=row["rtt_s"],
            rtt_p95_s=row["rtt_p95_s"],
            loss_ratio=row["loss_ratio"],
            metered=row["metered"],
        )
        for row in sorted(status.lines, key=lambda row: row["preferred"])
    ]


def why_now(status: NodeStatus) -> list[tuple[Text, Text]]:
    """Why it is as it is, what is waited for, and what keeps the watcher from acting: each with its heading."""
    if not status.lines:
        return []
    if status.services.get("links") is not ServiceState.OK:
        return [(text("Not known now:"), text("the watcher of the lines is silent; the routes stay as they were"))]
    watch, reason = status.watch, status.why()
    head = text("Why %(line)s now:", line=watch.line) if watch.line else text("Why no line now:")
    told = [(head, reason_text(reason.code, reason.args))]
    if watch.wait is not None and watch.wait.code not in NOTHING_WAITED_FOR:
        told.append((text("Waited for:"), reason_text(watch.wait.code, watch.wait.args)))
    if watch.why_not is not None:
        told.append((text("Sets no routes:"), reason_text(watch.why_not.code, watch.why_not.args)))
    elif watch.act == "observe":
        told.append((text("Sets no routes:"), text("the configuration says observe")))
    return [*told, *((text("Targets:"), reason_text(trouble.code, trouble.args)) for trouble in watch.troubles)]


def mode_words(status: NodeStatus) -> Text:
    """Why the posture is what it is, beside its name in the head of the page."""
    if status.posture is Posture.UNKNOWN and status.services.get("links") is not ServiceState.OK:
        return reason_text("links-silent" if status.files.get("links") else "links-unheard", {})
    reason = status.why()
    return reason_text(reason.code, reason.args)


def orders(status: NodeStatus) -> list[OrderRow]:
    """The orders that the watcher heeds now, the first to end first."""
    rows = [
        OrderRow(
            badge=ORDER_BADGES[order["kind"]],
            line=order["line"],
            until=parse_utc(order["until"]) if order["until"] else None,
            by=order["by"],
            why=order["why"],
        )
        for order in status.watch.orders
    ]
    return sorted(rows, key=lambda row: row.until or 0)


def upstreams(status: NodeStatus, now_ms: int) -> list[UpstreamRow]:
    """One row for each upstream; all unknown while the outbox is not heard."""
    known = status.outbox_is_known
    rows = []
    for row in status.outbox["upstreams"]:
        oldest = row["oldest_queued_at"]
        stands = row["paused"] or row["failing"]
        rows.append(
            UpstreamRow(
                name=row["name"],
                badge=_sending(row, is_offline=status.posture is Posture.OFFLINE) if known else NOT_KNOWN,
                why=reason_text(stands["code"], stands["args"]) if known and stands else None,
                queued=row["queued"] if known else None,
                waiting=row["waiting"] if known else None,
                dead=row["dead"] if known else None,
                oldest_s=(now_ms - parse_utc(oldest)) / 1000 if known and oldest else None,
            )
        )
    return rows


def last_delivered(status: NodeStatus) -> int | None:
    """When a message left last; None while the outbox is not heard."""
    at = status.outbox["last_delivered_at"]
    return parse_utc(at) if at and status.outbox_is_known else None


def _sending(row: Mapping[str, Any], *, is_offline: bool) -> Badge:
    if row["paused"]:
        return PAUSED
    if row["dead"]:
        return TO_HANDLE
    if not row["queued"] + row["waiting"]:
        return ALL_SENT
    if is_offline:
        return WAITS
    return RETRIES if row["failing"] or not row["queued"] else SENDING
