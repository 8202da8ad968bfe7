"""The replica: what the destinations hold, which past can be restored, restoring it, and checking it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from edge_node.base.clock import parse_utc, utc_text
from edge_node.base.errors import ExitCode, ReplicaError, ServiceError, UsageError
from edge_node.base.files import read_status
from edge_node.base.systemd import credential_path
from edge_node.base.units import spoken_duration
from edge_node.cli.main import Where, run_as_owner, where_options
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.config.schema import Config
from edge_node.replication.destination import Destination
from edge_node.replication.epoch import current_epoch, folder_name, replica_path
from edge_node.replication.ltx import scan
from edge_node.replication.restore import Stretch, as_of, plan, points_of, restore
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Identity, Sealer, read_identity
from edge_node.replication.shipping_record import Confirmed, ShippingRecord
from edge_node.replication.source import LocalSource, Source, find_source
from edge_node.replication.verify import Verified, verify
from edge_node.services.destinations import configured
from edge_node.store.places import NAMES

LOCAL = "local"
LEVELS = {0: "capture", 1: "30 s", 2: "5 min", 3: "1 h", 9: "snapshot"}


def source_options(command: Any) -> Any:
    """--from, --database, --identity, --node, and how a bucket is reached: passed on as one `Wish`."""

    @functools.wraps(command)
    def wished(
        origin: str,
        database: str,
        identity: Path | None,
        node_id: str | None,
        endpoint: str | None,
        region: str | None,
        credential: Path | None,
        **others: Any,
    ) -> Any:
        bucket = S3Access(endpoint=endpoint, region=region, credential=credential)
        wish = Wish(origin=origin, database=database, identity=identity, node_id=node_id, bucket=bucket)
        return command(wish=wish, **others)

    for option in (
        click.option("--from", "origin", default=LOCAL, show_default=True, help="local, a destination, or a URL."),
        click.option("--database", type=click.Choice(NAMES), default="his", show_default=True),
        click.option("--identity", type=click.Path(path_type=Path), help="File with the age identity that opens it."),
        click.option("--node", "node_id", help="Whose copy, where a URL holds several clinics'."),
        click.option("--endpoint", help="The store's address, where --from is an s3:// URL."),
        click.option("--region", help="Its region."),
        click.option(
            "--credential",
            type=click.Path(path_type=Path),
            help="File with its key: TOML with access_key_id and secret_access_key.",
        ),
    ):
        wished = option(wished)
    return wished


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which copy is spoken of. `bucket` says how an s3:// URL is reached."""

    origin: str
    database: str
    identity: Path | None
    node_id: str | None
    bucket: S3Access


@click.group("replica")
def replica_group() -> None:
    """Copies of the databases: how they are, restoring from them, checking them."""


@replica_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="The replicator's state as a document.")
@where_options
@click.pass_obj
def replica_status(where: Where, as_json: bool) -> None:
    """How far Litestream and each destination are."""
    config = where.load()
    status = read_status(config.node.run_dir, "replica")
    if status is None:
        raise ServiceError(
            "service-stopped",
            "the replicator has not run here yet",
            context=f"there is no status file below {config.node.run_dir}",
            hint="edge-node run replica, or edge-node up, starts it",
            exit_code=ExitCode.REPLICA,
        )
    if as_json:
        answer_json({"written_at": status.written_at, "stopped": status.stopped, **status.state})
        return
    state = status.state
    running = "stopped" if status.stopped else state["litestream"]
    answer(f"epoch {state['epoch']}   litestream {running}   TXID {state['txid']}   at {status.written_at}\n")
    rows = [
        (
            found["name"],
            found["state"],
            found.get("confirmed_at") or "-",
            "-" if (rpo := found.get("rpo_s")) is None else spoken_duration(rpo),
            _behind(found),
            _why(found.get("reason")),
        )
        for found in state["destinations"]
    ]
    answer(table(("DESTINATION", "STATE", "CONFIRMED", "RPO", "BEHIND", ""), rows))


def _why(reason: dict[str, Any] | None) -> str:
    if reason is None:
        return ""
    hint = reason["args"].get("hint")
    return str(reason["args"]["why"]) + (f" ({hint})" if hint else "")


