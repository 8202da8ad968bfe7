"""A lost database comes back beside its place, from whoever has the most of it.

The local replica is ahead of every copy of it, and needs no line: where it is whole, and has all that was ever
confirmed elsewhere, nobody else is asked. Else each destination says how far it reaches, and so does what is left here
of earlier epochs; who promises most is tried first.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_node.base.clock import utc_text
from edge_node.base.errors import ExitCode, ReplicaError, StoreError
from edge_node.base.logs import event
from edge_node.base.systemd import credential_path
from edge_node.config.schema import Config, Destination
from edge_node.replication import ltx
from edge_node.replication.epoch import FIRST_EPOCH, current_epoch, folder_name, meta_path, replica_path
from edge_node.replication.kit import NODE_IDENTITY
from edge_node.replication.restore import restore
from edge_node.replication.restore_points import plan
from edge_node.replication.restored import Restored
from edge_node.replication.sealing import Sealer, read_identities
from edge_node.replication.shipping_record import ShippingRecord
from edge_node.replication.source import DestinationSource, LocalSource, Source, find_source
from edge_node.replication.staged import WithStaged
from edge_node.services.destinations import configured
from edge_node.store.databases import db_path


def restore_beside(config: Config, name: str) -> tuple[Restored, int]:
    """Restore the database `name` beside its place; with the epoch that it came from.

    What is damaged everywhere comes back to its last sound point. Raises StoreError db-missing (exit code 75: to be
    tried again).
    """
    place = db_path(config.node.state_dir, name)
    found = _Found(to=place.with_name(f".{name}.restored.db"), present=current_epoch(config.node.state_dir))
    for leftover in (found.to, found.aside, *(found.to.with_name(found.to.name + end) for end in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    asyncio.run(_look(config, name, found))
    if found.best is None:
        raise StoreError(
            "db-missing",
            f"the database at {place} is lost and could not be restored",
            context="\n".join(found.refusals) or "there is no local replica, and no destination is configured",
            hint="it is tried again; edge-node replica points --from NAME shows what a destination holds",
            exit_code=ExitCode.BUSY,
        )
    _refuse_less(config, name, found)
    done, number = found.best
    found.aside.rename(found.to)
    return replace(done, path=found.to), number


@dataclass(slots=True, kw_only=True)
class _Found:
    """The best that was restored so far, which waits at `aside`. `present` is this machine's epoch."""

    to: Path
    present: int
    best: tuple[Restored, int] | None = None
    refusals: list[str] = field(default_factory=list)

    @property
    def aside(self) -> Path:
        return self.to.with_name(f"{self.to.stem}.partial.db")

    def is_more(self, number: int, txid: int) -> bool:
        """Would the state of this TXID in this epoch be more than what there is?"""
        return self.best is None or self.rank(number, txid) > self.rank(self.best[1], self.best[0].txid)

    def rank(self, number: int, txid: int) -> tuple[bool, int, int]:
        """The highest is the best. A later epoch than ours is another machine's: better than nothing, and no more."""
        return number <= self.present, number, txid

    async def take(self, source: Source, number: int) -> None:
        """Restore from there, and keep it if it is more than there is."""
        try:
            done = await restore(source, self.to)
        except ReplicaError as error:
            self.refusals.append(error.message)
            return
        if not done.is_whole:
            event("database_restored_in_part", level="warning", source=done.source, txid=done.txid, of=done.wanted_txid)
        if self.is_more(number, done.txid):
            self.to.replace(self.aside)
            self.best = replace(done, path=self.aside), number
        else:
            self.to.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """What a source lists reaches up to `txid` of `epoch`."""

    source: Source
    epoch: int
    txid: int


