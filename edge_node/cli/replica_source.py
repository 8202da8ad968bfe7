"""Which copy a command speaks of: --from and what it takes to reach it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from edge_node.base.errors import UsageError
from edge_node.base.systemd import credential_path
from edge_node.cli.main import Where, run_as_owner
from edge_node.config.schema import Config
from edge_node.replication.destination import Destination
from edge_node.replication.epoch import current_epoch, parse_folder, replica_path
from edge_node.replication.ltx import scan
from edge_node.replication.restore_points import as_of, plan
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Keys, Sealer, read_identities
from edge_node.replication.source import DestinationSource, LocalSource, NoCopy, Source, find_source
from edge_node.services.destinations import configured
from edge_node.store.places import NAMES

LOCAL = "local"


def source_options(command: Any) -> Any:
    """--from, --database, --epoch, --unsealed, --identity, --node, how a bucket is reached: passed on as one `Wish`."""

    @functools.wraps(command)
    def wished(origin: str, database: str, epoch: int | None, takes_unsealed: bool, **others: Any) -> Any:
        reach = {name: others.pop(name) for name in ("identity", "node_id", "endpoint", "region", "credential")}
        wish = replace(_wish(origin, database, **reach), epoch=epoch, takes_unsealed=takes_unsealed)
        return command(wish=wish, **others)

    for option in reversed((
        click.option("--from", "origin", default=LOCAL, show_default=True, help="local, a destination, or a URL."),
        click.option("--database", type=click.Choice(NAMES), default="his", show_default=True),
        click.option("--epoch", type=click.IntRange(min=1), help="That of an earlier machine. Default: the newest."),
        *_reach_options(),
        click.option("--unsealed", "takes_unsealed", is_flag=True, help="Where it holds both: what is not sealed."),
    )):  # fmt: skip
        wished = option(wished)
    return wished


def sources_options(command: Any) -> Any:
    """--from, which may be repeated (default: every destination), and as source_options; passed on as `wishes`.

    The function that makes them is called with the configuration and the databases that are meant.
    """

    @functools.wraps(command)
    def wished(origins: tuple[str, ...], **others: Any) -> Any:
        reach = {name: others.pop(name) for name in ("identity", "node_id", "endpoint", "region", "credential")}

        def wishes(config: Config | None, databases: Sequence[str]) -> list[Wish]:
            names = origins or tuple(found.name for found in (config.replica.destination if config else ()))
            return [_wish(name, database, **reach) for name in names for database in databases]

        return command(wishes=wishes, **others)

    for option in reversed((
        click.option("--from", "origins", multiple=True, help="local, a destination, or a URL. Default: all of them."),
        *_reach_options(),
    )):  # fmt: skip
        wished = option(wished)
    return wished


def _reach_options() -> tuple[Any, ...]:
    return (
        click.option("--identity", type=click.Path(path_type=Path), help="File with the age identity that opens it."),
        click.option("--node", "node_id", help="Whose copy, where a URL holds several clinics'."),
        click.option("--endpoint", help="The store's address, where --from is an s3:// URL."),
        click.option("--region", help="Its region."),
        click.option(
            "--credential",
            type=click.Path(path_type=Path),
            help="File with its key: TOML with access_key_id and secret_access_key.",
        ),
    )


def _wish(
    origin: str,
    database: str,
    *,
    identity: Path | None,
    node_id: str | None,
    endpoint: str | None,
    region: str | None,
    credential: Path | None,
) -> Wish:
    bucket = S3Access(endpoint=endpoint, region=region, credential=credential)
    return Wish(origin=origin, database=database, identity=identity, node_id=node_id, bucket=bucket)


Wishes = Callable[[Config | None, Sequence[str]], "list[Wish]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which copy is spoken of. `bucket` says how an s3:// URL is reached; `epoch` is None for the newest.

    `takes_unsealed`: where a copy holds both, what is not sealed.
    """

    origin: str
    database: str
    identity: Path | None
    node_id: str | None
    bucket: S3Access
    epoch: int | None = None
    takes_unsealed: bool = False


