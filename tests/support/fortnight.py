"""Weeks offline in minutes: a clinic's days with real Litestream, the store away, then a thin line to it.

What counts in hours and days passes faster by one factor: the compaction into hours, the daily snapshots, the local
retention of a week, the outage itself. What is shorter than an hour cannot (a capture every 0.2 ms): captures come
every 100 ms, the levels of seconds and minutes every 0.2 and 0.4 s. The clinic is smaller instead, in rows and in
visits a day; what an hour's file weighs beside a snapshot is for who chooses the numbers. Line and round trip are real.
"""

from __future__ import annotations

import contextlib
import heapq
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_node.his.encounters import queries as encounters
from edge_node.his.encounters import versions
from edge_node.his.patients.queries import Patient
from edge_node.replication import shipping_plan
from edge_node.replication.ltx import LtxFile, parse_name, scan
from edge_node.replication.shipping_plan import OBJECT_COST_BYTES, Held
from edge_node.store.connection import Connection, connect, transaction
from tests.support.databases import make_his_database
from tests.support.encounters import NOTE
from tests.support.people import a_doctor, a_patient, a_registrar, a_registration, departments
from tests.support.replicated import Replicated, make_replicated, replicating
from tests.support.s3 import BUCKET, S3Server, write_key
from tests.support.slow_link import slow_link
from tests.support.waiting import until

