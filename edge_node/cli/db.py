"""`edge-node db`: the databases are there, sound, at this program's version, and can be copied."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ConfigError, EdgeError, StoreError, UsageError
from edge_node.base.logs import event
from edge_node.base.units import format_size
from edge_node.cli.ensure import ensure
from edge_node.cli.main import Noun, Where, run_as_owner, run_as_writer, where_options
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.config.schema import Config
from edge_node.services.folders import need_folders
from edge_node.status import ServiceState, status_reader
from edge_node.store import inspect, migrate
from edge_node.store.connection import connect_reader
from edge_node.store.copies import copy_database
from edge_node.store.databases import DATABASES, copies_dir, db_path

# In the order in which they are started anew.
HOLDERS = ("replica", "his", "outbox", "monitor")


def which(command: Callable[..., Any]) -> Callable[..., Any]:
    """--database: one of them; all without it."""
    return click.option(
        "--database", "names", type=click.Choice(list(DATABASES)), multiple=True, help="Only this one (repeatable)."
    )(command)


@click.group("db", cls=Noun)
@where_options
def db_group() -> None:
    """The databases: see to them, check, migrate, copy."""


@db_group.command("ensure")
@which
@click.option("--before-service", is_flag=True, help="Exit 0 also for a configuration that only a person can mend.")
@where_options
@click.pass_obj
def db_ensure(where: Where, names: tuple[str, ...], before_service: bool) -> None:
    """Before a service starts: there and up to date, restored if lost, or not started.

    Exit 75 when a lost one can be had nowhere (try again). Exit 0 also when only a person can help: the service itself
    then refuses to start and says why, and its supervisor does not try for ever.
    """
    try:
        config = where.load()
    except ConfigError as error:
        if not before_service:
            raise
        talk(error.render())
        return
    run_as_owner(config)
    need_folders(config)
    held = [] if before_service else _who_holds_databases(config)
    for done in ensure(config, names or DATABASES):
        talk(done.sentence())
        if done.error is not None:
            talk(done.error.render())
        if done.restored is not None and held:
            talk(
                f"what runs has the lost file open still ({', '.join(held)}); start it anew: systemctl restart "
                f"{' '.join(f'edge-{name}' for name in held)}, or end `edge-node up` and start it again"
            )


def _who_holds_databases(config: Config) -> list[str]:
    """The services that run, and hold databases open."""
    services = status_reader(config, SystemClock())().services
    return [name for name in HOLDERS if services.get(name) is ServiceState.OK]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One database as `db check` found it."""

    name: str
    path: str
    ok: bool
    code: str | None
    size_bytes: int
    wal_bytes: int
    rows: dict[str, int]


@db_group.command("check")
@which
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@where_options
@click.pass_obj
def db_check(where: Where, names: tuple[str, ...], as_json: bool) -> None:
    """Read every page, and compare the version with this program's. Exit 4 when anything is wrong. Changes nothing."""
    config = where.load()
    run_as_owner(config)
    found: list[Checked] = []
    errors: list[EdgeError] = []
    for name in names or DATABASES:
        path = db_path(config.node.state_dir, name)
        rows: dict[str, int] = {}
        error = None
        try:
            migrate.check(path, DATABASES[name])
            # Read-only also in the file's mode: the last close of a writer would take the WAL from under Litestream.
            with contextlib.closing(connect_reader(path)) as conn:
                inspect.quick_check(conn)
                rows = inspect.counts(conn)
        except StoreError as caught:
            errors.append(error := caught)
        found.append(
            Checked(
                name=name,
                path=str(path),
                ok=error is None,
                code=error.code if error else None,
                size_bytes=inspect.size_bytes(path),
                wal_bytes=inspect.wal_bytes(path),
                rows=rows,
            )
        )
    if as_json:
        answer_json([asdict(one) for one in found])
    else:
        head = ("DATABASE", "SIZE", "WAL", "ROWS", "CHECK")
        answer(table(head, [_row(one) for one in found]))
    for further in errors[1:]:
        talk(further.render())
    if errors:
        raise errors[0]


def _row(one: Checked) -> tuple[str, ...]:
    rows = str(sum(one.rows.values())) if one.ok else "-"
    return one.name, format_size(one.size_bytes), format_size(one.wal_bytes), rows, one.code or "ok"


@db_group.command("migrate")
@which
@click.option("--dry-run", is_flag=True, help="Say what is pending, and change nothing.")
@click.option("--reason", default="", help="Why, for the log.")
@where_options
@click.pass_obj
def db_migrate(where: Where, names: tuple[str, ...], dry_run: bool, reason: str) -> None:
    """Bring the databases to this program's version, each after a copy, each whole or not at all."""
    config = where.load()
    run_as_writer(config)
    state_dir = config.node.state_dir
    for name in names or DATABASES:
        path = db_path(state_dir, name)
        if dry_run:
            todo = ", ".join(migrate.pending(path, DATABASES[name]))
            answer(f"{name}.db: would apply {todo}" if todo else f"{name}.db: nothing to do")
            continue
        done = ", ".join(migrate.migrate(path, DATABASES[name], copies_dir=copies_dir(state_dir)))
        answer(f"{name}.db: applied {done}" if done else f"{name}.db: nothing to do")
        if done:
            event("migrated_by_order", database=name, reason=reason)


@db_group.command("copy")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The new file; nothing is overwritten.")
@click.option("--database", "name", type=click.Choice(list(DATABASES)), default="his", show_default=True)
@where_options
@click.pass_obj
def db_copy(where: Where, to: Path, name: str) -> None:
    """Write a consistent copy, also while the node works. It holds patient data in the clear: keep it so."""
    config = where.load()
    run_as_owner(config)
    try:
        copy_database(db_path(config.node.state_dir, name), to)
    except FileExistsError as error:
        raise UsageError(
            "usage",
            f"{to} exists; a copy never overwrites",
            context=None,
            hint="give a path that does not exist yet",
        ) from error
    except OSError as error:
        raise UsageError(
            "usage",
            f"{to} cannot be written",
            context=f"{type(error).__name__}: {error.strerror}",
            hint="give a path in a folder that exists and may be written by the owner of the node's data",
        ) from error
    answer(f"{name}.db copied to {to}, {format_size(inspect.size_bytes(to))}; it is not encrypted")
