"""`edge-node run`: one service, as its unit starts it."""

from __future__ import annotations

import importlib

import click

from edge_node.base.process import die_with_parent
from edge_node.cli.main import Where, run_as_owner, where_options
from edge_node.config.schema import Config
from edge_node.config.values import parse_endpoint
from edge_node.status import SERVICES


@click.command()
@click.argument("service", type=click.Choice(SERVICES))
@click.option("--listen", help="Address and port instead of the configured ones (his and monitor).")
@where_options
@click.pass_obj
def run(where: Where, service: str, listen: str | None) -> None:
    """One service in the foreground, as its unit starts it."""
    die_with_parent()
    config = where.load()
    run_as_owner(config)
    if listen:
        config = listening(config, service, listen)
    importlib.import_module(f"edge_node.services.{service}").run(config)


def listening(config: Config, service: str, listen: str) -> Config:
    """The configuration with another address for `his` or `monitor`."""
    if service not in ("his", "monitor"):
        raise click.UsageError(f"{service} listens nowhere")
    section = getattr(config, service).model_copy(update={"listen": parse_endpoint(listen)})
    return config.model_copy(update={service: section})
