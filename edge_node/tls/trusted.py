"""The clinic's authority as a person compares and installs it. Public: nothing of its key is here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge_node.tls.found import Found

# A row that an eye follows while another reads it aloud.
_PAIRS_IN_A_ROW = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicAuthority:
    """`certificate` is DER: every system opens it, and the digest of the file is the fingerprint.

    `name` is what lists of certificates show. Fingerprints are pairs of capital letters and digits with colons between;
    the dialogue of Windows shows only SHA-1, which is as good for telling that a file is the one on paper.
    """

    certificate: bytes
    name: str
    sha256: str
    sha1: str
    ends_ms: int


def as_shown(found: Found) -> ClinicAuthority:
    """An authority for people."""
    return ClinicAuthority(
        certificate=found.der,
        name=found.common_name,
        sha256=found.fingerprint,
        sha1=found.thumbprint,
        ends_ms=round(found.ends.timestamp() * 1000),
    )


def rows(fingerprint: str) -> Iterator[str]:
    """A fingerprint in rows of eight pairs."""
    pairs = fingerprint.split(":")
    for at in range(0, len(pairs), _PAIRS_IN_A_ROW):
        yield " ".join(pairs[at : at + _PAIRS_IN_A_ROW])
