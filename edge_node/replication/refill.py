"""What the local replica lost is put back from what Litestream has captured beside its metadata, and keeps for a day.

The replica's disk was away for a while, a folder was removed, a sector is bad: Litestream never copies a capture twice,
and its compaction stops at a gap. The same captures still lie on the disk of the data.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_node.base.files import give_new_name
from edge_node.base.logs import event
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.ltx import LtxFile, level_path, local_path, read_header, scan_level
from edge_node.store.copies import sync

# No name of a finished file: Litestream and we pass it by.
BESIDE = ".refill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What a replica holds nothing of between `reach` and `head`, and the files of it that cannot be used."""

    path: Path
    reach: int
    head: int
    unsound: tuple[LtxFile, ...]


def lacking(replica: LocalReplica) -> Lacking | None:
    """None where it lacks nothing."""
    found = Lacking(path=replica.path, reach=replica.reach, head=replica.head, unsound=tuple(replica.unsound))
    return None if found.reach == found.head and not found.unsound else found


def refill(wanted: Lacking, meta: Path) -> Sequence[LtxFile]:
    """Put back what is missing below its newest capture, and what cannot be read; which files. Blocks, raises nothing.

    What is beyond the newest is still Litestream's to copy.
    """
    done: list[LtxFile] = []
    try:
        bad = {file.span: file for file in wanted.unsound}
        for staged in scan_level(meta, 0):
            if (file := bad.get(staged.span)) is not None:
                _put_back(wanted.path, meta, file, replaces=True)
            elif wanted.reach < staged.max_txid < wanted.head and not local_path(wanted.path, staged).exists():
                _put_back(wanted.path, meta, file := staged, replaces=False)
            if file is not None:
                done.append(file)
    except (OSError, ValueError) as error:
        event("replica_not_refilled", level="warning", folder=wanted.path, why=error)
    if done:
        event("replica_refilled", level="warning", folder=wanted.path, files=len(done))
    return done


def _put_back(replica: Path, meta: Path, file: LtxFile, *, replaces: bool) -> None:
    staged, to = local_path(meta, file), local_path(replica, file)
    header = read_header(staged)
    if (header.min_txid, header.max_txid) != (file.min_txid, file.max_txid):
        raise ValueError(f"{staged} holds TXIDs {header.min_txid} to {header.max_txid}")
    level_path(replica, file.level).mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = to.with_name(to.name + BESIDE)
    beside.unlink(missing_ok=True)
    try:
        shutil.copyfile(staged, beside)
        beside.chmod(0o600)
        sync(beside)
        os.utime(beside, ns=(header.timestamp_ms * 1_000_000,) * 2)
        if replaces:
            beside.replace(to)
        else:
            with contextlib.suppress(FileExistsError):  # It has come there meanwhile.
                give_new_name(beside, to)
        sync(to.parent)
    finally:
        beside.unlink(missing_ok=True)
