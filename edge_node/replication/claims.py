"""Claims at a destination: reading them, making one, and whether the store can refuse a second.

A claim is put "only where there is none", looked for before (some stores put whatever the condition says) and read back
after (an answer may be lost). What lies there in the end owns the epoch.
"""

from __future__ import annotations

import secrets

from edge_node.replication.destination import SMALL_TIMEOUT_S, CopyState, Destination, DestinationFailed
from edge_node.replication.epoch import Claim, claim_key, claimed_epochs, claims_prefix, parse_claim, probe_key


async def read_claim(destination: Destination, node_id: str, number: int) -> Claim | None:
    """The claim to an epoch; None when nobody has made one. Raises DestinationFailed, refused for what is no claim."""
    key = claim_key(node_id, number)
    body = await destination.read(key)
    try:
        return None if body is None else parse_claim(body)
    except ValueError as error:
        raise DestinationFailed(
            CopyState.REFUSED,
            f"{destination.name}: {key} is not a claim that this program can read",
            context=str(error),
            hint="who wrote it? nothing is shipped while it is unclear who owns this epoch",
        ) from error


async def highest_epoch(destination: Destination, node_id: str) -> int:
    """The highest number that anybody has claimed; 0 where nobody has. Raises DestinationFailed."""
    listed = await destination.list(claims_prefix(node_id), timeout_s=SMALL_TIMEOUT_S)
    return max(claimed_epochs([item.key for item in listed]), default=0)


async def later_claims(destination: Destination, node_id: str, number: int) -> list[Claim]:
    """The claims to epochs beyond `number`, ascending. Raises DestinationFailed."""
    listed = await destination.list(claims_prefix(node_id), timeout_s=SMALL_TIMEOUT_S)
    numbers = [later for later in claimed_epochs([item.key for item in listed]) if later > number]
    found = [await read_claim(destination, node_id, later) for later in numbers]
    return [claim for claim in found if claim is not None]


async def claim_epoch(destination: Destination, mine: Claim) -> Claim:
    """Claim an epoch where nobody has; the claim that lies there then, ours or another's. Raises DestinationFailed."""
    there = await read_claim(destination, mine.node, mine.epoch)
    if there is None:
        await destination.put_new(claim_key(mine.node, mine.epoch), mine.to_json())
        there = await read_claim(destination, mine.node, mine.epoch)
    if there is None:
        raise DestinationFailed(
            CopyState.UNREACHABLE,
            f"{destination.name} does not show the claim of epoch {mine.epoch}",
            context="it was put, and cannot be read",
        )
    return there


async def heeds_conditions(destination: Destination, node_id: str) -> bool:
    """Does the store refuse to put an object where there is one? Tried with one small object, which stays for ever.

    Without that, two machines that claim the same epoch at once both believe that they own it. Needs no right to
    delete. Raises DestinationFailed.
    """
    key = probe_key(node_id)
    first, second = (f'{{"probe": "{secrets.token_hex(8)}"}}\n'.encode() for _ in range(2))
    if await destination.put_new(key, first):
        return not await destination.put_new(key, second) and await destination.read(key) == first
    return await destination.read(key) not in (None, first)
