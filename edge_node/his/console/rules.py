"""What the console makes of a NodeStatus: rows with a badge and words; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_node.base.clock import parse_utc
from edge_node.i18n import Text, text
from edge_node.status import NodeStatus, ServiceState


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
    """One destination; figures are None where they are not known, which is not zero."""

    name: str
    badge: Badge
    rpo_s: float | None
    rpo_limit_s: float | None
    over_limit: bool
    behind_txids: int | None
    behind_bytes: int | None
    confirmed_at: int | None
    confirmed_txid: int | None


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
            )
        )
    return rows
