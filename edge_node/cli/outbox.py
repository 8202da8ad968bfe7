"""`edge-node outbox`: what waits to leave, what needs a person, and what the person did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edge_node.base.clock import SystemClock, clock_state, kernel_synchronised, utc_text
from edge_node.base.errors import UsageError
from edge_node.cli.his_file import database, reading
from edge_node.cli.main import Noun, Where, caller, where_options
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.outbox import queue
from edge_node.outbox.model import Acted, Message, State
from edge_node.store.connection import Connection, close_keeping_wal, connect, transaction
from edge_node.store.failures import store_errors

# What is not done; the others are asked for by name.
OPEN = (State.QUEUED, State.WAITING, State.DEAD)
# More than anybody moves one by one.
ALL_AT_ONCE = 100_000


@click.group("outbox", cls=Noun)
@where_options
def outbox_group() -> None:
    """Messages to the upstreams: what waits, what needs a person."""


@outbox_group.command("list")
@click.option(
    "--state", "states", type=click.Choice([str(state) for state in State]), multiple=True,
    help="Only these (repeatable); by default what is not done.",
)  # fmt: skip
@click.option("--upstream", help="Only messages to this one.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="As many, the oldest first.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@where_options
@click.pass_obj
def outbox_list(where: Where, states: tuple[str, ...], upstream: str | None, limit: int, as_json: bool) -> None:
    """What waits and what is dead, the oldest first; nothing about patients."""
    wanted = [State(state) for state in states] or OPEN
    with reading(database(where)) as conn:
        found = queue.listed(conn, states=wanted, upstream=upstream, limit=limit + 1)
    shown = found[:limit]
    if as_json:
        answer_json({"schema": 1, "messages": [_envelope(message) for message in shown], "more": len(found) > limit})
        return
    if not shown:
        answer("no such message")
        return
    head = ("ID", "UPSTREAM", "TOPIC", "STATE", "PUT", "TRIES", "LAST OUTCOME")
    answer(table(head, [_row(message) for message in shown]))
    if len(found) > limit:
        talk(f"there are more; --limit {limit * 10} shows them")


@outbox_group.command("show")
@click.argument("message_id")
@click.option("--body", is_flag=True, help="Also the text that is sent. It holds patient data.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@where_options
@click.pass_obj
def outbox_show(where: Where, message_id: str, body: bool, as_json: bool) -> None:
    """One message: its envelope, its last outcome, and what people did with it."""
    with reading(database(where)) as conn:
        message = _known(conn, message_id)
        acts = queue.acts(conn, message.seq)
    document = {
        **_envelope(message), "key": message.key, "sha256": message.body_sha256.hex(), "whole": message.is_whole,
        "acts": [_acted(one) for one in acts],
    }  # fmt: skip
    if as_json:
        answer_json({"schema": 1, "message": {**document, **({"body": message.body} if body else {})}})
        return
    width = max(len(name) for name in document)
    for name, value in document.items():
        if name != "acts":
            answer(f"{name:<{width}}   {'-' if value is None else value}")
    for one in acts:
        answer(f"{one.act:<{width}}   {utc_text(one.at)} by {one.by}: {one.why}")
    if body:
        answer(message.body)


def moving(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which dead letters, why, and --dry-run."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
        click.option("--reason", required=True, help="Why; kept with the message and in the audit log."),
        click.option("--upstream", help="With --all: only messages to this one."),
        click.option("--all", "every", is_flag=True, help="Every dead message."),
        click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]..."),
    ):
        command = option(command)
    return command


@outbox_group.command("revive")
@moving
@where_options
@click.pass_obj
def outbox_revive(
    where: Where, message_ids: tuple[str, ...], every: bool, upstream: str | None, reason: str, dry_run: bool
) -> None:
    """Put dead messages back, each at its place: they are sent again, under the same keys."""
    _move(where, queue.revive, "message_revived", message_ids, every, upstream, reason, dry_run)


@outbox_group.command("bury")
@moving
@where_options
@click.pass_obj
def outbox_bury(
    where: Where, message_ids: tuple[str, ...], every: bool, upstream: str | None, reason: str, dry_run: bool
) -> None:
    """Give dead messages up: they are kept, never sent, and hold nothing back any more."""
    _move(where, queue.bury, "message_buried", message_ids, every, upstream, reason, dry_run)


def _move(
    where: Where,
    act: Callable[..., Message],
    action: str,
    message_ids: tuple[str, ...],
    every: bool,
    upstream: str | None,
    reason: str,
    dry_run: bool,
) -> None:
    if every == bool(message_ids) or (upstream and not every):
        raise UsageError(
            "usage",
            "which messages? Either ids, or --all (with --upstream NAME only those to one)",
            context=None,
            hint="edge-node outbox list --state dead shows the ids",
        )
    # Of a machine that was replaced, the new one has these messages, and decides.
    path = database(where, writes=True)
    verb = action.removeprefix("message_")
    with reading(path) as conn:
        if every:
            dead = queue.listed(conn, states=[State.DEAD], upstream=upstream, limit=ALL_AT_ONCE)
        else:
            dead = [queue.dead_letter(conn, message_id) for message_id in dict.fromkeys(message_ids)]
    if not dry_run:
        _write(path, act, action, [message.id for message in dead], reason)
    for message in dead:
        answer(f"{'would be ' if dry_run else ''}{verb}: {message.id} to {message.upstream}, {message.topic}")
    if not dead:
        answer("no dead message")


def _write(path: Path, act: Callable[..., Message], action: str, message_ids: list[str], reason: str) -> None:
    """All or none, with their rows in the audit log, in one transaction beside the HIS's own."""
    # Drawn in here: the web application comes with it, and the reading commands need none of it.
    from edge_node.his import audit

    wall_ms = SystemClock().wall_ms()
    state = clock_state(wall_ms, synchronised=kernel_synchronised(), newest_record_ms=None)
    by = caller()
    who = audit.Who(staff_id=None, station="edge-node outbox", address=by)
    conn = connect(path)
    try:
        with store_errors(path), transaction(conn):
            for message_id in message_ids:
                act(conn, message_id, by=by, why=reason, at=wall_ms)
                detail = {"reason": reason}
                audit.record(conn, who, action, f"message:{message_id}", detail, at=wall_ms, clock_state=state)
    finally:
        close_keeping_wal(conn)


