"""Are the copies sound, and do they come back? `replica verify` looks, `replica drill` restores."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from edge_node.base.clock import SystemClock, utc_text
from edge_node.base.errors import ExitCode, ReplicaError, ServiceError, UsageError
from edge_node.base.files import StatusFile, file_lock
from edge_node.base.logs import event
from edge_node.base.process import die_with_parent
from edge_node.base.units import spoken_size
from edge_node.cli import verify_told
from edge_node.cli.kit_trust import not_ours
from edge_node.cli.main import Where, caller, run_as_owner, where_options
from edge_node.cli.output import answer, answer_json, talk
from edge_node.cli.replica_restore import shown_progress
from edge_node.cli.replica_source import LOCAL, Wish, Wishes, asked, identity_of, sources_options
from edge_node.config.schema import Config
from edge_node.his import audit
from edge_node.replication import drill_evidence
from edge_node.replication.anchors import Head, drill_key, make_anchor, put_anchor
from edge_node.replication.destination import DestinationFailed
from edge_node.replication.drill import Check, Drilled, OpenKit, Outcome, Sentinel, drill
from edge_node.replication.drill_record import (
    drill_as_json,
    keep_drill,
    keep_verified,
    read_record,
    record_path,
    verified_as_json,
)
from edge_node.replication.epoch import current_epoch, folder_name, make_epoch, replica_path
from edge_node.replication.kit import read_kit
from edge_node.replication.repair import may_repair, repair
from edge_node.replication.sealing import Sealer
from edge_node.replication.shipping_record import CopyRecord, ShippingRecord
from edge_node.replication.source import DestinationSource, Source
from edge_node.replication.verify import Verified, still_wrong, verify
from edge_node.services.destinations import configured
from edge_node.services.replica_ownership import data_key
from edge_node.store.connection import Connection, OperationalError
from edge_node.store.inspect import size_bytes
from edge_node.store.places import NAMES, db_path

# Beside the two restored databases and what they are made from: the clinic's disk must not be filled by a rehearsal.
ROOM_LEFT_BYTES = 256 * 1024 * 1024
STATUS_EVERY_S = 3600.0


@click.command("verify")
@sources_options
@click.option("--database", "databases", type=click.Choice(NAMES), multiple=True, help="Default: all of them.")
@click.option("--deep", is_flag=True, help="Every object, and a restore; not only sizes and samples.")
@click.option("--json", "as_json", is_flag=True, help="What was found as a document.")
@click.option("--dry-run", is_flag=True, help="Look only: ship nothing again, and write nothing down.")
@click.option("--order", hidden=True)
@where_options
@click.pass_obj
def replica_verify(
    where: Where,
    wishes: Wishes,
    databases: tuple[str, ...],
    deep: bool,
    as_json: bool,
    dry_run: bool,
    order: str | None,
) -> None:
    """Look at what the copies hold; what is missing or damaged is shipped again. Exit 5 when something stays wrong."""
    config = _config(where)
    _give_way(order)
    clock = SystemClock()
    found: list[tuple[Wish, Verified]] = []
    # One that is away keeps nobody from looking at the others.
    away: dict[str, ReplicaError] = {}
    with _alone(config, "verify") if config else contextlib.nullcontext(Path.cwd()) as scratch:
        for wish in _some(wishes(config, databases or NAMES)):
            if wish.origin in away:
                continue
            try:
                looked = asyncio.run(_verified(where, config, wish, scratch, deep=deep, mend=not dry_run))
            except ReplicaError as error:
                away[wish.origin] = error
                continue
            found.append((wish, looked))
            if config is not None and not dry_run and "://" not in wish.origin:
                with contextlib.suppress(OSError):
                    path = record_path(config.node.state_dir)
                    keep_verified(path, wish.origin, wish.database, looked, at_ms=clock.wall_ms(), order=order)
    if as_json:
        answer_json(
            [
                {"from": wish.origin, "database": wish.database, **verified_as_json(looked, at_ms=clock.wall_ms())}
                for wish, looked in found
            ]
        )
    else:
        for _, looked in found:
            verify_told.tell(looked)
    troubles = [*verify_told.unsound(found, dry_run=dry_run), *away.values()]
    for trouble in troubles[1:]:
        talk(trouble.render())
    if troubles:
        raise troubles[0]


def _give_way(order: str | None) -> None:
    """The replicator's child ends with it, and takes no turn that the clinic wants."""
    die_with_parent()
    if order is not None:
        with contextlib.suppress(OSError):  # A unit may forbid even that; the timer's has it from systemd.
            os.nice(10)


