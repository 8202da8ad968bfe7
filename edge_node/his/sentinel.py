"""A drill's sentinel: a row that a restore must bring back, written on an order of `orders/his.json`.

It is an entry of the audit log: it says who drilled and when, and its hash is the head of the chain that the restored
copy must reach. The drill reads number and hash from the status file of the HIS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock, ClockState
from edge_node.base.errors import StoreError
from edge_node.base.logs import event
from edge_node.his import audit
from edge_node.proof_orders import ProofOrder, ProofOrderKind, his_orders, read_proof_orders
from edge_node.store.connection import Connection
from edge_node.store.writer import Writer

ACTION = "drill_sentinel"
FIND = "SELECT seq, hash FROM audit_log WHERE object = ?"


class Sentinels:
    """Looks for orders and writes what they ask for; `state` is for the status file."""

    def __init__(self, state_dir: Path, writer: Writer, clock: Clock, clock_state: Callable[[], ClockState]) -> None:
        self._path = his_orders(state_dir)
        self._writer = writer
        self._clock = clock
        self._clock_state = clock_state
        self._seen: tuple[int, int] | None = None
        self.state: dict[str, Any] | None = None

    def turn(self) -> None:
        """Write the newest sentinel that is asked for and not there yet; what fails is tried at the next turn."""
        try:
            stat = self._path.stat()
        except OSError:
            return
        seen = (stat.st_mtime_ns, stat.st_ino)
        if seen == self._seen:
            return
        orders = read_proof_orders(self._path, now_ms=self._clock.wall_ms())
        wanted = [order for order in orders if order.kind is ProofOrderKind.SENTINEL]
        if wanted and (self.state is None or self.state["id"] != wanted[-1].id):
            try:
                self.state = self._write(wanted[-1])
            except StoreError as error:
                event("sentinel_not_written", level="warning", code=error.code, order=wanted[-1].id)
                return
        self._seen = seen

    def _write(self, order: ProofOrder) -> dict[str, Any]:
        at, clock_state = self._clock.wall_ms(), self._clock_state()
        who = audit.Who(staff_id=None, station="drill", address="")

        def write(conn: Connection) -> dict[str, Any]:
            object_ = f"drill:{order.id}"
            # A HIS that was restarted meanwhile finds what it wrote before.
            row = conn.execute(FIND, (object_,)).fetchone()
            if row is None:
                audit.record(
                    conn, who, ACTION, object_, {"by": order.by, "why": order.why}, at=at, clock_state=clock_state
                )
                row = conn.execute("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
            return {"id": order.id, "seq": row["seq"], "hash": bytes(row["hash"]).hex(), "at": at}

        return self._writer.submit(write)
