"""The replicator: Litestream captures every commit into the local replica, and shippers mirror it to the destinations.

It stops last of all services: what was written until then is captured, and shipped where a destination answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock, SystemClock, boot_id, utc_text
from edge_node.base.errors import ExitCode, StoreError
from edge_node.base.files import atomic_write, read_status
from edge_node.base.instruments import Counter
from edge_node.base.logs import event
from edge_node.base.systemd import notify, watchdog_interval_s
from edge_node.config.schema import Config
from edge_node.proof_orders import ProofOrderKind, read_proof_orders, replica_orders
from edge_node.replication import anew, lag, litestream, refill, sharing
from edge_node.replication import epoch as epochs
from edge_node.replication.ages import AgeRecord
from edge_node.replication.anchor_keeper import LogOfDatabase
from edge_node.replication.capture import CaptureWatch
from edge_node.replication.commands import CaptureSettings, ReplicatedDb
from edge_node.replication.destination import CopyState, DestinationFailed
from edge_node.replication.destination_report import FIRST_DATABASE
from edge_node.replication.local_disk import LocalDisk, Reserve
from edge_node.replication.local_replica import LocalReplica, Notices
from edge_node.replication.sealing import Sealer
from edge_node.replication.shipper import Shipper
from edge_node.replication.supervisor import LitestreamState, Supervisor
from edge_node.services.destinations import configured
from edge_node.services.own_status import OwnStatus
from edge_node.services.replica_here import Here
from edge_node.services.replica_ownership import Ownership
from edge_node.services.replica_proofs import Proofs
from edge_node.store.inspect import refuse_empty
from edge_node.store.places import NAMES, db_path

STATUS_EVERY_S = 1.0
# The HIS is ordered behind this service, since it stops before it: it must not wait for a Litestream that cannot run,
# nor for a database that the HIS itself has to bring back. Ready is then who looks after it, and says what is wrong.
READY_WITHIN_S = 5.0
DISK_EVERY_S = 30.0
# For file systems without notices; and with them against what was missed, more rarely, since a day has 30,000 files.
SCAN_EVERY_S, SCAN_BESIDE_NOTICES_S = 5.0, 15.0
# At the stop, what was captured last gets this long to reach the destinations that answer.
LAST_SHIPMENT_S = 1.0
# Litestream is asked for a last capture while it certainly lives: told to end in its first second, it makes none.
LAST_CAPTURE_S = 1.0


def run(config: Config, *, config_path: Path | None = None, has_timers: bool = True) -> None:
    """Replicate until SIGTERM or SIGINT. Blocks; must be called in the main thread.

    `config_path` is the file of the configuration, which the recovery kit holds. Without `has_timers` it drills and
    verifies its copies on time itself.

    Raises StoreError (db-missing with exit code 75, db-corrupt), ReplicaError (Litestream missing or too old) and
    ServiceError already-running.
    """
    os.umask(0o027)
    for name in NAMES:
        try:
            refuse_empty(db_path(config.node.state_dir, name))
        except StoreError as error:
            if error.code == "db-missing":
                # `db ensure`, before the HIS, brings it back at any moment; who gave up would never copy it again.
                error.exit_code = ExitCode.BUSY
            raise
    asyncio.run(_Service(config, SystemClock(), config_path, has_timers=has_timers).run())


@dataclass(frozen=True, slots=True)
class _Unusable:
    """A destination whose address this program cannot use; shown, lest anybody believe in a copy that is not made."""

    name: str
    error: DestinationFailed

    def entry(self, replica: LocalReplica) -> dict[str, Any]:
        """It lacks everything."""
        lacks = lag.measure(replica.files, 0, lacked_at_ms=None, now_ms=0)
        return {
            "name": self.name,
            "state": CopyState.REFUSED,
            "reason": {
                "code": "destination-refused",
                "args": {"destination": self.name, "why": self.error.message, "hint": self.error.hint},
            },
            "confirmed_txid": 0,
            "confirmed_at": None,
            "rpo_s": None,
            "behind_txids": lacks.txids,
            "behind_bytes": lacks.size_bytes,
            "catch_up_s": None,
            "last_drill": None,
        }


class _Service:
    def __init__(self, config: Config, clock: Clock, config_path: Path | None, *, has_timers: bool) -> None:
        node = config.node
        self._clock = clock
        self._databases = [db_path(node.state_dir, name) for name in NAMES]
        self._wal = db_path(node.state_dir, FIRST_DATABASE).with_name(f"{FIRST_DATABASE}.db-wal")
        self._epoch = epochs.make_epoch(node.state_dir, config.replica.local, epochs.current_epoch(node.state_dir))
        self._ownership = Ownership(config, self._epoch, clock, config_path=config_path)
        self._proofs = Proofs(
            config,
            clock,
            config_path=config_path,
            has_timers=has_timers,
            owns=lambda: self._ownership.superseded_by is None,
        )
        number = self._epoch.number
        self._replicas = {name: LocalReplica(epochs.replica_path(config.replica.local, number, name)) for name in NAMES}
        self._settings = CaptureSettings(sync_every_s=config.replica.sync_every_s)
        self._here = Here(self._replicas, FIRST_DATABASE, clock)
        self._supervisor = Supervisor(
            [
                ReplicatedDb(
                    path=db_path(node.state_dir, name),
                    meta_path=epochs.meta_path(node.state_dir, number, name),
                    replica_path=replica.path,
                )
                for name, replica in self._replicas.items()
            ],
            run_dir=node.run_dir / "replica",
            program=litestream.binary(),
            settings=self._settings,
            clock=clock,
        )
        self._disk = LocalDisk(
            self._replicas,
            budget_bytes=config.replica.disk_budget_bytes,
            meta_paths={name: epochs.meta_path(node.state_dir, number, name) for name in NAMES},
        )
        self._captures = CaptureWatch(every_s=self._settings.sync_every_s)
        self._reserve = Reserve(node.state_dir)
        # Beside Litestream's metadata: a TXID means something in its epoch only.
        self._ages = AgeRecord(
            epochs.meta_path(node.state_dir, number, FIRST_DATABASE).with_name("ages.json"),
            clock,
            boot_id=boot_id(),
            keep_s=self._settings.keep_snapshots_s,
        )
        self._uploads = Counter()
        self._shippers: list[Shipper] = []
        self._unusable: list[_Unusable] = []
        sealer = Sealer(() if config.replica.plain else config.replica.encrypt_to)
        for wanted in config.replica.destination:
            try:
                destination = configured(wanted, sealer, state_dir=node.state_dir)
            except DestinationFailed as error:
                event("destination_unusable", level="error", destination=wanted.name, why=error.message)
                self._unusable.append(_Unusable(wanted.name, error))
                continue
            self._shippers.append(
                Shipper(
                    destination, node_id=node.id, epoch=self._epoch, replicas=self._replicas,
                    record_path=node.state_dir / "shipping" / f"{wanted.name}.json", uploads=self._uploads,
                    clock=clock, fence=self._ownership.fence, kit=self._ownership.kit,
                    audit_log=LogOfDatabase(self._databases[0], self._supervisor.socket),
                )
            )  # fmt: skip
        self._status = OwnStatus(node.run_dir, "replica", clock, every_s=STATUS_EVERY_S)
        self._notices: Notices | None = None
        self._is_ready = False
        self._run_dir, self._state_dir = node.run_dir, node.state_dir
        self._orders_path = replica_orders(node.state_dir)
        # Which kills Litestream has begun anew for, by writer; beside its metadata, since it speaks of them.
        self._anew_path = epochs.meta_path(node.state_dir, number, FIRST_DATABASE).with_name("his-begun-anew")
        self._heeded = anew.Heeded(done=anew.read_done(self._anew_path))
        self._expired_to: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})

    async def run(self) -> None:
        stop, asked = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.set)
        with contextlib.suppress(OSError):
            self._notices = Notices(self._file_appeared, self._look)
            loop.add_reader(self._notices.fileno(), self._notices.read)
        self._look()
        capturing = asyncio.create_task(self._supervisor.run(stop))
        beside_it = (self._scan(), self._report(), self._keep_the_disk(), self._ownership.run(), self._proofs.run())
        parts = (asked.wait(), *beside_it, *(shipper.run() for shipper in self._shippers))
        beside = [asyncio.create_task(part) for part in parts]
        try:
            # Whatever ends by itself ends the service: a bug is to be seen, and restarted from outside.
            await asyncio.wait([capturing, *beside], return_when=asyncio.FIRST_COMPLETED)
            if asked.is_set():
                self._reserve.give_way()
                await self._capture_the_last()
            stop.set()
            await capturing
            self._look()
            await self._ship_the_last()
        finally:
            stop.set()
            for task in (capturing, *beside):
                task.cancel()
            ends = await asyncio.gather(capturing, *beside, return_exceptions=True)
            if self._notices is not None:
                loop.remove_reader(self._notices.fileno())
                self._notices.close()
            self._write(stopped=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _capture_the_last(self) -> None:
        def sync(path: Path) -> None:
            with contextlib.suppress(litestream.SocketSilent, OSError):
                self._supervisor.socket.sync(path, timeout_s=LAST_CAPTURE_S)

        await asyncio.gather(*(asyncio.to_thread(sync, path) for path in self._databases))

    async def _ship_the_last(self) -> None:
        deadline = self._clock.boottime() + LAST_SHIPMENT_S
        while self._clock.boottime() < deadline and any(
            not shipper.is_current() and not shipper.is_failing for shipper in self._shippers
        ):
            await asyncio.sleep(0.02)

    def _file_appeared(self, replica: LocalReplica, level: int, name: str) -> None:
        if replica.saw(level, name):
            for shipper in self._shippers:
                shipper.wake(replica, history=level > 0)

    def _look(self) -> None:
        for replica in self._replicas.values():
            if self._notices is not None:
                self._notices.watch(replica)
            if replica.refresh():
                for shipper in self._shippers:
                    shipper.wake(replica)

    async def _scan(self) -> None:
        while True:
            begun = all(replica.files for replica in self._replicas.values())
            every_s = SCAN_EVERY_S if self._notices is None else SCAN_BESIDE_NOTICES_S
            await asyncio.sleep(every_s if begun else STATUS_EVERY_S / 4)
            self._look()

    async def _report(self) -> None:
        watchdog_s, began = watchdog_interval_s(), self._clock.boottime()
        while True:
            self._heed_a_killed_writer()
            self._share_the_lines()
            self._heed_pauses()
            self._write(stopped=False)
            if self._here.wants_a_beginning():
                self._supervisor.start_again("the local replica has lost its beginning")
            runs = self._supervisor.state is LitestreamState.RUNNING
            if not self._is_ready and (runs or self._clock.boottime() - began >= READY_WITHIN_S):
                self._is_ready = True
                notify("READY=1")
            if watchdog_s is not None:
                notify("WATCHDOG=1")
            await asyncio.sleep(STATUS_EVERY_S if self._is_ready else STATUS_EVERY_S / 10)

    async def _keep_the_disk(self) -> None:
        while True:
            await asyncio.to_thread(self._reserve.keep)
            await asyncio.sleep(DISK_EVERY_S)
            for name, replica in self._replicas.items():
                await self._refill(name, replica)
            await self._expire()
            await asyncio.to_thread(self._disk.look)
            if (shedding := self._disk.plan()) is not None:
                await asyncio.to_thread(self._disk.shed, shedding)
                self._look()

    async def _refill(self, name: str, replica: LocalReplica) -> None:
        if (lacking := refill.lacking(replica)) is not None:
            meta = epochs.meta_path(self._state_dir, self._epoch.number, name)
            for file in await asyncio.to_thread(refill.refill, lacking, meta):
                replica.take_in(file)
            self._look()
        replica.try_again()

    async def _expire(self) -> None:
        """Litestream's part elsewhere: here it would go by the wall clock."""
        heads = {name: replica.head for name, replica in self._replicas.items()}
        ages = await asyncio.to_thread(self._ages.turn, heads)
        kept_from, fine_from = (
            ages.reached(keep_s) for keep_s in (self._settings.keep_snapshots_s, self._settings.keep_captures_s)
        )
        # A limit moves once an hour, and to look for what lies behind it takes a while.
        if (kept_from, fine_from) != self._expired_to:
            going = self._disk.expired(kept_from=kept_from, fine_from=fine_from)
            if await asyncio.to_thread(self._disk.expire, going):
                self._look()
            self._expired_to = kept_from, fine_from

    def _heed_a_killed_writer(self) -> None:
        """Where a writer says that it follows one that was killed, Litestream must not go on from where it was."""
        paths = dict(zip(NAMES, self._databases, strict=True))
        beginning = [name for name, path in paths.items() if self._supervisor.is_beginning_anew(path)]
        done = anew.finished(self._heeded, beginning=beginning)
        if done != self._heeded:
            # What cannot be written down is done once more after a restart of this service.
            with contextlib.suppress(OSError):
                atomic_write(self._anew_path, json.dumps(dict(done.done)).encode())
                self._heeded = done
        files = {writer: read_status(self._run_dir, writer) for writers in anew.WRITERS.values() for writer in writers}
        said = {writer: file.state.get("began_after_kill_at") for writer, file in files.items() if file}
        self._heeded, names = anew.heed(said, self._heeded, now_ms=self._clock.wall_ms())
        for name in names:
            self._supervisor.begin_anew(paths[name])

    def _share_the_lines(self) -> None:
        """Others need the lines too: what they say of it goes to the shippers."""
        files = (read_status(self._run_dir, name) for name in ("links", "outbox"))
        now, boot = self._clock.boottime(), boot_id()
        said = [file.state if file and not file.is_stale(now, this_boot=boot) else None for file in files]
        share = sharing.share(*said)
        for shipper in self._shippers:
            shipper.restrain(share)

    def _heed_pauses(self) -> None:
        orders = read_proof_orders(self._orders_path, now_ms=self._clock.wall_ms())
        pauses = {order.destination: order for order in orders if order.kind is ProofOrderKind.PAUSE}
        for shipper in self._shippers:
            shipper.pause(pauses.get(shipper.name))

    def _write(self, *, stopped: bool) -> None:
        self._status.write(self._state(), stopped=stopped)

    def _state(self) -> dict[str, Any]:
        reports = [shipper.report() for shipper in self._shippers]
        captured = {name: self._captured_ms(replica) for name, replica in self._replicas.items()}
        his = self._replicas[FIRST_DATABASE]
        capture = self._captures.look(
            written_ms=_modified_ms(self._wal), captured_ms=captured[FIRST_DATABASE], now_ms=self._clock.wall_ms()
        )
        return {
            "epoch": self._epoch.number,
            "superseded_by": self._ownership.superseded_by,
            "superseded": self._ownership.fence.superseded and asdict(self._ownership.fence.superseded),
            "litestream": self._supervisor.state,
            "litestream_version": self._supervisor.version,
            "litestream_restarts": self._supervisor.restarts,
            "litestream_reason": self._supervisor.reason,
            "txid": his.head,
            "captured_at": _utc(captured[FIRST_DATABASE]),
            "destinations": [
                self._here.entry(
                    capture,
                    captured_ms=captured[FIRST_DATABASE],
                    is_capturing=self._supervisor.state is LitestreamState.RUNNING,
                ),
                *({**report.as_json(capture), **self._proofs.shown(report.name)} for report in reports),
                *(unusable.entry(his) for unusable in self._unusable),
            ],
            "uploads": self._uploads.samples(),
            "points": {**self._proofs.points(), "local": self._here.shown()},
            "disk": self._disk.as_json(),
            "problems": [
                *(problem for report in reports for problem in report.problems),
                *self._ownership.problems(),
                *self._here.problems(),
                *self._disk.problems(),
                *self._proofs.problems(),
            ],
            "databases": {
                name: {
                    "txid": replica.head,
                    "captured_at": _utc(captured[name]),
                    "confirmed_txid": {report.name: report.copies[name].confirmed_txid for report in reports},
                }
                for name, replica in self._replicas.items()
            },
        }

    def _captured_ms(self, replica: LocalReplica) -> int | None:
        newest = replica.newest
        return replica.time_ms(newest) if newest else None


def _utc(wall_ms: int | None) -> str | None:
    return None if wall_ms is None else utc_text(wall_ms)


def _modified_ms(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return 0
