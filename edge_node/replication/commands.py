"""What to run: settings to Litestream's configuration, arguments to argv tuples. Pure; nothing here starts anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.base.clock import utc_text

SOCKET_MODE = 0o600
# On standard error: its default is standard output, in the middle of the JSON that `restore -json` prints there.
_LOGGING: Mapping[str, Any] = {"level": "info", "type": "json", "stderr": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicatedDb:
    """One database, and where its replica and Litestream's own records of it lie.

    The two folders belong to one epoch, and change together: with an old `meta_path` and a new `replica_path`
    Litestream replicates nothing for ever and a restore gives old rows without a word (measured).
    """

    path: Path
    meta_path: Path
    replica_path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """How Litestream captures and keeps; the defaults are the clinic's, and the reasons stand beside them."""

    # A commit is in two places within a second; shorter costs objects, and CPU while idle.
    sync_every_s: float = 1.0
    # What is compacted travels after an outage: hours of captures become a handful of files.
    level_every_s: Sequence[float] = (30.0, 300.0, 3600.0)
    # One snapshot a day, eight of them: about seven times the database on disk. What is kept counts in hours that the
    # machine has run (`ages`), and is removed by us.
    snapshot_every_s: float = 24 * 3600.0
    keep_snapshots_s: float = 168 * 3600.0
    # The longest outage after which every single second is still shipped as it was captured.
    keep_captures_s: float = 24 * 3600.0
    # Each check lists them all, 30,000 after a busy day; the default of 15 s would do nothing else.
    captures_check_every_s: float = 300.0
    # Litestream's default of 1 s gives up while the HIS commits a long batch.
    busy_timeout_s: float = 5.0
    # Its default of 30 s would outlast the stop of the whole node.
    shutdown_sync_s: float = 5.0


# Litestream captures on one clock and copies what was captured on another. At one period they run side by side and now
# and then miss each other: one commit in a hundred waits for a period more (p99 1.39 s at 1 s, measured). So it looks
# oftener; where nothing is new, a look costs next to nothing.
LOOKS_PER_CAPTURE = 10
LEAST_LOOK_S = 0.05

# The keys of Litestream 0.5's configuration that we write. It ignores an unknown key without a word (`snapshots:`
# instead of `snapshot:` keeps the default retention of a day), so that a misspelt one must be found here.
KNOWN_KEYS: Mapping[str, Any] = {
    "socket": {"enabled": bool, "path": str, "permissions": int},
    "logging": {"level": str, "type": str, "stderr": bool},
    "shutdown-sync-timeout": str,
    "snapshot": {"interval": str, "retention": str},
    "levels": [{"interval": str}],
    "retention": {"enabled": bool},
    "l0-retention": str,
    "l0-retention-check-interval": str,
    "verify-compaction": bool,
    "validation": {"interval": str},
    "dbs": [
        {
            "path": str,
            "meta-path": str,
            "monitor-interval": str,
            "busy-timeout": str,
            "replica": {"type": str, "path": str, "sync-interval": str},
        }
    ],
}


def litestream_yaml(databases: Sequence[ReplicatedDb], *, socket: str, settings: CaptureSettings) -> str:
    """The configuration of `litestream replicate`, checked.

    Each value is written as JSON, which is YAML whose quoting leaves no question open. `socket` is relative to the
    folder in which Litestream is started: the kernel allows 107 bytes for it, which a deep folder exceeds.
    """
    document: dict[str, Any] = {
        "socket": {"enabled": True, "path": socket, "permissions": SOCKET_MODE},
        "logging": dict(_LOGGING),
        "shutdown-sync-timeout": go_duration(settings.shutdown_sync_s),
        "snapshot": {
            "interval": go_duration(settings.snapshot_every_s),
            "retention": go_duration(settings.keep_snapshots_s),
        },
        "levels": [{"interval": go_duration(every_s)} for every_s in settings.level_every_s],
        # Its retention goes by the wall clock: set ahead by days, it deletes days of restore points (measured). So it
        # deletes nothing from the replica, and only clears its own folder of captures that were copied there.
        "retention": {"enabled": False},
        "l0-retention": go_duration(settings.keep_captures_s),
        "l0-retention-check-interval": go_duration(settings.captures_check_every_s),
        "verify-compaction": True,
        "validation": {"interval": "1h0m0s"},
        "dbs": [
            {
                "path": str(database.path),
                "meta-path": str(database.meta_path),
                "monitor-interval": go_duration(settings.sync_every_s),
                "busy-timeout": go_duration(settings.busy_timeout_s),
                "replica": _file_replica(database.replica_path, every_s=looks_every_s(settings)),
            }
            for database in databases
        ],
    }
    return written(document)


