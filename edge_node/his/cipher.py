"""ID numbers at rest: sealed so that a copy of the database does not show them, and searchable by equality."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge_node.base.errors import StoreError

KEY_BYTES = 32
NONCE_BYTES = 12
# First byte of what is sealed; another key or another algorithm takes the next number.
_FORMAT = b"\x01"


class Cipher:
    """Seals short texts under subkeys of the clinic's data key (a credential, in the recovery kit)."""

    def __init__(self, key: bytes) -> None:
        """Raises ValueError unless `key` has 32 bytes."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"the data key has {len(key)} bytes instead of {KEY_BYTES}")
        self._aead = AESGCM(_subkey(key, "seal"))
        self._digest_key = _subkey(key, "digest")

    def seal(self, text: str, *, purpose: str) -> bytes:
        """Encrypt a text. `purpose` is bound to it: sealed as one thing, it never opens as another."""
        nonce = os.urandom(NONCE_BYTES)
        return _FORMAT + nonce + self._aead.encrypt(nonce, text.encode(), purpose.encode())

    def open(self, sealed: bytes, *, purpose: str) -> str:
        """The text that was sealed. Raises StoreError sealed-unreadable for another key, another purpose, or damage."""
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            if sealed[:1] != _FORMAT:
                raise InvalidTag
            return self._aead.decrypt(nonce, body, purpose.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise StoreError(
                "sealed-unreadable",
                f"a sealed {purpose} cannot be opened with this node's data key",
                context="it was sealed under another key, or the row is damaged",
                hint="compare the credential data-key with the one in the recovery kit",
            ) from error

    def digest(self, text: str) -> bytes:
        """A keyed digest for finding an equal text; bring the text into one form first (upper case, no spaces)."""
        return hmac.digest(self._digest_key, text.encode(), hashlib.sha256)


def _subkey(key: bytes, use: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"edge-node {use}".encode()).derive(key)
