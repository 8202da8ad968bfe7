"""The recovery kit: what a new machine needs beside the databases; `<node id>/kit/<n>.age` at each destination.

A kit is never replaced: each change of anything in it makes the next number, so that it needs no right to delete and an
older one is there when the newest is damaged. It is sealed to the clinic's recipients and to nobody else.

Schema 1, JSON:

    {"schema": 1, "number", "node", "name", "code", "epoch", "machine", "program", "made_at",
     "configuration": the file as it stands, "node_recipient": the node's own recipient or null,
     "credentials": {"data-key", "his-secret", and a certificate and key that were given to the HIS},
     "authority": the clinic's own certificate authority, {"certificate", "key"}, or null, "lacks": [names]}

A certificate that the node issues itself is not in it: the new machine issues its own, by the authority that every
computer of the clinic trusts already.

What is not in it, on purpose: the recovery identity, which opens it and would be locked inside; the node's own
identity, which is made anew; the keys of destinations and upstreams, which belong to a machine: those of a machine that
is gone are to be withdrawn, and whoever holds kit and recovery identity shall read the copies, not write among them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyrage

from edge_node import __version__
from edge_node.base.clock import utc_text
from edge_node.base.errors import ReplicaError
from edge_node.base.systemd import credential_path
from edge_node.config.schema import Config
from edge_node.replication.destination import Destination
from edge_node.replication.sealing import SUFFIX, Identity, read_identity

KIT_SCHEMA = 1
# Without these the databases are there, and half of what is in them cannot be read.
NEEDED = ("data-key", "his-secret")
NODE_IDENTITY = "node-identity"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
# The clinic's certificate authority as credentials, by their names in the kit.
AUTHORITY = {"certificate": "ca-cert", "key": "ca-key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The content of a recovery kit. `lacks` names credentials that could not be read when it was made."""

    schema: int
    number: int
    node: str
    name: str
    code: str
    epoch: int
    machine: str
    program: str
    made_at: str
    configuration: str
    node_recipient: str | None
    credentials: Mapping[str, str]
    authority: Mapping[str, str] | None
    lacks: tuple[str, ...]

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode() + b"\n"

    def digest(self) -> str:
        """Equal for kits that would restore the same."""
        same = replace(self, number=0, made_at="", program="")
        return hashlib.sha256(same.to_json()).hexdigest()


def parse_kit(body: bytes) -> Kit:
    """A kit as it was made. Raises ValueError for what is none, or of a schema that this program does not know.

    Whoever knows a recipient can seal a kit: a name in it becomes that of a file, and must not lead anywhere else.
    """
    try:
        raw: dict[str, Any] = json.loads(body)
        if raw["schema"] != KIT_SCHEMA:
            raise ValueError(f"a kit of schema {raw['schema']}; this program knows {KIT_SCHEMA}")
        kit = Kit(**{**raw, "lacks": tuple(raw["lacks"]), "credentials": dict(raw["credentials"])})
        texts = (kit.node, kit.code, kit.configuration, *kit.credentials.values(), *(kit.authority or {}).values())
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a recovery kit: {error!r}") from error
    if not all(isinstance(value, str) for value in texts):
        raise ValueError("not a recovery kit: a value is no text")
    if foreign := [name for name in kit.credentials if not _NAME.fullmatch(name)]:
        raise ValueError(f"not a recovery kit: {foreign[0]!r} is no name of a credential")
    return kit


def credential_names(config: Config) -> list[str]:
    """The credentials of a node of this configuration that belong into its kit, and no others."""
    tls = config.his.tls
    return [*NEEDED] if tls is None or tls.issue else [*NEEDED, tls.certificate, tls.key]


def make_kit(config: Config, configuration: str, *, epoch: int, now_ms: int) -> Kit:
    """The kit of this node as it is now; `configuration` is the text of its file. Reads the credentials."""
    names, tls = credential_names(config), config.his.tls
    found = _read(names, config.node.state_dir)
    authority = _read(AUTHORITY.values(), config.node.state_dir)
    lacks = [name for name in names if name not in found]
    if authority or (tls is not None and tls.issue):
        lacks += [name for name in AUTHORITY.values() if name not in authority]
    return Kit(
        schema=KIT_SCHEMA,
        number=0,
        node=config.node.id,
        name=config.node.name,
        code=config.node.code,
        epoch=epoch,
        machine=socket.gethostname(),
        program=__version__,
        made_at=utc_text(now_ms),
        configuration=configuration,
        node_recipient=_node_recipient(config.node.state_dir),
        credentials=found,
        authority={part: authority[name] for part, name in AUTHORITY.items()} if len(authority) == 2 else None,
        lacks=tuple(lacks),
    )


def _read(names: Iterable[str], state_dir: Path) -> dict[str, str]:
    """The credentials of these names that can be read."""
    found: dict[str, str] = {}
    for name in names:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found[name] = credential_path(name, state_dir=state_dir).read_text(encoding="utf-8")
    return found


def _node_recipient(state_dir: Path) -> str | None:
    try:
        return str(read_identity(credential_path(NODE_IDENTITY, state_dir=state_dir)).to_public())
    except ReplicaError:
        return None


def kit_key(node_id: str, number: int) -> str:
    return f"{node_id}/kit/{number}{SUFFIX}"


def kit_number(key: str) -> int | None:
    """The number of the kit in this object; None for every other object."""
    *_, folder, name = ("", *key.split("/"))
    stem = name.removesuffix(SUFFIX)
    return int(stem) if folder == "kit" and name.endswith(SUFFIX) and stem.isdecimal() else None


async def kit_numbers(destination: Destination, node_id: str) -> list[int]:
    """The kits of a clinic, ascending. Raises DestinationFailed."""
    listed = await destination.list(f"{node_id}/kit")
    return sorted(number for item in listed if (number := kit_number(item.key)) is not None)


async def ship_kit(destination: Destination, kit: Kit) -> int:
    """Put a kit under the next number; which one it became. Raises DestinationFailed."""
    number = max(await kit_numbers(destination, kit.node), default=0)
    while True:
        number += 1
        body = destination.sealer.seal(replace(kit, number=number).to_json())
        # A name that was taken meanwhile, or by a try of ours whose answer was lost, is left as it is.
        if await destination.put_new(kit_key(kit.node, number), body):
            return number


async def read_kit(destination: Destination, identities: Sequence[Identity], *, node_id: str) -> Kit | None:
    """The newest kit that one of the identities opens, at an opened destination; None where there is no kit.

    Raises DestinationFailed, and ReplicaError kit-unreadable when there are kits and none can be opened.
    """
    numbers = await kit_numbers(destination, node_id)
    refusals: list[str] = []
    for number in reversed(numbers):
        body = await destination.read(kit_key(node_id, number))
        try:
            return parse_kit(pyrage.decrypt(body or b"", list(identities)))
        except (pyrage.DecryptError, ValueError) as error:
            refusals.append(f"kit {number}: {error}")
    if not numbers:
        return None
    raise ReplicaError(
        "kit-unreadable",
        f"no recovery kit of {node_id} at {destination.name} can be opened",
        context="\n".join(refusals[:5]),
        hint="is it the identity of this clinic? try the recovery identity from the safe, or another destination",
    )
