"""A key that two machines share, in a file that nobody else may read: a reflector's, and of the node that asks it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edge_node.base.errors import ConfigError
from edge_node.base.systemd import is_handed_over

MIN_KEY_BYTES, MAX_KEY_BYTES = 16, 128
# What a unit gives in the place of a credential whose file is not there: systemd alone would start nothing, and
# without a word of ours.
ABSENT = "absent"


def read_key(path: Path) -> bytes:
    """The key in a file: 16 to 128 bytes in hexadecimal, mode 0600. Raises ConfigError."""
    hint = f"umask 077; openssl rand -hex 32 > {path}"
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(2 * MAX_KEY_BYTES + 2)
    except OSError as error:
        raise ConfigError(
            "config-missing", f"the key {path} cannot be read", context=error.strerror, hint=hint
        ) from error
    if text.strip() == ABSENT.encode():
        raise ConfigError(
            "config-missing",
            f"the key {path.name} was not there when the service was started",
            context="systemd found no file for the credential",
            hint="edge-node config check says where it belongs",
        )
    if mode & 0o077 and not is_handed_over(path):
        raise ConfigError(
            "config-invalid",
            f"the key {path} may be read by others",
            context=f"its mode is {mode:04o}",
            hint=f"chmod 600 {path}; if others could read it for long, make a new one",
        )
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ConfigError(
            "config-invalid",
            f"the key {path} is none",
            context=f"a key is {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, written in hexadecimal",
            hint=hint,
        )
    return key
