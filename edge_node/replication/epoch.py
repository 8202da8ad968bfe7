"""Epochs: the era of one machine. Only its owner writes below its prefix, and all that belongs to it changes together.

An epoch has a number, a metadata folder and a local replica folder for each database, a prefix at each destination, and
a nonce by which this machine knows its own claim again. A claim is one object per epoch, made by conditional create and
never changed; the highest number owns the clinic. Two machines below one prefix destroy the replica without a warning.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import secrets
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge_node.base.clock import utc_text
from edge_node.base.errors import ReplicaError
from edge_node.base.files import atomic_write

FIRST_EPOCH = 1
_FOLDER = re.compile(r"e(\d{4,})")
CLAIM_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch as this machine holds it. `nonce` tells its claim from another machine's.

    `from_txid` of `from_epoch` is the change of `his` that it goes on from; None where it began with nothing before it.
    `from_nonce` says whose epoch that was: two machines may have had the same number. `claimed_at` is when it was
    claimed first; each of its claims says so.
    """

    number: int
    nonce: str
    from_epoch: int | None = None
    from_txid: int | None = None
    from_nonce: str | None = None
    claimed_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who writes an epoch, since when, and from which TXID of `his` (in `from_epoch`); the content of its object.

    `proof` shows that whoever made it has the clinic's data key: a store, which can put any object, cannot make a
    machine believe that it was replaced. `from_nonce` is that of the claim to `from_epoch`, None where it is not known.
    """

    schema: int
    node: str
    epoch: int
    machine: str
    claimed_at: str
    from_txid: int
    nonce: str
    from_epoch: int | None = None
    reason: str = ""
    from_nonce: str | None = None
    proof: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode() + b"\n"


def folder_name(number: int) -> str:
    """`e0001`: the folder of an epoch, at home and at a destination."""
    return f"e{number:04d}"


def parse_folder(name: str) -> int | None:
    """The number of an epoch's folder; None for every other name."""
    match = _FOLDER.fullmatch(name)
    return int(match[1]) if match else None


def meta_path(state_dir: Path, number: int, database: str) -> Path:
    """Where Litestream keeps its metadata of a database in this epoch."""
    return state_dir / "litestream" / folder_name(number) / database


def replica_path(replica_local: Path, number: int, database: str) -> Path:
    """The local replica of a database in this epoch."""
    return replica_local / folder_name(number) / database


def current_epoch(state_dir: Path) -> int:
    """The number of this machine's epoch: the highest that has a metadata folder, the first where none has."""
    try:
        entries = list((state_dir / "litestream").iterdir())
    except FileNotFoundError:
        return FIRST_EPOCH
    return max((number for entry in entries if (number := parse_folder(entry.name))), default=FIRST_EPOCH)


def make_epoch(state_dir: Path, replica_local: Path, number: int, *, new: Epoch | None = None) -> Epoch:
    """Make the folders and the nonce of an epoch, or read them where they are; from then on it is the current one.

    `new` is what it is to be where it does not exist yet (a promotion has its nonce before).

    Raises ReplicaError epoch-unreadable when its nonce cannot be read: then nobody may guess whether a claim is ours.
    """
    litestream = state_dir / "litestream"
    litestream.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = litestream / folder_name(number)
    record = folder / "epoch.json"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Where its disk is out, or cannot be written, the supervisor makes it as soon as it can, and says so until then.
    with contextlib.suppress(OSError):
        replica_local.mkdir(mode=0o700, parents=True, exist_ok=True)
        (replica_local / folder_name(number)).mkdir(mode=0o700, exist_ok=True)
    if not record.exists():
        made = new or Epoch(number=number, nonce=new_nonce())
        document = {"epoch": number, **{key: value for key, value in asdict(made).items() if key != "number"}}
        atomic_write(record, json.dumps(document).encode(), mode=0o600)
    try:
        document = json.loads(record.read_bytes())
        return Epoch(
            number=int(document["epoch"]),
            nonce=str(document["nonce"]),
            from_epoch=_maybe_int(document.get("from_epoch")),
            from_txid=_maybe_int(document.get("from_txid")),
            from_nonce=_maybe_text(document.get("from_nonce")),
            claimed_at=_maybe_text(document.get("claimed_at")),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ReplicaError(
            "epoch-unreadable",
            f"{record} is not what this program wrote there",
            context=f"{type(error).__name__}: {error}",
            hint="restore the file from a copy of the state folder; without it the epoch cannot be proven to be ours",
        ) from error


def new_nonce() -> str:
    """What tells one machine's claim from another's."""
    return secrets.token_hex(16)


def _maybe_int(raw: object) -> int | None:
    return None if raw is None else int(str(raw))


def _maybe_text(raw: object) -> str | None:
    return None if raw is None else str(raw)


def claims_prefix(node_id: str) -> str:
    """Where the claims of a clinic lie."""
    return f"{node_id}/claims"


def claim_key(node_id: str, number: int) -> str:
    """The object of one epoch's claim."""
    return f"{claims_prefix(node_id)}/{folder_name(number)}.json"


def probe_key(node_id: str) -> str:
    """The object by which a store shows whether it heeds "only where there is none"; it stays, and is no claim."""
    return f"{claims_prefix(node_id)}/probe.json"


def make_claim(
    epoch: Epoch, *, node_id: str, from_txid: int, now_ms: int, reason: str = "", key: bytes | None = None
) -> Claim:
    """This machine's claim to its epoch, proven with the clinic's data key where it has one.

    `from_txid` is for an epoch that does not say itself what it goes on from.
    """
    claim = Claim(
        schema=CLAIM_SCHEMA,
        node=node_id,
        epoch=epoch.number,
        machine=socket.gethostname(),
        claimed_at=epoch.claimed_at or utc_text(now_ms),
        from_txid=from_txid if epoch.from_txid is None else epoch.from_txid,
        nonce=epoch.nonce,
        from_epoch=epoch.from_epoch,
        reason=reason,
        from_nonce=epoch.from_nonce,
    )
    return claim if key is None else replace(claim, proof=_proof(claim, key))


def is_proven(claim: Claim, key: bytes) -> bool:
    """Was it made with this data key?"""
    return hmac.compare_digest(claim.proof, _proof(claim, key))


def _proof(claim: Claim, key: bytes) -> str:
    fields = asdict(replace(claim, proof=""))
    if claim.from_nonce is None:
        del fields["from_nonce"]  # As the claims were that know of none: their proofs hold.
    said = json.dumps(fields, ensure_ascii=False, sort_keys=True).encode()
    return hmac.new(key, b"edge-node claim\0" + said, hashlib.sha256).hexdigest()


def parse_claim(body: bytes) -> Claim:
    """A claim as read from a destination. Raises ValueError when it is not one."""
    try:
        raw = json.loads(body)
        return Claim(
            schema=int(raw["schema"]),
            node=str(raw["node"]),
            epoch=int(raw["epoch"]),
            machine=str(raw["machine"]),
            claimed_at=str(raw["claimed_at"]),
            from_txid=int(raw["from_txid"]),
            nonce=str(raw["nonce"]),
            from_epoch=_maybe_int(raw.get("from_epoch")),
            reason=str(raw.get("reason", "")),
            from_nonce=_maybe_text(raw.get("from_nonce")),
            proof=str(raw.get("proof", "")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a claim: {error!r}") from error


def claimed_epochs(keys: list[str]) -> list[int]:
    """The numbers of the epochs that these claim objects claim, ascending."""
    numbers = (parse_folder(key.rsplit("/", 1)[-1].removesuffix(".json")) for key in keys if key.endswith(".json"))
    return sorted(number for number in numbers if number)
