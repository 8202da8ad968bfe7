"""Is a recovery kit the clinic's? It is sealed, not signed: who knows a recipient can put one where the copies lie.

What a kit brings becomes the configuration and the secrets of the new machine. So it must fit what nobody else can
make: the ID numbers in the database, sealed under the clinic's data key. And a person sees where all of it will go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edge_node.base.errors import ConfigError, ReplicaError, StoreError
from edge_node.config.load import parse
from edge_node.config.schema import Config
from edge_node.his.cipher import Cipher
from edge_node.his.patients.records import PURPOSE
from edge_node.replication.claims import read_claim
from edge_node.replication.destination import Destination
from edge_node.replication.epoch import is_proven
from edge_node.replication.kit import Kit, credential_names
from edge_node.replication.sealing import Identity
from edge_node.replication.source import NoCopy, find_source
from edge_node.store.connection import DatabaseError, connect_reader

# One that is damaged accuses nobody; so many of which none opens do.
LOOKED_INTO = 20


def foreign_names(kit: Kit, config: Config) -> list[str]:
    """The credentials in it that no node puts into a kit: the identity of a machine, a key to a store. Pure."""
    return sorted(set(kit.credentials) - set(credential_names(config)))


def told(kit: Kit, config: Config, identity: Identity) -> Iterator[str]:
    """Who will read what this machine ships, and where it will send: sentences for the person who promotes. Pure."""
    recipients, own = config.replica.encrypt_to, str(identity.to_public())
    if recipients and own not in recipients:
        yield "the identity that was given is none that its configuration seals to: it opens nothing shipped from here"
    for stranger in recipients:
        if stranger not in (own, kit.node_recipient):
            yield f"its configuration also seals every copy to {stranger}: whose is it? Who holds that reads them all"
    places = [f"{one.name} ({one.url})" for one in config.replica.destination]
    places += [f"{one.name} ({one.url})" for one in config.upstream]
    if config.monitor.remote_write is not None:
        places.append(config.monitor.remote_write.url)
    yield f"it will send to {', '.join(places) or 'nobody'}"


def not_ours(kit: Kit, config: Config, key: bytes | None) -> str | None:
    """What in it is not of this node, in words; None where nothing tells against it. `key` is the node's. Pure."""
    theirs = kit.credentials.get("data-key", "").strip().lower()
    if key is not None and theirs and theirs != key.hex():
        return "holds another data key than this node"
    try:
        sealed_to = parse(kit.configuration, home=config.node.state_dir).replica.encrypt_to
    except ConfigError:
        return "holds a configuration that is wrong"
    strangers = set(sealed_to) - {*config.replica.encrypt_to, kit.node_recipient}
    return f"would have every copy sealed to {min(strangers)} as well" if strangers else None


async def unproven_epoch(origin: Destination, node_id: str, key: bytes | None) -> int | None:
    """The epoch that would be restored, where its claim is not proven with the clinic's data key; None where it is.

    Raises DestinationFailed.
    """
    try:
        source = await find_source(origin, database="his", node_id=node_id, identity=None)
    except NoCopy:
        return None  # The restore says so.
    claim = await read_claim(origin, node_id, source.epoch)
    is_proven_so = claim is not None and (key is None or is_proven(claim, key))
    return None if is_proven_so else source.epoch


def check_key(his: Path, key: bytes, kit: Kit) -> None:
    """Does the data key open the ID numbers of the restored database? Raises ReplicaError promotion-impossible.

    Where there are none yet, nothing can be said.
    """
    with contextlib.closing(connect_reader(his)) as conn:
        try:
            rows = conn.execute(
                "SELECT id_number_sealed FROM patient WHERE id_number_sealed IS NOT NULL ORDER BY rowid DESC LIMIT ?",
                (LOOKED_INTO,),
            ).fetchall()
        except DatabaseError:
            return  # Of another version: whether this program can use it is asked elsewhere.
    if rows and not any(_opens(key, bytes(row[0])) for row in rows):
        raise ReplicaError(
            "promotion-impossible",
            f"recovery kit {kit.number} is not this clinic's: its data key opens no ID number of the restored database",
            context=f"made by {kit.machine} at {kit.made_at}; {len(rows)} were tried; nothing was claimed",
            hint="move that kit away from the copies and promote again: the one before it is used then",
        )


def _opens(key: bytes, sealed: bytes) -> bool:
    try:
        Cipher(key).open(sealed, purpose=PURPOSE)
    except (StoreError, ValueError):  # A key of another length is another key.
        return False
    return True
