"""A private folder for a restore, on the disk of what it makes; swept by the next one where its owner was killed.

What lies in it is the database in the clear, twice its size: left behind by every start that is cut off, it would show
patients to whoever finds the disk, and fill it, so that the restore that is needed has no room.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edge_node.base.logs import event

PREFIX = ".edge-restore-"


@contextlib.contextmanager
def scratch_in(folder: Path) -> Iterator[Path]:
    """A new folder below `folder`, gone at the end. Raises OSError.

    Its owner holds a lock on it, which the kernel lets go of however the owner ends: a folder without is nobody's.
    """
    _sweep(folder)
    with contextlib.ExitStack() as stack:
        path = _made(folder, stack)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _made(folder: Path, stack: contextlib.ExitStack) -> Path:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, handle)
        with contextlib.suppress(OSError):  # Where a file system locks no folders, none is swept either.
            fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            return path
        # Another's sweep took it for a leftover, in the instant before the lock.


def _sweep(folder: Path) -> None:
    for leftover in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # Another user's, gone already, or at work.
            handle = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover, ignore_errors=True)
                event("leftover_swept", path=leftover)
            finally:
                os.close(handle)
