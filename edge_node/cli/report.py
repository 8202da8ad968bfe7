"""`edge-node report`: what the lines were worth, for the clinic and for the carriers."""

from __future__ import annotations

import contextlib
import json
from enum import StrEnum
from pathlib import Path

import click

from edge_node import __version__
from edge_node.base.clock import SystemClock
from edge_node.base.errors import UsageError
from edge_node.cli.main import Noun, Where, run_as_owner, where_options
from edge_node.cli.output import answer_to
from edge_node.cli.report_observe import report_observe
from edge_node.config.line_schema import Line
from edge_node.config.schema import Config, Language
from edge_node.journal.month import month_before, month_window, sla_month
from edge_node.journal.reported import reported
from edge_node.journal.words import machine_time, report_words
from edge_node.store import migrate
from edge_node.store.connection import connect_reader
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.failures import store_errors
from monitoring.report import SlaMonth, as_csv, as_document
from monitoring.report_page import as_html


class Format(StrEnum):
    HTML = "html"
    CSV = "csv"
    JSON = "json"


@click.group("report", cls=Noun)
@where_options
def report_group() -> None:
    """Reports from the node's journal."""


report_group.add_command(report_observe)


@report_group.command("sla")
@click.option(
    "--month", required=True, help="Such as 2026-10, or last; the current month is reported as far as it has come."
)
@click.option("--line", "names", multiple=True, help="Only this line (repeatable): one report per carrier.")
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default=Format.HTML.value, show_default=True
)
@click.option("--to", type=click.Path(path_type=Path), help="A file, replaced if it is there; else standard output.")
@click.option("--keep", is_flag=True, help="Into the node's own folder of reports, under the month's name.")
@click.option(
    "--language", type=click.Choice([one.value for one in Language]), help="Of the page; that of the clinic by default."
)
@where_options
@click.pass_obj
def report_sla(
    where: Where, month: str, names: tuple[str, ...], form: str, to: Path | None, keep: bool, language: str | None
) -> None:
    """Availability, incidents, delay and loss of a month against what the carriers promised.

    What is not counted and what is unknown is listed; unknown time is never counted as good.
    """
    config = where.load()
    lines = _chosen(config, names)
    now_ms = SystemClock().wall_ms()
    month = month_before(now_ms, local=machine_time) if month == "last" else month
    _check_month(month, now_ms)
    run_as_owner(config)
    if keep:
        to = _kept_at(config, to, month, names, form)
    path = db_path(config.node.state_dir, "node")
    migrate.check(path, DATABASES["node"])
    with store_errors(path), contextlib.closing(connect_reader(path)) as conn:
        value = sla_month(
            conn,
            [reported(line) for line in lines],
            node_id=config.node.id,
            node_name=config.node.name if config.node.name != config.node.id else None,
            version=__version__,
            month=month,
            now_ms=now_ms,
            local=machine_time,
        )
    text = _written(value, Format(form), str(language or config.his.language))
    answer_to(to, text, is_csv=form == Format.CSV)


def _kept_at(config: Config, to: Path | None, month: str, names: tuple[str, ...], form: str) -> Path:
    """The place of a kept report: one of all lines replaces one of all lines, and no other."""
    if to is not None:
        raise UsageError("usage", "--keep knows where to", context=None, hint="leave --to or --keep out")
    return config.node.state_dir / "reports" / f"{'-'.join(('sla', month, *names))}.{form}"


def _chosen(config: Config, names: tuple[str, ...]) -> list[Line]:
    known = {line.name for line in config.line}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            "line-unknown",
            f'there is no line "{unknown[0]}"',
            context=f"configured are: {', '.join(sorted(known)) or 'none'}",
            hint="edge-node line list shows them",
        )
    return [line for line in config.line if not names or line.name in names]


def _check_month(month: str, now_ms: int) -> None:
    try:
        has_begun = month_window(month, local=machine_time).start_ms < now_ms
    except (ValueError, OverflowError):
        raise UsageError(
            "usage", f'"{month}" is no month', context=None, hint="write it like this: --month 2026-10"
        ) from None
    if not has_begun:
        raise UsageError(
            "usage",
            f"{month} has not begun",
            context=f"it is {machine_time(now_ms):%Y-%m-%d %H:%M} by the clock of this machine",
            hint="give a month that has; if the clock is wrong, edge-node doctor says so",
        )


def _written(value: SlaMonth, form: Format, language: str) -> str:
    match form:
        case Format.HTML:
            return as_html(value, report_words(language))
        case Format.CSV:
            return as_csv(value)
        case Format.JSON:
            return json.dumps(as_document(value), ensure_ascii=False, indent=2) + "\n"
