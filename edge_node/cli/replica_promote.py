"""`edge-node replica promote`: a new machine takes the clinic over, with a copy and the recovery identity alone."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from edge_node.base.errors import ReplicaError, UsageError
from edge_node.cli import kit_trust
from edge_node.cli.main import Where, caller, where_options
from edge_node.cli.output import answer, talk
from edge_node.cli.promotion import Found, Promoted, Wish, look, promote
from edge_node.cli.replica_restore import shown_progress, wipe_progress
from edge_node.config.schema import Config
from edge_node.replication.destination import Destination
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer, read_identity


@click.command("promote")
@click.option("--from", "origin", required=True, help="The destination's URL, such as s3://bucket/prefix.")
@click.option(
    "--identity", type=click.Path(path_type=Path), required=True, help="File with the recovery identity from the safe."
)
@click.option("--node", "node_id", help="Which clinic's, where the destination holds several.")
@click.option("--endpoint", help="The store's address, where --from is an s3:// URL.")
@click.option("--region", help="Its region.")
@click.option(
    "--credential",
    type=click.Path(path_type=Path),
    help="File with its key: TOML with access_key_id and secret_access_key.",
)
@click.option(
    "--old-machine-is-off", is_flag=True, help="Where the store cannot refuse a second owner: you have looked."
)
@click.option("--dry-run", is_flag=True, help="Look at everything, and change nothing.")
@click.option("--reason", required=True, help="Why; the machine that is replaced shows it.")
@where_options
@click.pass_obj
def replica_promote(
    where: Where,
    origin: str,
    identity: Path,
    node_id: str | None,
    endpoint: str | None,
    region: str | None,
    credential: Path | None,
    old_machine_is_off: bool,
    dry_run: bool,
    reason: str,
) -> None:
    """Make this machine the clinic's: it claims the next epoch, and the one before takes no writes any more.

    Killed at any step it can be run again, with the same end. It never overwrites anything.
    """
    if "://" not in origin:
        raise UsageError(
            "usage",
            f"--from {origin!r} is no URL: a new machine knows no destination by name",
            context=None,
            hint="such as s3://clinic-copies/edge with --endpoint and --credential, or file:///mnt/nas/clinic",
        )
    if not reason.strip():
        raise UsageError("usage", "--reason is empty", context=None, hint="say why this machine takes over")
    wish = Wish(
        origin=Destination(
            origin, origin, Sealer(()), s3=S3Access(endpoint=endpoint, region=region, credential=credential)
        ),
        identity=read_identity(identity),
        node_id=node_id,
        home=where.home.resolve() if where.home and not where.config else None,
        config_path=where.path().absolute(),
        credential=credential,
        reason=reason.strip(),
        by=caller(),
    )

    async def work() -> None:
        try:
            found = await look(wish, tries_conditions=not dry_run)
            _tell(found, wish)
            if dry_run:
                answer("nothing was changed")
                return
            if not found.conditional and not found.is_begun:
                _ask(found, wish, is_old_machine_off=old_machine_is_off)
            with shown_progress() as progress:
                done = await promote(wish, found, tell=_tell_step, progress=progress)
            _next_steps(done, wish, where)
        finally:
            await wish.origin.close()

    asyncio.run(work())


def _tell_step(step: str) -> None:
    wipe_progress()
    talk(f"  {step.replace('-', ' ')}")


def _tell(found: Found, wish: Wish) -> None:
    kit, promotion = found.kit, found.promotion
    answer(f"{kit.name} ({kit.node}), as kit {kit.number} of {kit.made_at} has it, made by {kit.machine}")
    for sentence in kit_trust.told(kit, found.config, wish.identity):
        answer(sentence)
    going_on = (
        "going on with the promotion begun at " + promotion.begun_at if found.is_begun else "this machine becomes"
    )
    answer(f"{going_on}: epoch {promotion.epoch}, in {found.config.node.state_dir}, from {wish.origin.url}")
    if found.newer_elsewhere is not None:
        answer(f"another destination knows epoch {found.newer_elsewhere}: {wish.origin.url} may lack what that one has")
    if found.unproven is not None:
        answer(
            f"epoch {found.unproven} there, which will be restored, has no claim that the clinic's data key proves: "
            "who wrote it? Compare with another destination before you go on"
        )
    for one in found.ahead:
        answer(
            f"{one.name} holds more of the clinic, epoch {one.epoch} up to TXID {one.txid}: what was saved last is not "
            f"at {wish.origin.url}. Promote from there instead: --from {one.url}"
        )
    if found.unasked:
        answer(
            f"not asked who owns the clinic: {', '.join(found.unasked)}. If a machine is promoted through one of these "
            "meanwhile, both work until one reaches the other's; then the one with less takes no writes any more"
        )


def _ask(found: Found, wish: Wish, *, is_old_machine_off: bool) -> None:
    """The store cannot refuse a second owner: then a person must know that there is none."""
    if is_old_machine_off:
        return
    node = found.kit.node
    if not sys.stdin.isatty():
        raise ReplicaError(
            "confirmation-missing",
            f"{wish.origin.name} cannot refuse a second owner: two machines could both believe they own {node}",
            context="the store puts an object whether there is one or not",
            hint="see to it that the old machine is off and that nobody else promotes, then add --old-machine-is-off",
        )
    talk(f"{wish.origin.name} cannot refuse a second owner: two machines could both believe they own {node}.")
    talk(f"Is the old machine ({found.kit.machine}) off, and is nobody else promoting? Then type the node's id.")
    if click.prompt("id", err=True).strip() != node:
        raise ReplicaError("confirmation-missing", "that is not its id; nothing was changed", context=None, hint=None)


def _keys(config: Config) -> list[tuple[str, str]]:
    """The keys that belong to a machine and stand in no kit, each once, with what to do about the one before."""
    new = "a new one, and withdraw the old"
    stores, upstreams = config.replica.destination, config.upstream
    found = dict.fromkeys([*(one.credential for one in stores), *(one.credential for one in upstreams)], new)
    if config.monitor.remote_write is not None:
        found[config.monitor.remote_write.credential] = new
    for target in (target for line in config.line for target in line.target):
        found.setdefault(target.credential, "the one that its reflector has")
    return sorted((name, whose) for name, whose in found.items() if name is not None)


def _next_steps(done: Promoted, wish: Wish, where: Where) -> None:
    config, kit, claim = done.config, done.kit, done.claim
    folder = config.node.state_dir / "credentials"
    if done.restored is not None:
        answer(done.restored.sentence())
    answer(
        f"this machine owns epoch {claim.epoch} of {claim.node}, "
        f"from TXID {claim.from_txid} of epoch {claim.from_epoch} on"
    )
    steps = [f"{name}.db was not there and was made anew: its history is lost" for name in done.made_anew]
    for name, whose in _keys(config):
        if not (folder / name).exists():
            steps.append(f"put the key {name} into {folder / name}, mode 0600: {whose}")
    lacking = [name for name in kit.lacks if not (folder / name).exists()]
    steps += [f"put {name} into {folder / name}, mode 0600: the kit lacked it" for name in lacking]
    if all(wish.origin.url != one.url for one in config.replica.destination):
        steps.append(
            f"{wish.origin.url} is no destination of the configuration: add it, or see that the others are right"
        )
    if config.line:
        names = ", ".join(line.interface for line in config.line)
        steps.append(f"compare the interfaces of the lines ({names}) with those of this machine: ip link")
    steps += [
        f"edge-node doctor {' '.join(where.arguments())}",
        f"edge-node up {' '.join(where.arguments())}, or systemctl start edge-node.target",
        f"leave the old machine off ({kit.machine}); if it comes back, it finds itself replaced and takes no writes",
    ]
    if done.identity_is_new:
        steps.append("drills use a new identity of this machine; the recovery identity in the safe is as it was")
    answer("now:")
    for number, step in enumerate(steps, 1):
        answer(f"  {number}. {step}")