HOUR_S = 3600.0
ROUND_TRIP_S = 0.040
SECONDS_S, MINUTES_S = 0.2, 0.4
NEW_PATIENTS = 0.3
# Syllables enough for names and addresses that compress as text does.
_HANZI = "".join(chr(0x4E00 + 7 * number) for number in range(2000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An outage of `days` whose hours last `hour_s`, at a clinic of so many patients and visits a day.

    The line that comes back carries `line_bytes_per_s`; 2 Mbit/s if nothing else is said.
    """

    days: float
    hour_s: float
    patients: int
    visits_a_day: int
    line_bytes_per_s: float = 250_000.0

    @property
    def faster(self) -> float:
        return HOUR_S / self.hour_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the status said, so long after the line came back."""

    at_s: float
    left_s: float | None
    behind_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an outage left behind, and how the destination caught up with it. Sizes are those of the local files."""

    here: tuple[LtxFile, ...]
    frontier: int
    chain: tuple[LtxFile, ...]
    current_s: float
    told: tuple[Told, ...]
    shipped: int
    shipped_bytes: int
    filled_s: float

    @property
    def lacked(self) -> tuple[LtxFile, ...]:
        """All that was here and reached beyond what the destination held."""
        return tuple(file for file in self.here if file.max_txid > self.frontier)

    @property
    def chain_bytes(self) -> int:
        return sum(file.size_bytes for file in self.chain)

    @property
    def chain_cost(self) -> int:
        return self.chain_bytes + OBJECT_COST_BYTES * len(self.chain)

    def ratios(self) -> list[float]:
        """Each time that was told, by the time that it took from then on."""
        later = [told for told in self.told if told.left_s is not None and self.current_s - told.at_s >= 1.0]
        return [told.left_s / (self.current_s - told.at_s) for told in later if told.left_s is not None]


def least_cost(files: Iterable[LtxFile], frontier: int) -> int:
    """What the cheapest way from `frontier` to the newest TXID costs: Dijkstra over TXIDs, not what the shipper does.

    A file is taken up by the first, hence cheapest, point from which it can follow.
    """
    waiting = sorted((file for file in files if file.max_txid > frontier), key=lambda file: file.min_txid)
    head = max(file.max_txid for file in waiting)
    reached, points = 0, [(0, frontier)]
    while True:
        cost, txid = heapq.heappop(points)  # IndexError: no way leads there.
        if txid == head:
            return cost
        while reached < len(waiting) and waiting[reached].min_txid <= txid + 1:
            file = waiting[reached]
            heapq.heappush(points, (cost + file.size_bytes + OBJECT_COST_BYTES, file.max_txid))
            reached += 1


@dataclass
class Practice:
    """A clinic's work in its database."""

    conn: Connection
    chance: random.Random
    known: list[Patient] = field(default_factory=list)

    def open(self, patients: int) -> None:
        """So many have been here before."""
        with transaction(self.conn):
            departments(self.conn)
            a_registrar(self.conn)
            a_doctor(self.conn, "shen", "d1")
            for _ in range(patients):
                self._meet(self._somebody_new())

    def work(self, days: float, scale: Scale) -> None:
        """Visits, evenly; one that is late is not left out."""
        began, visits = time.monotonic(), round(days * scale.visits_a_day)
        for number in range(visits):
            time.sleep(max(0.0, began + number * 24 * scale.hour_s / scale.visits_a_day - time.monotonic()))
            with transaction(self.conn):
                is_new = self.chance.random() < NEW_PATIENTS
                self._meet(self._somebody_new() if is_new else self.chance.choice(self.known))

    def _meet(self, patient: Patient) -> None:
        """Somebody is registered and seen, and what was found is signed."""
        at = int(time.time() * 1000)
        entry = a_registration(self.conn, patient, at=at)
        encounter_id = encounters.begin(self.conn, entry.registration_id, doctor_id="staff-shen", at=at)
        assert encounter_id is not None
        note = replace(NOTE, complaint=self._text(12), history=self._text(120))
        versions.sign(
            self.conn, encounter_id, note, n=1, based_on=0, by="staff-shen", at=at, clock_state="synced", mode="offline"
        )

    def _somebody_new(self) -> Patient:
        phone = f"1{self.chance.randrange(10**10):010}"
        self.known.append(a_patient(self.conn, self._text(3), phone=phone, address=self._text(20)))
        return self.known[-1]

    def _text(self, size: int) -> str:
        return "".join(self.chance.choices(_HANZI, k=size))


def go_through(folder: Path, server: S3Server, scale: Scale) -> tuple[Replicated, Found]:
    """The outage and the coming back. The node's replicator has ended afterwards; server and copies are there.

    Before the line comes back the replicator is started anew: from then on hours are hours, as long as they may be.
    """
    hour_s = scale.hour_s
    with contextlib.ExitStack() as line, contextlib.ExitStack() as database:
        port = line.enter_context(slow_link(server.port, ROUND_TRIP_S))
        node = _node(folder, port)
        practice = Practice(database.enter_context(contextlib.closing(connect(node.his))), random.Random(4))
        practice.open(scale.patients)
        with replicating(
            node,
            levels_s=(SECONDS_S, MINUTES_S, hour_s),
            faster=scale.faster,
            snapshot_every_s=24 * hour_s,
            keep_snapshots_s=7 * 24 * hour_s,
            keep_captures_s=24 * hour_s,
            captures_check_every_s=1.0,
        ):
            practice.work(0.25, scale)
            node.wait_until_shipped(within_s=60)
            line.close()
            frontier = int(node.destination()["confirmed_txid"])
            practice.work(scale.days, scale)
            _standing_still(node, still_s=3 * hour_s)
        with replicating(node):
            here = _standing_still(node, still_s=3.0)
            with slow_link(server.port, ROUND_TRIP_S, bytes_per_s=scale.line_bytes_per_s, port=port):
                return node, _catch_up(node, server, here, frontier)


def _node(folder: Path, port: int) -> Replicated:
    node = make_replicated(
        folder,
        f'[[replica.destination]]\nname = "cloud"\nurl = "s3://{BUCKET}/edge"\n'
        f'endpoint = "http://127.0.0.1:{port}"\ncredential = "cloud-key"\n',
    )
    write_key(node.home / "credentials/cloud-key")
    node.his.unlink()
    make_his_database(node.his)
    return node


def _here(node: Replicated) -> tuple[LtxFile, ...]:
    return tuple(scan(node.home / "replica/e0001/his"))


def _standing_still(node: Replicated, *, still_s: float) -> tuple[LtxFile, ...]:
    """The local replica when the last hour is compacted and nothing changes any more."""
    before, since = _here(node), time.monotonic()

    def is_still() -> bool:
        nonlocal before, since
        now = _here(node)
        if now != before:
            before, since = now, time.monotonic()
        return time.monotonic() - since > still_s

    until(is_still, within_s=60)
    return before


def _there(server: S3Server) -> dict[tuple[int, int, int], int]:
    """Level, first and last TXID of the objects in the bucket, each with its size."""
    found = {}
    for path in server.bucket.glob("edge/clinic-0042/e0001/his/*/*.ltx.age"):
        if (txids := parse_name(path.name.removesuffix(".age"))) is not None:
            found[int(path.parent.name, 16), *txids] = path.stat().st_size
    return found


def _catch_up(node: Replicated, server: S3Server, here: Sequence[LtxFile], frontier: int) -> Found:
    """Watch until the destination is current, and until all of history is there."""
    began, head, before = time.monotonic(), max(file.max_txid for file in here), _there(server)
    told: list[Told] = []

    def look() -> bool:
        state = node.destination()
        told.append(Told(at_s=time.monotonic() - began, left_s=state["catch_up_s"], behind_bytes=state["behind_bytes"]))
        return any(last == head for _, _, last in _there(server))

    until(look, within_s=3600, every_s=0.1)
    current_s, chain = time.monotonic() - began, _there(server).keys() - before.keys()

    def is_filled() -> bool:
        held = Held.of(LtxFile(level=level, min_txid=first, max_txid=last, size_bytes=size)
                       for (level, first, last), size in _there(server).items())  # fmt: skip
        return not shipping_plan.history(_here(node), held)

    until(is_filled, within_s=3600, every_s=0.5)
    shipped = {key: size for key, size in _there(server).items() if key not in before}
    return Found(
        here=tuple(here),
        frontier=frontier,
        chain=tuple(file for file in here if file.span in chain),
        current_s=current_s,
        told=tuple(told),
        shipped=len(shipped),
        shipped_bytes=sum(shipped.values()),
        filled_s=time.monotonic() - began,
    )
