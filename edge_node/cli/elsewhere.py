"""What the clinic's other destinations say while a machine is promoted from one of them: who owns it, who has more."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from edge_node.base.errors import ReplicaError
from edge_node.base.logs import event
from edge_node.config.schema import Config
from edge_node.replication.claims import highest_epoch
from edge_node.replication.destination import Destination
from edge_node.replication.restore_points import plan
from edge_node.replication.sealing import Sealer
from edge_node.replication.source import find_source
from edge_node.services.destinations import configured


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a restore of the clinical database from a destination comes."""

    name: str
    url: str
    epoch: int
    txid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """`highest` is the highest epoch that another destination knows of, 0 for none. `unasked` said nothing.

    `ahead` holds changes of the epoch that is taken over which the origin lacks.
    """

    highest: int = 0
    unasked: tuple[str, ...] = ()
    ahead: tuple[Reach, ...] = ()


async def look_elsewhere(origin: Destination, config: Config) -> Elsewhere:
    """Ask every other destination of the configuration that can be reached; `origin` is open.

    Most often they cannot, for want of a key: those belong to a machine. Two that are promoted through different
    destinations at once find each other later (`replication/contest.py`); who asks first avoids that.
    """
    highest, unasked, reaches = 0, [], []
    for wanted in config.replica.destination:
        if wanted.url == origin.url:
            continue
        try:
            other = configured(wanted, Sealer(()), state_dir=config.node.state_dir)
            try:
                await other.open_to_read()
                highest = max(highest, await highest_epoch(other, config.node.id))
                reaches.append(await _reach(other, config))
            finally:
                await other.close()
        except (ReplicaError, OSError) as error:
            event("destination_not_asked", destination=wanted.name, why=error)
            unasked.append(wanted.name)
    here = await _reach(origin, config)
    ahead = [one for one in reaches if one and here and one.epoch == here.epoch and one.txid > here.txid]
    return Elsewhere(highest=highest, unasked=tuple(unasked), ahead=tuple(ahead))


async def _reach(destination: Destination, config: Config) -> Reach | None:
    """None where it holds nothing."""
    with contextlib.suppress(ReplicaError):
        source = await find_source(
            destination, database="his", node_id=config.node.id, identity=None, takes_unsealed=config.replica.plain
        )
        chain, _ = plan(await source.list())
        if chain:
            return Reach(name=destination.name, url=destination.url, epoch=source.epoch, txid=chain[-1].max_txid)
    return None
