"""Whether this machine still owns the clinic's history, for all its destinations at once.

A claim of another machine to a later epoch, or to ours, ends it: `superseded.json` is written before anything else
happens, and nothing is shipped to any destination from then on. A claim that is not proven with the clinic's data key
pauses its destination and nothing more: whoever keeps the copies must not be able to stop the clinic.

A claim to our own epoch is that of a rival (`contest`): who prevails begins the next epoch, and is fenced by nobody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edge_node.base.clock import Clock, utc_text
from edge_node.base.files import atomic_write
from edge_node.base.logs import event
from edge_node.replication.contest import prevails
from edge_node.replication.epoch import Claim, Epoch, is_proven, make_claim
from edge_node.status.superseded import Superseded, read_superseded, write_superseded

OWN = "own-claims.json"
# What a machine begins its epoch with: the database as it was restored.
FIRST_TXID = 1


class Fence:
    """Shared by the shippers of a node. `key` is the data key; without one every claim is believed."""

    def __init__(self, state_dir: Path, *, node_id: str, epoch: Epoch, key: bytes | None, clock: Clock) -> None:
        self._state_dir = state_dir
        self._node_id = node_id
        self._epoch = epoch
        self._clock = clock
        self._is_written = True
        self.key = key
        # Another machine with a claim to our epoch, over which ours prevails: a new epoch is to be begun.
        self.rival: Claim | None = None
        self.superseded: Superseded | None = read_superseded(state_dir)
        self._own = _remembered(state_dir, epoch)

    def meet(self, claims: Sequence[Claim], *, destination: str, reach: int) -> None:
        """Look at the claims of other machines at a destination that has confirmed up to the TXID `reach`."""
        believed = [claim for claim in claims if claim.node == self._node_id and self._is_believed(claim)]
        owner = max(believed, key=lambda claim: claim.epoch, default=None)
        if owner is None or self.superseded is not None:
            return
        ours = self._epoch.number
        rivals = [claim for claim in believed if claim.epoch == ours]
        if owner.epoch == ours:
            if self._prevails(rivals):
                if self.rival is None:
                    event("epoch_contested", level="error", by=owner.machine, epoch=ours, destination=destination)
                self.rival = self.rival or owner
                return
            owner = next(claim for claim in rivals if prevails(claim, [one for one in rivals if one is not claim]))
        taken = self._taken(believed, reach)
        self.superseded = Superseded(
            by=owner.machine,
            epoch=owner.epoch,
            own_epoch=ours,
            claimed_at=owner.claimed_at,
            found_at=utc_text(self._clock.wall_ms()),
            destination=destination,
            why=owner.reason,
            taken_epoch=None if taken is None else ours,
            taken_txid=taken,
        )
        event("superseded", level="error", by=owner.machine, epoch=owner.epoch, destination=destination, own=ours)
        self._is_written = False
        self.keep()

    def _prevails(self, rivals: Sequence[Claim]) -> bool:
        """A claim of before this rule does not say enough to be compared from both sides: then it gives way."""
        if self._epoch.claimed_at is None:
            return False
        own = make_claim(self._epoch, node_id=self._node_id, from_txid=0, now_ms=0)
        return prevails(own, rivals)

    def _taken(self, believed: Sequence[Claim], reach: int) -> int | None:
        """The last change of our epoch that the owner took over, as far as its claims tell."""
        ours = self._epoch.number
        # Who went on from our epoch says where; the owner may be a later one, which went on from there.
        heir = next((claim for claim in believed if claim.from_epoch == ours), None)
        is_of_a_rival = heir is not None and heir.from_nonce is not None and heir.from_nonce not in self._own
        if is_of_a_rival or any(claim.epoch == ours for claim in believed):
            return FIRST_TXID  # Nothing of what this machine has written in its epoch.
        return heir.from_txid if heir else reach or None

    def _is_believed(self, claim: Claim) -> bool:
        return claim.nonce not in self._own and (self.key is None or is_proven(claim, self.key))

    def keep(self) -> None:
        """Write it down if that could not be done yet (a full disk); to be called now and then."""
        if self._is_written or self.superseded is None:
            return
        try:
            write_superseded(self._state_dir, self.superseded)
            self._is_written = True
        except OSError as error:
            event("superseded_unwritten", level="error", why=error)


def _remembered(state_dir: Path, epoch: Epoch) -> frozenset[str]:
    """The nonces of every epoch that was ever this machine's, the present one added to them.

    Beside the folders of the epochs: who removes those by a slip of the hand has not been replaced by anybody.
    """
    path = state_dir / OWN
    try:
        known = {str(nonce) for nonce in json.loads(path.read_bytes())["nonces"]}
    except FileNotFoundError:
        known = set()
    except (OSError, ValueError, KeyError, TypeError) as error:
        event("own_claims_unreadable", level="warning", path=path, why=error)
        known = set()
    if epoch.nonce not in known:
        known.add(epoch.nonce)
        try:
            atomic_write(path, json.dumps({"nonces": sorted(known)}).encode(), mode=0o600)
        except OSError as error:
            event("own_claims_unwritten", level="warning", path=path, why=error)
    return frozenset(known)
