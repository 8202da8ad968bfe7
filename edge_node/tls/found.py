"""A certificate and its key as they were found: facts, or the sentence that says why they cannot be used. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_node.tls.authority import authority_name
from edge_node.tls.names import Names, Permitted


class Fault(StrEnum):
    """Why a pair cannot be used."""

    NO_CERTIFICATE = "no-certificate"
    NO_KEY = "no-key"
    KEY_DIFFERS = "key-differs"


FAULT_WORDS: Mapping[Fault, str] = {
    Fault.NO_CERTIFICATE: "it holds no certificate in PEM",
    Fault.NO_KEY: "its key is no unencrypted private key in PEM",
    Fault.KEY_DIFFERS: "the key does not belong to the certificate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A usable certificate: from when to when, and for what."""

    certificate: x509.Certificate
    begins: dt.datetime
    ends: dt.datetime
    names: Names

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers and systems show it: AB:CD:…"""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate: what the dialogue of Windows shows, and nothing is decided by."""
        return self.certificate.fingerprint(hashes.SHA1()).hex(":").upper()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def common_name(self) -> str:
        return " ".join(
            str(each.value) for each in self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        )

    def is_issued_by(self, authority: x509.Certificate) -> bool:
        """Was it signed by this very authority, and not by an earlier one of the same name?"""
        try:
            self.certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def names_issuer_of(self, node_id: str) -> bool:
        """Does it say that an authority of this node issued it?"""
        common = self.certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [str(each.value) for each in common] == [authority_name(node_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A clinic's authority with its key."""

    found: Found
    key: ec.EllipticCurvePrivateKey
    permitted: Permitted


def read_certificate(content: bytes) -> Found | None:
    """The first certificate of a PEM file; None where there is none."""
    try:
        certificate = x509.load_pem_x509_certificate(content)
    except ValueError:
        return None
    return Found(
        certificate=certificate,
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
        names=_names(certificate),
    )


def read_pair(certificate: bytes, key: bytes) -> Found | Fault:
    """A certificate whose key fits, or what is wrong with the two."""
    found = read_certificate(certificate)
    if found is None:
        return Fault.NO_CERTIFICATE
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        # TypeError: it is encrypted.
        return Fault.NO_KEY
    return found if _public(private) == _public(found.certificate) else Fault.KEY_DIFFERS


def read_authority(certificate: bytes, key: bytes) -> Authority | Fault:
    """An authority of ours, or what is wrong with the two."""
    found = read_pair(certificate, key)
    if isinstance(found, Fault):
        return found
    private = serialization.load_pem_private_key(key, password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        return Fault.NO_KEY
    return Authority(found=found, key=private, permitted=_permitted(found.certificate))


def _public(holder: object) -> bytes:
    return holder.public_key().public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _names(certificate: x509.Certificate) -> Names:
    try:
        stands = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        # Browsers look nowhere else.
        return Names()
    return Names(
        dns=frozenset(name.lower() for name in stands.get_values_for_type(x509.DNSName)),
        addresses=frozenset(stands.get_values_for_type(x509.IPAddress)),  # type: ignore[arg-type]
    )


def _permitted(certificate: x509.Certificate) -> Permitted:
    try:
        subtrees = certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    except x509.ExtensionNotFound:
        return Permitted(dns=None, networks=None)
    dns = tuple(tree.value for tree in subtrees if isinstance(tree, x509.DNSName))
    networks = tuple(tree.value for tree in subtrees if isinstance(tree, x509.IPAddress))
    # A kind of name of which no subtree is given is not constrained (RFC 5280).
    return Permitted(dns=dns or None, networks=networks or None)  # type: ignore[arg-type]
