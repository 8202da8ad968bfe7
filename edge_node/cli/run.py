"""`edge-node run`: one service, as its unit starts it."""

from __future__ import annotations

import importlib
from typing import Any

import click

from edge_node.base.errors import UsageError
from edge_node.base.process import die_with_parent
from edge_node.cli.main import Where, run_as_owner, where_options
from edge_node.config.schema import Config
from edge_node.config.values import parse_endpoint
from edge_node.services.folders import need_folders
from edge_node.status import SERVICES


@click.command()
@click.argument("service", type=click.Choice(SERVICES))
@click.option("--listen", help="Address and port instead of the configured ones (his and monitor).")
@click.option("--no-timers", is_flag=True, help="replica: nothing else drills and verifies, as under edge-node up.")
@where_options
@click.pass_obj
def run(where: Where, service: str, listen: str | None, no_timers: bool) -> None:
    """One service in the foreground, as its unit starts it."""
    die_with_parent()
    config = where.load()
    if service != "links":
        # The watcher writes nothing below the state folder, and needs the privilege that its caller has.
        run_as_owner(config)
        need_folders(config)
    if listen is not None:
        config = listening(config, service, listen)
    # The watcher reads its lines again on SIGHUP; the others want a restart.
    more: dict[str, Any] = {"reload": where.load} if service == "links" else {}
    if service == "replica":
        more.update(config_path=where.path().absolute(), has_timers=not no_timers)
    importlib.import_module(f"edge_node.services.{service}").run(config, **more)


def listening(config: Config, service: str, listen: str) -> Config:
    """The configuration with another address for `his` or `monitor`. Raises UsageError for what is no address."""
    if service not in ("his", "monitor"):
        raise click.UsageError(f"{service} listens nowhere")
    try:
        endpoint = parse_endpoint(listen)
    except ValueError as error:
        raise UsageError("usage", f"--listen {error}", context=None, hint="--listen 127.0.0.1:8080") from None
    section = getattr(config, service).model_copy(update={"listen": endpoint})
    return config.model_copy(update={service: section})
