"""The seed of a second factor under the clinic's data key, and one use of it."""

from __future__ import annotations

from dataclasses import dataclass

from edge_node.his.cipher import Cipher
from edge_node.his.staff.queries import Factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A step whose code was typed, of the seed as it was read."""

    factor: Factor
    step: int


def sealed(cipher: Cipher, staff_id: str, seed: str) -> bytes:
    """A seed as it is kept: bound to its person, so that copied into another row it opens as nothing."""
    return cipher.seal(seed, purpose=_purpose(staff_id))


def opened(cipher: Cipher, staff_id: str, factor: Factor) -> str:
    """The reverse of `sealed`. Raises StoreError sealed-unreadable."""
    return cipher.open(factor.sealed, purpose=_purpose(staff_id))


def _purpose(staff_id: str) -> str:
    return f"totp-seed:{staff_id}"
