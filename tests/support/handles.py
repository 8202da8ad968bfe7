"""What a process holds open."""

from __future__ import annotations

import contextlib
from pathlib import Path


def open_files(pid: int | str | None = "self") -> list[Path]:
    """The files, sockets and pipes behind the descriptors of a process, by default of this one."""
    found = []
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(handle.readlink())
    return found
