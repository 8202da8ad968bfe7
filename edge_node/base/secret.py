"""A secret in a file: read only where nobody else may read it, and never repeated in an error."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edge_node.base.errors import ConfigError
from edge_node.base.systemd import is_handed_over

# What owner alone may do to it; anything of these says that others may too.
OTHERS = 0o077


def read_secret(path: Path, *, hint: str) -> bytes:
    """The content of a credential's file. `hint` says where a lost one comes from.

    Raises ConfigError credential-missing, or credential-exposed when its mode lets others read it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except OSError as error:
        raise ConfigError(
            "credential-missing",
            f"the credential {path.name} cannot be read",
            context=f"{path}: {error.strerror}",
            hint=hint,
        ) from error
    if mode & OTHERS and not is_handed_over(path):
        raise ConfigError(
            "credential-exposed",
            f"the credential {path.name} may be read by others",
            context=f"{path}: its mode is {mode:04o}",
            hint=f"chmod 600 {path}; if others could read it for long, make a new one",
        )
    return content
