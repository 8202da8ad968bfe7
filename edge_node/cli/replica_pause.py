"""`replica pause` and `replica resume`: nothing is sent to a destination for a while; the order ends by itself."""

from __future__ import annotations

import click

from edge_node.base.clock import SystemClock, utc_text
from edge_node.base.errors import UsageError
from edge_node.base.logs import event
from edge_node.base.units import parse_duration, spoken_duration
from edge_node.cli.main import Where, caller, run_as_owner, where_options
from edge_node.cli.output import answer
from edge_node.config.schema import Config
from edge_node.proof_orders import (
    ProofOrderKind,
    new_proof_order,
    place_proof_order,
    read_proof_orders,
    replica_orders,
    withdraw_proof_order,
)

# A copy that is sent nothing is a copy that is not made: longer is a change of the configuration.
LONGEST_S = 24 * 3600.0


@click.command("pause")
@click.argument("name")
@click.option("--for", "length", required=True, help="How long, such as 2h; a day at most.")
@click.option("--reason", required=True, help="Why; stands in the status and on the console.")
@click.option("--dry-run", is_flag=True, help="Say what would be ordered, and order nothing.")
@where_options
@click.pass_obj
def replica_pause(where: Where, name: str, length: str, reason: str, dry_run: bool) -> None:
    """Send nothing to a destination for a while. It is captured all the same, and sent afterwards."""
    config = _known(where, name)
    try:
        for_s = parse_duration(length)
    except ValueError as error:
        raise UsageError("usage", f"--for: {error}", context=None, hint="such as --for 2h") from None
    if not 0 < for_s <= LONGEST_S:
        raise UsageError(
            "usage",
            f"--for {length} is not between nothing and {spoken_duration(LONGEST_S)}",
            context="while it is paused the copy there grows old",
            hint="take the destination out of the configuration to do without it for longer",
        )
    if not reason.strip():
        raise UsageError("usage", "--reason is empty", context=None, hint="say why nothing is to be sent")
    now_ms = SystemClock().wall_ms()
    order = new_proof_order(
        ProofOrderKind.PAUSE, now_ms=now_ms, for_s=for_s, by=caller(), why=reason.strip(), destination=name
    )
    verb = "would be" if dry_run else "is"
    if not dry_run:
        place_proof_order(replica_orders(config.node.state_dir), order, now_ms=now_ms)
    answer(f"{name} {verb} paused until {utc_text(order.until_ms)}")


@click.command("resume")
@click.argument("name")
@click.option("--reason", default="", help="For the record.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@where_options
@click.pass_obj
def replica_resume(where: Where, name: str, reason: str, dry_run: bool) -> None:
    """End a pause before its time."""
    config = _known(where, name)
    path, now_ms = replica_orders(config.node.state_dir), SystemClock().wall_ms()
    pauses = [
        order
        for order in read_proof_orders(path, now_ms=now_ms)
        if order.kind is ProofOrderKind.PAUSE and order.destination == name
    ]
    if not dry_run:
        for order in pauses:
            withdraw_proof_order(path, order.id, now_ms=now_ms)
            event("pause_ended", destination=name, why=reason)
    answer(f"{name} {'would go on' if dry_run else 'goes on'}" if pauses else f"{name} is not paused")


def _known(where: Where, name: str) -> Config:
    config = where.load()
    run_as_owner(config)
    names = [one.name for one in config.replica.destination]
    if name not in names:
        raise UsageError(
            "usage",
            f"there is no destination {name!r}",
            context=f"known: {', '.join(names) or 'none'}",
            hint="the local copy is Litestream's, and cannot be paused",
        )
    return config
