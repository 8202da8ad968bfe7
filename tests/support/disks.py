"""Small disks: ext4 in an image file, mounted for a test, that can be filled to the last block. Needs root."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DONE_WITHIN_S = 60

MISSING = next(
    (
        f"needs {what}: {how}"
        for is_there, what, how in (
            (os.geteuid() == 0, "root to mount disks", "run the tests as root"),
            (Path("/dev/loop-control").exists(), "loop devices", "modprobe loop"),
        )
        if not is_there
    ),
    None,
)


@contextmanager
def a_small_disk(image: Path, place: Path, *, size_bytes: int) -> Iterator[Path]:
    """A new ext4 of this size at `place`, which is made; gone afterwards. Its image takes only what is written."""
    place.mkdir(parents=True)
    sparse(image, size_bytes)
    try:
        # Nothing is set aside for root, as whom these tests run: what is full for others is full for them.
        ran("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        with mounted(image, place):
            yield place
    finally:
        image.unlink()


def fill(path: Path) -> None:
    """Let this file take all the room that is left on its disk; what is there already stays."""
    with path.open("ab") as file:
        size_bytes = file.tell()
        for step_bytes in (1 << 26, 1 << 20, 1 << 12):
            try:
                while True:
                    os.posix_fallocate(file.fileno(), size_bytes, step_bytes)
                    size_bytes += step_bytes
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[None]:
    """The loop device goes with the mount, also when this process is killed and somebody unmounts afterwards."""
    ran("mount", "-o", "loop", str(image), str(place))
    try:
        yield
    finally:
        ran("umount", "-l", str(place))


def sparse(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        file.truncate(size_bytes)


def ran(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_DONE_WITHIN_S)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