def _known(conn: Connection, message_id: str) -> Message:
    # A terminal in another encoding gives half characters, which no database can be asked for.
    message = queue.get(conn, message_id) if message_id.isprintable() else None
    if message is None:
        raise queue.unknown(message_id)
    return message


def _envelope(message: Message) -> dict[str, Any]:
    """What may be shown unasked: our own identifiers, times and codes."""
    return {
        "id": message.id,
        "seq": message.seq,
        "upstream": message.upstream,
        "topic": message.topic,
        "state": str(message.state),
        "put_at": utc_text(message.put_at),
        "attempts": message.attempts,
        "tried_at": _utc(message.tried_at),
        "next_at": _utc(message.next_at),
        "settled_at": _utc(message.settled_at),
        "outcome": message.outcome or None,
        "words": message.outcome_words or None,
    }


def _row(message: Message) -> tuple[str, ...]:
    outcome = f"{message.outcome} ({message.outcome_words})" if message.outcome_words else message.outcome
    return (
        message.id, message.upstream, message.topic, message.state, utc_text(message.put_at), str(message.attempts),
        outcome or "-",
    )  # fmt: skip


def _acted(one: Acted) -> dict[str, Any]:
    return {"act": str(one.act), "at": utc_text(one.at), "by": one.by, "why": one.why}


def _utc(wall_ms: int | None) -> str | None:
    return None if wall_ms is None else utc_text(wall_ms)
