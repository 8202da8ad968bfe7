"""Changes of the machine before that this one never took over, and that one destination holds.

A machine is promoted from one destination. Another, which could not be reached then, may hold later changes: staff saw
them saved, and they are in no database any more. Nothing is merged by itself; a person is told where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_node.base.clock import Clock
from edge_node.base.logs import event
from edge_node.replication import ltx
from edge_node.replication.claims import read_claim
from edge_node.replication.destination import Destination, database_prefix, listed_files
from edge_node.replication.epoch import Epoch, folder_name

# At the first connecting, and once more: until it has seen our claim, the machine before may ship there.
LOOKS = 2
EVERY_S = 3600.0
# By then they are reconciled, or nobody will.
TOLD_FOR_MS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """A destination holds epoch `epoch` up to `txid`; `own_epoch` went on from `from_txid`. `found_ms` is wall time."""

    own_epoch: int
    epoch: int
    from_txid: int
    txid: int
    found_ms: int


async def find(
    destination: Destination, *, node_id: str, database: str, epoch: Epoch, now_ms: int
) -> LeftBehind | None:
    """What it holds beyond the change that `epoch` goes on from, if anything. Raises DestinationFailed."""
    before, from_txid = epoch.from_epoch, epoch.from_txid
    if before is None or from_txid is None:
        return None
    claim = await read_claim(destination, node_id, before)
    if claim is not None and epoch.from_nonce not in (None, claim.nonce):
        return None  # A rival's of the same number, whose changes are its own tail.
    listed = await destination.list(database_prefix(node_id, folder_name(before), database))
    reach = ltx.frontier(listed_files(listed))
    if reach <= from_txid:
        return None
    return LeftBehind(own_epoch=epoch.number, epoch=before, from_txid=from_txid, txid=reach, found_ms=now_ms)


class LeftBehindKeeper:
    """Looks at one destination; `found` is what was found there lately, kept by whoever keeps its record."""

    def __init__(
        self,
        destination: Destination,
        *,
        node_id: str,
        database: str,
        epoch: Epoch,
        known: LeftBehind | None,
        clock: Clock,
    ) -> None:
        self._destination, self._node_id, self._database, self._epoch = destination, node_id, database, epoch
        self._clock = clock
        self._looks = 0
        self.found = known if known is not None and known.own_epoch == epoch.number else None

    async def turn(self) -> None:
        """Look, if it is still worth it. Raises DestinationFailed."""
        if self._looks >= LOOKS:
            return
        found = await find(
            self._destination,
            node_id=self._node_id,
            database=self._database,
            epoch=self._epoch,
            now_ms=self._clock.wall_ms(),
        )
        self._looks += 1
        if found is None:
            self.found = None  # Reconciled, and deleted there.
        elif self.found is None or found.txid > self.found.txid:
            self.found = found
            event(
                "changes_left_behind", level="error", destination=self._destination.name, epoch=found.epoch,
                taken_over_txid=found.from_txid, txid=found.txid,
            )  # fmt: skip

    def problems(self) -> list[dict[str, Any]]:
        """For the status file: reasons with code and args."""
        found = self.found
        if found is None or self._clock.wall_ms() - found.found_ms > TOLD_FOR_MS:
            return []
        args = {
            "destination": self._destination.name, "epoch": found.epoch, "from_txid": found.from_txid,
            "txid": found.txid,
        }  # fmt: skip
        return [{"code": "changes-left-behind", "args": args}]
