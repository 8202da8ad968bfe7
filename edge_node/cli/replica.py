"""The replica: what the destinations hold, which past can be restored, restoring it, and checking it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import click

from edge_node.base.clock import utc_text
from edge_node.base.errors import ExitCode, ServiceError, StoreError
from edge_node.base.files import read_status
from edge_node.base.units import spoken_duration, spoken_size
from edge_node.cli.main import Noun, Where, where_options
from edge_node.cli.node_file import node_history
from edge_node.cli.output import answer, answer_json, moment, table, talk
from edge_node.cli.replica_expire import replica_expire
from edge_node.cli.replica_identity import replica_identity
from edge_node.cli.replica_pause import replica_pause, replica_resume
from edge_node.cli.replica_promote import replica_promote
from edge_node.cli.replica_proof import replica_drill, replica_verify
from edge_node.cli.replica_restore import replica_restore
from edge_node.cli.replica_source import Wish, asked, earlier_epochs, source_options
from edge_node.config.schema import Config
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.journal.drills import PastDrill, last_drills
from edge_node.replication.restore_points import STEP_S, Stretch, points_of

SHOWN_DRILLS = 6
LEVELS = {0: "capture", 1: "30 s", 2: "5 min", 3: "1 h", 9: "snapshot"}


@click.group("replica", cls=Noun)
def replica_group() -> None:
    """Copies of the databases: how they are, restoring from them, checking them."""


@replica_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="The replicator's state as a document.")
@where_options
@click.pass_obj
def replica_status(where: Where, as_json: bool) -> None:
    """How far Litestream and each destination are, and what the last restore drills showed."""
    config = where.load()
    drills = _past_drills(config)
    status = read_status(config.node.run_dir, "replica")
    if status is None:
        raise ServiceError(
            "service-stopped",
            "the replicator has not run here yet",
            context=f"there is no status file below {config.node.run_dir}",
            hint="edge-node run replica, or edge-node up, starts it",
            exit_code=ExitCode.REPLICA,
        )
    if as_json:
        past = [{**asdict(one), "at": utc_text(one.at_ms), "ok": one.is_ok} for one in drills]
        answer_json({"written_at": status.written_at, "stopped": status.stopped, **status.state, "drills": past})
        return
    state = status.state
    running = "stopped" if status.stopped else state["litestream"]
    answer(f"epoch {state['epoch']}   litestream {running}   TXID {state['txid']}   at {status.written_at}\n")
    rows = [
        (
            found["name"],
            found["state"],
            found.get("confirmed_at") or "-",
            "-" if (rpo := found.get("rpo_s")) is None else spoken_duration(rpo),
            _behind(found),
            str(found.get("kit") or "-"),
            moment((found.get("last_anchor") or {}).get("at")),
        )
        for found in state["destinations"]
    ]
    answer(table(("DESTINATION", "STATE", "CONFIRMED", "RPO", "BEHIND", "KIT", "AUDIT"), rows))
    # Below it, since a store's own words are as long as they are.
    reasons = [f"{found['name']}: {why}" for found in state["destinations"] if (why := _why(found.get("reason")))]
    if reasons:
        answer("\n" + "\n".join(reasons))
    for found in state["destinations"]:
        if found.get("conditional_puts") is False:
            talk(f"{found['name']} cannot refuse a second owner: a promotion from it asks a person")
    if drills:
        told = [
            (moment(utc_text(one.at_ms)), one.destination, one.outcome,
             "-" if one.rto_s is None else spoken_duration(one.rto_s), " ".join(one.why.split()))
            for one in drills
        ]  # fmt: skip
        answer("\n" + table(("DRILL", "FROM", "OUTCOME", "RTO", ""), told))


def _past_drills(config: Config) -> tuple[PastDrill, ...]:
    """The last drills as the history has them; none where it cannot be read, which is said."""
    try:
        with node_history(config) as conn:
            return last_drills(conn, limit=SHOWN_DRILLS)
    except StoreError as error:
        talk(f"no drills are shown: {error.message}")
        return ()


def _why(reason: dict[str, Any] | None) -> str:
    if reason is None:
        return ""
    if reason["code"] == "paused-by-order":
        return translate(reason_text(reason["code"], reason["args"]), ENGLISH)
    hint = reason["args"].get("hint")
    return str(reason["args"]["why"]) + (f" ({hint})" if hint else "")


def _behind(found: dict[str, Any]) -> str:
    txids = found.get("behind_txids")
    return f"{txids} txid, {spoken_size(found['behind_bytes'])}" if txids else "-"


@replica_group.command("points")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Stretches of restore points as a list.")
@where_options
@click.pass_obj
def replica_points(where: Where, wish: Wish, as_json: bool) -> None:
    """Which past states can be restored, and how finely."""

    async def listed() -> tuple[list[Stretch], list[int]]:
        async with asked(where, wish) as source:
            return await points_of(source), [] if wish.epoch else await earlier_epochs(source)

    stretches, earlier = asyncio.run(listed())
    if as_json:
        answer_json(
            [
                {
                    **asdict(stretch),
                    "from": _utc(stretch.from_ms),
                    "to": _utc(stretch.to_ms),
                    "granularity_s": STEP_S.get(stretch.level),
                }
                for stretch in stretches
            ]
        )
        return
    rows = [
        (
            LEVELS.get(stretch.level, f"level {stretch.level}"),
            _utc(stretch.from_ms) or "-",
            _utc(stretch.to_ms) or "-",
            f"{stretch.min_txid} to {stretch.max_txid}",
            str(stretch.files),
            spoken_size(stretch.size_bytes),
        )
        for stretch in stretches
    ]
    answer(table(("GRANULARITY", "FROM", "TO", "TXID", "FILES", "SIZE"), rows))
    if stretches:
        talk("--at brings what was committed by then, to the granularity of the finest stretch that holds that time")
    else:
        talk("nothing can be restored from here")
    if earlier:
        talk(f"what lies before is in epoch {', '.join(map(str, earlier))}: --epoch {earlier[0]} shows it")


def _utc(wall_ms: int | None) -> str | None:
    return None if wall_ms is None else utc_text(wall_ms)


replica_group.add_command(replica_restore)
replica_group.add_command(replica_verify)
replica_group.add_command(replica_drill)
replica_group.add_command(replica_expire)
replica_group.add_command(replica_identity)
replica_group.add_command(replica_promote)
replica_group.add_command(replica_pause)
replica_group.add_command(replica_resume)