def _config(where: Where) -> Config | None:
    if not where.path().exists():
        return None
    config = where.load()
    run_as_owner(config)
    return config


def _some(wishes: list[Wish]) -> list[Wish]:
    if not wishes:
        raise UsageError(
            "usage",
            "there is no destination to look at",
            context=None,
            hint="--from local, or --from URL on a new machine",
        )
    return wishes


async def _verified(
    where: Where, config: Config | None, wish: Wish, scratch: Path, *, deep: bool, mend: bool
) -> Verified:
    day = utc_text(SystemClock().wall_ms())[:10]
    async with asked(where, wish) as source:
        here, record = _at_home(config, wish, source)
        found = await verify(source, scratch, day=day, here=here, record=record, deep=deep)
        if mend and not found.is_sound and config and here and isinstance(source, DestinationSource):
            found = await _mended(config, wish, source, found, here)
            if any(finding.mended for finding in found.findings):
                # Whether it helped is seen by looking again.
                again = await verify(source, scratch, day=day, here=here, record=record, deep=deep)
                found = replace(again, findings=still_wrong(found.findings, again.findings))
        return found


async def _mended(config: Config, wish: Wish, source: DestinationSource, found: Verified, here: Path) -> Verified:
    number = current_epoch(config.node.state_dir)
    if source.epoch != number:
        return found
    wanted = next(one for one in config.replica.destination if one.name == wish.origin)
    sealer = Sealer(() if config.replica.plain else config.replica.encrypt_to)
    destination = configured(wanted, sealer, state_dir=config.node.state_dir)
    await destination.open(known=True)
    try:
        epoch = make_epoch(config.node.state_dir, config.replica.local, number)
        if not await may_repair(destination, config.node.id, epoch):
            talk(f"{wish.origin}: nothing is shipped again, since this machine does not own its newest epoch")
            return found
        return replace(found, findings=await repair(source, destination, here, found.findings))
    finally:
        await destination.close()


def _at_home(config: Config | None, wish: Wish, source: Source) -> tuple[Path | None, CopyRecord | None]:
    """The local replica of the same epoch and what the shipper remembers, where there are any."""
    if config is None or "://" in wish.origin or not isinstance(source, DestinationSource):
        return None, None
    here = replica_path(config.replica.local, source.epoch, wish.database)
    record = ShippingRecord(config.node.state_dir / "shipping" / f"{wish.origin}.json")
    return (here if here.is_dir() else None), record.copy(f"{folder_name(source.epoch)}/{wish.database}")


@click.command("drill")
@sources_options
@click.option("--reason", default="", help="For the record.")
@click.option("--json", "as_json", is_flag=True, help="What each drill showed as a document.")
@click.option("--order", hidden=True)
@where_options
@click.pass_obj
def replica_drill(where: Where, wishes: Wishes, reason: str, as_json: bool, order: str | None) -> None:
    """Restore from each destination to a scratch folder, and see whether everything came back. Exit 7 if not."""
    config = where.load()
    run_as_owner(config)
    _give_way(order)
    with _alone(config, "drill") as folder:
        drills = asyncio.run(_drills(where, config, _some(wishes(config, ("his",))), folder, reason, order))
    if as_json:
        answer_json([{"from": name, **drill_as_json(done)} for name, done in drills])
    else:
        for _, done in drills:
            answer(done.sentence())
            for check in done.checks:
                answer(f"  {check.name:<16} {check.outcome:<8} {check.text}")
    if bad := [(name, done) for name, done in drills if not done.is_ok]:
        raise ReplicaError(
            "drill-failed",
            f"{len(bad)} of {len(drills)} drills did not bring everything back",
            context=None if not as_json else "\n".join(done.sentence() for _, done in bad),
            hint=f"edge-node replica verify {' '.join(f'--from {name}' for name, _ in bad)} names what is damaged, and "
            "ships again what is here",
            exit_code=ExitCode.DRILL,
        )


