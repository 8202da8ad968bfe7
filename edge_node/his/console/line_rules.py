"""What the page of a line shows beside its history: from the watcher's own status file, row by row; pure.

While the watcher is silent nothing of it is shown: a value that may have changed since is no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_node.his.console.explained import RuleRow, rules_of
from edge_node.his.console.rules import NOT_KNOWN, VERDICT_BADGES, Badge, LineRow, OrderRow, lines, orders
from edge_node.his.line_history import Past
from edge_node.i18n import Text, reason_text, text
from edge_node.status import NodeStatus, ServiceState, shapes

ROLES: Mapping[str, Text] = {
    "cloud": text("cloud: decides"),
    "carrier": text("carrier's gateway: for diagnosis only"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """A target as asked through the line; None is "not known". Loss of one way only is known of STAMP targets."""

    address: str
    kind: str | None
    role: Text | None
    rtt_s: float | None
    jitter_s: float | None
    loss_ratio: float | None
    out_ratio: float | None
    back_ratio: float | None
    silent_s: float | None
    barred: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePage:
    """A line now. `is_known` is false while the watcher is silent.

    `mtu` is what its routes are held to where packets of the full size vanish; `mtu_is_ok` is None while not known.
    """

    row: LineRow
    is_known: bool
    interface: str | None
    hold_left_s: float | None
    penalty: float | None
    is_suppressed: bool
    mtu: int | None
    mtu_is_ok: bool | None
    targets: Sequence[TargetRow]
    rules: Sequence[RuleRow]
    orders: Sequence[OrderRow]

    @property
    def tells_ways(self) -> bool:
        return any(target.out_ratio is not None or target.back_ratio is not None for target in self.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    past: Past
    badge: Badge
    why: Text


def line_page(status: NodeStatus, name: str) -> LinePage | None:
    """The line of this name; None where there is none."""
    row = next((line for line in lines(status) if line.name == name), None)
    if row is None:
        return None
    known = next(line for line in status.lines if line["name"] == name)
    raw = _written(status, name)
    is_ok = raw.get("mtu_ok")
    return LinePage(
        row=row,
        is_known=bool(raw),
        interface=known["interface"],
        hold_left_s=known["hold_left_s"],
        penalty=known["penalty"],
        is_suppressed=known["suppressed"],
        mtu=shapes.count(raw.get("mtu")),
        mtu_is_ok=is_ok if isinstance(is_ok, bool) else None,
        targets=[
            _target(target) for target in shapes.objects(raw.get("targets")) if shapes.words(target.get("address"))
        ],
        rules=rules_of(raw),
        orders=[order for order in orders(status) if order.line == name],
    )


def incidents(past: Sequence[Past]) -> list[IncidentRow]:
    return [
        IncidentRow(
            past=one, badge=VERDICT_BADGES.get(one.state, NOT_KNOWN), why=reason_text(one.code, dict(one.args))
        )
        for one in past
    ]  # fmt: skip


def _written(status: NodeStatus, name: str) -> Mapping[str, Any]:
    """The line as the watcher wrote it; empty while the watcher is silent."""
    file = status.files.get("links")
    if file is None or status.services.get("links") is not ServiceState.OK:
        return {}
    return next((line for line in shapes.objects(file.state.get("lines")) if line.get("name") == name), {})


def _target(raw: Mapping[str, Any]) -> TargetRow:
    ways = shapes.mapping(raw.get("direction"))
    barred = shapes.words(raw.get("barred"))
    return TargetRow(
        address=shapes.words(raw.get("name")) or raw["address"],
        kind=shapes.words(raw.get("kind")),
        role=ROLES.get(shapes.words(raw.get("role")) or ""),
        rtt_s=shapes.number(raw.get("rtt_s")),
        jitter_s=shapes.number(raw.get("jitter_s")),
        loss_ratio=shapes.ratio(raw.get("loss_ratio")),
        out_ratio=shapes.ratio(shapes.mapping(ways.get("out")).get("loss_ratio")),
        back_ratio=shapes.ratio(shapes.mapping(ways.get("back")).get("loss_ratio")),
        silent_s=shapes.number(raw.get("silent_s")),
        barred=None if barred is None else reason_text(barred, {}),
    )
