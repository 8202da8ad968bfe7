"""Who did what, from where: rows in a hash chain, written in the transaction of what they tell of.

hash = SHA-256(previous hash, canonical JSON of the row). The chain shows a row that was changed or taken out; that the
tail is missing shows only against a head noted elsewhere (the copies of earlier instants hold it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.base.clock import ClockState
from edge_node.base.errors import StoreError
from edge_node.base.logs import event
from edge_node.his.context import context, write_trace
from edge_node.store.connection import Connection

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


def verify(conn: Connection) -> int | None:
    """Walk the whole chain; the number of the first row that does not fit or is missing, None when all is well."""
    expected, previous = 1, NO_HASH
    rows = conn.execute(
        "SELECT seq, at, clock_state, staff_id, station, address, action, object, detail, previous_hash, hash "
        "FROM audit_log ORDER BY seq"
    )
    for row in rows:
        values = {key: row[key] for key in row.keys() if key not in ("previous_hash", "hash")}  # noqa: SIM118 (a Row)
        if row["seq"] != expected or bytes(row["previous_hash"]) != previous:
            return expected
        previous = chain_hash(previous, values)
        if bytes(row["hash"]) != previous:
            return expected
        expected += 1
    return None