@contextlib.contextmanager
def _alone(config: Config, kind: str) -> Iterator[Path]:
    """The scratch folder, for one of a kind at a time; what a killed one has left is swept. Raises ServiceError."""
    folder = config.node.state_dir / "drill"
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder / f"{kind}.lock", wait=False))
        except BlockingIOError:
            raise ServiceError(
                "already-running",
                f"another {kind} is running",
                context=f"it holds the lock {folder / kind}.lock",
                hint="edge-node status shows what a drill found when it is done",
            ) from None
        for leftover in folder.glob(f"{kind}-*"):
            event("leftover_swept", path=leftover)
            shutil.rmtree(leftover, ignore_errors=True)
        yield folder


async def _drills(
    where: Where, config: Config, wishes: list[Wish], folder: Path, reason: str, order: str | None
) -> list[tuple[str, Drilled]]:
    clock = SystemClock()
    state_dir, run_dir = config.node.state_dir, config.node.run_dir
    status = StatusFile(run_dir, "drill", every_s=STATUS_EVERY_S)
    kept = record_path(state_dir)

    def tell(running: str | None) -> None:
        with contextlib.suppress(OSError):
            results = {name: entry.get("drill") for name, entry in read_record(kept)["destinations"].items()}
            status.write({"running": running, "results": results}, clock, stopped=running is None)

    tell("sentinel")
    evidence = await drill_evidence.arrange(
        state_dir, run_dir, db_path(state_dir, "his"), clock=clock, by=caller(), why=reason
    )
    drills = []
    try:
        for wish in wishes:
            tell(wish.origin)
            done = await _drilled(where, config, wish, folder, evidence)
            drills.append((wish.origin, done))
            event("drill_done", destination=wish.origin, outcome=done.outcome, rto_s=done.rto_s, txid=done.txid)
            with contextlib.suppress(OSError):
                keep_drill(kept, wish.origin, done, order=order)
    finally:
        tell(None)
    return drills


async def _drilled(
    where: Where, config: Config, wish: Wish, folder: Path, evidence: drill_evidence.Evidence
) -> Drilled:
    clock = SystemClock()
    try:
        async with asked(where, wish) as source:
            here, _ = _at_home(config, wish, source)
            before = list(evidence.checks)
            is_ours = "://" not in wish.origin
            if evidence.txid is not None and wish.origin != LOCAL and is_ours:
                before.append(
                    await drill_evidence.confirmed(config.node.run_dir, wish.origin, evidence.txid, clock=clock)
                )
            if (problem := await _no_room(config, source, folder)) is not None:
                return _not_drilled(source.name, clock.wall_ms(), [*before, problem])
            with tempfile.TemporaryDirectory(prefix="drill-", dir=folder) as scratch, shown_progress() as told:
                done = await drill(
                    source,
                    Path(scratch),
                    clock=clock,
                    chance=random.Random(),
                    before=before,
                    sentinel=evidence.sentinel if is_ours else None,
                    wanted_txid=evidence.txid if is_ours else None,
                    look=look_at_his,
                    here=here,
                    kit=_kit_of(config, wish, source),
                    tell=told,
                )
            await _anchor(config, wish, source, done, evidence.sentinel)
            return done
    except ReplicaError as error:
        check = Check(name="restore", outcome=Outcome.FAILED, text=f"{error.message}: {error.context}")
        return _not_drilled(wish.origin, clock.wall_ms(), [*evidence.checks, check])


