"""The key with which the tests sign their bundles; anybody may have it."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def a_key(number: int) -> bytes:
    """A private key as PEM, always the same for a number."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


MAKER = a_key(1)
