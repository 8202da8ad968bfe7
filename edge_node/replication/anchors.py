"""Heads of the audit log, noted where nobody changes them afterwards: `<node id>/anchors/2026-11-26-e0001.json`.

The log's own chain shows a row that was changed alone. A log that somebody wrote anew from some row on fits in itself;
it does not fit what was noted of it before. One object a day, and one at each drill, each made "only where there is
none": that takes no right to delete, and expiry knows nothing of them. They name nobody and are never sealed: whoever
has the bucket can compare. Where a store lets objects be overwritten, its own versions or locks keep them.

Schema 1, JSON:

    {"schema": 1, "node", "epoch", "seq": of the row, "hash": its hash (hexadecimal), "txid": the change of `his.db` by
     which the destination held that row, "at": when it was noted (UTC), "why": "daily" or "drill"}

A row is noted after the destination has confirmed it: one that was lost with a machine, before it was anywhere else, is
no row that somebody took out. What a later machine did not take over is told by its claim (`from_txid`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from edge_node.base.clock import utc_text
from edge_node.replication.destination import Destination
from edge_node.replication.epoch import Claim, folder_name

SCHEMA = 1
# Read at once: a year of them at 40 ms each is a quarter of a minute one after another.
READ_IN_FLIGHT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest row of the audit log, and a change of the database by which the local replica has it."""

    seq: int
    hash: str
    txid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What was noted of the log's head; the content of its object."""

    schema: int
    node: str
    epoch: int
    seq: int
    hash: str
    txid: int
    at: str
    why: str

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode() + b"\n"


def make_anchor(head: Head, *, node_id: str, epoch: int, now_ms: int, why: str) -> Anchor:
    return Anchor(
        schema=SCHEMA, node=node_id, epoch=epoch, seq=head.seq, hash=head.hash, txid=head.txid, at=utc_text(now_ms),
        why=why,
    )  # fmt: skip


def parse_anchor(body: bytes) -> Anchor:
    """An anchor as it was made. Raises ValueError for what is none, or of a schema that this program does not know."""
    try:
        raw = json.loads(body)
        found = Anchor(**{key: raw[key] for key in Anchor.__dataclass_fields__})
        texts, numbers = (found.node, found.hash, found.at, found.why), (found.epoch, found.seq, found.txid)
        if len(bytes.fromhex(found.hash)) != 32:
            raise ValueError("its hash has another length")
        date.fromisoformat(found.at[:10])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an anchor: {error!r}") from error
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
        raise ValueError("not an anchor: a value is of another kind")
    if found.schema != SCHEMA:
        raise ValueError(f"an anchor of schema {found.schema}; this program knows {SCHEMA}")
    return found


def anchors_prefix(node_id: str) -> str:
    """Where the anchors of a clinic lie."""
    return f"{node_id}/anchors"


def daily_key(node_id: str, day: str, epoch: int) -> str:
    """The object of a day; two machines of one clinic on one day have one each."""
    return f"{anchors_prefix(node_id)}/{day}-{folder_name(epoch)}.json"


def drill_key(anchor: Anchor) -> str:
    """The object of a drill, named by its moment."""
    moment = anchor.at.partition(".")[0].replace(":", "").removesuffix("Z")
    return f"{anchors_prefix(anchor.node)}/{moment}-{folder_name(anchor.epoch)}.json"


async def put_anchor(destination: Destination, key: str, anchor: Anchor) -> bool:
    """Put it where there is none; looked for before, since some stores put whatever the condition says.

    False when there is one already. Raises DestinationFailed.
    """
    return await destination.head(key) is None and await destination.put_new(key, anchor.to_json())


