"""`edge-node order list`: every wish that stands, with who gave it, why, and until when."""

from __future__ import annotations

import click

from edge_node.base.clock import SystemClock
from edge_node.cli.main import Noun, Where, run_as_owner, where_options
from edge_node.cli.output import answer, answer_json, moment, table, talk
from edge_node.orders import read_line_orders
from edge_node.proof_orders import read_proof_orders, replica_orders


@click.group("order", cls=Noun)
def order_group() -> None:
    """Operators' orders."""


@order_group.command("list")
@click.option("--json", "as_json", is_flag=True)
@where_options
@click.pass_obj
def list_orders(where: Where, as_json: bool) -> None:
    """Every order that holds now."""
    config = where.load()
    run_as_owner(config)
    names = tuple(line.name for line in config.line)
    read = read_line_orders(config.node.state_dir, lines=names, now_ms=SystemClock().wall_ms())
    for problem in read.problems:
        talk(problem)
    copies = read_proof_orders(replica_orders(config.node.state_dir), now_ms=SystemClock().wall_ms())
    if as_json:
        lines = [{"addressee": "links", **order.as_json()} for order in read.orders]
        answer_json([*lines, *({"addressee": "replica", **order.as_json()} for order in copies)])
        return
    rows = [
        ("links", str(order.kind), order.line, moment(order.as_json()["since"]), moment(order.as_json()["until"]),
         order.by, order.why)
        for order in read.orders
    ]  # fmt: skip
    rows += [
        ("replica", str(order.kind), order.destination or "-", moment(order.as_json()["since"]),
         moment(order.as_json()["until"]), order.by, order.why)
        for order in copies
    ]  # fmt: skip
    answer(table(("FOR", "ORDER", "ABOUT", "SINCE", "UNTIL", "BY", "WHY"), rows) if rows else "no order stands")
