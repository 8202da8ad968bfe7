"""`edge-node line maintenance`: announced work, which the report does not count against the carrier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from edge_node.base.clock import SystemClock
from edge_node.base.errors import EdgeError, StoreError, UsageError
from edge_node.base.units import spoken_duration
from edge_node.cli.main import Where, caller, run_as_owner, where_options
from edge_node.cli.node_file import both_times, check_line, node_history, parse_moment
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.config.schema import Config
from edge_node.journal import queries
from edge_node.journal.words import machine_time
from edge_node.orders import LARGEST_TEXT, LONGEST_MS, Maintenance, new_maintenance, read_maintenance, write_maintenance
from edge_node.status import ServiceState, status_reader
from monitoring.sla import Window

# What is over and recorded stays in the file for so long; it is in node.db for good.
KEPT_MS = 31 * 24 * 3600 * 1000


@click.command("maintenance")
@click.argument("line", required=False)
@click.option("--from", "start", help="When it begins, such as '2026-11-25 02:00' (local) or with a zone.")
@click.option("--to", "end", help="When it ends.")
@click.option("--reason", default="", help="Why, for the report.")
@click.option("--by", help="Who announced it; by default who calls.")
@click.option("--list", "is_list", is_flag=True, help="What was announced.")
@click.option("--cancel", metavar="ID", help="Take it back; while it runs, it ends now.")
@click.option("--dry-run", is_flag=True, help="Only say what would be announced or taken back.")
@click.option("--json", "as_json", is_flag=True, help="With --list.")
@where_options
@click.pass_obj
def maintenance(
    where: Where,
    line: str | None,
    start: str | None,
    end: str | None,
    reason: str,
    by: str | None,
    is_list: bool,
    cancel: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Announce work on a line, also afterwards: it is left out of the SLA; the report says who did so, and when."""
    config = where.load()
    if line is not None:
        check_line(config, line)
    if is_list:
        _list(config, line, as_json=as_json)
    elif cancel is not None:
        _cancel(config, cancel, by=by or caller(), dry_run=dry_run)
    elif line is None or start is None or end is None:
        raise UsageError(
            "usage",
            "say the line, --from and --to; or --list, or --cancel ID",
            context=None,
            hint="edge-node line maintenance telecom --from '2026-11-25 02:00' --to '2026-11-25 04:00' --reason works",
        )
    else:
        _announce(config, line, start, end, by=by or caller(), why=reason, dry_run=dry_run)


def _announce(config: Config, line: str, start: str, end: str, *, by: str, why: str, dry_run: bool) -> None:
    now_ms = SystemClock().wall_ms()
    work = new_maintenance(
        line, start_ms=parse_moment(start, option="--from"), until_ms=parse_moment(end, option="--to"), now_ms=now_ms,
        by=by, why=why,
    )  # fmt: skip
    refuse(work, why=why)
    run_as_owner(config)
    recorded, is_known = _recorded(config)

    def change(standing: Sequence[Maintenance]) -> Sequence[Maintenance]:
        refuse_overlap(work, _merged(standing, recorded))
        return (*_still_needed(standing, recorded, now_ms=now_ms), work)

    if dry_run:
        refuse_overlap(work, _merged(read_maintenance(config.node.state_dir).works, recorded))
    else:
        write_maintenance(config.node.state_dir, change)
    told = "would announce" if dry_run else f"announced: maintenance {work.id},"
    answer(f"{told} line {line}, {spoken_duration((work.until_ms - work.start_ms) / 1000)}, by {work.by}")
    answer(f"  from {both_times(work.start_ms)}\n  to   {both_times(work.until_ms)}")
    if work.announced_ms > work.start_ms:
        talk("it begins in the past: the report says that it was announced afterwards, when and by whom")
    if not dry_run:
        _say_whether_it_is_recorded(config, is_known)


def refuse(work: Maintenance, *, why: str) -> None:
    """All that is wrong with an announcement at once. Raises UsageError."""
    wrong = []
    if work.until_ms <= work.start_ms:
        wrong.append(f"it ends ({both_times(work.until_ms)}) before it begins ({both_times(work.start_ms)})")
    elif work.until_ms - work.start_ms > LONGEST_MS:
        wrong.append("it lasts for more than 31 days; announce it in parts, lest a slip of the hand hides a year")
    if not why.strip():
        wrong.append("--reason is missing: the carrier and the clinic read it in the report")
    if len(why) > LARGEST_TEXT:
        wrong.append(f"--reason has {len(why)} characters; {LARGEST_TEXT} fit")
    if wrong:
        raise UsageError(
            "usage",
            "this cannot be announced",
            context="\n".join(wrong),
            hint="--from '2026-11-25 02:00' --to '2026-11-25 04:00' --reason '…'; times without a zone are local",
        )


