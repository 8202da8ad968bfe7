"""`replica restore`: a database made from a copy of it, in a new file."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from edge_node.base.clock import utc_text
from edge_node.base.errors import ReplicaError, UsageError
from edge_node.base.units import counted, spoken_size
from edge_node.cli.main import Where, where_options
from edge_node.cli.output import answer, answer_json, talk
from edge_node.cli.replica_source import LOCAL, Wish, asked_as_of, source_options
from edge_node.replication.progress import Progress, Told
from edge_node.replication.restore import restore
from edge_node.replication.restore_points import as_of, plan
from edge_node.replication.source import Source
from edge_node.store.places import NAMES, db_path

# Where nobody looks at a terminal, a line of progress so often.
SAID_EVERY_S = 10.0


@click.command("restore")
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
    _refuse_the_clinics_place(where, to)

    async def made() -> Any:
        async with asked_as_of(where, wish, at_ms) as source:
            if dry_run:
                return source, await _planned(source, at_ms=at_ms, txid=txid)
            with shown_progress() as tell:
                return source, await restore(source, to.absolute(), at_ms=at_ms, txid=txid, tell=tell)

    source, done = asyncio.run(made())
    if dry_run:
        answer(f"would restore {to} from {source.name}: {done}")
    elif as_json:
        answer_json(
            {**asdict(done), "path": str(done.path), "newest_at": utc_text(done.newest_at_ms), "whole": done.is_whole}
        )
    else:
        answer(done.sentence())
    if not dry_run and not done.is_whole:
        # The file is there and sound, and not all that was asked for: no script may take it for that.
        raise ReplicaError(
            "restore-incomplete",
            f"{to} was made, and holds less than {source.name} should give",
            context=f"it ends at TXID {done.txid}",
            hint=_elsewhere(wish.origin),
        )


@contextlib.contextmanager
def shown_progress() -> Iterator[Told]:
    """Progress for a person who waits: one line that changes on a terminal, a line now and then elsewhere."""
    is_terminal = sys.stderr.isatty()
    said_at = 0.0

    def tell(progress: Progress) -> None:
        nonlocal said_at
        if is_terminal:
            click.echo(f"\r{progress.sentence():<60}", nl=False, err=True)
        elif progress.elapsed_s - said_at >= SAID_EVERY_S or progress.elapsed_s < said_at:
            said_at = progress.elapsed_s
            talk(progress.sentence())

    try:
        yield tell
    finally:
        wipe_progress()


def wipe_progress() -> None:
    """Before a sentence is written where a line of progress may stand."""
    if sys.stderr.isatty():
        click.echo(f"\r{'':<60}\r", nl=False, err=True)


async def _planned(source: Source, *, at_ms: int | None, txid: int | None) -> str:
    files = await source.list()
    chain, _ = plan(files if at_ms is None else await as_of(source, files, at_ms), txid=txid)
    if not chain:
        return "nothing, since it holds nothing for that point"
    size_bytes = sum(file.size_bytes for file in chain)
    return f"TXID {chain[-1].max_txid} out of {counted(len(chain), 'file')}, {spoken_size(size_bytes)}"


def _elsewhere(origin: str) -> str:
    """What to do where a copy gave less than it should."""
    other = "try another copy: edge-node replica restore --from ANOTHER"
    if origin == LOCAL or "://" in origin:
        return other
    return f"{other}. edge-node replica verify --from {origin} ships again to {origin} what is here"


def _refuse_the_clinics_place(where: Where, to: Path) -> None:
    """A database that comes back to its place begins an epoch; one that is put there does not."""
    if not where.path().exists():
        return
    state_dir = where.load().node.state_dir
    if to.absolute() in [db_path(state_dir, name) for name in NAMES]:
        raise UsageError(
            "usage",
            f"{to} is where this node keeps its database: a restore makes a file beside it, to look at",
            context="one that is put there begins no epoch, and its copies would be of two histories",
            hint="edge-node db ensure brings a lost database back into its place",
        )


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = datetime.now().astimezone().replace(microsecond=0).isoformat()
        raise UsageError("usage", f"--at {text!r} is no time", context=None, hint=f"such as --at {example}") from None
    if moment.tzinfo is None:
        raise UsageError(
            "usage",
            f"--at {text!r} does not say its zone",
            context=None,
            hint=f"in the zone of this machine: --at {moment.astimezone().isoformat()}",
        )
    return round(moment.timestamp() * 1000)
