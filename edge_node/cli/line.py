"""`edge-node line`: what the watcher sees, why it decided so, and what it is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from edge_node.base.clock import SystemClock, parse_utc
from edge_node.base.errors import ExitCode, ServiceError, UsageError
from edge_node.base.files import ServiceStatus, read_status
from edge_node.base.units import format_duration, parse_duration, spoken_duration
from edge_node.cli.line_directions import directions_table, loss_cell
from edge_node.cli.line_evidence import evidence
from edge_node.cli.line_far_end import far_end_command
from edge_node.cli.line_history import history
from edge_node.cli.line_maintenance import maintenance
from edge_node.cli.line_simulate import simulate
from edge_node.cli.main import Noun, Where, caller, run_as_owner, where_options
from edge_node.cli.output import answer, answer_json, moment, table, talk
from edge_node.config.schema import Config
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.orders import LineOrderKind, new_order, place, read_line_orders, release
from edge_node.status import ServiceState, status_reader

DEFAULT_FOR = "2h"


@click.group("line", cls=Noun)
def line_group() -> None:
    """The carriers' lines: what is seen, why, and orders to the watcher."""


@line_group.command("list")
@click.option("--json", "as_json", is_flag=True)
@where_options
@click.pass_obj
def list_lines(where: Where, as_json: bool) -> None:
    """Every line with its verdict, and which one is in use."""
    config = where.load()
    status = status_reader(config, SystemClock())()
    if as_json:
        answer_json([dict(line) for line in status.lines])
        return
    if not config.line:
        answer("no line is configured")
        return
    _warn_if_old(config)
    rows = [
        (
            ("* " if line["active"] else "  ") + line["name"],
            line["verdict"],
            _milliseconds(line["rtt_s"]),
            _milliseconds(line.get("rtt_p95_s")),
            loss_cell(line),
            moment(line["since"]),
            str(line["preferred"]),
            _sentence(line["reason"]),
        )
        for line in status.lines
    ]
    answer(table(("LINE", "VERDICT", "RTT", "P95", "LOSS", "SINCE", "PREFERRED", "WHY"), rows))
    answer(f"\n* in use; mode {status.mode}: {_sentence_of(status.mode_reason.code, status.mode_reason.args)}")


@line_group.command("explain")
@click.argument("line", required=False)
@click.option("--json", "as_json", is_flag=True)
@where_options
@click.pass_obj
def explain(where: Where, line: str | None, as_json: bool) -> None:
    """Why this line is in use and another is not, rule by rule with its values."""
    config = where.load()
    if line is not None:
        _known(config, line)
    state = _links(config).state
    chosen = [found for found in state.get("lines", ()) if line in (None, found["name"])]
    if as_json:
        answer_json({"mode": state.get("mode"), "wait": state.get("wait"), "lines": chosen})
        return
    _warn_if_old(config)
    mode = state["mode"]
    answer(f"mode {mode['name']} since {moment(mode['since'])}: {_sentence(mode['reason'])}")
    answer(f"now  {_sentence(state['wait'])}")
    for found in chosen:
        active = "in use" if found["active"] else "not in use"
        answer(f"\n{found['name']}: {found['verdict']}, {active}. {_sentence(found['reason'])}")
        rows = [
            (f"  {'yes' if rule['holds'] else 'no'}", rule["rule"], str(rule["value"]), str(rule["limit"]))
            for rule in found.get("explain", ())
        ]
        if rows:
            answer(table(("  HOLDS", "RULE", "VALUE", "LIMIT"), rows))
        if directions := directions_table(found):
            answer(directions)
    for trouble in state.get("troubles", ()):
        answer(f"\n{_sentence(trouble)}")


@line_group.command("cleanup")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--reason", default="", help="Why, for the record.")
@where_options
@click.pass_obj
def cleanup(where: Where, dry_run: bool, reason: str) -> None:
    """Remove every route, rule and address of ours from the kernel; stop the watcher first, or it sets them again."""
    from failover.netlink import routes

    config = where.load()
    file = read_status(config.node.run_dir, "links")
    if not dry_run and status_reader(config, SystemClock())().services["links"] is ServiceState.OK:
        raise ServiceError(
            "already-running",
            "the watcher of the lines is running, and would set everything again",
            context=f"pid {file.pid}" if file else None,
            hint="systemctl stop edge-links (or end edge-node up), then edge-node line cleanup",
        )
    try:
        removed = routes.cleanup(
            protocol=config.lines.protocol,
            service_ip=str(config.lines.service_ip) if config.lines.service_ip else None,
            dry_run=dry_run,
        )
    except PermissionError as error:
        raise ServiceError(
            "privilege-missing",
            "routes cannot be removed",
            context=str(error),
            hint="sudo edge-node line cleanup",
            exit_code=ExitCode.NETWORK,
        ) from error
    for change in removed:
        answer(f"{'would remove' if dry_run else 'removed'} {change}")
    talk(f"{len(removed)} objects of protocol {config.lines.protocol}{f' ({reason})' if reason else ''}")


