"""The secrets of the HIS, read: what it does at its start, and what `doctor` asks."""

from __future__ import annotations

from pathlib import Path

from edge_node.base.errors import ConfigError
from edge_node.base.secret import read_secret
from edge_node.base.systemd import credential_path
from edge_node.his.cipher import Cipher

DATA_KEY, SESSION_SECRET = "data-key", "his-secret"


def cipher(state_dir: Path) -> Cipher:
    """What ID numbers are sealed with. Raises ConfigError credential-missing, -exposed, -unusable."""
    try:
        return Cipher(bytes.fromhex(_text(DATA_KEY, state_dir)))
    except ValueError as error:
        raise ConfigError(
            "credential-unusable",
            f"the credential {DATA_KEY} is not a key",
            context=f"{error}; it has 64 hexadecimal digits",
            hint="bring it back from the recovery kit; with another key the ID numbers cannot be read",
        ) from error


def session_secret(state_dir: Path) -> str:
    """What signs the cookies of sessions. Raises as `cipher`."""
    return _text(SESSION_SECRET, state_dir)


def _text(name: str, state_dir: Path) -> str:
    hint = (
        "`edge-node init` makes it, the recovery kit holds it; the service's user must be able to read it"
    )  # fmt: skip
    content = read_secret(credential_path(name, state_dir=state_dir), hint=hint)
    try:
        text = content.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise ConfigError(
            "credential-unusable",
            f"the credential {name} holds no secret",
            context="it is empty, or no plain text",
            hint=hint,
        )
    return text