def looks_every_s(settings: CaptureSettings) -> float:
    """How often Litestream looks whether something was captured that the replica lacks."""
    return max(LEAST_LOOK_S, settings.sync_every_s / LOOKS_PER_CAPTURE)


def misread_in(path: Path) -> str | None:
    """The first character of a database's path that Litestream misreads; None when it can take the path.

    It opens `file:<path>` without escaping: with a # or a ? it makes another database beside the real one, replicates
    that and reports success, and a restore checks the integrity of the wrong file (0.5.17, measured).
    """
    return next((char for char in str(path) if char in "#?%"), None)


def restore_yaml(database: Path, replica: Path) -> str:
    """The configuration with which `litestream restore` finds the replica of `database` in the folder `replica`.

    A file:// address would do for most folders, but not for one with a per cent sign or a hash in its name.
    """
    dbs = [{"path": str(database), "replica": _file_replica(replica, every_s=None)}]
    return written({"logging": dict(_LOGGING), "dbs": dbs})


def _file_replica(path: Path, *, every_s: float | None) -> dict[str, Any]:
    sync = {} if every_s is None else {"sync-interval": go_duration(every_s)}
    return {"type": "file", "path": str(path), **sync}


def written(document: Mapping[str, Any]) -> str:
    """A configuration as text. Raises ValueError naming every key that Litestream would ignore."""
    problems = check_document(document)
    if problems:
        raise ValueError(f"litestream.yml would be wrong: {'; '.join(problems)}")
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in document.items()]
    return "\n".join(["# Written by edge-node at every start; change edge-node.toml instead.", *lines, ""])


def check_document(document: Any, known: Any = KNOWN_KEYS, path: str = "") -> list[str]:
    """Every key that Litestream would not know, and every value of another kind than it wants, with its path."""
    if isinstance(known, Mapping):
        if not isinstance(document, Mapping):
            return [f"{path or 'the document'} is not a table"]
        return [
            problem
            for key, value in document.items()
            for problem in (
                check_document(value, known[key], f"{path}.{key}".lstrip("."))
                if key in known
                else [f"{f'{path}.{key}'.lstrip('.')} is unknown"]
            )
        ]
    if isinstance(known, list):
        if not isinstance(document, list) or not document:
            return [f"{path} is not a list of at least one"]
        return [
            problem for i, item in enumerate(document) for problem in check_document(item, known[0], f"{path}[{i}]")
        ]
    return [] if type(document) is known else [f"{path} is not of type {known.__name__}"]


def go_duration(seconds: float) -> str:
    """A duration as Go writes it: 1.5 gives "1.5s", 86400 gives "24h0m0s". Raises ValueError unless positive."""
    if seconds <= 0:
        raise ValueError(f"a duration of {seconds:g} s would mean Litestream's own default")
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    end = f"{rest / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{end}"
    return f"{minutes}m{end}" if minutes else end


def replicate_argv(binary: Path, config: str) -> tuple[str, ...]:
    """Replicate until told to stop. Nothing in the configuration is expanded: a path may hold a dollar sign."""
    return (str(binary), "replicate", "-no-expand-env", "-config", config)


def bound_to_parent_argv(setpriv: Path, argv: Sequence[str]) -> tuple[str, ...]:
    """The same command, killed by the kernel when the process that started it is gone, SIGKILL of that one included.

    SIGKILL for the child as well: it is safe (54 of 54, facts of the replica), and a wedged Litestream heeds no other.
    """
    return (str(setpriv), "--pdeathsig", "KILL", "--", *argv)


def restore_argv(
    binary: Path,
    config: Path,
    database: Path,
    to: Path,
    *,
    integrity: str,
    txid: int | None = None,
    at_ms: int | None = None,
) -> tuple[str, ...]:
    """Restore `database` to the new file `to`: the newest state, or that of a TXID, or the last one before a time.

    Raises ValueError for both a TXID and a time.
    """
    if txid is not None and at_ms is not None:
        raise ValueError("restore to a TXID or to a time, not to both")
    until: tuple[str, ...] = ()
    if txid is not None:
        until = ("-txid", f"{txid:016x}")
    elif at_ms is not None:
        until = ("-timestamp", utc_text(at_ms))
    return (
        str(binary), "restore", "-json", "-no-expand-env", "-config", str(config),
        "-integrity-check", integrity, *until, "-o", str(to), str(database),
    )  # fmt: skip


def version_argv(binary: Path) -> tuple[str, ...]:
    """Print the version and nothing else."""
    return (str(binary), "version")
