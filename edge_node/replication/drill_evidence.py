"""What a drill arranges before it restores: a sentinel in the database, captured, and confirmed by the destination."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock, boot_id
from edge_node.base.files import ServiceStatus, read_status
from edge_node.proof_orders import ProofOrderKind, his_orders, new_proof_order, place_proof_order
from edge_node.replication.drill import Check, Outcome, Sentinel
from edge_node.replication.litestream import ControlSocket, SocketSilent
from edge_node.replication.supervisor import SOCKET_NAME

LOOKED_EVERY_S = 0.2
# The HIS looks for orders every two seconds, and commits within one.
WRITTEN_WITHIN_S = 20.0
CAPTURED_WITHIN_S = 10.0
# What a destination lacks when the drill begins may take its time; a drill is no reason to wait for hours.
CONFIRMED_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was arranged. `txid` is the newest that was captured with it; None where nothing captures."""

    checks: tuple[Check, ...]
    sentinel: Sentinel | None
    txid: int | None


def _fresh(run_dir: Path, service: str, clock: Clock) -> ServiceStatus | None:
    file = read_status(run_dir, service)
    if file is None or file.stopped or file.is_stale(clock.boottime(), this_boot=boot_id()):
        return None
    return file


async def arrange(state_dir: Path, run_dir: Path, database: Path, *, clock: Clock, by: str, why: str) -> Evidence:
    """Have the HIS write a sentinel, and Litestream capture it. Raises ServiceError orders-unwritable.

    Without a running HIS the drill goes on without a sentinel, and says so: the copy can be tried all the same. A HIS
    that runs and writes nothing is a failure: something is wrong that a drill is there to find.
    """
    check, sentinel = await _sentinel(state_dir, run_dir, clock=clock, by=by, why=why)
    if _fresh(run_dir, "replica", clock) is None:
        captured = Check(
            name="captured", outcome=Outcome.FINDING, text="the replicator does not run: nothing is captured"
        )
        return Evidence(checks=(check, captured), sentinel=sentinel, txid=None)
    socket = ControlSocket(run_dir / "replica" / SOCKET_NAME)
    try:
        txid = await asyncio.to_thread(socket.sync, database, timeout_s=CAPTURED_WITHIN_S)
    except (SocketSilent, OSError) as error:
        captured = Check(name="captured", outcome=Outcome.FAILED, text=f"litestream captured nothing: {error}")
        return Evidence(checks=(check, captured), sentinel=sentinel, txid=None)
    return Evidence(checks=(check,), sentinel=sentinel, txid=txid)


async def _sentinel(
    state_dir: Path, run_dir: Path, *, clock: Clock, by: str, why: str
) -> tuple[Check, Sentinel | None]:
    his = _fresh(run_dir, "his", clock)
    if his is None:
        return _check(Outcome.FINDING, "the HIS does not run: drilled without a sentinel"), None
    if his.state.get("writable") is not True:
        text = f"the HIS writes nothing ({his.state.get('write_error')}): drilled without a sentinel"
        return _check(Outcome.FINDING, text), None
    order = new_proof_order(
        ProofOrderKind.SENTINEL, now_ms=clock.wall_ms(), for_s=10 * WRITTEN_WITHIN_S, by=by, why=why
    )
    await asyncio.to_thread(place_proof_order, his_orders(state_dir), order, now_ms=clock.wall_ms())
    deadline = clock.boottime() + WRITTEN_WITHIN_S
    while clock.boottime() < deadline:
        file = read_status(run_dir, "his")
        written: Any = file.state.get("sentinel") if file else None
        if isinstance(written, Mapping) and written.get("id") == order.id:
            found = Sentinel(id=order.id, seq=int(written["seq"]), hash=str(written["hash"]))
            return _check(Outcome.OK, f"entry {found.seq} of the audit log"), found
        await asyncio.sleep(LOOKED_EVERY_S)
    text = f"the HIS runs and has written no sentinel within {WRITTEN_WITHIN_S:.0f} s"
    return _check(Outcome.FAILED, text), None


def _check(outcome: Outcome, text: str) -> Check:
    return Check(name="sentinel-written", outcome=outcome, text=text)


async def confirmed(
    run_dir: Path, destination: str, txid: int, *, clock: Clock, within_s: float = CONFIRMED_WITHIN_S
) -> Check:
    """Wait until the replicator says that the destination has confirmed the TXID."""
    deadline = clock.boottime() + within_s
    reached = 0
    while clock.boottime() < deadline:
        file = _fresh(run_dir, "replica", clock)
        entries: Any = file.state.get("destinations", ()) if file else ()
        reached = next((int(entry["confirmed_txid"]) for entry in entries if entry["name"] == destination), 0)
        if reached >= txid:
            return Check(name="shipped", outcome=Outcome.OK, text=f"TXID {txid} was confirmed")
        await asyncio.sleep(LOOKED_EVERY_S)
    text = f"TXID {txid} was not confirmed within {within_s:.0f} s; it has confirmed {reached}"
    return Check(name="shipped", outcome=Outcome.FAILED, text=text)
