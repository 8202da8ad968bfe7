"""A database made from a replica: only the files that it takes, opened, checked, and never over what exists."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_node.base.clock import utc_text
from edge_node.base.errors import ReplicaError
from edge_node.base.units import format_size
from edge_node.replication import litestream, ltx
from edge_node.replication.ltx import LtxFile, is_contiguous, local_path, read_header
from edge_node.replication.shipping_plan import restore_chain
from edge_node.replication.source import LocalSource, Source

# The fetched files and the database beside each other (measured: 1.9 times the database), and something to spare.
SPARE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A database that was made and whose integrity was checked.

    `newest_at_ms` is the time of its newest commit. `hole` is the range of TXIDs that the source lacks, where it holds
    more beyond it that could not be used.
    """

    path: Path
    source: str
    txid: int
    newest_at_ms: int
    files: int
    size_bytes: int
    hole: tuple[int, int] | None

    def sentence(self) -> str:
        """What was done, for a person."""
        text = (
            f"restored {self.path} from {self.source}: TXID {self.txid}, newest change {utc_text(self.newest_at_ms)}, "
            f"{self.files} files, integrity checked"
        )
        if self.hole is None:
            return text
        first, last = self.hole
        missing = f"TXID {first}" if first == last else f"TXIDs {first} to {last}"
        return f"{text}\nstopped there: {missing} missing at this source; what it holds beyond cannot be used"


def plan(
    files: Mapping[LtxFile, int | None], *, at_ms: int | None = None, txid: int | None = None
) -> tuple[tuple[LtxFile, ...], tuple[int, int] | None]:
    """The files of a restore, and the hole it stops before, if there is one. Pure.

    To the newest reachable state, to `txid`, or to what was committed by `at_ms`; a file is all or nothing, so that the
    granularity is that of the finest level kept for that time. What has no known time is of no use then.
    """
    usable = [file for file, time_ms in files.items() if at_ms is None or (time_ms is not None and time_ms <= at_ms)]
    chain = restore_chain(usable, txid=txid)
    reach = chain[-1].max_txid if chain else 0
    wanted = [file for file in usable if txid is None or file.max_txid <= txid]
    above = [file.min_txid for file in wanted if file.max_txid > reach]
    return chain, ((reach + 1, min(above) - 1) if above else None)


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


async def restore(source: Source, to: Path, *, at_ms: int | None = None, txid: int | None = None) -> Restored:
    """Make the new file `to` from a source, by way of a scratch folder beside it; integrity is checked in full.

    Nothing later than `at_ms` is in it, whatever a source says of its objects' times. Raises ReplicaError:
    restore-failed (exists already, nothing to restore from, no room, Litestream's refusal), replica-unreachable,
    identity-missing, object-unsound. Nothing is left at `to` then.
    """
    for path in (to, *litestream.sidecars(to)):
        if path.exists():
            raise ReplicaError(
                "restore-failed",
                f"nothing was restored: {path} exists",
                context="a restore never overwrites, since what it would replace may be the only copy",
                hint="give a path that does not exist yet",
            )
    listed = await source.list()
    usable = listed if at_ms is None else await as_of(source, listed, at_ms)
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=to.parent) as folder:
            scratch = Path(folder)
            while True:
                chain, hole = plan(usable, txid=txid)
                if not chain:
                    raise await _nothing(source, listed, at_ms=at_ms, txid=txid)
                size_bytes = sum(file.size_bytes for file in chain)
                _check_room(to, needed=2 * size_bytes + SPARE_BYTES, free=shutil.disk_usage(to.parent).free)
                await source.fetch([file for file in chain if not local_path(scratch, file).exists()], scratch)
                late = _later(scratch, chain, at_ms)
                if not late:
                    break
                # It was believed earlier than it is: plan without it.
                usable = {file: time_ms for file, time_ms in usable.items() if file not in late}
            _keep_only(scratch, chain)
            assert is_contiguous(chain)
            last = read_header(local_path(scratch, chain[-1]))
            _check_room(to, needed=last.database_bytes + SPARE_BYTES, free=shutil.disk_usage(to.parent).free)
            made = scratch / "restored.db"
            done = await asyncio.to_thread(litestream.restore_from_files, scratch, made)
            if done.txid != chain[-1].max_txid:
                raise ReplicaError(
                    "restore-failed",
                    f"litestream restored TXID {done.txid} out of files that reach {chain[-1].max_txid}",
                    context=f"from {source.name}",
                    hint=f"try --txid {done.txid}, or another source",
                )
            _publish(made, to)
    except OSError as error:
        raise ReplicaError(
            "restore-failed",
            f"{to} cannot be written",
            context=str(error),
            hint="give a path in a folder that exists, on a disk with room for twice the database",
        ) from error
    return Restored(
        path=to,
        source=source.name,
        txid=done.txid,
        newest_at_ms=last.timestamp_ms,
        files=len(chain),
        size_bytes=size_bytes,
        hole=hole,
    )


