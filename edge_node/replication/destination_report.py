"""How one destination stands, for the status file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.base.clock import utc_text
from edge_node.replication.anchors import Anchor
from edge_node.replication.capture import Capture
from edge_node.replication.destination import CopyState
from edge_node.replication.mirror import CopyReport

FIRST_DATABASE = "his"


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReport:
    """One destination for the status file.

    `reason` (code and args, among them `why` in words and, after a refusal, `hint`) says why nothing is shipped, while
    nothing is.
    """

    name: str
    state: CopyState
    reason: dict[str, Any] | None
    copies: Mapping[str, CopyReport]
    problems: tuple[dict[str, Any], ...]
    conditional_puts: bool | None = None
    kit: int | None = None
    anchor: Anchor | None = None
    claimed_at: str | None = None

    def as_json(self, capture: Capture) -> dict[str, Any]:
        """The contract's entry; TXIDs and lag are those of `his`, of which `capture` tells what no copy has."""
        first = self.copies[FIRST_DATABASE]
        is_late = self.state is CopyState.CURRENT and capture.is_late
        return {
            "name": self.name,
            "state": CopyState.BEHIND if is_late else self.state,
            "reason": self.reason,
            "confirmed_txid": first.confirmed_txid,
            "confirmed_at": utc_text(first.confirmed_at_ms) if first.confirmed_at_ms is not None else None,
            "rpo_s": _rounded(capture.rpo_s(first.lag)),
            "behind_txids": first.lag.txids,
            "behind_bytes": first.lag.size_bytes,
            "catch_up_s": _rounded(first.catch_up_s),
            "last_drill": None,
            "conditional_puts": self.conditional_puts,
            "kit": self.kit,
            "last_anchor": self.anchor and {"at": self.anchor.at, "seq": self.anchor.seq},
            "claimed_at": self.claimed_at,
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
