"""`doctor` on the copies: what the local replica restores to, whose machine this is, destinations, identity, drills."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from edge_node.base.clock import SystemClock, parse_utc
from edge_node.base.errors import EdgeError, ExitCode
from edge_node.base.systemd import credential_path
from edge_node.cli.doctor_finding import Finding, Look, fail, of_error, ok, warn
from edge_node.config.schema import Config, Destination
from edge_node.replication import ltx
from edge_node.replication.anchor_keeper import log_beside, newest_row
from edge_node.replication.drill_record import read_record, record_path
from edge_node.replication.epoch import current_epoch
from edge_node.replication.kit import NODE_IDENTITY
from edge_node.replication.proof_due import EVERY_S, GRACE_S, Proof
from edge_node.replication.sealing import Sealer, read_identity
from edge_node.replication.shipping_record import ShippingRecord
from edge_node.services.destinations import configured
from edge_node.status import ServiceState, status_reader
from edge_node.status.superseded import read_superseded
from edge_node.store.places import db_path

# One is made each day as soon as the destination has everything; a node that is off at night makes it in the morning.
ANCHOR_LATE_S = 2 * 86_400.0


def _replica(config: Config) -> Iterator[Finding]:
    root = config.replica.local
    for replica in sorted(root.glob("e*/*")):
        files = ltx.scan(replica)
        reach, head = ltx.frontier(files), max((file.max_txid for file in files), default=0)
        told = f"local replica {replica.relative_to(root)}"
        if reach < head:
            yield fail(
                f"{told} restores to TXID {reach} only, of {head}",
                "edge-node replica verify --from local",
                ExitCode.REPLICA,
            )
        else:
            yield ok(f"{told} restores to TXID {reach}")


def _ownership(config: Config) -> Iterator[Finding]:
    """Is this still the clinic's machine?"""
    if (owner := read_superseded(config.node.state_dir)) is not None:
        yield of_error(owner.refusal())


def _destinations(config: Config) -> Iterator[Finding]:
    """As the replicator sees them, where it runs; else each is connected to now, and nothing is made there."""
    if not config.replica.destination:
        yield warn("no destination: nothing leaves this machine, and its loss is the clinic's", "add one to [replica]")
        return
    node = status_reader(config, SystemClock())()
    seen = {entry["name"]: entry for entry in node.replica["destinations"]}
    for destination in config.replica.destination:
        entry = seen.get(destination.name)
        if node.services.get("replica") is ServiceState.OK and entry is not None:
            if entry["state"] in ("unreachable", "refused"):
                yield fail(
                    f"{destination.name} is {entry['state']}",
                    "edge-node replica status says why",
                    ExitCode.REPLICA,
                    code=f"destination-{entry['state']}",
                )
            else:
                yield ok(f"{destination.name} is {entry['state']}")
        else:
            yield from _connected(config, destination)


def _connected(config: Config, wanted: Destination) -> Iterator[Finding]:
    async def connect() -> None:
        destination = configured(wanted, Sealer(()), state_dir=config.node.state_dir)
        try:
            await destination.open_to_read()
        finally:
            await destination.close()

    folder = wanted.folder
    if folder is not None and not folder.exists():
        yield ok(f"{wanted.name}: {folder} is not there yet; the replicator makes it at its first start")
        return
    try:
        asyncio.run(connect())
    except EdgeError as error:
        yield of_error(error)
    else:
        yield ok(f"{wanted.name} answers")


def _identity(config: Config) -> Iterator[Finding]:
    """Can the node open what it ships, so that it can prove it?"""
    if config.replica.plain or not config.replica.encrypt_to:
        return
    try:
        own = str(read_identity(credential_path(NODE_IDENTITY, state_dir=config.node.state_dir)).to_public())
    except EdgeError as error:
        yield of_error(error)
        return
    others = [recipient for recipient in config.replica.encrypt_to if recipient != own]
    if len(others) == len(config.replica.encrypt_to):
        yield warn(
            "copies are not sealed to this node's own identity: it cannot drill them by itself",
            "edge-node replica identity prints its recipient; add it to replica.encrypt_to",
        )
    if not others:
        yield fail(
            "copies are sealed to this machine's identity alone: when it is lost, so is every copy",
            "add the recipient of an identity that lies in the safe to replica.encrypt_to",
            ExitCode.REPLICA,
        )
    else:
        which = "one identity that is" if len(others) == 1 else f"{len(others)} identities that are"
        yield ok(f"copies open with {which} not on this machine")


