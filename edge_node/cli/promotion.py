"""What `replica promote` does, step by step, on a machine that has nothing.

Look at everything first and say all that is wrong at once; restore and verify beside the places; only then claim the
epoch, since the claim stops the old machine; then put everything into place, the clinical database last.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyrage

from edge_node.base.clock import SystemClock, clock_state, kernel_synchronised, utc_text
from edge_node.base.errors import Problem, ReplicaError
from edge_node.base.files import atomic_write
from edge_node.base.logs import event
from edge_node.cli.elsewhere import Elsewhere, Reach, look_elsewhere
from edge_node.cli.init import STATE_FOLDERS
from edge_node.cli.kit_trust import check_key, foreign_names, unproven_epoch
from edge_node.cli.ownership import hand_over
from edge_node.config.load import parse
from edge_node.config.schema import Config
from edge_node.his import audit
from edge_node.his.language import local
from edge_node.his.numbering import skip_queue_numbers
from edge_node.replication import promotion as promotions
from edge_node.replication.claims import heeds_conditions, highest_epoch, read_claim
from edge_node.replication.destination import Destination, database_prefix
from edge_node.replication.epoch import Claim, folder_name, make_epoch
from edge_node.replication.kit import AUTHORITY, NEEDED, NODE_IDENTITY, Kit, kit_numbers, read_kit
from edge_node.replication.progress import Told, nobody
from edge_node.replication.promotion import Promotion, promotion_path, read_promotion, write_promotion
from edge_node.replication.restore import restore
from edge_node.replication.restored import Restored
from edge_node.replication.sealing import Identity
from edge_node.replication.source import find_source
from edge_node.status.superseded import superseded_path
from edge_node.store.connection import connect, transaction
from edge_node.store.copies import sync
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.failures import store_errors
from edge_node.store.migrate import create_database, pending

# Called with the name of each step that is done.
Done = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for. Either `home` or `config_path` says where the node is to live."""

    origin: Destination
    identity: Identity
    node_id: str | None
    home: Path | None
    config_path: Path
    credential: Path | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was looked at before anything is changed. `conditional` is None where it was not tried.

    `newer_elsewhere` is an epoch of another destination that this one does not know of; `unasked` are those that said
    nothing, `ahead` those that hold more of the same epoch. `unproven` is the epoch that would be restored, where
    nobody has proven that it is the clinic's.
    """

    kit: Kit
    config: Config
    promotion: Promotion
    is_begun: bool
    conditional: bool | None
    newer_elsewhere: int | None = None
    unasked: tuple[str, ...] = ()
    ahead: tuple[Reach, ...] = ()
    unproven: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """What was done, for the person who must go on."""

    kit: Kit
    config: Config
    claim: Claim
    restored: Restored | None
    made_anew: tuple[str, ...]
    identity_is_new: bool


async def look(wish: Wish, *, tries_conditions: bool) -> Found:
    """Everything that can be wrong, before anything is changed. Raises ReplicaError promotion-impossible and others.

    `tries_conditions`: find out whether the store heeds conditions, which puts a small object there.
    """
    await wish.origin.open_to_read()
    node_id = wish.node_id or await _only_node(wish.origin)
    kit = await read_kit(wish.origin, [wish.identity], node_id=node_id)
    if kit is None:
        raise ReplicaError(
            "kit-missing",
            f"{wish.origin.name} holds no recovery kit of {node_id}",
            context="without it there is no data key: half of what the database holds could not be read",
            hint="try another destination; edge-node replica restore makes at least the database",
        )
    config = parse(kit.configuration, source=f"the configuration in recovery kit {kit.number}", home=wish.home)
    state_dir = config.node.state_dir
    begun = read_promotion(state_dir)
    problems = _problems(wish, kit, config, is_begun=begun is not None)
    if problems:
        raise ReplicaError(
            "promotion-impossible",
            f"this machine cannot become {kit.node}; nothing was changed",
            context=None,
            hint=_mend(wish, kit, state_dir),
            problems=problems,
        )
    at = utc_text(SystemClock().wall_ms())
    others = Elsewhere() if begun else await look_elsewhere(wish.origin, config)
    is_newer = others.highest > await highest_epoch(wish.origin, kit.node)
    promotion = begun or await promotions.begin(wish.origin, kit.node, reason=wish.reason, at=at, above=others.highest)
    conditional = await heeds_conditions(wish.origin, kit.node) if tries_conditions else None
    unproven = await unproven_epoch(wish.origin, kit.node, _data_key(kit, state_dir))
    return Found(kit=kit, config=config, promotion=promotion, is_begun=begun is not None, conditional=conditional,
                 newer_elsewhere=others.highest if is_newer else None, unasked=others.unasked,
                 ahead=others.ahead, unproven=unproven)  # fmt: skip


async def _only_node(origin: Destination) -> str:
    """The clinic whose kits lie there. Raises ReplicaError when there is none, or more than one."""
    nodes = [node for node in sorted(await origin.folders("")) if await kit_numbers(origin, node)]
    if len(nodes) == 1:
        return nodes[0]
    raise ReplicaError(
        "kit-missing",
        f"{origin.name} holds " + (f"the kits of several clinics: {', '.join(nodes)}" if nodes else "no recovery kit"),
        context=f"looked below {origin.url}",
        hint="say whose: --node ID" if nodes else "is it the right address? a clinic's folder holds kit/",
    )


def _mend(wish: Wish, kit: Kit, state_dir: Path) -> str:
    again = "mend these, and promote again; a promotion never overwrites anything"
    if not (db_path(state_dir, "his").exists() and wish.config_path.exists()):
        return again
    where = f"--home {wish.home}" if wish.home else f"--config {wish.config_path}"
    return f"edge-node status {where} says whether this machine is {kit.node} already; else {again}"


def _problems(wish: Wish, kit: Kit, config: Config, *, is_begun: bool) -> list[Problem]:
    state_dir, found = config.node.state_dir, []

    def wrong(path: Path | str, text: str) -> None:
        found.append(Problem(path=str(path), text=text))

    if kit.node != config.node.id:
        wrong("the recovery kit", f"is of {kit.node}, its configuration of {config.node.id}")
    for name in NEEDED:
        if name not in kit.credentials and not (state_dir / "credentials" / name).exists():
            wrong("the recovery kit", f"lacks {name}: put it into {state_dir / 'credentials' / name}")
    try:
        _data_key(kit, state_dir)
    except ValueError:
        wrong("the recovery kit", "holds a data key that is none: who made it?")
    for name in foreign_names(kit, config):
        wrong("the recovery kit", f"holds {name}, which no node puts into a kit: who made it?")
    if wish.credential is not None and not wish.credential.is_file():
        wrong(wish.credential, "is not there")
    if superseded_path(state_dir).exists():
        wrong(superseded_path(state_dir), "this machine was replaced: move its state folder away")
    if not is_begun:
        taken = [db_path(state_dir, name) for name in DATABASES]
        taken += [state_dir / "litestream", wish.config_path]
        for path in taken:
            # An installation has made its folders already: empty ones are nobody's.
            if any(path.iterdir()) if path.is_dir() else path.exists():
                wrong(path, "exists: a node lives here, or lived here; move it away")
        if any(config.replica.local.glob("e*/*/ltx/*/*.ltx")):
            wrong(config.replica.local, "holds a local replica: move it away, or restore from it (edge-node db ensure)")
    for path in (state_dir, wish.config_path):
        if not os.access(_nearest(path), os.W_OK):
            wrong(path, f"cannot be written by user {os.geteuid()}")
    return found


def _nearest(path: Path) -> Path:
    return path if path.exists() else _nearest(path.parent)


async def promote(
    wish: Wish, found: Found, *, tell: Done = lambda _step: None, progress: Told = nobody
) -> Promoted:  # fmt: skip
    """Do it, or go on where a run that was killed has stopped; the end is the same. Raises EdgeError.

    `progress` is told how far each restore is.
    """
    kit, config, promotion = found.kit, found.config, found.promotion
    state_dir = config.node.state_dir
    _make_folders(wish, config)
    write_promotion(state_dir, promotion)
    tell("written-down")
    made = await promotions.own_claim(wish.origin, promotion)
    restored: dict[str, Restored | None] = {}
    for name in DATABASES:
        promotion, restored[name] = await _restore(wish, config, promotion, name, made, progress)
        tell(f"restored-{name}")
    key, beside = _data_key(kit, state_dir), _beside(state_dir, promotion, "his")
    if key is not None and beside.exists():
        check_key(beside, key, kit)
    _finish_his(beside, promotion, kit, wish.by)
    tell("finished-his")
    made = await promotions.claim(wish.origin, promotion, key=key, now_ms=SystemClock().wall_ms())
    event("epoch_claimed", epoch=made.epoch, destination=wish.origin.name, from_txid=made.from_txid)
    tell("claimed")
    is_new = _put_credentials(wish, kit, config)
    tell("credentials")
    if not wish.config_path.exists():
        atomic_write(wish.config_path, _configuration(kit, state_dir).encode())
    tell("configuration")
    claimed = replace(promotion.as_epoch(), claimed_at=made.claimed_at)
    make_epoch(state_dir, config.replica.local, promotion.epoch, new=claimed)
    hand_over(state_dir, config.replica.local, wish.config_path)
    tell("epoch")
    # The clinical one last: its presence says that the rest is there.
    for name in sorted(DATABASES, key=lambda name: name == "his"):
        _put_into_place(_beside(state_dir, promotion, name), db_path(state_dir, name))
        tell(f"placed-{name}")
    promotion_path(state_dir).unlink(missing_ok=True)
    sync(state_dir)
    event("promoted", node=kit.node, epoch=promotion.epoch, kit=kit.number)
    his = restored["his"]
    return Promoted(
        kit=kit,
        config=config,
        claim=made,
        restored=his and replace(his, path=db_path(state_dir, "his")),
        made_anew=tuple(name for name, done in restored.items() if done is None and name not in promotion.restored),
        identity_is_new=is_new,
    )


def _make_folders(wish: Wish, config: Config) -> None:
    state_dir = config.node.state_dir
    state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    wish.config_path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    for name in STATE_FOLDERS:
        (state_dir / name).mkdir(mode=0o700, exist_ok=True)


def _beside(state_dir: Path, promotion: Promotion, name: str) -> Path:
    """Where a restored database waits: a name of this promotion, so that no other's file is taken for it."""
    return db_path(state_dir, name).with_name(f".{name}.promoted-{promotion.nonce[:8]}.db")


