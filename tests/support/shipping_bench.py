"""A shipper of one database whose local files a test makes by hand, against any destination."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge_node.base.clock import Clock, SystemClock
from edge_node.base.instruments import Counter
from edge_node.replication.destination import Destination
from edge_node.replication.destination_report import DestinationReport
from edge_node.replication.epoch import Epoch
from edge_node.replication.fence import Fence
from edge_node.replication.kit import Kit
from edge_node.replication.kit_keeper import SEEN_EVERY_S
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer
from edge_node.replication.sharing import WHOLE, Share
from edge_node.replication.shipper import Shipper
from tests.support.ltx_files import write_ltx

TIME_MS = 1_800_000_000_000


@dataclass
class Bench:
    """Ships to the folder `cloud` below `folder`, or to a bucket when `s3` says how it is reached."""

    folder: Path
    nonce: str = "mine"
    epoch: int = 1
    # Where the epoch goes on from one before it: at which TXID of that.
    from_txid: int | None = None
    node_id: str = "clinic"
    s3: S3Access | None = None
    recipients: tuple[str, ...] = ()
    share: Share = WHOLE
    uploads: Counter = field(default_factory=Counter)
    fence: Fence | None = None
    kit: Callable[[], Kit | None] = lambda: None
    kit_seen_every_s: float = SEEN_EVERY_S
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self.replica = LocalReplica(self.folder / "replica" / "e0001" / "his")

    @property
    def there(self) -> Path:
        return self.folder / "cloud" / self.node_id / f"e{self.epoch:04d}" / "his"

    def write(self, level: int, first: int, last: int, *, time_ms: int = 0, content: bytes = b"") -> Path:
        time_ms = time_ms or TIME_MS + last * 1000
        return write_ltx(self.replica.path, level, first, last, time_ms=time_ms, content=content)

    def destination(self) -> Destination:
        url = f"file://{self.folder}/cloud" if self.s3 is None else "s3://clinic-copies/edge"
        return Destination("cloud", url, Sealer(self.recipients), s3=self.s3)

    def set_back_and_overtake(self, first: int, last: int) -> None:
        """These captures are issued once more, later and with other content: what a restored disk image does."""
        for txid in range(first, last + 1):
            for path in self.replica.path.glob(f"ltx/0/{txid:016x}-*"):
                path.unlink()
            self.write(0, txid, txid, time_ms=TIME_MS + 900_000 + txid, content=b"other")

    def shipper(self) -> Shipper:
        return Shipper(
            self.destination(),
            node_id=self.node_id,
            epoch=Epoch(
                number=self.epoch,
                nonce=self.nonce,
                from_epoch=None if self.from_txid is None else self.epoch - 1,
                from_txid=self.from_txid,
            ),
            replicas={"his": self.replica},
            record_path=self.folder / "shipping" / "cloud.json",
            uploads=self.uploads,
            clock=self.clock,
            fence=self.fence,
            kit=self.kit,
            kit_seen_every_s=self.kit_seen_every_s,
        )

    def ship(
        self,
        until: Callable[[DestinationReport], bool],
        *,
        during: Callable[[], Awaitable[None]] | None = None,
        is_looking: bool = True,
    ) -> DestinationReport:
        """Run a new shipper until its report satisfies `until`; the report. Keeps the index fresh if `is_looking`."""

        async def run() -> DestinationReport:
            shipper = self.shipper()
            shipper.restrain(self.share)
            task = asyncio.create_task(shipper.run())
            try:
                if during is not None:
                    await during()
                async with asyncio.timeout(20):
                    while not until(shipper.report()):
                        if is_looking and self.replica.refresh():
                            shipper.wake(self.replica)
                        if task.done():
                            await task
                        await asyncio.sleep(0.01)
                return shipper.report()
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

        if is_looking:
            self.replica = LocalReplica(self.replica.path)
            self.replica.refresh()
        return asyncio.run(run())

    def held(self) -> list[str]:
        return sorted(f"{int(path.parent.name, 16)}:{path.name}" for path in self.there.glob("*/*.ltx"))

    def outcome(self, name: str) -> float:
        return sum(sample["value"] for sample in self.uploads.samples() if sample["labels"] == ["cloud", name])


def reaches(txid: int) -> Callable[[DestinationReport], bool]:
    return lambda report: report.copies["his"].confirmed_txid >= txid


def paused_for(code: str) -> Callable[[DestinationReport], bool]:
    return lambda report: any(problem["code"] == code for problem in report.problems)
