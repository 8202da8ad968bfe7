"""What drills and looks have shown, kept in `state_dir/reports/proofs.json`: the last of each, and the last good drill.

The status file below `run_dir` goes with a reboot; whether a copy was ever restored must not. Whoever drills or looks
writes it, under a lock; the replicator reads it for its status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_node.base.clock import parse_utc, utc_text
from edge_node.base.files import atomic_write, file_lock
from edge_node.replication.drill import Drilled
from edge_node.replication.proof_due import Proof
from edge_node.replication.restore_points import points_as_json
from edge_node.replication.verify import Verified

SCHEMA = 1
# Orders that were carried out, so that a restart does not repeat them.
KEPT_ORDERS = 50


def record_path(state_dir: Path) -> Path:
    """Where it is kept."""
    return state_dir / "reports" / "proofs.json"


def read_record(path: Path) -> dict[str, Any]:
    """The record; an empty one where there is none or it cannot be read. Never raises."""
    try:
        document = json.loads(path.read_bytes())
        destinations = {str(name): dict(entry) for name, entry in document["destinations"].items()}
        orders = [str(order) for order in document["orders"]]
        return {"schema": SCHEMA, "destinations": destinations, "orders": orders}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"schema": SCHEMA, "destinations": {}, "orders": []}


def drill_as_json(done: Drilled) -> dict[str, Any]:
    """A drill for files and answers."""
    return {
        "at": utc_text(done.at_ms),
        "ok": done.is_ok,
        "outcome": done.outcome,
        "rto_s": done.rto_s,
        "txid": done.txid,
        "newest_at": None if done.newest_at_ms is None else utc_text(done.newest_at_ms),
        "size_bytes": done.size_bytes,
        "checks": [asdict(check) for check in done.checks],
    }


def verified_as_json(found: Verified, *, at_ms: int) -> dict[str, Any]:
    """A look for files and answers."""
    return {
        "at": utc_text(at_ms),
        "ok": found.is_sound,
        "txid": found.txid,
        "files": found.files,
        "looked_into": found.looked_into,
        "points": points_as_json(found.points),
        "findings": [
            {
                "fault": finding.fault,
                "where": finding.where,
                "text": finding.text,
                "here": finding.is_here,
                "mended": finding.mended,
            }
            for finding in found.findings
        ],
    }


def keep_drill(path: Path, destination: str, done: Drilled, *, order: str | None = None) -> None:
    """Write a drill down. Raises OSError."""
    entry = drill_as_json(done)
    more = {"last_ok": {"at": entry["at"], "rto_s": entry["rto_s"]}} if done.is_ok else {}
    _keep(path, destination, {"drill": entry, **more}, order)


def keep_verified(
    path: Path, destination: str, database: str, found: Verified, *, at_ms: int, order: str | None = None
) -> None:
    """Write a look down. Raises OSError."""
    _keep(path, destination, {f"verify_{database}": verified_as_json(found, at_ms=at_ms)}, order)


def _keep(path: Path, destination: str, news: Mapping[str, Any], order: str | None) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file_lock(path.with_name(f".{path.name}.lock")):
        document = read_record(path)
        document["destinations"].setdefault(destination, {}).update(news)
        if order is not None and order not in document["orders"]:
            document["orders"] = [*document["orders"], order][-KEPT_ORDERS:]
        atomic_write(path, json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n", mode=0o600)


def last_at_ms(record: Mapping[str, Any], destination: str, proof: Proof) -> int | None:
    """When a destination was last drilled, or its clinical database looked at, whatever that showed; None for never."""
    entry = record["destinations"].get(destination, {}).get("drill" if proof is Proof.DRILL else "verify_his")
    try:
        return parse_utc(entry["at"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def shown(record: Mapping[str, Any], destination: str) -> dict[str, Any]:
    """What a destination's entry in the status says of its last drill, the last good one, and the last look."""
    entry = record["destinations"].get(destination, {})
    last, look = entry.get("drill"), entry.get("verify_his")
    drill = verified = None
    if isinstance(last, dict):
        drill = {key: last.get(key) for key in ("at", "ok", "rto_s", "outcome")}
    if isinstance(look, dict):
        wrong = [finding for finding in look.get("findings", ()) if not finding.get("mended")]
        verified = {"at": look.get("at"), "ok": look.get("ok"), "findings": len(wrong)}
    return {"last_drill": drill, "last_drill_ok": entry.get("last_ok"), "last_verify": verified}


def points_seen(record: Mapping[str, Any]) -> dict[str, Any]:
    """The restore points of each destination as the last look found them, with the time of that look."""
    looks = {name: entry.get("verify_his") for name, entry in record["destinations"].items()}
    return {
        name: {"at": look.get("at"), "stretches": look["points"]}
        for name, look in looks.items()
        if isinstance(look, dict) and isinstance(look.get("points"), list)
    }