async def _restore(
    wish: Wish, config: Config, promotion: Promotion, name: str, made: Claim | None, progress: Told
) -> tuple[Promotion, Restored | None]:
    """A verified database beside its place; after the claim exactly the state that the claim names."""
    state_dir = config.node.state_dir
    beside, place = _beside(state_dir, promotion, name), db_path(state_dir, name)
    if place.exists() or (beside.exists() and name in promotion.restored):
        return promotion, None
    for leftover in beside.parent.glob(f".{name}.promoted-*"):
        leftover.unlink()
    try:
        source = await find_source(wish.origin, database=name, node_id=promotion.node, identity=wish.identity)
        if name == "his" and made is not None and made.from_epoch is not None:
            source = replace(source, prefix=database_prefix(promotion.node, folder_name(made.from_epoch), name))
        txid = made.from_txid if made and name == "his" else None
        done = await restore(source, beside, txid=txid, tell=progress)
    except ReplicaError as error:
        if name == "his" or error.code != "restore-failed":
            raise
        # The history of lines and drills is not worth a clinic that stays closed.
        event("database_made_anew", level="warning", database=name, why=error.message)
        create_database(beside, DATABASES[name])
        return promotion, None
    if made is not None and name == "his" and done.txid != made.from_txid:
        beside.unlink()
        raise ReplicaError(
            "restore-failed",
            f"{source.name} restores TXID {done.txid}, and the claim that was made names TXID {made.from_txid}",
            context="an earlier run of this promotion claimed the epoch from there",
            hint="is the destination damaged since? Move this state folder away and promote again: to the next epoch",
        )
    pending(beside, DATABASES[name])  # A database newer than this program is refused before anything is claimed.
    promotion = replace(promotion, restored={**promotion.restored, name: (source.epoch, done.txid)})
    if name == "his" and (before := await read_claim(wish.origin, promotion.node, source.epoch)) is not None:
        promotion = replace(promotion, from_nonce=before.nonce)
    write_promotion(state_dir, promotion)
    return promotion, done


