"""Orders about the copies: a sentinel for the HIS (`orders/his.json`); drill, verify and pause for the replicator.

    {"schema": 1, "orders": [{"id", "kind", "destination", "since", "until", "by", "why"}]}

As every order they are wishes with an expiry (`orders.py`): whoever is addressed reads, and never writes the file. What
was done is told elsewhere (the HIS's status file, the record of drills), under the order's id.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_node.base.clock import parse_utc, utc_text
from edge_node.base.errors import ServiceError
from edge_node.base.files import atomic_write, file_lock

SCHEMA = 1
LARGEST_BYTES = 64 * 1024
LARGEST_TEXT = 200
# A clock that was a little behind when the order was given.
FUTURE_MS = 60_000


class ProofOrderKind(StrEnum):
    """What is asked for."""

    SENTINEL = "sentinel"  # the HIS: write a row that a restore must bring back
    DRILL = "drill"  # the replicator: restore from this destination, and see
    VERIFY = "verify"  # the replicator: look at this destination's objects
    PAUSE = "pause"  # the replicator: send nothing to this destination until then


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofOrder:
    """One wish; times are UTC milliseconds. `destination` is empty for all of them, and for a sentinel."""

    id: str
    kind: ProofOrderKind
    destination: str
    since_ms: int
    until_ms: int
    by: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "destination": self.destination,
            "since": utc_text(self.since_ms),
            "until": utc_text(self.until_ms),
            "by": self.by,
            "why": self.why,
        }


def his_orders(state_dir: Path) -> Path:
    """What the HIS is asked."""
    return state_dir / "orders" / "his.json"


def replica_orders(state_dir: Path) -> Path:
    """What the replicator is asked."""
    return state_dir / "orders" / "replica.json"


def new_proof_order(
    kind: ProofOrderKind, *, now_ms: int, for_s: float, by: str, why: str, destination: str = ""
) -> ProofOrder:
    """An order that begins now."""
    return ProofOrder(
        id=secrets.token_hex(8), kind=kind, destination=destination, since_ms=now_ms,
        until_ms=now_ms + round(for_s * 1000), by=by[:LARGEST_TEXT], why=why[:LARGEST_TEXT],
    )  # fmt: skip


def read_proof_orders(path: Path, *, now_ms: int) -> tuple[ProofOrder, ...]:
    """The orders that hold at `now_ms`; what cannot be understood is left out. Never raises."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(LARGEST_BYTES))
        entries = document["orders"] if document["schema"] == SCHEMA else []
        found = [_parse(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(
        order
        for order in found
        if order is not None and order.since_ms <= now_ms + FUTURE_MS and order.until_ms > now_ms
    )


def _parse(entry: Any) -> ProofOrder | None:
    try:
        texts = {name: entry[name] for name in ("id", "destination", "by", "why")}
        if not all(isinstance(text, str) and len(text) <= LARGEST_TEXT for text in texts.values()):
            return None
        return ProofOrder(
            kind=ProofOrderKind(entry["kind"]),
            since_ms=parse_utc(entry["since"]),
            until_ms=parse_utc(entry["until"]),
            **texts,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def place_proof_order(path: Path, order: ProofOrder, *, now_ms: int) -> None:
    """Add an order; those that have run out go, and what cannot be read. Raises ServiceError orders-unwritable.

    A pause takes the place of one of the same destination.
    """
    is_pause = order.kind is ProofOrderKind.PAUSE

    def kept(one: ProofOrder) -> bool:
        return not (is_pause and one.kind is ProofOrderKind.PAUSE and one.destination == order.destination)

    _rewrite(path, now_ms, lambda orders: (*(one for one in orders if kept(one)), order))


def withdraw_proof_order(path: Path, order_id: str, *, now_ms: int) -> bool:
    """Take an order back; false when it does not stand any more. Raises ServiceError orders-unwritable."""
    found: list[ProofOrder] = []

    def without(orders: tuple[ProofOrder, ...]) -> tuple[ProofOrder, ...]:
        found.extend(one for one in orders if one.id == order_id)
        return tuple(one for one in orders if one.id != order_id)

    _rewrite(path, now_ms, without)
    return bool(found)


def _rewrite(path: Path, now_ms: int, change: Callable[[tuple[ProofOrder, ...]], tuple[ProofOrder, ...]]) -> None:
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        with file_lock(path.with_name(f".{path.name}.lock")):
            orders = change(read_proof_orders(path, now_ms=now_ms))
            document = {"schema": SCHEMA, "orders": [one.as_json() for one in orders]}
            atomic_write(path, json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n")
    except OSError as error:
        raise ServiceError(
            "orders-unwritable",
            f"{path} cannot be written",
            context=error.strerror,
            hint="run the command as the owner of the state folder, or with sudo",
        ) from error
