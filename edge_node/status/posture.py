"""The posture: what staff are told, from what the watcher, the outbox and the replicator have written. Pure.

An outage is over for staff when what it left has left: every message that was put before the lines returned, and every
change that a destination lacked then. Messages and changes of later are the ordinary flow and hold nothing back, so
that the line at the top does not flicker with every patient. Nothing is remembered from one reading to the next:
whoever reads the same files says the same, and so does a HIS that was killed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edge_node.status import shapes
from edge_node.status.lines import LinesRead
from edge_node.status.model import Mode, Posture

# A store that was out of reach is found again within one health check and its deadline; one that is still away after
# this has a trouble of its own, which `problems` names, and is no part of a recovery.
FOUND_AGAIN_WITHIN_MS = 60_000
# Where messages stand behind a dead letter, the oldest may be one of those, and says nothing of the others: for so long
# whatever can leave counts as the outage's, and later as of today.
DRAINED_WITHIN_MS = 600_000


def judge_posture(
    links: LinesRead,
    *,
    outbox: Mapping[str, Any] | None,
    destinations: Iterable[Mapping[str, Any]],
    destinations_at_ms: int | None,
    wall_ms: int,
) -> Posture:
    """`outbox` and `destinations` as their services wrote them last: what a dead service had left has not left since.

    `destinations_at_ms` is when the replicator wrote.
    """
    if not links.is_heard or links.mode is Mode.STARTING:
        return Posture.UNKNOWN
    if links.mode is Mode.OFFLINE:
        return Posture.OFFLINE
    ended_ms = links.outage_ended_ms
    if ended_ms is not None and (
        (outbox is not None and messages_left(outbox, ended_ms, wall_ms=wall_ms))
        or any(copy_lacks(row, ended_ms, at_ms=destinations_at_ms, wall_ms=wall_ms) for row in destinations)
    ):
        return Posture.RECOVERING
    return Posture(links.mode.value)


def messages_left(outbox: Mapping[str, Any], ended_ms: int, *, wall_ms: int) -> bool:
    """Does a message wait that was put before the outage ended?

    One of a paused upstream, or behind a dead letter, does not count: no line keeps it, and it goes nowhere before a
    person has seen to it.
    """
    if rows := outbox["upstreams"]:
        return any(row["paused"] is None and _is_left(row, ended_ms, wall_ms) for row in rows)
    return not outbox["paused_upstreams"] and _is_left(outbox, ended_ms, wall_ms)


def _is_left(counts: Mapping[str, Any], ended_ms: int, wall_ms: int) -> bool:
    if counts["queued"] + counts["waiting"] - counts["held"] <= 0:
        return False
    oldest_ms = shapes.moment_ms(counts["oldest_queued_at"])
    # Something waits and nobody says since when: then it is not known that the outage's have left.
    is_older = oldest_ms is None or oldest_ms < ended_ms
    return is_older and (not counts["held"] or wall_ms - ended_ms < DRAINED_WITHIN_MS)


def copy_lacks(row: Mapping[str, Any], ended_ms: int, *, at_ms: int | None, wall_ms: int) -> bool:
    """Does a destination still lack a change of the outage? Its RPO says how old the oldest change is that it lacks."""
    rpo_s = shapes.number(row.get("rpo_s"))
    if rpo_s is None or at_ms is None or at_ms - rpo_s * 1000 >= ended_ms:
        return False
    match row.get("state"):
        case "behind":
            return True
        case "unreachable":
            return wall_ms - ended_ms < FOUND_AGAIN_WITHIN_MS
        case _:
            return False