async def read_anchors(destination: Destination, node_id: str) -> tuple[list[Anchor], list[str]]:
    """The anchors of a clinic at an opened destination, and the keys of objects there that are none.

    Raises DestinationFailed.
    """
    listed = await destination.list(anchors_prefix(node_id))
    turn = asyncio.Semaphore(READ_IN_FLIGHT)

    async def read(key: str) -> Anchor | str:
        async with turn:
            body = await destination.read(key)
        try:
            return parse_anchor(body or b"")
        except ValueError:
            return key

    found = await asyncio.gather(*(read(item.key) for item in listed))
    return (
        sorted((one for one in found if isinstance(one, Anchor)), key=lambda anchor: (anchor.at, anchor.seq)),
        [one for one in found if isinstance(one, str)],
    )


# What a log looks like beside its anchors. Pure.


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Anchors by what the log says to them, each list by time.

    `beyond` are of rows after the log's end. `aside` are of rows that a later machine did not take over.
    """

    fitting: tuple[Anchor, ...] = ()
    differing: tuple[Anchor, ...] = ()
    beyond: tuple[Anchor, ...] = ()
    aside: tuple[Anchor, ...] = ()

    @property
    def last_good(self) -> Anchor | None:
        """The last row that certainly is as it was: nothing before the first that differs was touched up to it."""
        first = min((anchor.seq for anchor in self.differing), default=None)
        good = [anchor for anchor in self.fitting if first is None or anchor.seq < first]
        return max(good, key=lambda anchor: anchor.seq, default=None)

    @property
    def first_bad(self) -> Anchor | None:
        return min(self.differing, key=lambda anchor: anchor.seq, default=None)

    @property
    def contradicted(self) -> Anchor | None:
        """The first anchor that a log which ought to hold every row does not bear out."""
        return self.first_bad or next(iter(self.beyond), None)

    @property
    def trusted_since(self) -> Anchor | None:
        """The first anchor since which nothing was written anew; None where the last one that counts differs."""
        ends = max((anchor.at for anchor in self.differing), default="")
        return next((anchor for anchor in self.fitting if anchor.at > ends), None)


def compare(
    anchors: Iterable[Anchor], hashes: Mapping[int, str], *, rows: int, taken_over: Mapping[int, int] | None = None
) -> Compared:
    """`hashes` are those of the anchored rows, as far as the log has them; it ends with number `rows`.

    `taken_over` tells for each earlier epoch up to which TXID a later machine went on from it; one that is not in it
    counts whole.
    """
    fitting, differing, beyond, aside = [], [], [], []
    limits = taken_over or {}
    for anchor in sorted(anchors, key=lambda anchor: (anchor.at, anchor.seq)):
        if anchor.txid > limits.get(anchor.epoch, anchor.txid):
            aside.append(anchor)
        elif anchor.seq > rows:
            beyond.append(anchor)
        elif hashes.get(anchor.seq) == anchor.hash:
            fitting.append(anchor)
        else:
            differing.append(anchor)
    return Compared(
        fitting=tuple(fitting), differing=tuple(differing), beyond=tuple(beyond), aside=tuple(aside)
    )  # fmt: skip


def line_of(claims: Iterable[Claim]) -> dict[int, int]:
    """Up to which TXID each earlier epoch leads to the newest one; -1 for one that nobody went on from.

    A claim that does not say from which epoch it goes on is believed to go on from the one before it, whole.
    """
    known = {claim.epoch: claim for claim in claims}
    if not known:
        return {}
    claim = known[max(known)]
    found = {number: -1 for number in known if number != claim.epoch}
    while claim.from_epoch is not None:
        found[claim.from_epoch] = claim.from_txid
        before = known.get(claim.from_epoch)
        if before is None or before.epoch >= claim.epoch:
            return found
        claim = before
    return {number: txid for number, txid in found.items() if number > claim.epoch or txid >= 0}


def missing_days(anchors: Sequence[Anchor]) -> list[str]:
    """Days between the first anchor and the last on which none was made."""
    days = {date.fromisoformat(anchor.at[:10]) for anchor in anchors}
    if not days:
        return []
    span = (max(days) - min(days)).days
    return [str(day) for n in range(span) if (day := min(days) + timedelta(days=n)) not in days]
