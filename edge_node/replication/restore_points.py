"""Which past states a source can bring back, how finely, and which files each takes. Pure but for asking for times."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.base.clock import utc_text
from edge_node.base.errors import ReplicaError
from edge_node.replication.ltx import LtxFile, first_hole
from edge_node.replication.shipping_plan import restore_chain
from edge_node.replication.source import Source

# How far apart the restore points of a level are (Litestream's own steps, `commands.CaptureSettings`).
STEP_S = {0: 1, 1: 30, 2: 300, 3: 3600, 9: 24 * 3600}
# Stretches in a status file: a copy without holes has one of each level, and a snapshot a week.
SHOWN = 60


def plan(
    files: Mapping[LtxFile, int | None], *, at_ms: int | None = None, txid: int | None = None
) -> tuple[tuple[LtxFile, ...], tuple[int, int] | None]:
    """The files of a restore, and the hole it stops before, if there is one. Pure.

    To the newest reachable state, to `txid`, or to what was committed by `at_ms`; a file is all or nothing, so that the
    granularity is that of the finest level kept for that time. What has no known time is of no use then.
    """
    usable = [file for file, time_ms in files.items() if at_ms is None or (time_ms is not None and time_ms <= at_ms)]
    wanted = [file for file in usable if txid is None or file.max_txid <= txid]
    return restore_chain(wanted), first_hole(wanted)


async def as_of(source: Source, files: Mapping[LtxFile, int | None], at_ms: int) -> Mapping[LtxFile, int | None]:
    """The files of a source with nothing later than `at_ms`.

    Where a listing tells no times, they are asked for by halving: on one level a later file has a later time, unless
    somebody set the clock back meanwhile. `restore` therefore looks at the header of each file that it uses.
    Raises ReplicaError: of the source, and restore-failed where times cannot be told.
    """
    chosen = {file: time_ms for file, time_ms in files.items() if time_ms is not None and time_ms <= at_ms}
    unknown = sorted((file for file, time_ms in files.items() if time_ms is None), key=lambda file: file.max_txid)

    async def halve(level: int) -> None:
        candidates = [file for file in unknown if file.level == level]
        low, high = 0, len(candidates)  # Those before `low` are early enough, those from `high` on are not.
        while low < high:
            middle = (low + high) // 2
            time_ms = (await source.times([candidates[middle]])).get(candidates[middle])
            if time_ms is None:
                raise ReplicaError(
                    "restore-failed",
                    f"{source.name} does not tell of what time its objects are",
                    context="they carry no time, and what is inside cannot be opened",
                    hint="give the recovery identity (--identity FILE), or say the state by its TXID (--txid)",
                )
            low, high = (middle + 1, high) if time_ms <= at_ms else (low, middle)
        chosen.update(dict.fromkeys(candidates[:low], at_ms))

    await asyncio.gather(*(halve(level) for level in sorted({file.level for file in unknown})))
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Restore points of one level without a gap: `files` of them between two TXIDs and two times (UTC ms).

    A time is None where the source does not tell it.
    """

    level: int
    min_txid: int
    max_txid: int
    from_ms: int | None
    to_ms: int | None
    files: int
    size_bytes: int


def points(files: Mapping[LtxFile, int | None]) -> list[Stretch]:
    """Which past states can be restored, level by level: snapshots one by one, the others as unbroken stretches. Pure.

    Level 0 goes back to single captures (a second apart), levels 1 to 3 in their steps of 30 s, 5 min and 1 h.
    """
    return [
        Stretch(
            level=group[0].level,
            min_txid=group[0].min_txid,
            max_txid=max(file.max_txid for file in group),
            from_ms=files[group[0]],
            to_ms=max((time_ms for file in group if (time_ms := files[file]) is not None), default=None),
            files=len(group),
            size_bytes=sum(file.size_bytes for file in group),
        )
        for group in _unbroken(files)
    ]


async def points_of(source: Source) -> list[Stretch]:
    """The restore points of a source; of times that its listing does not tell, those at the ends are asked for.

    Raises ReplicaError.
    """
    return await stretches_of(source, await source.list())


async def stretches_of(source: Source, listed: Mapping[LtxFile, int | None]) -> list[Stretch]:
    """The same for files that were listed a moment ago. Raises ReplicaError."""
    files = dict(listed)
    ends = {file for file in ends_of(files) if files[file] is None}
    files.update(await source.times(ends))
    return points(files)


def ends_of(files: Iterable[LtxFile]) -> set[LtxFile]:
    """The files whose times say from when until when the stretches reach. Pure."""
    return {file for group in _unbroken(files) for file in (group[0], group[-1])}


def points_as_json(stretches: Iterable[Stretch]) -> list[dict[str, Any]]:
    """For status files: the newest of each level first, and not more than anybody reads."""
    newest = sorted(stretches, key=lambda one: (one.level, -one.max_txid))
    return [
        {
            "level": one.level, "granularity_s": STEP_S.get(one.level), "min_txid": one.min_txid,
            "max_txid": one.max_txid, "from": None if one.from_ms is None else utc_text(one.from_ms),
            "to": None if one.to_ms is None else utc_text(one.to_ms), "files": one.files,
            "size_bytes": one.size_bytes,
        }
        for one in newest[:SHOWN]
    ]  # fmt: skip


def _unbroken(files: Iterable[LtxFile]) -> list[list[LtxFile]]:
    """The files of each level in runs without a gap; a snapshot is complete by itself."""
    groups: list[list[LtxFile]] = []
    reach = 0
    for file in sorted(files):
        last = groups[-1][-1] if groups else None
        if last and last.level == file.level and not file.is_snapshot and file.min_txid <= reach + 1:
            groups[-1].append(file)
            reach = max(reach, file.max_txid)
        else:
            groups.append([file])
            reach = file.max_txid
    return groups