def _later(scratch: Path, chain: Sequence[LtxFile], at_ms: int | None) -> set[LtxFile]:
    """Which of the fetched files hold what was committed after `at_ms`, as their headers say."""
    if at_ms is None:
        return set()
    return {file for file in chain if read_header(local_path(scratch, file)).timestamp_ms > at_ms}


def _keep_only(scratch: Path, chain: Sequence[LtxFile]) -> None:
    """Litestream restores from whatever lies there: what is not of the chain must go."""
    for file in set(ltx.scan(scratch)) - {_as_scanned(scratch, file) for file in chain}:
        local_path(scratch, file).unlink()


def _as_scanned(scratch: Path, file: LtxFile) -> LtxFile:
    # An object's size is that of what is stored, sealed; a file's is its own.
    return replace(file, size_bytes=local_path(scratch, file).stat().st_size)


def restore_local(db_replica: Path, to: Path, *, at_ms: int | None = None, txid: int | None = None) -> Restored:
    """Make the new file `to` from the local replica of one database (the folder that holds `ltx/`). Blocks.

    Needs no line and no identity. Raises ReplicaError as `restore`.
    """
    return asyncio.run(restore(LocalSource(db_replica), to, at_ms=at_ms, txid=txid))


def _publish(made: Path, to: Path) -> None:
    """Give the finished database its name; a file that has appeared there meanwhile is kept (FileExistsError)."""
    made.chmod(0o640)
    handle = os.open(made, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.link(made, to)
    folder = os.open(to.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_room(to: Path, *, needed: int, free: int) -> None:
    if free < needed:
        raise ReplicaError(
            "restore-failed",
            f"there is no room for the restore in {to.parent}",
            context=f"{format_size(needed)} needed, {format_size(free)} free",
            hint="give a path on a disk with room for twice the database",
        )


async def _nothing(
    source: Source, files: Mapping[LtxFile, int | None], *, at_ms: int | None, txid: int | None
) -> ReplicaError:
    reach = ltx.frontier(files)
    if not files:
        context = "it holds no file of this database"
    elif reach == 0:
        context = f"it holds {len(files)} files, but neither a snapshot nor the first transactions"
    else:
        oldest = min((file for file in files if file.min_txid == 1), key=lambda file: file.max_txid)
        time_ms = (await source.times([oldest])).get(oldest)
        context = f"its history begins at TXID {oldest.max_txid}" + (f", {utc_text(time_ms)}" if time_ms else "")
    wish = "" if at_ms is None and txid is None else f" as of {f'TXID {txid}' if txid else utc_text(at_ms or 0)}"
    return ReplicaError(
        "restore-failed",
        f"{source.name} holds nothing to restore from{wish}",
        context=context,
        hint="edge-node replica points shows what can be restored, and from where",
    )


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
    files = dict(await source.list())
    ends = {file for group in _unbroken(files) for file in (group[0], group[-1]) if files[file] is None}
    files.update(await source.times(ends))
    return points(files)


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
