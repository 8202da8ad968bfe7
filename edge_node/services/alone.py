"""Being the only one: two processes of a kind on one database would each believe in a memory of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from edge_node.base.clock import boot_id
from edge_node.base.errors import ServiceError, StoreError
from edge_node.base.files import file_lock


@contextlib.contextmanager
def alone(lock: Path, *, who: str, hint: str) -> Iterator[bool]:
    """Hold `lock` while the block runs; `who` names the holder for whoever comes second.

    Yields whether the one before was killed in this boot of the machine: the file then still names the boot. Raises
    ServiceError already-running, StoreError disk-failed.
    """
    running = boot_id().encode()
    with contextlib.ExitStack() as stack:
        try:
            handle = stack.enter_context(file_lock(lock, wait=False))
            was_killed = os.pread(handle, len(running), 0) == running
            os.pwrite(handle, running, 0)
        except BlockingIOError:
            raise ServiceError("already-running", who, context=f"it holds the lock {lock}", hint=hint) from None
        except OSError as error:
            raise StoreError(
                "disk-failed",
                f"the folder {lock.parent} cannot be written",
                context=f"{lock}: {error.strerror}",
                hint=f"ls -ld {lock.parent} shows whose it is, findmnt -T {lock.parent} whether its disk is read-only",
            ) from error
        try:
            yield was_killed
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