def _finish_his(path: Path, promotion: Promotion, kit: Kit, by: str) -> None:
    """The promotion in the audit log, and the day's queue numbers beyond those of the machine before; once."""
    if not path.exists():
        return  # It is in its place already.
    wall_ms = SystemClock().wall_ms()
    state = clock_state(wall_ms, synchronised=kernel_synchronised(), newest_record_ms=None)
    who = audit.Who(staff_id=None, station="edge-node replica promote", address=by)
    detail: dict[str, Any] = {
        "epoch": promotion.epoch, "from_epoch": promotion.restored["his"][0], "from_txid": promotion.restored["his"][1],
        "kit": kit.number, "reason": promotion.reason, "nonce": promotion.nonce,
    }  # fmt: skip
    conn = connect(path)
    try:
        with store_errors(path), transaction(conn):
            told = conn.execute(
                "SELECT count(*) FROM audit_log WHERE action = 'promoted' AND detail LIKE :nonce",
                {"nonce": f"%{promotion.nonce}%"},
            ).fetchone()[0]
            if not told:
                skip_queue_numbers(conn, day=local(wall_ms).date(), epoch=promotion.epoch)
                audit.record(conn, who, "promoted", f"node:{kit.node}", detail, at=wall_ms, clock_state=state)
    finally:
        # The last close moves the WAL into the file, which then is whole by itself.
        conn.close()