async def _look(config: Config, name: str, found: _Found) -> None:
    numbers = [number for number in range(found.present, FIRST_EPOCH - 1, -1) if _may_hold(config, name, number)]
    here = [(_with_staged(config, name, number), number) for number in numbers]
    for source, number in here[:1]:
        await found.take(source, number)
        if found.best is not None and found.best[0].is_whole:
            if found.best[0].txid >= (confirmed := _confirmed(config, name, number)):
                return
            event("local_replica_set_back", level="error", database=name, txid=found.best[0].txid, confirmed=confirmed)
    async with contextlib.AsyncExitStack() as opened:
        offers: list[_Offer] = []
        for destination in config.replica.destination:
            try:
                there = await _find(config, destination, name, opened)
                offers.append(await _offer(_with_staged(config, name, there.epoch, there), there.epoch))
            except ReplicaError as error:
                found.refusals.append(error.message)
        for source, number in here[1:]:
            try:
                offers.append(await _offer(source, number))
            except ReplicaError as error:
                found.refusals.append(error.message)
        for offer in sorted(offers, key=lambda offer: found.rank(offer.epoch, offer.txid), reverse=True):
            if found.is_more(offer.epoch, offer.txid):
                await found.take(offer.source, offer.epoch)


def _confirmed(config: Config, name: str, number: int) -> int:
    """How far any destination has confirmed this database in this epoch, as far as is remembered here."""
    folder = config.node.state_dir / "shipping"
    records = [ShippingRecord(folder / f"{destination.name}.json") for destination in config.replica.destination]
    return max((record.copy(f"{folder_name(number)}/{name}").held.frontier for record in records), default=0)


def _with_staged(config: Config, name: str, number: int, source: Source | None = None) -> Source:
    """A source of this epoch, by default the local replica, and what was captured here and copied nowhere yet."""
    return WithStaged(
        source or LocalSource(replica_path(config.replica.local, number, name)),
        meta_path(config.node.state_dir, number, name),
    )


def _may_hold(config: Config, name: str, number: int) -> bool:
    """Was anything captured here in this epoch? What cannot be read may hold it."""
    try:
        return _is_replica_there(config, name, number) or bool(_staged(config, name, number))
    except OSError:
        return True


def _is_replica_there(config: Config, name: str, number: int) -> bool:
    return bool(ltx.scan(replica_path(config.replica.local, number, name)))


def _staged(config: Config, name: str, number: int) -> int:
    """The newest TXID that was captured here in this epoch, wherever it was copied; 0 where that is not known."""
    return ltx.head(ltx.scan(meta_path(config.node.state_dir, number, name)))


def _refuse_less(config: Config, name: str, found: _Found) -> None:
    """A copy of long ago is no answer while the local replica, which has the rest, is on a disk that is out.

    Raises StoreError db-missing.
    """
    captured = _staged(config, name, found.present)
    if not captured or found.best is None or not found.is_more(found.present, captured):
        return
    with contextlib.suppress(OSError):
        if _is_replica_there(config, name, found.present):
            return  # Damaged, and nobody has more.
    done, meta = found.best[0], meta_path(config.node.state_dir, found.present, name)
    raise StoreError(
        "db-missing",
        f"{name}.db is lost, and what can be had without the local replica ends at TXID {done.txid} of {captured}",
        context=f"{done.source}, newest change {utc_text(done.newest_at_ms)}; nothing of it in {config.replica.local}",
        hint=f"mount its disk; if that is lost for good, move {meta} away: what there is is then restored",
        exit_code=ExitCode.BUSY,
    )


async def _find(
    config: Config, destination: Destination, name: str, opened: contextlib.AsyncExitStack
) -> DestinationSource:
    """The newest epoch of this database at a destination, which `opened` closes. Raises ReplicaError."""
    own = credential_path(NODE_IDENTITY, state_dir=config.node.state_dir)
    identity = read_identities(own) if own.exists() else None
    there = configured(destination, Sealer(()), state_dir=config.node.state_dir)
    opened.push_async_callback(there.close)
    return await find_source(
        there, database=name, node_id=config.node.id, identity=identity, takes_unsealed=config.replica.plain
    )


async def _offer(source: Source, epoch: int) -> _Offer:
    chain, _ = plan(await source.list())
    return _Offer(source=source, epoch=epoch, txid=chain[-1].max_txid if chain else 0)
