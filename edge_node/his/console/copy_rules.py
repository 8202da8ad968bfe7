"""What the page of the copies makes of the status, the configuration and the past: rows with a badge and words; pure.

While the replicator is silent nothing of its copies is known. A copy that was never restored from is never called good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_node.base.errors import ExitCode
from edge_node.his.console.rules import NOT_KNOWN, Badge, CopyRow, copies
from edge_node.his.copies import LOCAL, KnownCopy, PastDrill
from edge_node.i18n import Text, reason_text, text
from edge_node.proof_orders import ProofOrder, ProofOrderKind
from edge_node.status import PROBLEM_EXITS, NodeStatus, ServiceState, shapes

DAY_MS = 86_400_000
# Weekly, with a day's grace for whoever does it: the timer, or the replicator.
DRILL_OVERDUE_MS = 8 * DAY_MS
# Daily, with the same.
LOOK_OVERDUE_MS = 2 * DAY_MS

NEVER_DRILLED = Badge(kind="dim", shape="unk", words=text("not drilled yet"))
DRILL_BADGES: Mapping[str, Badge] = {
    "ok": Badge(kind="ok", shape="up", words=text("succeeded")),
    "failed": Badge(kind="badq", shape="down", words=text("failed")),
    "skipped": Badge(kind="dim", shape="unk", words=text("skipped")),
}
NEVER_LOOKED = Badge(kind="dim", shape="unk", words=text("not verified"))
INTACT = Badge(kind="ok", shape="up", words=text("intact"))
ORDER_BADGES: Mapping[ProofOrderKind, Badge] = {
    ProofOrderKind.DRILL: Badge(kind="plain", shape="wait", words=text("Drill")),
    ProofOrderKind.VERIFY: Badge(kind="plain", shape="wait", words=text("Verify")),
    ProofOrderKind.PAUSE: Badge(kind="warn", shape="lock", words=text("Pause")),
}
STEPS: Mapping[int, Text] = {
    0: text("every second"), 1: text("every 30 s"), 2: text("every 5 min"), 3: text("every hour"), 9: text("snapshots")
}  # fmt: skip
# States in which what a destination lacks is on its way, or will be with the line.
CATCHING_UP = ("behind", "unreachable")
# Beside those that lead to the exit code of the replica.
OF_THE_COPIES = (
    "superseded", "superseded-tail", "superseded-tail-missing", "clock-set-ahead", "clock-set-back",
    "audit-contradicted",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a drill or a look showed, and when; `rto_s` of a drill."""

    badge: Badge
    at_ms: int | None = None
    rto_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyDetail:
    """One row of the page. `claimed_at` is since when this machine owns its epoch there; `noted_at` is when the head of
    the audit log was noted there last.
    """

    copy: CopyRow
    place: str | None
    catch_up_s: float | None
    drill: Mark | None
    look: Mark | None
    protection: Sequence[Text]
    kit: int | None
    claimed_at: int | None
    noted_at: int | None
    refuses_a_second: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRow:
    """States that can be restored, so far apart; snapshots are one row."""

    step: Text
    from_ms: int | None
    to_ms: int | None
    from_txid: int
    to_txid: int
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """The restore points of one destination, as they were at `at_ms`."""

    at_ms: int | None
    rows: Sequence[PointRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRow:
    past: PastDrill
    badge: Badge


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order that stands; only a pause can be ended, the others are carried out."""

    order: ProofOrder
    badge: Badge

    @property
    def can_end(self) -> bool:
        return self.order.kind is ProofOrderKind.PAUSE


def details(status: NodeStatus, known: Sequence[KnownCopy], now_ms: int) -> list[CopyDetail]:
    """A row for each destination that the replicator tells of, the local one first."""
    said = {row["name"]: row for row in status.replica["destinations"]}
    configured = {one.name: one for one in known}
    is_heard = status.services.get("replica") is ServiceState.OK
    found = []
    for copy in copies(status):
        raw, about = said[copy.name], configured.get(copy.name)
        kit = shapes.count(raw.get("kit"))
        heeds = raw.get("conditional_puts")
        found.append(
            CopyDetail(
                copy=copy,
                place=about.place if about else None,
                # What is current has nothing to catch up with that anybody waits for; what is sent nothing catches up
                # with nothing.
                catch_up_s=shapes.number(raw.get("catch_up_s")) if is_heard and raw["state"] in CATCHING_UP else None,
                drill=None if copy.name == LOCAL and not raw.get("last_drill") else _drill(raw, now_ms),
                look=None if copy.name == LOCAL else _look(raw, now_ms),
                protection=_protection(about),
                kit=kit,
                claimed_at=shapes.moment_ms(raw.get("claimed_at")),
                noted_at=shapes.moment_ms(shapes.mapping(raw.get("last_anchor")).get("at")),
                refuses_a_second=heeds if isinstance(heeds, bool) else None,
            )
        )
    return found


def _drill(raw: Mapping[str, Any], now_ms: int) -> Mark:
    last, good = shapes.mapping(raw.get("last_drill")), shapes.mapping(raw.get("last_drill_ok"))
    at_ms, good_ms = shapes.moment_ms(last.get("at")), shapes.moment_ms(good.get("at"))
    if at_ms is None:
        return Mark(badge=NEVER_DRILLED)
    badge = DRILL_BADGES.get(shapes.words(last.get("outcome")) or "", NOT_KNOWN)
    if last.get("ok") is True and good_ms is not None and now_ms - good_ms > DRILL_OVERDUE_MS:
        days = round((now_ms - good_ms - (DRILL_OVERDUE_MS - DAY_MS)) / DAY_MS)
        badge = Badge(kind="warn", shape="deg", words=text("overdue by %(n)d d", n=days))
    return Mark(badge=badge, at_ms=at_ms, rto_s=shapes.number(last.get("rto_s")))


def _look(raw: Mapping[str, Any], now_ms: int) -> Mark:
    last = shapes.mapping(raw.get("last_verify"))
    at_ms = shapes.moment_ms(last.get("at"))
    if at_ms is None:
        return Mark(badge=NEVER_LOOKED)
    if last.get("ok") is not True:
        words = text("%(n)d findings", n=shapes.count(last.get("findings")) or 0)
        return Mark(badge=Badge(kind="badq", shape="down", words=words), at_ms=at_ms)
    return Mark(badge=NEVER_LOOKED if now_ms - at_ms > LOOK_OVERDUE_MS else INTACT, at_ms=at_ms)


def _protection(about: KnownCopy | None) -> list[Text]:
    if about is None:
        return []
    if about.name == LOCAL:
        return [text("on this machine")]
    told = [text("encrypted") if about.is_sealed else text("not encrypted")]
    return [*told, text("the node deletes what is old")] if about.may_expire else told


def points(status: NodeStatus, name: str) -> Points | None:
    """Which past states of a destination can be restored; None where nobody has looked."""
    file = status.files.get("replica")
    raw = shapes.mapping(shapes.mapping(file.state.get("points")).get(name)) if file else {}
    stretches = [one for one in shapes.objects(raw.get("stretches")) if shapes.count(one.get("level")) in STEPS]
    if not stretches:
        return None
    single = [_point(one) for one in stretches if one["level"] != 9]
    snapshots = [_point(one) for one in stretches if one["level"] == 9]
    return Points(at_ms=shapes.moment_ms(raw.get("at")), rows=[*single, *([_together(snapshots)] if snapshots else [])])


def _point(raw: Mapping[str, Any]) -> PointRow:
    return PointRow(
        step=STEPS[raw["level"]],
        from_ms=shapes.moment_ms(raw.get("from")),
        to_ms=shapes.moment_ms(raw.get("to")),
        from_txid=shapes.count(raw.get("min_txid")) or 0,
        to_txid=shapes.count(raw.get("max_txid")) or 0,
        files=shapes.count(raw.get("files")) or 0,
        size_bytes=shapes.count(raw.get("size_bytes")) or 0,
    )


def _together(rows: Sequence[PointRow]) -> PointRow:
    """Snapshots as one row: each is one state, its last."""
    times = [row.to_ms for row in rows if row.to_ms is not None]
    return PointRow(
        step=STEPS[9],
        from_ms=min(times, default=None),
        to_ms=max(times, default=None),
        from_txid=min(row.to_txid for row in rows),
        to_txid=max(row.to_txid for row in rows),
        files=sum(row.files for row in rows),
        size_bytes=sum(row.size_bytes for row in rows),
    )


def local_bytes(status: NodeStatus) -> int | None:
    """What the local replica takes of its disk."""
    file = status.files.get("replica")
    here = shapes.mapping(shapes.mapping(file.state.get("points")).get(LOCAL)) if file else {}
    return shapes.count(here.get("size_bytes"))


def drill_rows(past: Sequence[PastDrill]) -> list[DrillRow]:
    return [DrillRow(past=one, badge=DRILL_BADGES.get(one.outcome, NOT_KNOWN)) for one in past]


def problems(status: NodeStatus) -> list[tuple[str, Text]]:
    """What is wrong with the copies, or with who owns them: codes and sentences."""
    return [
        (one.code, reason_text(one.code, one.args))
        for one in status.problems
        if PROBLEM_EXITS.get(one.code) is ExitCode.REPLICA or one.code in OF_THE_COPIES
        or (one.code.startswith("service-") and one.args.get("service") == "replica")
    ]  # fmt: skip


def standing(orders: Sequence[ProofOrder], status: NodeStatus) -> list[OrderRow]:
    """The orders that are not carried out yet, and the pauses; the newest first."""
    said = {row["name"]: row for row in status.replica["destinations"]}

    def is_done(order: ProofOrder) -> bool:
        entry = {ProofOrderKind.DRILL: "last_drill", ProofOrderKind.VERIFY: "last_verify"}.get(order.kind)
        if entry is None:
            return False
        at_ms = shapes.moment_ms(shapes.mapping(said.get(order.destination, {}).get(entry)).get("at"))
        return at_ms is not None and at_ms >= order.since_ms

    return [
        OrderRow(order=order, badge=ORDER_BADGES[order.kind])
        for order in sorted(orders, key=lambda order: -order.since_ms)
        if order.kind in ORDER_BADGES and not is_done(order)
    ]
