"""node.db as commands read it, and times as people write them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

from edge_node.base.clock import parse_utc
from edge_node.base.errors import UsageError
from edge_node.base.units import parse_duration
from edge_node.cli.main import run_as_owner
from edge_node.config.schema import Config
from edge_node.journal.clock_facts import zone_name
from edge_node.journal.words import machine_time
from edge_node.store import migrate
from edge_node.store.connection import Connection, connect_reader
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.failures import store_errors


@contextlib.contextmanager
def node_history(config: Config) -> Iterator[Connection]:
    """The history, for reading, as the owner of the state folder. Raises StoreError."""
    run_as_owner(config)
    path = db_path(config.node.state_dir, "node")
    migrate.check(path, DATABASES["node"])
    with store_errors(path), contextlib.closing(connect_reader(path)) as conn:
        yield conn


def check_line(config: Config, line: str) -> None:
    """Raises UsageError line-unknown."""
    names = [one.name for one in config.line]
    if line not in names:
        raise UsageError(
            "line-unknown",
            f'there is no line "{line}"',
            context=f"configured are: {', '.join(names) or 'none'}",
            hint="edge-node line list",
        )


def parse_moment(text: str, *, option: str) -> int:
    """UTC milliseconds of a time with a zone, or of one on the clock of this machine. Raises UsageError."""
    with contextlib.suppress(ValueError, OverflowError):
        return parse_utc(text)
    try:
        # A time without a zone is read off the clock on this machine's wall, as it is on that day.
        return round(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise UsageError(
            "usage",
            f'{option} "{text}" is no time',
            context=None,
            hint=f"by the clock of this machine: {option} '2026-11-25 02:00'; elsewhere: 2026-11-25T02:00:00+08:00",
        ) from None


def parse_since(text: str, *, now_ms: int) -> int:
    """UTC milliseconds of "2d" before now, or of a time. Raises UsageError."""
    with contextlib.suppress(ValueError):
        return now_ms - round(parse_duration(text) * 1000)
    return parse_moment(text, option="--since")


def both_times(at_ms: int) -> str:
    """A moment in the machine's zone and in UTC."""
    utc = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{machine_time(at_ms):%Y-%m-%d %H:%M:%S} ({zone_name()}) = {utc:%Y-%m-%d %H:%M:%S} UTC"