def refuse_overlap(work: Maintenance, standing: Sequence[Maintenance]) -> None:
    """Raises UsageError where other announced work on the line meets this one."""
    met = [
        other
        for other in standing
        if other.line == work.line and other.start_ms < work.until_ms and work.start_ms < other.until_ms
    ]
    if met:
        raise UsageError(
            "maintenance-overlaps",
            "this meets work on the line that was announced before",
            context="\n".join(
                f"{one.id}: {both_times(one.start_ms)} to {both_times(one.until_ms)}, by {one.by}: {one.why}"
                for one in met
            ),
            hint=f"take it back first: edge-node line maintenance --cancel {met[0].id}; or choose other times",
        )


def _cancel(config: Config, number: str, *, by: str, dry_run: bool) -> None:
    run_as_owner(config)
    now_ms = SystemClock().wall_ms()
    recorded, is_known = _recorded(config)
    taken: list[Maintenance] = []

    def change(standing: Sequence[Maintenance]) -> Sequence[Maintenance]:
        one = next((one for one in _merged(standing, recorded) if one.id == number), None)
        if one is None or one.until_ms <= one.start_ms:
            raise UsageError(
                "maintenance-unknown",
                f'there is no announced maintenance "{number}"' if one is None else f"{number} was taken back before",
                context=None,
                hint="edge-node line maintenance --list",
            )
        taken.append(one.taken_back(now_ms=now_ms, by=by))
        return (*(other for other in _still_needed(standing, recorded, now_ms=now_ms) if other.id != number), *taken)

    if dry_run:
        change(read_maintenance(config.node.state_dir).works)
    else:
        write_maintenance(config.node.state_dir, change)
    (one,) = taken
    told = "would take back" if dry_run else "taken back"
    if one.until_ms > one.start_ms:
        answer(f"{told}: maintenance {one.id} of line {one.line} ends now; it was announced until then")
    else:
        answer(f"{told}: maintenance {one.id} of line {one.line}; the time counts as if it had never been announced")
    if not dry_run:
        _say_whether_it_is_recorded(config, is_known)


def _list(config: Config, line: str | None, *, as_json: bool) -> None:
    run_as_owner(config)
    read, (recorded, is_known) = read_maintenance(config.node.state_dir), _recorded(config)
    for problem in read.problems:
        talk(problem)
    works = [one for one in _merged(read.works, recorded) if line in (None, one.line)]
    if as_json:
        answer_json([{**one.as_json(), "recorded": one in recorded} for one in works])
        return
    now_ms = SystemClock().wall_ms()
    rows = [
        (one.id, one.line, _local(one.start_ms), _local(one.until_ms), state(one, now_ms), one.by,
         _local(one.announced_ms), one.why)
        for one in sorted(works, key=lambda one: (one.start_ms, one.id))
    ]  # fmt: skip
    head = ("ID", "LINE", "FROM", "TO", "STATE", "BY", "ANNOUNCED", "WHY")
    answer(table(head, rows) if rows else "no maintenance is announced")
    if not is_known:
        talk("the history cannot be read: what is shown is what stands in the orders alone")


def state(one: Maintenance, now_ms: int) -> str:
    """To come, running, over; and what is to be known beside it."""
    if one.until_ms <= one.start_ms:
        return "taken back"
    now = "to come" if now_ms < one.start_ms else "running" if now_ms < one.until_ms else "over"
    if one.cancelled_ms is not None:
        return f"{now}, ended early"
    return f"{now}, announced afterwards" if one.announced_ms > one.start_ms else now


def _recorded(config: Config) -> tuple[tuple[Maintenance, ...], bool]:
    """What the history has of every line, and whether it could be read."""
    try:
        with node_history(config) as conn:
            names = [str(name) for (name,) in conn.execute("SELECT DISTINCT line FROM maintenance")]
            window = Window(start_ms=-(2**62), end_ms=2**62)
            return tuple(one for name in names for one in queries.maintenance(conn, name, window)), True
    except StoreError:
        return (), False


def _merged(standing: Sequence[Maintenance], recorded: Sequence[Maintenance]) -> list[Maintenance]:
    """The file holds the newer word."""
    known: dict[str, Any] = {one.id: one for one in (*recorded, *standing)}
    return list(known.values())


def _still_needed(
    standing: Sequence[Maintenance], recorded: Sequence[Maintenance], *, now_ms: int
) -> list[Maintenance]:
    """Without what is over, long ago, and recorded as it stands here."""
    return [
        one
        for one in standing
        if one not in recorded or max(one.until_ms, one.cancelled_ms or 0, one.announced_ms) > now_ms - KEPT_MS
    ]


def _say_whether_it_is_recorded(config: Config, is_known: bool) -> None:
    try:
        runs = status_reader(config, SystemClock())().services["monitor"] is ServiceState.OK
    except EdgeError:
        runs = False
    if not (runs and is_known):
        talk("the monitor does not record at the moment; it will record this when it does")


def _local(at_ms: int) -> str:
    return f"{machine_time(at_ms):%Y-%m-%d %H:%M}"
