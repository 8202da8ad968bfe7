"""Where a certificate lies; apart from what reads it, so that a service without TLS draws in no cryptography."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_node.base.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a certificate with its chain and its private key lie; `name` is the credential's."""

    name: str
    certificate: Path
    key: Path


def unusable(place: Place, why: str, *, hint: str | None = None) -> ConfigError:
    """The error for a certificate that is there and cannot be shown."""
    return ConfigError(
        "certificate-unusable",
        f"the certificate {place.name} cannot be used: {why}",
        context=f"{place.certificate}, {place.key}",
        hint=hint or "both must be PEM and readable by this service; the key must belong to the certificate",
    )
