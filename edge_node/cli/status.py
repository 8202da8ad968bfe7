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
from edge_node.status import Mode, NodeStatus, Posture, Reason, ServiceState, status_reader

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
        rows = [_line(line, wall_ms) for line in node.lines]
        parts.append(table(("LINE", "VERDICT", "RTT", "LOSS", "SINCE", "PREFERRED"), rows))
    copies = [_copy(copy, node.replica) for copy in node.replica["destinations"]]
    parts.append(
        table(("REPLICA", "CONFIRMED", "RPO", "BEHIND", "LAST DRILL"), copies)
        if copies
        else "replica   nothing is known of any copy"
    )
    parts.append("\n".join([*_outbox(node, wall_ms), _services(node)]))
    if node.problems:
        lines = [f"  {problem.code:<24} {_sentence(problem)}" for problem in node.problems]
        parts.append("\n".join(["problems", *lines]))
    return "\n\n".join(parts)


def _sentence(reason: Reason) -> str:
    """The sentence, and what was told beside it in words."""
    said, why = translate(reason_text(reason.code, reason.args), ENGLISH), reason.args.get("why")
    return f"{said} ({why})" if isinstance(why, str) and why and why not in said else said


def _head(node: NodeStatus, wall_ms: int) -> str:
    doing = f"{node.mode}{f' on {node.watch.line}' if node.watch.line else ''}"
    if node.mode_since:
        at = parse_utc(node.mode_since)
        doing += f" since {_day_or_time(at, wall_ms)} ({_age(at, wall_ms)})"
    if node.posture is Posture.RECOVERING:
        doing += ", recovering"
    if node.posture is not Posture.UNKNOWN or node.services.get("links") is ServiceState.OK:
        return f"{node.node_id:<20} {doing}      {_sentence(node.why())}"
    file = node.files.get("links")
    if file is None or node.mode is Mode.STARTING:
        return f"{node.node_id:<20} unknown      {translate(reason_text('links-unheard', {}), ENGLISH)}"
    heard = parse_utc(file.written_at)
    return (
        f"{node.node_id:<20} unknown, last known: {doing}      "
        f"{translate(reason_text('links-silent', {}), ENGLISH)} since {_day_or_time(heard, wall_ms)} "
        f"({_age(heard, wall_ms)})"
    )


def _day_or_time(at_ms: int, wall_ms: int) -> str:
    """ "09:14" today, "Oct 02" before."""
    at, now = datetime.fromtimestamp(at_ms / 1000), datetime.fromtimestamp(wall_ms / 1000)
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%b %d}"


def _age(at_ms: int, wall_ms: int) -> str:
    return spoken_duration(max(0, wall_ms - at_ms) / 1000)


def _moment(text: str | None) -> str:
    return f"{datetime.fromtimestamp(parse_utc(text) / 1000):%H:%M:%S}" if text else NONE


def _line(line: Mapping[str, Any], wall_ms: int) -> tuple[str, ...]:
    rtt, loss, since = line["rtt_s"], line["loss_ratio"], line["since"]
    return (
        line["name"],
        line["verdict"],
        NONE if rtt is None else f"{rtt * 1000:.0f} ms",
        NONE if loss is None else f"{loss:.0%}",
        _day_or_time(parse_utc(since), wall_ms) if since else NONE,
        f"{line['preferred']}{f', order: {order}' if (order := line.get('order')) else ''}",
    )


def _copy(copy: Mapping[str, Any], replica: Mapping[str, Any]) -> tuple[str, ...]:
    rpo = copy.get("rpo_s")
    if copy["name"] == "local":
        return ("local", _moment(replica["captured_at"]), NONE if rpo is None else spoken_duration(rpo), NONE, NONE)
    behind = copy.get("behind_txids")
    told = "" if copy["state"] in ("current", "behind") else f"  {copy['state']}"
    return (
        copy["name"],
        _moment(copy.get("confirmed_at")),
        NONE if rpo is None else spoken_duration(rpo),
        (f"{behind} txid{'' if behind == 1 else 's'}" if behind else NONE) + told,
        _drill(copy.get("last_drill")),
    )


def _drill(drill: Mapping[str, Any] | None) -> str:
    if drill is None:
        return NONE
    how = f"restored in {spoken_duration(drill['rto_s'])}" if drill["ok"] else str(drill.get("outcome") or "failed")
    return f"{datetime.fromtimestamp(parse_utc(drill['at']) / 1000):%a %H:%M}, {how}"


def _outbox(node: NodeStatus, wall_ms: int) -> list[str]:
    counts = node.outbox
    if "outbox" not in node.services:
        return []
    if not node.outbox_is_known:
        return ["outbox    not known: the service is not heard"]
    parts = [f"{counts['queued']} queued"]
    if counts["waiting"]:
        parts.append(f"{counts['waiting']} waiting")
    if counts["oldest_queued_at"]:
        parts.append(f"oldest {_age(parse_utc(counts['oldest_queued_at']), wall_ms)}")
    parts.append(f"  {counts['dead']} dead")
    if counts["paused_upstreams"]:
        parts.append(f"paused: {', '.join(counts['paused_upstreams'])}")
    return [f"outbox    {'   '.join(parts)}"]


def _services(node: NodeStatus) -> str:
    well = [name for name, state in node.services.items() if state is ServiceState.OK]
    ill = [f"{name} {state}" for name, state in node.services.items() if state is not ServiceState.OK]
    return f"services  {len(well)} of {len(node.services)}     {', '.join(ill) or 'none stale'}"
