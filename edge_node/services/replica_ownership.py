"""The replicator's part in who owns the clinic's history: the fence, the recovery kit, and the tail of the loser."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock, utc_text
from edge_node.base.errors import EdgeError
from edge_node.base.logs import Repeated, event
from edge_node.base.systemd import credential_path
from edge_node.config.schema import Config
from edge_node.replication import ltx
from edge_node.replication.epoch import Claim, Epoch, make_epoch, new_nonce, replica_path
from edge_node.replication.fence import Fence
from edge_node.replication.kit import AUTHORITY, NEEDED, Kit, make_kit
from edge_node.replication.store import offload
from edge_node.replication.tail import Tail, export_tail
from edge_node.store.places import db_path

EVERY_S = 1.0
# What was being written when the fence fell is committed by then: the HIS looks before each write.
SETTLED_S = 3.0
RETRY_S = 60.0


class Ownership:
    """`fence` and `kit` are for the shippers; `run` beside them until cancelled."""

    def __init__(self, config: Config, epoch: Epoch, clock: Clock, *, config_path: Path | None) -> None:
        self._config = config
        self._epoch = epoch
        self._clock = clock
        # With --home the configuration lies beside the state.
        self._config_path = config_path or config.node.state_dir / "edge-node.toml"
        self._lacks: tuple[str, ...] = ()
        self._tail: Tail | None = None
        self._tail_error: str | None = None
        self.fence = Fence(
            config.node.state_dir, node_id=config.node.id, epoch=epoch, key=data_key(config.node.state_dir), clock=clock
        )

    def kit(self) -> Kit | None:
        """The recovery kit as it is now; None while the configuration cannot be read."""
        try:
            text = self._config_path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            self._lacks = (self._config_path.name,)
            return None
        kit = make_kit(self._config, text, epoch=self._epoch.number, now_ms=self._clock.wall_ms())
        self._lacks = tuple(name for name in kit.lacks if name in (*NEEDED, *AUTHORITY.values()))
        return kit

    @property
    def superseded_by(self) -> str | None:
        return self.fence.superseded.by if self.fence.superseded else None

    def problems(self) -> Sequence[dict[str, Any]]:
        """For the status file: reasons with code and args."""
        found: list[dict[str, Any]] = []
        if self._lacks:
            found.append({"code": "kit-incomplete", "args": {"missing": ", ".join(self._lacks)}})
        if self._tail is not None and self._tail.row_count:
            args = {"rows": self._tail.row_count, "folder": str(self._tail.folder)}
            found.append({"code": "superseded-tail", "args": args})
        if self._tail_error is not None:
            found.append({"code": "superseded-tail-missing", "args": {"why": self._tail_error}})
        return found

    async def run(self) -> None:
        """Keep what was found written down; once superseded, export the tail.

        Returns when this machine has begun a new epoch, since another has claimed its own as well: the service then
        ends, and is started anew in that.
        """
        failures = Repeated()
        while True:
            await asyncio.sleep(EVERY_S)
            self.fence.keep()
            if self.fence.superseded is None and self.fence.rival is not None:
                self._begin_next(self.fence.rival)
                return
            if self.fence.superseded is None or self._tail is not None:
                continue
            await asyncio.sleep(SETTLED_S)
            try:
                self._tail = await offload(self._export)
                self._tail_error = None
                event(
                    "tail_exported", folder=self._tail.folder, base_txid=self._tail.base_txid, rows=self._tail.row_count
                )
            except (OSError, EdgeError) as error:
                self._tail_error = str(error)
                if failures.failed():
                    event("tail_not_exported", level="error", why=error)
                await asyncio.sleep(RETRY_S)

    def _begin_next(self, rival: Claim) -> None:
        """Go on in the next epoch, whose claims end the rival's; nobody else has ever written there."""
        node, ours = self._config.node, self._epoch
        head = ltx.head(ltx.scan(replica_path(self._config.replica.local, ours.number, "his")))
        new = Epoch(
            number=ours.number + 1, nonce=new_nonce(), from_epoch=ours.number, from_txid=head, from_nonce=ours.nonce,
            claimed_at=utc_text(self._clock.wall_ms()),
        )  # fmt: skip
        make_epoch(node.state_dir, self._config.replica.local, new.number, new=new)
        event("epoch_begun", level="warning", epoch=new.number, instead_of=ours.number, rival=rival.machine)

    def _export(self) -> Tail:
        found = self.fence.superseded
        assert found is not None
        own = found.own_epoch or self._epoch.number
        return export_tail(
            db_path(self._config.node.state_dir, "his"),
            replica_path(self._config.replica.local, own, "his"),
            state_dir=self._config.node.state_dir,
            found=found,
            now_ms=self._clock.wall_ms(),
        )


def data_key(state_dir: Path) -> bytes | None:
    """The clinic's data key, with which claims are proven; None where this process cannot read it."""
    try:
        return bytes.fromhex(credential_path("data-key", state_dir=state_dir).read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None
