"""A clinic's own authority, and the certificate that it issues for the pages. Pure but for the dice of the keys."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_node.tls.names import Names, Permitted, permitted_for

# Every computer of a clinic is told once to trust it: as long as a clinic's machines are used.
AUTHORITY_LIFE = dt.timedelta(days=3650)
# Apple's limit for certificates is 398 days, and others follow; the day of a clock that lags is within.
LEAF_LIFE = dt.timedelta(days=397)
# Computers whose clocks are behind must not find a certificate that is not valid yet.
BEGINS_BEFORE = dt.timedelta(days=1)
# X.520's limits of these parts of a name.
_ORGANISATION_CHARS, _COMMON_NAME_CHARS = 64, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pem:
    """A certificate and its private key as text; the key is secret."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "Pem(…)"


def authority_name(node_id: str) -> str:
    """The common name of a node's authority, by which people find it in the list of a browser."""
    return f"Edge node {node_id}"[:_COMMON_NAME_CHARS]


def make_authority(*, node_id: str, clinic: str, names: Names, now: dt.datetime) -> Pem:
    """A new authority that may certify private names, private addresses, and `names`; self-signed.

    P-256 and SHA-256: what every browser since 2015 takes, those of HarmonyOS tablets and of Kylin included.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, clinic[:_ORGANISATION_CHARS]),
            x509.NameAttribute(NameOID.COMMON_NAME, authority_name(node_id)),
        ]
    )
    only_signs = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        _builder(subject, subject, key, begins=now - BEGINS_BEFORE, ends=now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(only_signs, critical=True)
        # So that a computer which trusts it does not trust it for programs or mail.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_constraints(permitted_for(names)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pem(certificate=_pem(certificate), key=_key_pem(key))


def issue(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    *,
    node_id: str,
    names: Names,
    now: dt.datetime,
) -> Pem:
    """A certificate for the pages under these names, for 397 days or as long as its authority lives.

    The names must be permitted: a browser refuses the whole certificate for one that is not. The chain is not included,
    since whoever trusts the authority has it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    begins = max(now - BEGINS_BEFORE, authority.not_valid_before_utc)
    ends = min(begins + LEAF_LIFE, authority.not_valid_after_utc)
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(names.dns)]
    alternatives += [x509.IPAddress(address) for address in sorted(names.addresses, key=str)]
    certificate = (
        _builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id[:_COMMON_NAME_CHARS])]),
            authority.subject,
            key,
            begins=begins,
            ends=ends,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Pem(certificate=_pem(certificate), key=_key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, begins: dt.datetime, ends: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _constraints(permitted: Permitted) -> x509.NameConstraints:
    subtrees: list[x509.GeneralName] = [x509.DNSName(base) for base in permitted.dns or ()]
    subtrees += [x509.IPAddress(network) for network in permitted.networks or ()]
    return x509.NameConstraints(permitted_subtrees=subtrees, excluded_subtrees=None)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=crl_sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    # OpenSSL's own form for a key, which every tool reads; unencrypted, since nobody is there to type a word at night.
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode("ascii")