def _kit(config: Config) -> Iterator[Finding]:
    """Could another machine take its place?"""
    if config.replica.plain and config.replica.destination:
        yield warn(
            "no recovery kit is shipped: replica.plain leaves its secrets without a seal",
            "keep copies of the configuration and of credentials/data-key and his-secret elsewhere",
        )
    for destination in config.replica.destination:
        record = ShippingRecord(config.node.state_dir / "shipping" / f"{destination.name}.json")
        if record.kit_number is not None:
            yield ok(f"{destination.name} holds recovery kit {record.kit_number}")
        elif record.is_known and not config.replica.plain:
            yield warn(
                f"{destination.name} holds no recovery kit yet",
                "edge-node replica status says why; the replicator ships it when it connects",
            )


def _drills(config: Config) -> Iterator[Finding]:
    """Was each copy restored lately, to prove it?"""
    record, late_s = read_record(record_path(config.node.state_dir)), EVERY_S[Proof.DRILL] + GRACE_S[Proof.DRILL]
    for destination in config.replica.destination:
        shipped = ShippingRecord(config.node.state_dir / "shipping" / f"{destination.name}.json")
        drill = record["destinations"].get(destination.name, {}).get("drill")
        drills = f"edge-node replica drill --from {destination.name}"
        if drill is None:
            if shipped.is_known:
                yield warn(f"{destination.name} was never restored to prove it", drills)
        elif not drill["ok"]:
            yield fail(
                f"the last drill of {destination.name} failed ({drill['outcome']})", drills, ExitCode.REPLICA,
                evidence=f"at {drill['at']}", code="drill-failed",
            )  # fmt: skip
        elif SystemClock().wall_ms() - parse_utc(drill["at"]) > late_s * 1000:
            yield warn(f"{destination.name} was last restored to prove it on {drill['at'][:10]}", drills)
        else:
            yield ok(f"{destination.name} was restored to prove it on {drill['at'][:10]}")


def _anchors(config: Config) -> Iterator[Finding]:
    """Was the head of the audit log noted lately, and is the log as it was noted?"""
    number, his = current_epoch(config.node.state_dir), db_path(config.node.state_dir, "his")
    for destination in config.replica.destination:
        name = destination.name
        record = ShippingRecord(config.node.state_dir / "shipping" / f"{name}.json")
        noted, doubted = (one if one and one.epoch == number else None for one in (record.noted, record.contradicted))
        compared = log_beside(his, [one for one in (doubted, noted) if one])
        if (bad := compared.contradicted if compared else doubted) is not None:
            yield fail(
                f"the audit log is not as it was noted at {name} on {bad.at} (row {bad.seq})",
                f"edge-node audit verify --against {name} says from which row on; change nothing before",
                ExitCode.DATA, evidence="it was written anew, or an older database was put in its place",
                code="audit-contradicted",
            )  # fmt: skip
        elif noted is None:
            if record.is_known and newest_row(his) is not None:
                yield warn(
                    f"the head of the audit log was not noted at {name} yet",
                    "edge-node replica status: it is noted as soon as the destination has everything",
                )
        elif SystemClock().wall_ms() - parse_utc(noted.at) > ANCHOR_LATE_S * 1000:
            yield warn(
                f"the head of the audit log was last noted at {name} on {noted.at[:10]}: what was written since could "
                "be written anew unseen",
                "edge-node replica status: it is noted once a day, as soon as the destination has everything",
            )
        else:
            yield ok(f"the head of the audit log was noted at {name} on {noted.at[:10]}")


LOOKS: tuple[Look, ...] = (_replica, _ownership, _destinations, _identity, _kit, _anchors, _drills)
