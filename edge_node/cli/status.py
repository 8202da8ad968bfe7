"""The one screen of `edge-node status`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from edge_node.base.clock import SystemClock, parse_utc
from edge_node.base.units import spoken_duration
from edge_node.cli.main import Where, where_options
from edge_node.cli.output import answer, answer_json, table
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.status import NodeStatus, ServiceState, status_reader

NONE = "-"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The whole status as JSON (contract, section 2).")
@where_options
@click.pass_obj
def status(where: Where, as_json: bool) -> None:
    """One screen: mode, lines, copies, outbox, services. Exit 0 = healthy, else 4, 5 or 6."""
    clock = SystemClock()
    node = status_reader(where.load(), clock)()
    if as_json:
        answer_json(node.as_json())
    else:
        answer(screen(node, clock.wall_ms()))
    raise click.exceptions.Exit(int(node.exit_code()))


def screen(node: NodeStatus, wall_ms: int) -> str:
    """The status as text, times in the machine's zone."""
    parts = [_head(node, wall_ms)]
    if node.lines:
        parts.append(
            table(("LINE", "VERDICT", "RTT", "LOSS", "SINCE", "PREFERRED"), [_line(line) for line in node.lines])
        )
    copies = [_copy(copy, node.replica) for copy in node.replica["destinations"]]
    parts.append(
        table(("REPLICA", "CONFIRMED", "RPO", "BEHIND", "LAST DRILL"), copies)
        if copies
        else "replica   nothing is known of any copy"
    )
    parts.append("\n".join([*_outbox(node, wall_ms), _services(node)]))
    if node.problems:
        lines = [f"  {problem.code:<24} {_sentence(problem.code, problem.args)}" for problem in node.problems]
        parts.append("\n".join(["problems", *lines]))
    return "\n\n".join(parts)


def _sentence(code: str, args: Mapping[str, Any]) -> str:
    return translate(reason_text(code, args), ENGLISH)


def _head(node: NodeStatus, wall_ms: int) -> str:
    since = ""
    if node.mode_since:
        at = parse_utc(node.mode_since)
        since = f" since {_time(at)} ({spoken_duration(max(0, wall_ms - at) / 1000)})"
    return f"{node.node_id:<20} {node.mode}{since}      {_sentence(node.mode_reason.code, node.mode_reason.args)}"


def _time(wall_ms: int, form: str = "%H:%M") -> str:
    return datetime.fromtimestamp(wall_ms / 1000).strftime(form)


def _moment(text: str | None) -> str:
    return _time(parse_utc(text), "%H:%M:%S") if text else NONE


def _line(line: Mapping[str, Any]) -> tuple[str, ...]:
    rtt, loss = line["rtt_s"], line["loss_ratio"]
    return (
        line["name"],
        line["verdict"],
        NONE if rtt is None else f"{rtt * 1000:.0f} ms",
        NONE if loss is None else f"{loss:.0%}",
        _moment(line["since"]),
        str(line["preferred"]),
    )


def _copy(copy: Mapping[str, Any], replica: Mapping[str, Any]) -> tuple[str, ...]:
    if copy["name"] == "local":
        rpo = copy.get("rpo_s")
        return ("local", _moment(replica["captured_at"]), NONE if rpo is None else spoken_duration(rpo), NONE, NONE)
    behind, rpo, drill = copy["behind_txids"], copy["rpo_s"], copy["last_drill"]
    told = "" if copy["state"] in ("current", "behind") else f"  {copy['state']}"
    return (
        copy["name"],
        _moment(copy["confirmed_at"]),
        NONE if rpo is None else spoken_duration(rpo),
        (f"{behind} txid{'' if behind == 1 else 's'}" if behind else NONE) + told,
        _drill(drill),
    )


def _drill(drill: Mapping[str, Any] | None) -> str:
    if drill is None:
        return NONE
    how = f"restored in {spoken_duration(drill['rto_s'])}" if drill["ok"] else "failed"
    return f"{_time(parse_utc(drill['at']), '%a %H:%M')}, {how}"


def _outbox(node: NodeStatus, wall_ms: int) -> list[str]:
    if "outbox" not in node.services:
        return []
    oldest = node.outbox["oldest_queued_at"]
    age = f"   oldest {spoken_duration((wall_ms - parse_utc(oldest)) / 1000)}" if oldest else ""
    return [f"outbox    {node.outbox['queued']} queued{age}   {node.outbox['dead']} dead"]


def _services(node: NodeStatus) -> str:
    well = [name for name, state in node.services.items() if state is ServiceState.OK]
    ill = [f"{name} {state}" for name, state in node.services.items() if state is not ServiceState.OK]
    return f"services  {len(well)} of {len(node.services)}     {', '.join(ill) or 'none stale'}"
