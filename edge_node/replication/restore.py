"""A database made from a replica: only the files that it takes, opened, checked, and never over what exists.

What is damaged or gone is gone around, where another file covers it; where none does, the restore walks back to the
last sound point and says how far. A store that falls silent is asked again, from where it stopped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_node.base.clock import utc_text
from edge_node.base.errors import ReplicaError
from edge_node.base.logs import event
from edge_node.base.units import format_size, spoken_duration
from edge_node.replication import litestream, ltx
from edge_node.replication.ltx import LtxFile, is_contiguous, local_path, read_header
from edge_node.replication.ltx_content import check_content
from edge_node.replication.patience import WAITS_S, patiently
from edge_node.replication.progress import Step, Told, nobody, size_below, watched
from edge_node.replication.restore_points import as_of, plan
from edge_node.replication.source import LocalSource, ObjectGone, ObjectUnsound, Source, place

# The fetched files and the database beside each other (measured: 1.9 times the database), and something to spare.
SPARE_BYTES = 16 * 1024 * 1024
# What Litestream refuses is looked for file by file up to this size; beyond, it is found by leaving files out.
LOOKED_INTO_BYTES = 1_000_000
# So many objects that are sealed to others, and none that opens: the identity is at fault.
FOREIGN_ENOUGH = 3
# A listing that is overtaken by compaction this often is not the reason.
LISTINGS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A database that was made and whose integrity was checked.

    `newest_at_ms` is the time of its newest commit. `hole` is the range of TXIDs that the source lacks, where it holds
    more beyond it that could not be used. `wanted_txid` is how far the source promised to reach, `wanted_at_ms` the
    time of that, if known; `unsound` names what was damaged.
    """

    path: Path
    source: str
    txid: int
    newest_at_ms: int
    files: int
    size_bytes: int
    hole: tuple[int, int] | None
    wanted_txid: int = 0
    wanted_at_ms: int | None = None
    unsound: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Is everything in it that was asked for?"""
        return self.hole is None and self.txid >= self.wanted_txid

    def sentence(self) -> str:
        """What was done, for a person."""
        lines = [
            f"restored {self.path} from {self.source}: TXID {self.txid}, newest change {utc_text(self.newest_at_ms)}, "
            f"{self.files} files, integrity checked"
        ]
        if self.unsound:
            damaged = ", ".join(self.unsound[:3]) + (f" and {more} more" if (more := len(self.unsound) - 3) > 0 else "")
            lines.append(f"damaged at this source: {damaged}")
        if self.txid < self.wanted_txid:
            lines.append(f"walked back to the last sound point: {self._lost()}")
        elif self.unsound:
            lines.append("other files cover what is damaged: nothing is missing")
        if self.hole is not None:
            first, last = self.hole
            missing = f"TXID {first}" if first == last else f"TXIDs {first} to {last}"
            lines.append(f"stopped there: {missing} missing at this source; what it holds beyond cannot be used")
        return "\n".join(lines)

    def _lost(self) -> str:
        text = f"TXIDs {self.txid + 1} to {self.wanted_txid} are not in it"
        if self.wanted_at_ms is None:
            return text
        return f"{text}, the last {spoken_duration(max(0, self.wanted_at_ms - self.newest_at_ms) / 1000)} of changes"


async def restore(
    source: Source,
    to: Path,
    *,
    at_ms: int | None = None,
    txid: int | None = None,
    tell: Told = nobody,
    waits_s: Sequence[float] = WAITS_S,
) -> Restored:
    """Make the new file `to` from a source, by way of a scratch folder beside it; integrity is checked in full.

    Nothing later than `at_ms` is in it, whatever a source says of its objects' times. Raises ReplicaError:
    restore-failed (exists already, a TXID beyond the end, nothing to restore from, no room), replica-unreachable (still
    after `waits_s`), identity-missing, object-unsound. Nothing is left at `to` then.
    """
    for path in (to, *litestream.sidecars(to)):
        if path.exists():
            raise ReplicaError(
                "restore-failed",
                f"nothing was restored: {path} exists",
                context="a restore never overwrites, since what it would replace may be the only copy",
                hint="give a path that does not exist yet",
            )
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=to.parent) as folder:
            return await _Restoration(
                source, to, Path(folder), at_ms=at_ms, txid=txid, tell=tell, waits_s=waits_s
            ).run()
    except OSError as error:
        raise ReplicaError(
            "restore-failed",
            f"{to} cannot be written",
            context=str(error),
            hint="give a path in a folder that exists, on a disk with room for twice the database",
        ) from error


class _Restoration:
    """One restore: plan, fetch, make; what turns out to be damaged is left out of the next plan."""

    def __init__(
        self,
        source: Source,
        to: Path,
        scratch: Path,
        *,
        at_ms: int | None,
        txid: int | None,
        tell: Told,
        waits_s: Sequence[float],
    ) -> None:
        self._source, self._to, self._scratch = source, to, scratch
        self._at_ms, self._txid = at_ms, txid
        self._tell, self._waits_s = tell, waits_s
        self._listed: Mapping[LtxFile, int | None] = {}
        self._usable: Mapping[LtxFile, int | None] = {}
        self._bad: dict[LtxFile, ReplicaError] = {}
        # Litestream refused this chain and nobody knows which file of it is to blame; so many are left out of it.
        self._refused: tuple[LtxFile, ...] = ()
        self._left_out = 0

    async def run(self) -> Restored:
        await self._list()
        wanted, _ = plan(self._usable, txid=self._txid)
        listings = 1
        while True:
            chain, hole = plan(self._sound(), txid=self._limit())
            if not chain:
                if self._left_out:
                    self._give_up_first()
                    continue
                raise await self._nothing()
            try:
                await self._fetch(chain)
            except ObjectUnsound as error:
                self._heed(error)
                continue
            except ObjectGone as error:
                if (listings := listings + 1) > LISTINGS:
                    raise
                event("restore_lists_again", gone=place(error.file))
                await self._list()
                wanted = wanted or plan(self._usable, txid=self._txid)[0]
                continue
            if late := _later(self._scratch, chain, self._at_ms):
                # It was believed earlier than it is: plan without it, and it was never promised.
                self._usable = {file: time_ms for file, time_ms in self._usable.items() if file not in late}
                wanted, _ = plan(self._usable, txid=self._txid)
                continue
            _keep_only(self._scratch, chain)
            assert is_contiguous(chain)
            try:
                made = await self._make(chain)
            except litestream.RestoreRefused as error:
                await self._walk_back(chain, error)
                continue
            last = read_header(local_path(self._scratch, chain[-1]))
            _publish(made, self._to)
            return Restored(
                path=self._to,
                source=self._source.name,
                txid=chain[-1].max_txid,
                newest_at_ms=last.timestamp_ms,
                files=len(chain),
                size_bytes=sum(file.size_bytes for file in chain),
                hole=hole if not self._refused else None,
                wanted_txid=wanted[-1].max_txid if wanted else 0,
                wanted_at_ms=await self._time_ms(wanted[-1]) if wanted else None,
                unsound=tuple(place(file) for file in sorted(self._bad)),
            )

    async def _list(self) -> None:
        self._listed = await patiently(self._source.list, waits_s=self._waits_s)
        end = ltx.head(self._listed)
        if self._listed and self._txid is not None and self._txid > end:
            raise ReplicaError(
                "restore-failed",
                f"nothing was restored: {self._source.name} ends at TXID {end}, before {self._txid}",
                context=None,
                hint=f"--txid {end} restores its newest state; edge-node replica points shows what others hold",
            )
        self._usable = self._listed if self._at_ms is None else await as_of(self._source, self._listed, self._at_ms)

    def _sound(self) -> Mapping[LtxFile, int | None]:
        return {file: time_ms for file, time_ms in self._usable.items() if file not in self._bad}

    def _limit(self) -> int | None:
        """The TXID to plan for: the wish, or less where Litestream refuses what reaches it."""
        if not self._left_out:
            return self._txid
        return self._refused[max(0, len(self._refused) - 1 - self._left_out)].max_txid

    async def _fetch(self, chain: Sequence[LtxFile]) -> None:
        size_bytes = sum(file.size_bytes for file in chain)
        _check_room(self._to, needed=2 * size_bytes + SPARE_BYTES, free=shutil.disk_usage(self._to.parent).free)

        async def fetch() -> None:
            missing = [file for file in chain if not local_path(self._scratch, file).exists()]
            await self._source.fetch(missing, self._scratch)

        async with watched(Step.FETCHING, self._scratch, total_bytes=size_bytes, tell=self._tell):
            await patiently(fetch, waits_s=self._waits_s, moved=lambda: size_below(self._scratch))

    def _heed(self, error: ObjectUnsound) -> None:
        self._bad[error.file] = error
        has_opened = bool(ltx.scan(self._scratch))
        foreign = [bad for bad in self._bad.values() if isinstance(bad, ObjectUnsound) and bad.is_foreign]
        if not has_opened and len(foreign) == len(self._bad) >= FOREIGN_ENOUGH:
            raise foreign[0]
        event("restore_goes_around", level="warning", object=place(error.file), why=error.context)

    async def _make(self, chain: Sequence[LtxFile]) -> Path:
        last = read_header(local_path(self._scratch, chain[-1]))
        needed = last.database_bytes
        _check_room(self._to, needed=needed + SPARE_BYTES, free=shutil.disk_usage(self._to.parent).free)
        made = self._scratch / "restored.db"
        async with watched(Step.RESTORING, self._scratch, total_bytes=needed, tell=self._tell):
            done = await asyncio.to_thread(litestream.restore_from_files, self._scratch, made)
        if done.txid != chain[-1].max_txid:
            raise ReplicaError(
                "restore-failed",
                f"litestream restored TXID {done.txid} out of files that reach {chain[-1].max_txid}",
                context=f"from {self._source.name}",
                hint=f"try --txid {done.txid}, or another source",
            )
        return made

    async def _walk_back(self, chain: tuple[LtxFile, ...], error: ReplicaError) -> None:
        """Litestream refuses these files: the damaged ones are left out, or ever more of the newest."""
        found = await asyncio.to_thread(_damaged, self._scratch, chain)
        event("restore_refused", level="warning", txid=chain[-1].max_txid, damaged=len(found), why=error.context)
        if found:
            self._bad.update(dict.fromkeys(found, error))
            for file in found:
                local_path(self._scratch, file).unlink()
            self._refused, self._left_out = (), 0
        elif self._left_out >= len(self._refused) - 1 and self._refused:
            self._give_up_first(error)
        else:
            self._refused = self._refused or chain
            self._left_out = max(1, 2 * self._left_out)
            if len(self._refused) == 1:
                self._give_up_first(error)

    def _give_up_first(self, error: ReplicaError | None = None) -> None:
        """Even the file that everything begins with makes no sound database."""
        first = self._refused[0]
        self._bad[first] = error or self._bad.get(first) or _unsound(first)
        self._refused, self._left_out = (), 0

    async def _time_ms(self, file: LtxFile) -> int | None:
        if (known := self._listed.get(file)) is not None:
            return known
        try:
            return (await self._source.times([file])).get(file)
        except ReplicaError:
            return None

    async def _nothing(self) -> ReplicaError:
        if self._bad:
            first = next(iter(self._bad.values()))
            if all(isinstance(bad, ObjectUnsound) and bad.is_foreign for bad in self._bad.values()):
                return first
            return ReplicaError(
                "object-unsound",
                f"nothing sound can be restored from {self._source.name}: {len(self._bad)} objects are damaged",
                context=f"{first.message}: {first.context}",
                hint="restore from another destination, or from the local replica: --from local",
            )
        return await _nothing(self._source, self._listed, at_ms=self._at_ms, txid=self._txid)


def _unsound(file: LtxFile) -> ReplicaError:
    return ObjectUnsound(
        file,
        f"no sound database can be made from {place(file)}",
        context="litestream refuses it",
        hint="restore from another destination, or to an earlier TXID",
    )


def _damaged(scratch: Path, chain: Sequence[LtxFile]) -> list[LtxFile]:
    """Which of the fetched files do not hold what their checksum says; large ones are not looked into."""
    found = []
    for file in chain:
        path = local_path(scratch, file)
        if path.stat().st_size > LOOKED_INTO_BYTES:
            continue
        try:
            check_content(path)
        except ValueError:
            found.append(file)
    return found


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
