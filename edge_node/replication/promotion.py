"""What a promotion has decided, written down before it does anything that cannot be done twice.

`state_dir/promotion.json` holds the nonce of the claim before the claim is made: killed at any step, the promotion is
run again, knows its own claim by it, restores the state that the claim names, and ends as it would have ended. It is
removed as the last step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edge_node.base.errors import ReplicaError
from edge_node.base.files import atomic_write
from edge_node.replication.claims import claim_epoch, highest_epoch, read_claim
from edge_node.replication.destination import Destination
from edge_node.replication.epoch import Claim, Epoch, make_claim, new_nonce

FILE = "promotion.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One promotion. `restored` says, by database, which TXID of which epoch lies verified beside its place.

    `from_nonce` is that of the claim to the epoch that the clinical one comes from.
    """

    node: str
    epoch: int
    nonce: str
    begun_at: str
    reason: str
    restored: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    from_nonce: str | None = None

    def as_epoch(self) -> Epoch:
        """The epoch that it claims, once the clinical database is restored."""
        from_epoch, from_txid = self.restored["his"]
        return Epoch(
            number=self.epoch, nonce=self.nonce, from_epoch=from_epoch, from_txid=from_txid, from_nonce=self.from_nonce
        )


def promotion_path(state_dir: Path) -> Path:
    return state_dir / FILE


def read_promotion(state_dir: Path) -> Promotion | None:
    """The promotion that was begun here and not ended. Raises ReplicaError promotion-unreadable."""
    path = promotion_path(state_dir)
    try:
        raw = json.loads(path.read_bytes())
        restored = {name: (int(epoch), int(txid)) for name, (epoch, txid) in raw["restored"].items()}
        return Promotion(
            node=str(raw["node"]),
            epoch=int(raw["epoch"]),
            nonce=str(raw["nonce"]),
            begun_at=str(raw["begun_at"]),
            reason=str(raw["reason"]),
            restored=restored,
            from_nonce=None if raw.get("from_nonce") is None else str(raw["from_nonce"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReplicaError(
            "promotion-unreadable",
            f"{path} is not what this program wrote there",
            context=f"{type(error).__name__}: {error}",
            hint="move the whole state folder away and promote again: to the epoch after this one",
        ) from error


def write_promotion(state_dir: Path, promotion: Promotion) -> None:
    """Raises OSError."""
    document = {"schema": SCHEMA, **asdict(promotion)}
    atomic_write(promotion_path(state_dir), json.dumps(document, ensure_ascii=False).encode(), mode=0o600)


async def begin(destination: Destination, node_id: str, *, reason: str, at: str, above: int = 0) -> Promotion:
    """A promotion to the epoch after the highest that anybody has claimed, here or (`above`) elsewhere.

    Raises DestinationFailed.
    """
    number = max(await highest_epoch(destination, node_id), above) + 1
    return Promotion(node=node_id, epoch=number, nonce=new_nonce(), begun_at=at, reason=reason)


async def own_claim(destination: Destination, promotion: Promotion) -> Claim | None:
    """The claim of this promotion, where an earlier run has made it; None while nobody has claimed its epoch.

    Raises DestinationFailed, and ReplicaError epoch-taken when another machine owns the epoch by now.
    """
    there = await read_claim(destination, promotion.node, promotion.epoch)
    if there is not None and there.nonce != promotion.nonce:
        raise _taken(there)
    return there


async def claim(destination: Destination, promotion: Promotion, *, key: bytes | None, now_ms: int) -> Claim:
    """Claim the epoch, or find that an earlier run has; raises as `own_claim`."""
    mine = make_claim(
        promotion.as_epoch(), node_id=promotion.node, from_txid=0, now_ms=now_ms, reason=promotion.reason, key=key
    )
    there = await claim_epoch(destination, mine)
    if there.nonce != promotion.nonce:
        raise _taken(there)
    return there


def _taken(there: Claim) -> ReplicaError:
    return ReplicaError(
        "epoch-taken",
        f"{there.machine} has taken epoch {there.epoch} of {there.node} meanwhile",
        context=f"since {there.claimed_at}" + (f"; the reason given: {there.reason}" if there.reason else ""),
        hint="is that machine to be the clinic's? If not, move this state folder away and promote again",
    )