@contextlib.asynccontextmanager
async def asked(where: Where, wish: Wish) -> AsyncIterator[Source]:
    source = await source_of(where, wish)
    try:
        yield source
    finally:
        await source.close()


@contextlib.asynccontextmanager
async def asked_as_of(where: Where, wish: Wish, at_ms: int | None) -> AsyncIterator[Source]:
    """As `asked`, for a past instant: the newest epoch that holds anything of that time, if none was wished for.

    A state of yesterday is one of the machine that was the clinic's yesterday.
    """
    async with contextlib.AsyncExitStack() as stack:
        newest = await stack.enter_async_context(asked(where, wish))
        if at_ms is not None and wish.epoch is None:
            for number in await earlier_epochs(newest):
                if await _holds(newest, at_ms):
                    break
                with contextlib.suppress(NoCopy):
                    earlier = await stack.enter_async_context(asked(where, replace(wish, epoch=number)))
                    if await _holds(earlier, at_ms):
                        yield earlier
                        return
        yield newest


async def _holds(source: Source, at_ms: int) -> bool:
    return bool(plan(await as_of(source, await source.list(), at_ms))[0])


async def source_of(where: Where, wish: Wish) -> Source:
    """The copy that --from speaks of. A URL needs no configuration: a new machine has none. Raises EdgeError."""
    origin, database = wish.origin, wish.database
    if "://" in origin:
        config = where.load() if where.path().exists() else None
        return await find_source(
            Destination(origin, origin, Sealer(()), s3=wish.bucket),
            database=database,
            node_id=wish.node_id,
            epoch=wish.epoch,
            identity=identity_of(config, wish.identity, sealed=True),
            takes_unsealed=wish.takes_unsealed,
        )
    if "/" in origin:
        raise UsageError(
            "usage",
            f"--from {origin!r} is neither the name of a destination nor a URL",
            context=None,
            hint=f"a folder is --from file://{Path(origin).absolute()}; a bucket is --from s3://BUCKET/PREFIX",
        )
    config = where.load()
    run_as_owner(config)
    if origin == LOCAL:
        return local_source(config, database, wish.epoch)
    known = {found.name: found for found in config.replica.destination}
    if origin not in known:
        raise UsageError(
            "usage",
            f"there is no destination {origin!r}",
            context=f"known: {', '.join([LOCAL, *known])}",
            hint="give one of these, or a URL such as file:///mnt/nas/clinic",
        )
    return await find_source(
        configured(known[origin], Sealer(()), state_dir=config.node.state_dir, credential=wish.bucket.credential),
        database=database,
        node_id=wish.node_id or config.node.id,
        epoch=wish.epoch,
        identity=identity_of(config, wish.identity, sealed=not config.replica.plain),
        takes_unsealed=wish.takes_unsealed or config.replica.plain,
    )


async def earlier_epochs(source: Source) -> list[int]:
    """The epochs before this one of which the same place holds something, the newest first. Raises ReplicaError."""
    match source:
        case DestinationSource():
            names = await source.destination.folders(source.prefix.split("/")[0])
        case LocalSource():
            names = [path.name for path in source.replica.parent.parent.glob("e*")]
        case _:
            return []
    own = parse_folder(source.replica.parent.name) if isinstance(source, LocalSource) else source.epoch
    return sorted((n for name in names if (n := parse_folder(name)) and n < (own or 0)), reverse=True)


def local_source(config: Config, database: str, epoch: int | None = None) -> LocalSource:
    """The local replica of an epoch, by default of the newest that has captured anything."""
    numbers = range(current_epoch(config.node.state_dir), 0, -1) if epoch is None else (epoch,)
    replicas = [replica_path(config.replica.local, number, database) for number in numbers]
    return LocalSource(next((replica for replica in replicas if scan(replica)), replicas[0]))


def identity_of(config: Config | None, given: Path | None, *, sealed: bool) -> Keys | None:
    """The identity that was given, else this node's own where it has one. Raises ReplicaError identity-unreadable."""
    if given is not None:
        return read_identities(given)
    if config is None or not sealed:
        return None
    own = credential_path("node-identity", state_dir=config.node.state_dir)
    return read_identities(own) if own.exists() else None
