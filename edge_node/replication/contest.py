"""Two machines that own the same epoch: promoted at once, each through a destination that the other did not see. Pure.

Where both go through one store, its conditional create lets one of them claim. Through two stores both have a claim,
and find each other when one reaches the store of the other. Both then compare the same two claims by the same rule, so
that exactly one goes on, in an epoch of its own, and the other is replaced:

1. who went on from the later change of the clinic: it has more of what staff have written;
2. of equals, who claimed first: it has been the clinic for longer;
3. of equals, the smaller nonce: somebody must.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge_node.replication.epoch import Claim


def prevails(ours: Claim, rivals: Iterable[Claim]) -> bool:
    """Does the machine with this claim go on, of all that have claimed its epoch?"""
    return all(_rank(ours) < _rank(rival) for rival in rivals)


def _rank(claim: Claim) -> tuple[int, int, str, str]:
    """The smallest goes on. TXIDs are those of the epoch before: only of the same one do they compare."""
    from_epoch = claim.from_epoch or 0
    return -from_epoch, -claim.from_txid if from_epoch else 0, claim.claimed_at, claim.nonce