def _size(size_bytes: int) -> str:
    """A size for a person: "340 B", "22.0 KB", "1.7 GB"."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    for unit, factor in (("KB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if size_bytes < factor * 1000:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes / 1e12:.1f} TB"


def _behind(found: dict[str, Any]) -> str:
    txids = found.get("behind_txids")
    return f"{txids} txid, {_size(found['behind_bytes'])}" if txids else "-"


@replica_group.command("points")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Stretches of restore points as a list.")
@where_options
@click.pass_obj
def replica_points(where: Where, wish: Wish, as_json: bool) -> None:
    """Which past states can be restored, and how finely."""

    async def listed() -> list[Stretch]:
        async with _asked(where, wish) as source:
            return await points_of(source)

    stretches = asyncio.run(listed())
    if as_json:
        answer_json(
            [{**asdict(stretch), "from": _utc(stretch.from_ms), "to": _utc(stretch.to_ms)} for stretch in stretches]
        )
        return
    rows = [
        (
            LEVELS.get(stretch.level, f"level {stretch.level}"),
            _utc(stretch.from_ms) or "-",
            _utc(stretch.to_ms) or "-",
            f"{stretch.min_txid} to {stretch.max_txid}",
            str(stretch.files),
            _size(stretch.size_bytes),
        )
        for stretch in stretches
    ]
    answer(table(("GRANULARITY", "FROM", "TO", "TXID", "FILES", "SIZE"), rows))
    if not stretches:
        talk("nothing can be restored from here")


@replica_group.command("restore")
@source_options
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The new file; nothing is overwritten.")
@click.option("--at", "at", help="What was committed by this time, such as 2026-11-22T09:00:00+08:00.")
@click.option("--txid", type=click.IntRange(min=1), help="What was committed by this transaction.")
@click.option("--json", "as_json", is_flag=True, help="What was restored as a document.")
@click.option("--dry-run", is_flag=True, help="Say what would be restored, and fetch nothing.")
@where_options
@click.pass_obj
def replica_restore(
    where: Where, wish: Wish, to: Path, at: str | None, txid: int | None, as_json: bool, dry_run: bool
) -> None:
    """Make a database from a copy of it; its integrity is checked."""
    at_ms = _time(at)
    if at_ms is not None and txid is not None:
        raise UsageError("usage", "--at and --txid are two answers to one question", context=None, hint="give one")

    async def made() -> Any:
        async with _asked(where, wish) as source:
            if dry_run:
                return source, await _planned(source, at_ms=at_ms, txid=txid)
            return source, await restore(source, to.absolute(), at_ms=at_ms, txid=txid)

    source, done = asyncio.run(made())
    if dry_run:
        answer(f"would restore {to} from {source.name}: {done}")
    elif as_json:
        answer_json({**asdict(done), "path": str(done.path), "newest_at": utc_text(done.newest_at_ms)})
    else:
        answer(done.sentence())


async def _planned(source: Source, *, at_ms: int | None, txid: int | None) -> str:
    files = await source.list()
    chain, _ = plan(files if at_ms is None else await as_of(source, files, at_ms), txid=txid)
    if not chain:
        return "nothing, since it holds nothing for that point"
    size_bytes = sum(file.size_bytes for file in chain)
    return f"TXID {chain[-1].max_txid} out of {len(chain)} files, {_size(size_bytes)}"


@replica_group.command("verify")
@source_options
@click.option("--json", "as_json", is_flag=True, help="What was found as a document.")
@where_options
@click.pass_obj
def replica_verify(where: Where, wish: Wish, as_json: bool) -> None:
    """Fetch, open and check what a restore would take, and restore it to scratch. Exit 5 when anything is wrong."""

    async def checked() -> Verified:
        async with _asked(where, wish) as source:
            config = where.load() if where.path().exists() else None
            confirmed = _confirmed(config, wish.origin, wish.database) if config else None
            scratch = config.node.state_dir if config else Path.cwd()
            return await verify(source, scratch, confirmed=confirmed)

    found = asyncio.run(checked())
    if as_json:
        answer_json(asdict(found))
    else:
        newest = utc_text(found.newest_at_ms) if found.newest_at_ms is not None else "-"
        answer(
            f"{found.source}: {found.files} files; a restore takes {found.chain} of them, "
            f"{_size(found.size_bytes)}, and reaches TXID {found.txid}, {newest}"
        )
        answer("every one opened, checked, and restored" if not found.problems else "NOT SOUND")
    if found.problems:
        raise ReplicaError(
            "replica-unsound",
            f"{len(found.problems)} problems in {found.source}",
            context=None,
            hint="restore from another source; a destination is mended by the next snapshot that it gets",
            problems=found.problems,
        )


def _utc(wall_ms: int | None) -> str | None:
    return None if wall_ms is None else utc_text(wall_ms)


def _time(text: str | None) -> int | None:
    try:
        return None if text is None else parse_utc(text)
    except ValueError as error:
        raise UsageError("usage", f"--at: {error}", context=None, hint="give the time with its zone") from error


@contextlib.asynccontextmanager
async def _asked(where: Where, wish: Wish) -> AsyncIterator[Source]:
    source = await _source(where, wish)
    try:
        yield source
    finally:
        await source.close()


async def _source(where: Where, wish: Wish) -> Source:
    """The copy that --from speaks of. A URL needs no configuration: a new machine has none. Raises EdgeError."""
    origin, database = wish.origin, wish.database
    if "://" in origin:
        config = where.load() if where.path().exists() else None
        return await find_source(
            Destination(origin, origin, Sealer(()), s3=wish.bucket),
            database=database,
            node_id=wish.node_id,
            identity=_identity(config, wish.identity, sealed=True),
        )
    config = where.load()
    run_as_owner(config)
    if origin == LOCAL:
        return _local(config, database)
    known = {found.name: found for found in config.replica.destination}
    if origin not in known:
        raise UsageError(
            "usage",
            f"there is no destination {origin!r}",
            context=f"known: {', '.join([LOCAL, *known])}",
            hint="give one of these, or a URL such as file:///mnt/nas/clinic",
        )
    return await find_source(
        configured(known[origin], Sealer(()), state_dir=config.node.state_dir),
        database=database,
        node_id=wish.node_id or config.node.id,
        identity=_identity(config, wish.identity, sealed=not config.replica.plain),
    )


def _local(config: Config, database: str) -> LocalSource:
    """The local replica of the newest epoch that has captured anything."""
    newest = current_epoch(config.node.state_dir)
    replicas = [replica_path(config.replica.local, number, database) for number in range(newest, 0, -1)]
    return LocalSource(next((replica for replica in replicas if scan(replica)), replicas[0]))


def _identity(config: Config | None, given: Path | None, *, sealed: bool) -> Identity | None:
    """The identity that was given, else this node's own where it has one. Raises ReplicaError identity-unreadable."""
    if given is not None:
        return read_identity(given)
    if config is None or not sealed:
        return None
    own = credential_path("node-identity", state_dir=config.node.state_dir)
    return read_identity(own) if own.exists() else None


def _confirmed(config: Config, origin: str, database: str) -> Confirmed | None:
    record = ShippingRecord(config.node.state_dir / "shipping" / f"{origin}.json")
    return record.copy(f"{folder_name(current_epoch(config.node.state_dir))}/{database}").newest
