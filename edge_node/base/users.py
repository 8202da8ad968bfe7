"""Users of this machine, as an error names them."""

from __future__ import annotations

import os
import pwd


def user_name(uid: int) -> str:
    """The name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def told(error: OSError) -> str:
    """What the system says, and of a refusal to whom: root's commands run as the owner of the node's data."""
    words = error.strerror or str(error)
    return f"{words} (as user {user_name(os.geteuid())})" if isinstance(error, PermissionError) else words
