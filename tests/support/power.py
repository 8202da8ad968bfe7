"""A disk whose power can be cut: ext4 in an image on XFS, which copies a file whole at one instant (reflink).

The copy is what the disk held at that instant: what was synced, and perhaps some of what was not. Mounting it is the
start after a power cut. Needs root, xfsprogs and loop devices.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.disks import mounted, ran, sparse

# XFS refuses to be smaller than 300 MB; all images are sparse.
_OUTER_BYTES, _DISK_BYTES = 2 << 30, 512 << 20

MISSING = next(
    (
        f"needs {what}: {how}"
        for is_there, what, how in (
            (os.geteuid() == 0, "root to mount disks", "run the tests as root"),
            (shutil.which("mkfs.xfs") is not None, "mkfs.xfs", "make test-deps"),
            (Path("/dev/loop-control").exists(), "loop devices", "modprobe loop"),
        )
        if not is_there
    ),
    None,
)


@dataclass(frozen=True, slots=True)
class Disk:
    """`path` is where it is mounted."""

    path: Path
    _outer: Path

    @contextmanager
    def power_cut(self) -> Iterator[Path]:
        """The disk as it is after its power went this instant, mounted beside the one that goes on."""
        image, place = self._outer / "cut.img", self._outer.with_name("cut")
        ran("cp", "--reflink=always", str(self._outer / "disk.img"), str(image))
        try:
            place.mkdir(exist_ok=True)
            with mounted(image, place):
                yield place
        finally:
            image.unlink()


@contextmanager
def a_disk(folder: Path) -> Iterator[Disk]:
    """A disk mounted at `folder`/disk; everything is unmounted and gone afterwards."""
    outer, disk = folder / "outer", folder / "disk"
    for place in (outer, disk):
        place.mkdir(parents=True)
    with ExitStack() as stack:
        outer_image = folder / "outer.img"
        stack.callback(outer_image.unlink, missing_ok=True)
        sparse(outer_image, _OUTER_BYTES)
        ran("mkfs.xfs", "-q", "-m", "reflink=1", str(outer_image))
        stack.enter_context(mounted(outer_image, outer))
        sparse(outer / "disk.img", _DISK_BYTES)
        ran("mkfs.ext4", "-q", "-F", str(outer / "disk.img"))
        stack.enter_context(mounted(outer / "disk.img", disk))
        yield Disk(disk, outer)
