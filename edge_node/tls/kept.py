"""Certificates and keys as files among the credentials: read, judged with the sentence for a person, and written.

What a service finds at its start, `config check` and `doctor` find by the same functions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from edge_node.base.errors import ConfigError
from edge_node.base.files import atomic_write
from edge_node.base.secret import read_secret
from edge_node.base.systemd import credential_path
from edge_node.config.schema import OWN_CERTIFICATE, OWN_KEY, Config, Tls
from edge_node.tls import authority as authorities
from edge_node.tls.authority import Pem
from edge_node.tls.found import FAULT_WORDS, Authority, Fault, Found, read_authority, read_certificate, read_pair
from edge_node.tls.names import Names
from edge_node.tls.place import Place, unusable

AUTHORITY_CERTIFICATE, AUTHORITY_KEY = "ca-cert", "ca-key"
MAKE_AUTHORITY = "edge-node certificate make-authority"


def folder_of(config: Config) -> Path:
    """Where the node writes what it makes itself."""
    return config.node.state_dir / "credentials"


def place_of(config: Config, tls: Tls) -> Place:
    """The certificate of the pages: the node's own in its place, or the one that is configured."""
    if tls.issue:
        folder = folder_of(config)
        return Place(name=OWN_CERTIFICATE, certificate=folder / OWN_CERTIFICATE, key=folder / OWN_KEY)
    return Place(
        name=tls.certificate,
        certificate=credential_path(tls.certificate, state_dir=config.node.state_dir),
        key=credential_path(tls.key, state_dir=config.node.state_dir),
    )


def authority_place(config: Config) -> Place:
    """The clinic's authority."""
    folder = folder_of(config)
    return Place(name=AUTHORITY_CERTIFICATE, certificate=folder / AUTHORITY_CERTIFICATE, key=folder / AUTHORITY_KEY)


def read_given(place: Place) -> Found:
    """A certificate of the clinic's own with the key that fits. Raises ConfigError certificate-unusable, and those of
    `read_secret`."""
    hint = f"put both into {place.key.parent}, in PEM, the key with mode 0600; or his.tls = {{ issue = true }}"
    certificate = _read(place.certificate, place.name, hint)
    found = read_pair(certificate, read_secret(place.key, hint=hint))
    if isinstance(found, Fault):
        raise unusable(place, FAULT_WORDS[found], hint=f"{hint}; edge-node config check looks again")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What lies where the node keeps its own certificate: None where there is none; may its key be used?"""

    found: Found | None
    key_fits: bool


def read_own(place: Place) -> Own:
    """Whatever is wrong with it is mended by issuing another one. Raises no error."""
    try:
        certificate = place.certificate.read_bytes()
        key = read_secret(place.key, hint="")
    except OSError:
        return Own(found=None, key_fits=False)
    except ConfigError:
        key = b""
    found = read_certificate(certificate)
    return Own(found=found, key_fits=not isinstance(read_pair(certificate, key), Fault))


def read_authority_of(config: Config) -> Authority:
    """The clinic's authority. Raises ConfigError authority-missing, certificate-unusable, credential-exposed."""
    place = authority_place(config)
    lost = (
        "bring ca-cert and ca-key back from the recovery kit, or make a new authority, which every computer of the "
        f"clinic must then be told to trust: {MAKE_AUTHORITY}"
    )
    if not (place.certificate.exists() and place.key.exists()):
        raise ConfigError(
            "authority-missing",
            "his.tls.issue is true, and this node has no authority to issue by",
            context=f"{place.certificate} and {place.key.name} are not both there",
            hint=lost,
        )
    found = read_authority(_read(place.certificate, place.name, lost), read_secret(place.key, hint=lost))
    if isinstance(found, Fault):
        raise unusable(place, FAULT_WORDS[found], hint=lost)
    return found


def write_authority(folder: Path, *, node_id: str, clinic: str, names: Names, now: dt.datetime) -> Pem:
    """Make a new authority in the folder of the credentials, in the place of any before."""
    made = authorities.make_authority(node_id=node_id, clinic=clinic, names=names, now=now)
    _write(folder / AUTHORITY_CERTIFICATE, folder / AUTHORITY_KEY, made)
    return made


def write_own(place: Place, authority: Authority, *, node_id: str, names: Names, now: dt.datetime) -> None:
    """Issue the certificate of the pages. A stop between the two files is mended at the next look: the key differs."""
    made = authorities.issue(authority.found.certificate, authority.key, node_id=node_id, names=names, now=now)
    _write(place.certificate, place.key, made)


def _write(certificate: Path, key: Path, made: Pem) -> None:
    # The key first: a certificate without its key is the one state that looks finished and is not.
    for path, content, mode in ((key, made.key, 0o600), (certificate, made.certificate, 0o644)):
        try:
            atomic_write(path, content.encode("ascii"), mode=mode)
        except OSError as error:
            raise ConfigError(
                "credential-unwritable",
                f"the credential {path.name} cannot be written",
                context=f"{path}: {error.strerror}",
                hint=f"ls -ld {path.parent} shows whose the folder is; it must be the user's of the services",
            ) from error


def _read(path: Path, name: str, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "certificate-unusable",
            f"the certificate {name} cannot be read",
            context=f"{path}: {error.strerror}",
            hint=hint,
        ) from error
