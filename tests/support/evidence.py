"""A node with an outage, its watcher's files, and what freezes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_node.config.line_schema import Line
from edge_node.journal import bundle
from edge_node.journal.evidence import About
from edge_node.journal.freeze import Freezer, Frozen, folder_of
from edge_node.journal.traces import TraceFolder
from edge_node.store.connection import Connection
from tests.support.clock import FakeClock
from tests.support.journal import AWatcher, writing

# Two minutes before midnight (UTC): what happens then stands in the files of two days.
BEFORE_MIDNIGHT = 1_795_046_400_000 - 120_000
CLOUD, GATEWAY = ("10.100.0.1", "10.100.0.2"), "10.1.1.1"
TELECOM = {
    "name": "telecom", "carrier": "China Telecom", "circuit": "XC-2026-0042", "preferred": 1, "interface": "enp2s0",
    "target": [*({"address": address} for address in CLOUD), {"address": GATEWAY, "role": "carrier"}],
}  # fmt: skip
UNICOM = {"name": "unicom", "carrier": "China Unicom", "preferred": 2, "interface": "enp3s0"}
FACTS = {"synchronised": True, "offset_s": 0.0012, "said_by": "chronyc tracking"}


def about() -> About:
    return About(
        node_id="clinic-0042", node_name="西城门诊部", version="0.1.0", zone="UTC",
        lines=(Line.model_validate(TELECOM), Line.model_validate(UNICOM)),
        local=lambda at_ms: datetime.fromtimestamp(at_ms / 1000, UTC),
    )  # fmt: skip


class Story:
    """A node with its watcher and its freezer."""

    def __init__(self, folder: Path, conn: Connection) -> None:
        self.folder, self.conn = folder, conn
        self.watcher = AWatcher(folder, clock=FakeClock(wall_ms=BEFORE_MIDNIGHT))

    def freezer(self, conn: Connection | None = None, **more: Any) -> Freezer:
        return Freezer(
            writing(conn or self.conn), state_dir=self.folder, traces=TraceFolder(self.watcher.traces), about=about(),
            clock=self.watcher.clock, facts=lambda: FACTS, **more,
        )  # fmt: skip

    def passes(self, seconds: float, *, telecom: bool | None = True, gateway: bool = True) -> None:
        """Time passes in batches of five seconds; telecom answers or not (None: is not asked)."""
        for _ in range(round(seconds / 5)):
            self.watcher.clock.advance(5)
            batch: list[tuple[float, str, str, float | None]] = []
            for ago in range(5, 0, -1):
                batch += [(ago, "unicom", target, 0.018) for target in CLOUD]
                if telecom is not None:
                    batch += [(ago, "telecom", target, 0.004 if telecom else None) for target in CLOUD]
                    batch += [(ago, "telecom", GATEWAY, 0.001 if gateway else None)]
            self.watcher.sees(batch)

    def falls(self) -> None:
        self.watcher.tells("verdict", "telecom", "up", "down", silent_s=1.04, targets=2)
        self.watcher.tells("mode", "node", "online", "backup", "line-down", from_line="telecom", to_line="unicom",
                           line="telecom", cause="silent")  # fmt: skip

    def begins(self) -> None:
        self.watcher.links("telecom", carrier=True)
        for name in ("telecom", "unicom"):
            self.watcher.tells("verdict", name, "unknown", "up", "answers")
        self.watcher.tells("mode", "node", "starting", "online", "first-line", to_line="telecom", line="telecom")

    def an_outage(self, *, of_s: float = 100, **how: Any) -> None:
        """Over midnight: up for 80 s, down for a while, up again."""
        self.begins()
        self.passes(80)
        self.falls()
        self.passes(of_s, telecom=False, **how)
        self.watcher.tells("verdict", "telecom", "down", "up", "clean", for_s=10.0)
        self.passes(90)
        self.watcher.is_recorded(self.conn)

    def freeze(self, **more: Any) -> Frozen | None:
        return self.freezer(**more).freeze_one(self.conn)

    def opened(self, row: Frozen) -> bundle.Opened:
        return bundle.unpack((folder_of(self.folder) / row.file).read_bytes(), name=row.file)

    def told(self, row: Frozen) -> dict[str, Any]:
        return dict(json.loads(self.opened(row).files["incident.json"]))
