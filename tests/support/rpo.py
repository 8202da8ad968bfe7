"""When was each commit at each place, and what did the node say meanwhile? Measured by looking at the places.

A commit is in the first capture whose header is later; an object has arrived when its file changed last (Litestream and
the shipper write beside and rename; a bucket is a folder of `rclone serve s3`). Whatever the status file said is
compared with what was true when it was written.
"""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_node.base.clock import parse_utc
from edge_node.replication.ltx import parse_name, read_header
from tests.support.replicated import Replicated, make_replicated, write_row, writing
from tests.support.s3 import BUCKET, write_key

# A commit is over before its answer is noted; bounds what that can shift it by.
_NOTED_WITHIN_S = 0.01
LOOK_EVERY_S = 0.1
# The local replica, among the names of destinations.
LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one status file said of each place, and when it was written."""

    at_s: float
    states: Mapping[str, str]
    rpo_s: Mapping[str, float | None]


@dataclass(slots=True)
class Ledger:
    """Commits, by when they were answered (seconds since 1970), and all that was said meanwhile."""

    committed_s: list[float] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)

    def said_within(self, begin_s: float, end_s: float) -> list[Said]:
        return [said for said in self.said if begin_s <= said.at_s <= end_s]


@contextlib.contextmanager
def at_work(clinic: Replicated, *, rate_per_s: float) -> Iterator[Ledger]:
    """A writer at this rate, and somebody who reads every status file; both end with the block."""
    ledger, stop = Ledger(), threading.Event()

    def write() -> None:
        chance, began = random.Random(1), time.monotonic()
        with writing(clinic) as conn:
            while not stop.wait(max(0.0, began + len(ledger.committed_s) / rate_per_s - time.monotonic())):
                write_row(conn, chance)
                ledger.committed_s.append(time.time())

    def read() -> None:
        while not stop.wait(LOOK_EVERY_S):
            said = _read(clinic.run_dir / "status.json")
            if said is not None and (not ledger.said or said.at_s > ledger.said[-1].at_s):
                ledger.said.append(said)

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    try:
        yield ledger
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _read(path: Path) -> Said | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    rows = {row["name"]: row for row in document["state"]["destinations"]}
    return Said(
        at_s=parse_utc(document["written_at"]) / 1000,
        states={name: row["state"] for name, row in rows.items()},
        rpo_s={name: row["rpo_s"] for name, row in rows.items()},
    )


def made_for_buckets(home: Path, endpoints: Mapping[str, str]) -> Replicated:
    """A node that captures every second, as at a clinic, and ships to a prefix for each of these addresses."""
    destinations = (
        f'[[replica.destination]]\nname = "{name}"\nurl = "s3://{BUCKET}/{name}"\nendpoint = "{endpoint}"\n'
        'credential = "cloud-key"\n'
        for name, endpoint in endpoints.items()
    )
    clinic = make_replicated(home, "\n".join(destinations), sync_every="1s")
    write_key(clinic.home / "credentials" / "cloud-key")
    return clinic


def arrived_s(clinic: Replicated, ledger: Ledger, name: str, bucket: Path) -> list[float | None]:
    """When each commit of the ledger was at a destination of `made_for_buckets`, or LOCAL; None where it is not."""
    local = clinic.home / "replica/e0001/his/ltx"
    place = local if name == LOCAL else bucket / name / "clinic-0042/e0001/his"
    return arrivals_s(local, place, ledger.committed_s)


def arrivals_s(local: Path, place: Path, committed_s: Sequence[float]) -> list[float | None]:
    """When each commit was at a place; both are folders of levels, and headers in `local` tell which file holds it."""
    captured = sorted((read_header(path).timestamp_ms / 1000, _txid(path)) for path in local.glob("0/*.ltx"))
    objects = sorted((_txid(path), path.stat().st_ctime) for path in place.glob("*/*.ltx*") if _txid(path))
    ends, changed_s = [end for end, _ in objects], [at_s for _, at_s in objects]
    # What ends at a TXID or beyond has arrived only with all below it: the frontier grows in order.
    for index in range(len(objects) - 2, -1, -1):
        changed_s[index] = min(changed_s[index], changed_s[index + 1])

    def arrival_s(at_s: float) -> float | None:
        capture = bisect_left(captured, (at_s - _NOTED_WITHIN_S, 0))
        if capture == len(captured):
            return None
        index = bisect_left(ends, captured[capture][1])
        return changed_s[index] if index < len(ends) else None

    return [arrival_s(at_s) for at_s in committed_s]


def _txid(path: Path) -> int:
    txids = parse_name(path.name.removesuffix(".age"))
    return txids[1] if txids else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of the seconds between a commit and its arrival: how many, the middle, the slowest percent, the slowest."""

    count: int
    p50_s: float
    p99_s: float
    worst_s: float

    @classmethod
    def of(cls, committed_s: Sequence[float], arrived: Sequence[float | None]) -> Spread:
        found = sorted(at_s - since_s for since_s, at_s in zip(committed_s, arrived, strict=True) if at_s is not None)
        return cls(
            count=len(found), p50_s=statistics.median(found), p99_s=found[int(len(found) * 0.99)], worst_s=found[-1]
        )


def true_rpo_s(committed_s: Sequence[float], arrived: Sequence[float | None], at_s: float) -> float:
    """The age of the oldest commit that a place lacked at this moment; 0.0 when it lacked none."""
    for since_s, there_s in zip(committed_s, arrived, strict=True):
        if since_s > at_s:
            break
        if there_s is None or there_s > at_s:
            return at_s - since_s
    return 0.0


def errors_s(ledger: Ledger, arrived: Sequence[float | None], name: str, said: Sequence[Said]) -> list[float]:
    """By how much each of these status files said too much of a place (positive) or too little (negative)."""
    return [
        rpo_s - true_rpo_s(ledger.committed_s, arrived, one.at_s)
        for one in said
        if (rpo_s := one.rpo_s.get(name)) is not None
    ]
