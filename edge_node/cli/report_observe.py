"""`edge-node report observe`: after a week in observe, what enforce would have done."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edge_node import __version__
from edge_node.base.clock import SystemClock
from edge_node.base.errors import UsageError
from edge_node.base.files import read_status
from edge_node.cli.main import Where, where_options
from edge_node.cli.node_file import check_line, node_history, parse_since
from edge_node.cli.output import answer_to
from edge_node.config.line_schema import Act
from edge_node.config.schema import Config, Language
from edge_node.journal.month import month_window
from edge_node.journal.observe_words import observe_words
from edge_node.journal.observed import observed
from edge_node.journal.reported import reported
from edge_node.journal.words import machine_time
from monitoring.observe_page import as_html
from monitoring.observe_report import ObserveReport, as_csv, as_document
from monitoring.sla import Window

FORMATS = ("html", "csv", "json")
DEFAULT_SINCE = "7d"


@click.command("observe")
@click.option("--month", help="Such as 2026-10.")
@click.option("--since", help=f'Such as "{DEFAULT_SINCE}" (the default) or "2026-11-25".')
@click.option("--main", help="The line that traffic goes by while observing; by default the one that the watcher sees.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="html", show_default=True)
@click.option("--to", type=click.Path(path_type=Path), help="A file, replaced if it is there; else standard output.")
@click.option(
    "--language", type=click.Choice([one.value for one in Language]), help="Of the page; that of the clinic by default."
)
@where_options
@click.pass_obj
def report_observe(
    where: Where,
    month: str | None,
    since: str | None,
    main: str | None,
    form: str,
    to: Path | None,
    language: str | None,
) -> None:
    """Which moves were decided and not made, which outages they would have bridged, and what speaks against enforce."""
    config = where.load()
    now_ms = SystemClock().wall_ms()
    window = _window(month, since, now_ms)
    if not config.line:
        raise UsageError(
            "usage", "no line is configured", context=None, hint="edge-node config init --stdout shows [[line]]"
        )
    if main is not None:
        check_line(config, main)
    is_enforced = config.lines.act is Act.ENFORCE
    seen = None if is_enforced else _seen(config)
    with node_history(config) as conn:
        value = observed(
            conn,
            [reported(line) for line in config.line],
            window,
            main=main or seen or min(config.line, key=lambda line: line.preferred).name,
            is_main_seen=main is None and seen is not None,
            is_enforced=is_enforced,
            now_ms=now_ms,
            local=machine_time,
        )
    report = ObserveReport(
        node_id=config.node.id,
        node_name=config.node.name if config.node.name != config.node.id else None,
        version=__version__,
        generated_ms=now_ms,
        observed=value,
    )
    text = _written(report, form, str(language or config.his.language))
    answer_to(to, text, is_csv=form == "csv")


def _window(month: str | None, since: str | None, now_ms: int) -> Window:
    if month is not None and since is not None:
        raise UsageError("usage", "say --month or --since, not both", context=None, hint="--since 7d is the default")
    if month is None:
        window = Window(start_ms=parse_since(since or DEFAULT_SINCE, now_ms=now_ms), end_ms=now_ms)
    else:
        try:
            window = month_window(month, local=machine_time)
        except (ValueError, OverflowError):
            raise UsageError(
                "usage", f'"{month}" is no month', context=None, hint="write it like this: --month 2026-10"
            ) from None
    if window.start_ms >= now_ms:
        raise UsageError(
            "usage",
            f"{month or since} has not begun",
            context=f"it is {machine_time(now_ms):%Y-%m-%d %H:%M} by the clock of this machine",
            hint="give a time that has; if the clock is wrong, edge-node doctor says so",
        )
    return window


def _seen(config: Config) -> str | None:
    """The line by which the watcher last saw traffic go; routes of the network configuration rarely change."""
    file = read_status(config.node.run_dir, "links")
    routed = None if file is None else file.state.get("routed")
    return str(routed) if routed in {line.name for line in config.line} else None


def _written(report: ObserveReport, form: str, language: str) -> str:
    if form == "html":
        return as_html(report, observe_words(language))
    if form == "csv":
        return as_csv(report)
    return json.dumps(as_document(report), ensure_ascii=False, indent=2) + "\n"
