"""Who made a bundle: its list of digests is signed, and the release in use says whose signature it takes.

makers          whose signatures this release takes on the next bundle; a line for each key: `ed25519 KEY NAME`
SHA256SUMS.sig  a line for each signature of the list of digests, which has `makers` in it: `ed25519 KEY SIGNATURE`

Keys and signatures are base64. A new key comes by a bundle that is signed with the old one and names both; the one
after that is signed with the new one. A release without `makers` takes what it is given: who brings it has compared its
digest.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_node.release.bundle import MAKERS, SIGNATURES, SUMS

ALGORITHM = "ed25519"


def makers_of(folder: Path) -> Mapping[bytes, str] | None:
    """Whose signatures a release, or a bundle, takes: keys with their holders' names; None where it takes anybody's."""
    try:
        text = (folder / MAKERS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return dict(_lines(text))


def why_untrusted(bundle: Path, makers: Mapping[bytes, str] | None) -> str | None:
    """Why nobody whom `makers` names stands for this bundle; None where somebody does, or nobody is asked for.

    What the list of digests says of the files is for `bundle.unsound`.
    """
    if makers is None:
        return None
    try:
        content = (bundle / SUMS).read_bytes()
        signed = dict(_lines((bundle / SIGNATURES).read_text(encoding="utf-8")))
    except (FileNotFoundError, UnicodeDecodeError):
        signed = {}
    if not signed:
        return f"is not signed, and the release in use takes what {_names(makers)} signed"
    known = [key for key in signed if key in makers]
    if not known:
        keys = ", ".join(map(_text, signed))
        return f"is signed with {keys} alone, and the release in use takes what {_names(makers)} signed"
    for key in known:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(_decoded(signed[key]), content)
        except (InvalidSignature, ValueError):
            continue
        return None
    return f"is not what {makers[known[0]]} signed: the signature does not fit its {SUMS}"


def write_makers(folder: Path, keys: Iterable[tuple[bytes, str]]) -> None:
    """Say whose signatures the release of this bundle takes; before the list of digests is made."""
    lines = "".join(f"{ALGORITHM} {_text(key)} {name}\n" for key, name in keys)
    (folder / MAKERS).write_text(lines, encoding="utf-8")


def sign(folder: Path, private_keys: Sequence[bytes]) -> None:
    """Sign the list of digests with each of these keys, as PEM. Raises ValueError for what is no Ed25519 key."""
    content = (folder / SUMS).read_bytes()
    lines = []
    for pem in private_keys:
        private = _private(pem)
        lines.append(f"{ALGORITHM} {_text(public_of(pem))} {_text(private.sign(content))}\n")
    (folder / SIGNATURES).write_text("".join(lines), encoding="utf-8")


def public_of(pem: bytes) -> bytes:
    """The public half of a key, private or public, as PEM. Raises ValueError for what is no Ed25519 key."""
    if b"PRIVATE KEY" in pem:
        return _private(pem).public_key().public_bytes_raw()
    public = serialization.load_pem_public_key(pem)
    if not isinstance(public, Ed25519PublicKey):
        raise ValueError("is no Ed25519 key: openssl genpkey -algorithm ed25519")
    return public.public_bytes_raw()


def _private(pem: bytes) -> Ed25519PrivateKey:
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError(
            "is a key behind a passphrase: openssl pkey -in KEY -out PLAIN, on a disk in memory"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("is no Ed25519 key: openssl genpkey -algorithm ed25519")
    return private


def _lines(text: str) -> Iterator[tuple[bytes, str]]:
    """Keys, and what stands beside each; a line of another algorithm is for a later release."""
    for line in text.splitlines():
        algorithm, _, rest = line.partition(" ")
        key, _, beside = rest.partition(" ")
        if algorithm == ALGORITHM:
            try:
                yield _decoded(key), beside.strip()
            except ValueError:
                continue


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _names(makers: Mapping[bytes, str]) -> str:
    return " or ".join(f"{name} ({_text(key)})" for key, name in makers.items()) or "nobody"