def _order_command(kind: LineOrderKind, text: str) -> click.Command:
    @click.argument("line")
    @click.option("--for", "for_text", default=DEFAULT_FOR, show_default=True, help='How long, such as "2h".')
    @click.option("--reason", default="", help="Why, for the record.")
    @click.option("--dry-run", is_flag=True, help="Only say what would be ordered.")
    @where_options
    @click.pass_obj
    def command(where: Where, line: str, for_text: str, reason: str, dry_run: bool) -> None:
        config = where.load()
        _known(config, line)
        for_s = _duration(for_text)
        run_as_owner(config)
        clock = SystemClock()
        order = new_order(kind, line, now_ms=clock.wall_ms(), for_s=for_s, by=caller(), why=reason)
        if not dry_run:
            place(config.node.state_dir, order, lines=_names(config), now_ms=order.since_ms)
        told = "would order" if dry_run else "ordered"
        answer(
            f"{told}: {kind} {line} until {moment(order.as_json()['until'])} ({spoken_duration(for_s)}), by {order.by}"
        )
        if not dry_run and not _watcher_is_well(config):
            talk("the watcher of the lines is not running; it will heed the order when it starts")

    return click.command(kind.value, help=text)(command)


line_group.add_command(_order_command(LineOrderKind.PIN, "Use this line while it lives."))
line_group.add_command(
    _order_command(LineOrderKind.HOLD, "Leave this line as it is: no move to it or away from it while it lives.")
)
line_group.add_command(
    _order_command(LineOrderKind.REHEARSE, "Treat this line as down, to see what happens when it fails.")
)


line_group.add_command(far_end_command)
line_group.add_command(history)
line_group.add_command(evidence)
line_group.add_command(maintenance)
line_group.add_command(simulate)


@line_group.command("release")
@click.argument("line", required=False)
@click.option("--all", "every", is_flag=True, help="The orders of every line.")
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--dry-run", is_flag=True, help="Only say what would be released.")
@where_options
@click.pass_obj
def release_line(where: Where, line: str | None, every: bool, reason: str, dry_run: bool) -> None:
    """Take back the orders of a line."""
    config = where.load()
    if (line is None) != every:
        raise UsageError("usage", "say which line, or --all", context=None, hint="edge-node line release LINE")
    if line is not None:
        _known(config, line)
    run_as_owner(config)
    now_ms, lines = SystemClock().wall_ms(), _names(config)
    if dry_run:
        standing = read_line_orders(config.node.state_dir, lines=lines, now_ms=now_ms).orders
        taken: Sequence[Any] = [order for order in standing if line in (None, order.line)]
    else:
        taken = release(config.node.state_dir, line, lines=lines, now_ms=now_ms)
    for order in taken:
        answer(f"{'would release' if dry_run else 'released'}: {order.kind} {order.line}")
    if not taken:
        answer("there was no order")


def _known(config: Config, line: str) -> None:
    if line not in _names(config):
        raise UsageError(
            "line-unknown",
            f'there is no line "{line}"',
            context=f"configured are: {', '.join(_names(config)) or 'none'}",
            hint="edge-node line list",
        )


def _names(config: Config) -> tuple[str, ...]:
    return tuple(line.name for line in config.line)


def _duration(text: str) -> float:
    try:
        for_s = parse_duration(text)
    except ValueError as error:
        raise UsageError("usage", f"--for {error}", context=None, hint=f"--for {DEFAULT_FOR}") from None
    longest_s = 31 * 24 * 3600.0
    if not 1 <= for_s <= longest_s:
        raise UsageError(
            "usage",
            f"--for {format_duration(for_s)}: an order holds for 1s to 31d",
            context=None,
            hint="a wish without an end belongs into the configuration",
        )
    return for_s


def _links(config: Config) -> ServiceStatus:
    file = read_status(config.node.run_dir, "links")
    if file is None or "mode" not in file.state:
        raise ServiceError(
            "links-unheard",
            "the watcher of the lines has not written its state",
            context=f"looked in {config.node.run_dir / 'links'}",
            hint="systemctl status edge-links, or edge-node doctor",
            exit_code=ExitCode.NETWORK,
        )
    return file


def _watcher_is_well(config: Config) -> bool:
    return status_reader(config, SystemClock())().services["links"] is ServiceState.OK


def _warn_if_old(config: Config) -> None:
    if not _watcher_is_well(config):
        file = read_status(config.node.run_dir, "links")
        age_s = 0.0 if file is None else (SystemClock().wall_ms() - parse_utc(file.written_at)) / 1000
        heard = f"what follows is {spoken_duration(age_s)} old" if file else "nothing is known"
        talk(f"the watcher of the lines is not running: {heard}")


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


def _sentence(reason: Mapping[str, Any]) -> str:
    return _sentence_of(str(reason["code"]), reason.get("args", {}))


def _sentence_of(code: str, args: Mapping[str, Any]) -> str:
    return translate(reason_text(code, args), ENGLISH)
