"""What `db ensure` does: a database is there and at this program's version, or it is restored, or nothing is started.

A restored database begins a new epoch. Litestream's records of the old one may be ahead of it, and what was shipped
from there must never be continued by another past.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_node.base.clock import SystemClock, utc_text
from edge_node.base.errors import EdgeError, ExitCode, StoreError
from edge_node.base.files import file_lock, give_new_name
from edge_node.base.logs import event
from edge_node.cli.lost import restore_beside
from edge_node.config.schema import Config
from edge_node.his.language import local
from edge_node.his.numbering import skip_queue_numbers
from edge_node.replication.epoch import Epoch, current_epoch, make_epoch, new_nonce
from edge_node.replication.restored import Restored
from edge_node.store.connection import connect, transaction
from edge_node.store.copies import sync
from edge_node.store.databases import DATABASES, copies_dir, db_path
from edge_node.store.failures import store_errors
from edge_node.store.migrate import migrate

# Codes that no restore and no waiting mends: the file is there, and only a person may decide about it.
FOR_A_PERSON = ("db-newer-than-program", "db-corrupt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensured:
    """What was found and done for one database. `error` is what a person must act on."""

    name: str
    restored: Restored | None = None
    migrated: Sequence[str] = ()
    error: EdgeError | None = None

    def sentence(self) -> str:
        if self.error is not None:
            return f"{self.name}.db: left as it is, a person must act ({self.error.code})"
        did = []
        if (done := self.restored) is not None:
            newest = utc_text(done.newest_at_ms)
            did.append(f"restored from {done.source}: TXID {done.txid}, newest change {newest}, integrity checked")
        did += [f"migrated: {', '.join(self.migrated)}"] if self.migrated else []
        return f"{self.name}.db: {'; '.join(did) or 'there, and at the version of this program'}"


def ensure(config: Config, names: Iterable[str]) -> list[Ensured]:
    """See to the databases called `names`; of several that do so at once, one works while the others wait.

    Raises StoreError db-missing (exit code 75: to be tried again) when one is lost and can be had nowhere; an empty one
    is never made.
    """
    data = db_path(config.node.state_dir, "his").parent
    if not data.is_dir():
        raise StoreError(
            "db-missing",
            f"there is no folder {data}",
            context="nothing was ever set up here, or its disk is not mounted",
            hint="mount the disk; edge-node init sets up a new node",
            exit_code=ExitCode.BUSY,
        )
    with file_lock(data / "ensure.lock"):
        lost = [name for name in names if not db_path(config.node.state_dir, name).exists()]
        for name in lost:
            _refuse_elsewhere(db_path(config.node.state_dir, name))
        restored, refusal = _bring_back(config, lost)
        if refusal is not None:
            raise refusal
        return [_migrated(config, name, restored.get(name)) for name in names]


def _refuse_elsewhere(path: Path) -> None:
    """A link that leads nowhere is a disk that is not mounted: the database is there, and not lost."""
    if path.is_symlink():
        raise StoreError(
            "db-missing",
            f"{path} is a link to {path.readlink()}, and there is nothing",
            context="its disk is not mounted; nothing was restored, lest there be two of it",
            hint="mount the disk; if it is lost for good, remove the link: what was on it is then restored",
            exit_code=ExitCode.BUSY,
        )


def _migrated(config: Config, name: str, restored: Restored | None) -> Ensured:
    state_dir = config.node.state_dir
    try:
        done = migrate(db_path(state_dir, name), DATABASES[name], copies_dir=copies_dir(state_dir))
    except StoreError as error:
        if error.code not in FOR_A_PERSON:
            raise
        return Ensured(name=name, restored=restored, error=error)
    return Ensured(name=name, restored=restored, migrated=done)


def _bring_back(config: Config, lost: Sequence[str]) -> tuple[dict[str, Restored], StoreError | None]:
    """Restore what is lost beside its place, begin the next epoch, and only then give the files their names.

    In this order an interrupted restore is simply done again, and no restored database is ever without its epoch.
    Returns what was restored, and the refusal of the first that could not be.
    """
    state_dir = config.node.state_dir
    restored: dict[str, Restored] = {}
    went_on_from: dict[str, int] = {}
    refusal = None
    for name in lost:
        event("database_lost", level="error", path=db_path(state_dir, name))
        try:
            restored[name], went_on_from[name] = restore_beside(config, name)
        except StoreError as error:
            refusal = refusal or error
    if not restored:
        return restored, refusal
    number = current_epoch(state_dir) + 1
    new = Epoch(number=number, nonce=new_nonce(), claimed_at=utc_text(SystemClock().wall_ms()))
    if (his := restored.get("his")) is not None:
        new = replace(new, from_epoch=went_on_from["his"], from_txid=his.txid)
        _skip_numbers(his.path, number)
    # Claimed at each destination as soon as it answers; nothing is shipped there before.
    epoch = make_epoch(state_dir, config.replica.local, number, new=new)
    for name, done in restored.items():
        path = db_path(state_dir, name)
        _put_aside(path)
        give_new_name(done.path, path)
        event("database_restored", path=path, source=done.source, txid=done.txid, epoch=epoch.number)
    sync(db_path(state_dir, lost[0]).parent)
    return restored, refusal


def _skip_numbers(path: Path, epoch: int) -> None:
    """What was printed in the last second before the loss must not be printed again.

    Record and visit numbers carry the letter of the epoch; the day's queue numbers do not.
    """
    conn = connect(path)
    try:
        with store_errors(path), transaction(conn):
            skip_queue_numbers(conn, day=local(SystemClock().wall_ms()).date(), epoch=epoch)
    except StoreError as error:
        # A database of another schema: it is for `migrate` to say so.
        event("queue_numbers_not_skipped", level="warning", why=error.message)
    finally:
        conn.close()


def _put_aside(path: Path) -> None:
    """A WAL without its database belongs to what was lost; SQLite would take it for a part of the restored one."""
    for sidecar in (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")):
        if sidecar.exists():
            aside = sidecar.with_name(f"{sidecar.name}.lost")
            sidecar.replace(aside)
            event("orphan_put_aside", level="warning", path=aside)
