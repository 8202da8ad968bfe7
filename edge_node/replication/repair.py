"""What a look has found missing or damaged at a destination is shipped again, where the local replica still has it.

The copy in question must be this machine's own, of its present epoch. What is sent lies at or below the frontier, or
fills a hole from below, one after another: whatever breaks off in between leaves no more unrestorable than before.

A damaged object is put anew under its name: that takes no right to delete. Where a store refuses even that (a policy
against overwriting), a newer snapshot is sent: restores of later states then pass the damaged one by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edge_node.base.errors import ReplicaError
from edge_node.base.logs import event
from edge_node.replication import ltx
from edge_node.replication.bandwidth import Lane
from edge_node.replication.claims import highest_epoch, read_claim
from edge_node.replication.destination import CopyState, Destination, DestinationFailed, object_key
from edge_node.replication.epoch import Epoch
from edge_node.replication.ltx import LtxFile, local_path
from edge_node.replication.shipping_plan import cheapest_chain
from edge_node.replication.source import DestinationSource, place
from edge_node.replication.verify import Fault, Finding

SHIPPED_AGAIN = "shipped again"
# What an object of these is replaced by one of the same name.
DAMAGED = (Fault.SIZE, Fault.UNSOUND, Fault.TIME)


async def may_repair(destination: Destination, node_id: str, epoch: Epoch) -> bool:
    """Is this epoch of the destination this machine's, and the newest? Raises DestinationFailed."""
    if await highest_epoch(destination, node_id) != epoch.number:
        return False
    claim = await read_claim(destination, node_id, epoch.number)
    return claim is not None and claim.nonce == epoch.nonce


async def repair(
    source: DestinationSource, destination: Destination, here: Path, findings: Iterable[Finding]
) -> tuple[Finding, ...]:
    """The findings, those that were mended with what was done. `destination` seals, and is connected to ship.

    Raises DestinationFailed when it cannot be reached; what it refuses stays a finding.
    """
    found = list(findings)
    fill = _fill(source, found, await source.list(), here)
    done: list[Finding] = []
    for finding in found:
        if finding.fault is Fault.HOLE or (finding.fault is Fault.UNRESTORABLE and finding.file is None):
            done.append(await _send_all(source, destination, here, finding, fill))
        elif finding.file is None or not finding.is_here:
            done.append(finding)
        else:
            done.append(await _again(source, destination, here, finding, finding.file))
    return tuple(done)


def _fill(
    source: DestinationSource, findings: Sequence[Finding], listed: Iterable[LtxFile], here: Path
) -> tuple[LtxFile, ...]:
    """The local files that bring the destination from where a restore stops to the newest TXID."""
    bad = {finding.file for finding in findings if finding.fault in DAMAGED}
    reach = ltx.frontier([file for file in listed if file not in bad])
    return cheapest_chain(ltx.scan(here), reach)


async def _send_all(
    source: DestinationSource, destination: Destination, here: Path, finding: Finding, files: Sequence[LtxFile]
) -> Finding:
    if not finding.is_here or not files:
        return finding
    try:
        for file in files:
            key = object_key(source.prefix, file, destination.sealer.suffix)
            await destination.send(key, local_path(here, file), Lane.FRONTIER)
    except (FileNotFoundError, ValueError) as error:
        return replace(finding, text=f"{finding.text}; what covers it cannot be read here: {error}")
    return replace(finding, mended=f"{len(files)} files {SHIPPED_AGAIN}, up to TXID {files[-1].max_txid}")


async def _again(
    source: DestinationSource, destination: Destination, here: Path, finding: Finding, file: LtxFile
) -> Finding:
    keys = await source.keys([file]) if finding.fault in DAMAGED else {}
    key = keys.get(file, object_key(source.prefix, file, destination.sealer.suffix))
    here_file = replace(file, size_bytes=0)
    try:
        await destination.send(key, local_path(here, here_file), Lane.HISTORY, replace=finding.fault in DAMAGED)
    except (FileNotFoundError, ValueError) as error:
        return replace(finding, is_here=False, text=f"{finding.text}; the local replica's cannot be read: {error}")
    except DestinationFailed as error:
        if error.state is not CopyState.REFUSED:
            raise
        return await _passed_by(source, destination, here, finding, file, error)
    event("object_shipped_again", level="warning", destination=destination.name, object=key, fault=finding.fault)
    return replace(finding, mended=SHIPPED_AGAIN)


async def _passed_by(
    source: DestinationSource,
    destination: Destination,
    here: Path,
    finding: Finding,
    file: LtxFile,
    refusal: ReplicaError,
) -> Finding:
    """It may not be replaced: is there a newer snapshot that makes it needless for what comes after?"""
    why = f"the destination lets nobody replace it ({refusal.context or refusal.message})"
    snapshots = [known for known in ltx.scan(here) if known.is_snapshot and known.max_txid > file.max_txid]
    if not snapshots:
        return replace(finding, text=f"{finding.text}; {why}; the next snapshot will make it needless")
    newest = snapshots[-1]
    key = object_key(source.prefix, newest, destination.sealer.suffix)
    await destination.send(key, local_path(here, newest), Lane.SNAPSHOT)
    event("snapshot_passes_damage_by", level="warning", destination=destination.name, object=key, damaged=place(file))
    return replace(
        finding,
        is_passed_by=True,
        mended=f"{why}; snapshot {newest.name} was sent, from which states from TXID {newest.max_txid} on restore",
    )
