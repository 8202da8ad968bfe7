"""A database made from a replica: only the files that it takes, opened, checked, and never over what exists.

What is damaged or gone is gone around, where another file covers it; where none does, the restore walks back to the
last sound point and says how far. A store that falls silent is asked again, from where it stopped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edge_node.base.clock import utc_text
from edge_node.base.errors import ReplicaError
from edge_node.base.files import give_new_name
from edge_node.base.logs import event
from edge_node.base.units import counted, format_size
from edge_node.base.users import told
from edge_node.replication import litestream, ltx
from edge_node.replication.ltx import LtxFile, is_contiguous, local_path, read_header
from edge_node.replication.ltx_content import check_content
from edge_node.replication.patience import WAITS_S, patiently
from edge_node.replication.progress import Step, Told, nobody, size_below, watched
from edge_node.replication.restore_points import as_of, plan
from edge_node.replication.restored import Restored
from edge_node.replication.scratch import scratch_in
from edge_node.replication.source import ObjectGone, ObjectUnsound, Source, place

# The fetched files and the database beside each other (measured: 1.9 times the database), and something to spare.
SPARE_BYTES = 16 * 1024 * 1024
# What Litestream refuses is looked for file by file up to this size; beyond, it is found by leaving files out.
LOOKED_INTO_BYTES = 1_000_000
# So many objects that are sealed to others, and none that opens: the identity is at fault.
FOREIGN_ENOUGH = 3
# A listing that is overtaken by compaction this often is not the reason.
LISTINGS = 4


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
    after `waits_s`), identity-missing, identity-foreign, object-unsound. Nothing is left at `to` then.
    """
    try:
        _refuse_place(to)
        with scratch_in(to.parent) as scratch:
            return await _Restoration(source, to, scratch, at_ms=at_ms, txid=txid, tell=tell, waits_s=waits_s).run()
    except OSError as error:
        raise ReplicaError(
            "restore-failed",
            f"{to} cannot be written",
            context=told(error),
            hint="give a path in a folder of the user who owns the node's data, with room for twice the database",
        ) from error


def _refuse_place(to: Path) -> None:
    """Raises ReplicaError restore-failed where no new file can be made; OSError where that cannot be seen."""
    for path in (to, *litestream.sidecars(to)):
        if path.exists():
            raise ReplicaError(
                "restore-failed",
                f"nothing was restored: {path} exists",
                context="a restore never overwrites, since what it would replace may be the only copy",
                hint="give a path that does not exist yet",
            )
    if not to.parent.is_dir():
        raise ReplicaError(
            "restore-failed",
            f"nothing was restored: there is no folder {to.parent}",
            context=None,
            hint=f"mkdir -p {to.parent}, or give a path in a folder that exists",
        )


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
                unsealed=self._source.unsealed,
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
            raise self._foreign()
        if has_opened or not error.is_foreign:
            event("restore_goes_around", level="warning", object=place(error.file), why=error.context)

    def _foreign(self) -> ReplicaError:
        """Whatever was tried is sealed to somebody else: the identity is at fault, and not the objects."""
        return ReplicaError(
            "identity-foreign",
            f"nothing that was tried of {self._source.name} opens with this identity",
            context=f"{counted(len(self._bad), 'object')} tried, first {place(next(iter(self._bad)))}",
            hint="give the recovery identity from the safe: --identity FILE",
        )

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
                return self._foreign()
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


def _publish(made: Path, to: Path) -> None:
    """Give the finished database its name; a file that has appeared there meanwhile is kept (FileExistsError)."""
    made.chmod(0o640)
    handle = os.open(made, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    give_new_name(made, to)
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
