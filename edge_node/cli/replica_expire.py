"""`replica expire`: delete what a destination need not keep, by whoever holds the right to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import click

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ReplicaError, UsageError
from edge_node.base.files import read_status
from edge_node.base.logs import event
from edge_node.base.units import counted, format_duration, parse_duration, spoken_size
from edge_node.cli.main import Where, run_as_writer, where_options
from edge_node.cli.output import answer, answer_json, talk
from edge_node.cli.replica_source import identity_of
from edge_node.config.schema import Config
from edge_node.config.schema import Destination as Wanted
from edge_node.replication.expire import FINE_S, KEEP_S, LEAST_FINE_S, LEAST_KEEP_S, Expiry, expire, find_expiries
from edge_node.replication.ltx import LtxFile
from edge_node.replication.sealing import Sealer
from edge_node.replication.source import NoCopy, find_sources
from edge_node.services.destinations import configured
from edge_node.store.places import NAMES

SHOWN = 5
TOLD_EVERY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What went of one database in one epoch, or would go."""

    database: str
    epoch: int
    is_newest: bool
    expiry: Expiry
    deleted: int

    def sentence(self, *, dry_run: bool) -> str:
        goes = self.expiry.goes
        size = spoken_size(sum(file.size_bytes for file in goes))
        verb = f"{counted(len(goes), 'object')} would go" if dry_run else f"{counted(self.deleted, 'object')} deleted"
        name = self.database if self.is_newest else f"{self.database}, epoch {self.epoch}"
        if self.expiry.is_whole:
            return f"{name}: {verb}, {size}: all of it; a newer epoch restores every state that is kept"
        begin = f"; states restore from TXID {self.expiry.oldest.max_txid} on" if self.expiry.oldest else ""
        return f"{name}: {verb}, {size}{begin}"


@click.command("expire")
@click.option("--from", "name", required=True, help="The destination.")
@click.option("--keep", default=None, help="States of so long can be restored. Default: 90d; 8d at least.")
@click.option(
    "--fine", default=None, help="So long to single captures, then where a coarser file covers. Default: 30d."
)
@click.option(
    "--credential", type=click.Path(path_type=Path), help="A key with the right to delete, if not the node's."
)
@click.option("--identity", type=click.Path(path_type=Path), help="Opens what everything will begin with, before.")
@click.option("--json", "as_json", is_flag=True, help="What goes, or went, as a document.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@click.option("--reason", default="", help="For the record.")
@where_options
@click.pass_obj
def replica_expire(
    where: Where,
    name: str,
    keep: str | None,
    fine: str | None,
    credential: Path | None,
    identity: Path | None,
    as_json: bool,
    dry_run: bool,
    reason: str,
) -> None:
    """Delete old objects so that after every single deletion everything that is kept still restores."""
    keep_s = _duration("--keep", keep, KEEP_S, LEAST_KEEP_S, "the local replica keeps 7 days and would ship them again")
    fine_s = min(keep_s, _duration("--fine", fine, FINE_S, LEAST_FINE_S, "the local replica keeps captures for a day"))
    config = where.load()
    run_as_writer(config)
    wanted = next((found for found in config.replica.destination if found.name == name), None)
    if wanted is None:
        known = ", ".join(found.name for found in config.replica.destination) or "none"
        raise UsageError(
            "usage",
            f"there is no destination {name!r}",
            context=f"known: {known}",
            hint="give one of these by its name",
        )
    _refuse_a_jumped_clock(config)
    done = asyncio.run(_expired(config, wanted, credential, identity, keep_s=keep_s, fine_s=fine_s, dry_run=dry_run))
    if not dry_run:
        event("replica_expired", destination=name, objects=sum(one.deleted for one in done), why=reason)
    if as_json:
        answer_json(
            [
                {
                    "database": one.database,
                    "epoch": one.epoch,
                    "whole": one.expiry.is_whole,
                    "objects": [f"{file.level:04x}/{file.name}" for file in one.expiry.goes],
                    "size_bytes": sum(file.size_bytes for file in one.expiry.goes),
                    "deleted": one.deleted,
                    "oldest_txid": one.expiry.oldest.max_txid if one.expiry.oldest else None,
                }
                for one in done
            ]
        )
        return
    for one in done:
        answer(one.sentence(dry_run=dry_run))
        if dry_run:
            _show(one.expiry.goes)


def _show(files: tuple[LtxFile, ...]) -> None:
    for file in files[:SHOWN]:
        talk(f"  {file.level:04x}/{file.name}")
    if len(files) > SHOWN:
        talk(f"  and {len(files) - SHOWN} more, oldest first; --json names them all")


def _duration(option: str, text: str | None, default_s: float, least_s: float, why: str) -> float:
    try:
        seconds = default_s if text is None else parse_duration(text)
    except ValueError as error:
        raise UsageError("usage", f"{option}: {error}", context=None, hint="such as 90d") from None
    if seconds < least_s:
        raise UsageError(
            "usage", f"{option} {text} is too short", context=why, hint=f"{option} {format_duration(least_s)} at least"
        )
    return seconds


def _refuse_a_jumped_clock(config: Config) -> None:
    file = read_status(config.node.run_dir, "replica")
    problems = file.state.get("problems", ()) if file and not file.stopped else ()
    for problem in problems if isinstance(problems, list) else ():
        if isinstance(problem, dict) and problem.get("code") in ("clock-set-ahead", "clock-set-back"):
            raise ReplicaError(
                "clock-doubtful",
                "nothing was deleted: the clock of this machine has jumped",
                context=f"{problem['code']}: {problem.get('args')}",
                hint="set it right; a day after the last jump, or when it is taken back, old objects may go again",
            )


async def _expired(
    config: Config,
    wanted: Wanted,
    credential: Path | None,
    identity: Path | None,
    *,
    keep_s: float,
    fine_s: float,
    dry_run: bool,
) -> list[_Done]:
    done = []
    keys = identity_of(config, identity, sealed=not config.replica.plain)
    for database in NAMES:
        destination = configured(wanted, Sealer(()), state_dir=config.node.state_dir, credential=credential)
        try:
            sources = await find_sources(
                destination, database=database, node_id=config.node.id, identity=keys,
                takes_unsealed=config.replica.plain,
            )  # fmt: skip
            now_ms = SystemClock().wall_ms()
            found = await find_expiries(sources, now_ms=now_ms, keep_s=keep_s, fine_s=fine_s)
            for one in reversed(found):
                is_newest = one is found[-1]
                if not is_newest and not one.expiry.goes:
                    continue
                count = 0 if dry_run else await expire(one, destination, tell=_tell)
                done.append(
                    _Done(
                        database=database, epoch=one.source.epoch, is_newest=is_newest, expiry=one.expiry,
                        deleted=count,
                    )
                )  # fmt: skip
        except NoCopy:
            continue
        finally:
            await destination.close()
    return done


def _tell(count: int) -> None:
    if count % TOLD_EVERY == 0:
        talk(f"{count} deleted")