async def _anchor(config: Config, wish: Wish, source: Source, done: Drilled, sentinel: Sentinel | None) -> None:
    """A sentinel that came back is noted at its destination as the head of the audit log, if it is this machine's."""
    came_back = any(check.name == "sentinel" and check.outcome is Outcome.OK for check in done.checks)
    number = current_epoch(config.node.state_dir)
    if not came_back or sentinel is None or "://" in wish.origin or not isinstance(source, DestinationSource):
        return
    if source.epoch != number or done.txid is None:
        return
    head = Head(seq=sentinel.seq, hash=sentinel.hash, txid=done.txid)
    anchor = make_anchor(head, node_id=config.node.id, epoch=number, now_ms=done.at_ms, why="drill")
    try:
        await put_anchor(source.destination, drill_key(anchor), anchor)
    except DestinationFailed as error:
        event("audit_not_anchored", level="warning", destination=wish.origin, why=error.message)


def _not_drilled(source: str, at_ms: int, checks: list[Check]) -> Drilled:
    return Drilled(source=source, at_ms=at_ms, outcome=Outcome.FAILED, checks=tuple(checks))


async def _no_room(config: Config, source: Source, folder: Path) -> Check | None:
    files = await source.list()
    largest = max((file.size_bytes for file in files), default=0)
    needed = 2 * largest + 3 * size_bytes(db_path(config.node.state_dir, "his")) + ROOM_LEFT_BYTES
    free = shutil.disk_usage(folder).free
    if free >= needed:
        return None
    text = f"there is no room to drill in {folder}: {spoken_size(needed)} needed, {spoken_size(free)} free"
    return Check(name="room", outcome=Outcome.FAILED, text=text)


def _kit_of(config: Config, wish: Wish, source: Source) -> OpenKit | None:
    if not isinstance(source, DestinationSource):
        return None
    keys = identity_of(config, wish.identity, sealed=True)
    if keys is None:
        return None
    identities = keys if isinstance(keys, tuple) else (keys,)
    node_id = source.prefix.split("/")[0]

    async def opened() -> Check:
        kit = await read_kit(source.destination, identities, node_id=node_id)
        if kit is None:
            return Check(name="kit", outcome=Outcome.FINDING, text="there is no recovery kit yet")
        if (wrong := not_ours(kit, config, data_key(config.node.state_dir))) is not None:
            text = f"recovery kit {kit.number}, which a promotion would take, {wrong}: who put it there? Move it away"
            return Check(name="kit", outcome=Outcome.FAILED, text=text)
        if kit.lacks:
            text = f"recovery kit {kit.number} lacks {', '.join(kit.lacks)}"
            return Check(name="kit", outcome=Outcome.FINDING, text=text)
        return Check(name="kit", outcome=Outcome.OK, text=f"recovery kit {kit.number} of {kit.made_at} opens")

    return opened


def look_at_his(conn: Connection, sentinel: Sentinel | None) -> list[Check]:
    """Is the sentinel there, and the audit log whole up to it?"""
    try:
        broken_at = audit.verify(conn)
        checks = [
            Check(name="audit", outcome=Outcome.OK, text="the audit log is unbroken")
            if broken_at is None
            else Check(name="audit", outcome=Outcome.FAILED, text=f"the audit log is broken at entry {broken_at}")
        ]
        if sentinel is not None:
            row = conn.execute("SELECT hash, object FROM audit_log WHERE seq = ?", (sentinel.seq,)).fetchone()
            is_there = row is not None and bytes(row["hash"]).hex() == sentinel.hash
            checks.append(
                Check(name="sentinel", outcome=Outcome.OK, text=f"entry {sentinel.seq} came back")
                if is_there
                else Check(name="sentinel", outcome=Outcome.FAILED, text=f"entry {sentinel.seq} did not come back")
            )
        return checks
    except OperationalError as error:
        outcome = Outcome.SKIPPED if sentinel is None else Outcome.FAILED
        return [Check(name="audit", outcome=outcome, text=f"there is no audit log: {error}")]
