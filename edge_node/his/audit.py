"""Who did what, from where: rows in a hash chain, written in the transaction of what they tell of.

hash = SHA-256(previous hash, canonical JSON of the row). The chain shows a row that was changed or taken out. A cut at
the end shows by SQLite's own counter; a cut that turns the counter back too, or a log written anew, only against a head
noted elsewhere: the replicator notes one at every destination once a day (`replication/anchors.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge_node.base.clock import ClockState
from edge_node.base.errors import StoreError
from edge_node.base.logs import event
from edge_node.his.context import context, write_trace
from edge_node.store.connection import Connection, Row

NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The person, the desk and the address that act. `staff_id` is None before a sign-in and for the command line."""

    staff_id: str | None
    station: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The wall time of a record, with how far it is to be trusted."""

    at: int
    clock_state: ClockState


def moment() -> Moment:
    """Now, as it is to be recorded; read it once for one piece of work."""
    ctx = context()
    return Moment(at=ctx.clock.wall_ms(), clock_state=ctx.node_status().clock)


def record(
    conn: Connection,
    who: Who,
    action: str,
    object: str,  # noqa: A002 (the word of the table)
    detail: Mapping[str, Any],
    *,
    at: int,
    clock_state: ClockState,
) -> int:
    """Append one row and return its sequence number; in the transaction of the change that it tells of.

    `action` is snake_case from a closed set, `object` is "kind:id" or empty. `detail` holds identifiers and changed
    field names, never a password and never the whole number of a document.
    """
    last = conn.execute("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last["seq"] + 1, bytes(last["hash"])) if last else (1, NO_HASH)
    row = {
        "seq": seq, "at": at, "clock_state": str(clock_state), "staff_id": who.staff_id, "station": who.station,
        "address": who.address, "action": action, "object": object, "detail": canonical(detail),
    }  # fmt: skip
    conn.execute(
        "INSERT INTO audit_log (seq, at, clock_state, staff_id, station, address, action, object, detail, "
        "previous_hash, hash) VALUES (:seq, :at, :clock_state, :staff_id, :station, :address, :action, :object, "
        ":detail, :previous_hash, :hash)",
        {**row, "previous_hash": previous, "hash": chain_hash(previous, row)},
    )
    return seq


def viewed(who: Who, object: str, detail: Mapping[str, Any] | None = None) -> None:  # noqa: A002
    """Record that somebody looked at something that is not for everybody; returns when it is kept.

    A full disk stops the writing, not the looking: care goes on, and the log says what was not recorded.
    """
    now = moment()
    try:
        write_trace(
            lambda conn: record(conn, who, "viewed", object, detail or {}, at=now.at, clock_state=now.clock_state)
        )  # fmt: skip
    except StoreError as error:
        event("view_not_recorded", level="warning", code=error.code, staff=who.staff_id, object=object)


def canonical(value: Mapping[str, Any]) -> str:
    """One JSON text for equal values, whatever the order of their keys."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def chain_hash(previous: bytes, row: Mapping[str, Any]) -> bytes:
    """The hash of a row that follows the one whose hash is `previous`."""
    return hashlib.sha256(previous + canonical(row).encode()).digest()


class Damage(StrEnum):
    """What is wrong with the first row that does not fit."""

    MISSING = "missing"
    CHANGED = "changed"
    OUT_OF_CHAIN = "out-of-chain"
    TAIL_MISSING = "tail-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first row that is missing or does not fit."""

    seq: int
    damage: Damage


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What a walk along the chain found: how many rows fit, the number and hash of the last of them, and the damage."""

    rows: int
    head: bytes
    broken: Broken | None


def walk(conn: Connection) -> Chain:
    """Walk the whole chain from its first row, up to the first that does not fit."""
    fitting, previous = 0, NO_HASH
    rows = conn.execute(
        "SELECT seq, at, clock_state, staff_id, station, address, action, object, detail, previous_hash, hash "
        "FROM audit_log ORDER BY seq"
    )
    for row in rows:
        values = {key: row[key] for key in row.keys() if key not in ("previous_hash", "hash")}  # noqa: SIM118 (a Row)
        if (damage := _damage(row, values, fitting + 1, previous)) is not None:
            return Chain(rows=fitting, head=previous, broken=Broken(seq=fitting + 1, damage=damage))
        fitting, previous = fitting + 1, bytes(row["hash"])
    # SQLite keeps the highest number ever given, so a cut at the end shows unless that was turned back too.
    given = conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit_log'").fetchone()
    is_cut = given is not None and given["seq"] > fitting
    broken = Broken(seq=fitting + 1, damage=Damage.TAIL_MISSING) if is_cut else None
    return Chain(rows=fitting, head=previous, broken=broken)


def _damage(row: Row, values: Mapping[str, Any], expected: int, previous: bytes) -> Damage | None:
    if row["seq"] != expected:
        return Damage.MISSING
    if bytes(row["previous_hash"]) != previous:
        return Damage.OUT_OF_CHAIN
    return None if bytes(row["hash"]) == chain_hash(previous, values) else Damage.CHANGED


def verify(conn: Connection) -> int | None:
    """The number of the first row that does not fit or is missing, None when all is well."""
    broken = walk(conn).broken
    return broken.seq if broken else None
