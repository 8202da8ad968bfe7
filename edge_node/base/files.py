"""Files with one writer: whole replacement, status files with staleness, append-only JSON lines, locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edge_node.base.clock import Clock, boot_id, utc_text

STATUS_SCHEMA = 1
# A reader believes a status file for this many of its writer's ticks.
STALE_AFTER_TICKS = 3
# What file systems without links answer to one.
_LINKLESS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


def atomic_write(path: Path, data: bytes, *, mode: int = 0o640) -> None:
    """Replace `path` whole: readers see the old content or the new, also after a power cut."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def give_new_name(staged: Path, to: Path) -> None:
    """Give a file a name that nobody has, on the same file system. Raises FileExistsError, and leaves it where it is.

    By a link, since a rename would overwrite what came there meanwhile.
    """
    try:
        os.link(staged, to)
    except OSError as error:
        if error.errno not in _LINKLESS:
            raise
        # FAT and exFAT know no links. A stick is in one machine at a time, so nobody comes in between.
        if to.exists():
            raise FileExistsError(to) from None
        staged.rename(to)
    else:
        staged.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_line(file: IO[bytes], record: Mapping[str, Any]) -> None:
    """Append one JSON line to a file opened for appending, and make it durable."""
    file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a file of JSON lines; a torn last line (a power cut) is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold an exclusive flock on `path` (made if needed); yields its descriptor.

    The lock goes with the descriptor: a child that inherits it keeps it. Raises BlockingIOError when `wait` is false
    and another process holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One service's status file as read: its envelope, and `state`, whose meaning is the service's own."""

    service: str
    pid: int
    boot_id: str
    started_at: str
    written_at: str
    boottime: float
    every_s: float
    stopped: bool
    state: Mapping[str, Any]

    def is_stale(self, now: float, *, this_boot: str) -> bool:
        """Is it too old to be believed? `now` is boot time in seconds, `this_boot` the boot it is compared in."""
        return self.boot_id != this_boot or now - self.boottime > STALE_AFTER_TICKS * self.every_s


class StatusFile:
    """The live state of one service, replaced whole on every tick and on every change."""

    def __init__(self, run_dir: Path, service: str, *, every_s: float) -> None:
        self.path = run_dir / service / "status.json"
        self._service = service
        self._every_s = every_s
        self._started_at: str | None = None

    def write(self, state: Mapping[str, Any], clock: Clock, *, stopped: bool = False) -> None:
        """Write the state now. `stopped` is for the last write of an orderly stop; the file stays as evidence.

        No fsync: the folder is in memory (tmpfs), and after a boot the file is stale by its boot id anyway.
        """
        now = utc_text(clock.wall_ms())
        self._started_at = self._started_at or now
        document = {
            "schema": STATUS_SCHEMA,
            "service": self._service,
            "pid": os.getpid(),
            "boot_id": boot_id(),
            "started_at": self._started_at,
            "written_at": now,
            "boottime": round(clock.boottime(), 3),
            "every_s": self._every_s,
            "stopped": stopped,
            "state": state,
        }
        self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        beside = self.path.with_name(f".status.{os.getpid()}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
        beside.replace(self.path)


def read_status(run_dir: Path, service: str) -> ServiceStatus | None:
    """A service's status file, or None where there is none or it is not one of ours."""
    try:
        raw = json.loads((run_dir / service / "status.json").read_bytes())
        return ServiceStatus(
            service=service,
            pid=int(raw["pid"]),
            boot_id=str(raw["boot_id"]),
            started_at=str(raw["started_at"]),
            written_at=str(raw["written_at"]),
            boottime=float(raw["boottime"]),
            every_s=float(raw["every_s"]),
            stopped=bool(raw["stopped"]),
            state=dict(raw["state"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


class StatusReader:
    """A service's status file, for whoever looks more often than it is written: read anew when it was replaced.

    Looking costs a twentieth of reading what the watcher of two lines writes.
    """

    def __init__(self, run_dir: Path, service: str) -> None:
        self._run_dir, self._service = run_dir, service
        self._path = run_dir / service / "status.json"
        self._seen: tuple[int, int, int] | None = None
        self._status: ServiceStatus | None = None

    def __call__(self) -> ServiceStatus | None:
        """As `read_status`."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._seen, self._status = seen, read_status(self._run_dir, self._service)
        return self._status


def disk_free_bytes(path: Path) -> int | None:
    """Bytes that an ordinary user may still write on the file system of `path`; None where it cannot be asked."""
    try:
        room = os.statvfs(path)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize


def disk_size_bytes(path: Path) -> int | None:
    """Bytes on the file system of `path` that are written or that an ordinary user may write; None where unknown.

    What is kept for root counts in neither part, so that free of size is the share that `df` shows.
    """
    try:
        room = os.statvfs(path)
    except OSError:
        return None
    return (room.f_blocks - room.f_bfree + room.f_bavail) * room.f_frsize