def _data_key(kit: Kit, state_dir: Path) -> bytes | None:
    text = kit.credentials.get("data-key")
    if text is None:
        with contextlib.suppress(OSError):
            text = (state_dir / "credentials" / "data-key").read_text(encoding="ascii")
    return bytes.fromhex(text.strip()) if text else None


def _put_credentials(wish: Wish, kit: Kit, config: Config) -> bool:
    """The kit's credentials, the key that was given, and an identity of this machine's own; true if that one is new."""
    folder = config.node.state_dir / "credentials"
    authority = {AUTHORITY[part]: content for part, content in (kit.authority or {}).items() if part in AUTHORITY}
    for name, content in {**kit.credentials, **authority}.items():
        if not (folder / name).exists():
            atomic_write(folder / name, content.encode(), mode=0o600)
    for destination in config.replica.destination:
        is_origin = destination.url == wish.origin.url
        if is_origin and destination.credential and wish.credential and not (folder / destination.credential).exists():
            atomic_write(folder / destination.credential, wish.credential.read_bytes(), mode=0o600)
    if kit.node_recipient is None:
        return False
    if not (folder / NODE_IDENTITY).exists():
        atomic_write(folder / NODE_IDENTITY, f"{pyrage.x25519.Identity.generate()}\n".encode(), mode=0o600)
    return True


def _configuration(kit: Kit, state_dir: Path) -> str:
    """The clinic's configuration, sealed to this machine's identity in place of the old one's."""
    if kit.node_recipient is None:
        return kit.configuration
    own = (state_dir / "credentials" / NODE_IDENTITY).read_text(encoding="ascii").strip()
    recipient = str(pyrage.x25519.Identity.from_str(own).to_public())
    return kit.configuration.replace(kit.node_recipient, recipient)


def _put_into_place(beside: Path, place: Path) -> None:
    """Under its name, which nothing has; a link, since a rename would overwrite what came there meanwhile."""
    if beside.exists() and not place.exists():
        place.hardlink_to(beside)
        sync(place.parent)
    # What a reader leaves beside it: nothing is in there, the last writer has closed.
    for leftover in (beside, *(beside.with_name(beside.name + suffix) for suffix in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
