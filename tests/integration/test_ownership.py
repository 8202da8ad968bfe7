"""What a shipper keeps beside the copies: the probe of conditional puts, the kit, and the watch for later claims."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from edge_node.base.clock import SystemClock
from edge_node.config.load import parse
from edge_node.replication.capture import Capture
from edge_node.replication.claims import claim_epoch, heeds_conditions, highest_epoch, later_claims
from edge_node.replication.destination import CopyState, Destination
from edge_node.replication.destination_report import DestinationReport
from edge_node.replication.epoch import Claim, Epoch, make_claim
from edge_node.replication.fence import Fence
from edge_node.replication.kit import Kit, kit_numbers, make_kit
from edge_node.replication.s3_access import S3Access
from edge_node.status.superseded import read_superseded
from tests.support.s3 import s3_server
from tests.support.shipping_bench import TIME_MS, Bench, paused_for, reaches

KEY = bytes(range(32))
IDENTITY = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module", params=["file", "moto", "rclone"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Access | None]:
    if request.param == "file":
        yield None
        return
    with s3_server(tmp_path_factory.mktemp(request.param), request.param) as running:
        yield running.access()


@pytest.fixture
def bench(store: S3Access | None, tmp_path: Path) -> Bench:
    found = Bench(tmp_path, node_id=f"clinic-{tmp_path.name[-24:]}", s3=store, recipients=(str(IDENTITY.to_public()),))
    found.write(9, 1, 2)
    return found


def is_rclone(bench: Bench) -> bool:
    return bench.s3 is not None and "rclone" in str(bench.s3.credential)


async def opened(bench: Bench) -> Destination:
    cloud = bench.destination()
    await cloud.open(known=False)
    return cloud


def test_the_probe_says_what_the_store_does_and_leaves_one_object(bench: Bench) -> None:
    async def story() -> None:
        cloud = await opened(bench)
        for _ in range(2):
            assert await heeds_conditions(cloud, bench.node_id) is not is_rclone(bench)
        assert [item.key for item in await cloud.list(bench.node_id)] == [f"{bench.node_id}/claims/probe.json"]
        assert await highest_epoch(cloud, bench.node_id) == 0
        await cloud.close()

    asyncio.run(story())


def test_the_answer_is_remembered_for_its_address(bench: Bench) -> None:
    report = bench.ship(lambda report: reaches(2)(report) and report.conditional_puts is not None)
    assert report.conditional_puts is not is_rclone(bench)
    assert report.as_json(Capture(every_s=1.0, uncaptured_s=0.0))["conditional_puts"] is report.conditional_puts
    codes = [problem["code"] for problem in report.problems]
    assert codes == (["conditional-puts-missing"] if is_rclone(bench) else [])
    assert report.state in (CopyState.CURRENT, CopyState.BEHIND)  # said, and shipped all the same
    record = bench.folder / "shipping" / "cloud.json"
    kept = json.loads(record.read_bytes())
    assert kept["conditional_puts"]["answer"] is report.conditional_puts
    # Remembered: not asked again. At another address it would be.
    kept["conditional_puts"]["answer"] = not report.conditional_puts
    record.write_text(json.dumps(kept))
    assert bench.ship(reaches(2)).conditional_puts is not report.conditional_puts
    kept["conditional_puts"]["address"] = "elsewhere"
    record.write_text(json.dumps(kept))
    again = bench.ship(lambda report: report.conditional_puts is not None)
    assert again.conditional_puts is report.conditional_puts


def a_kit(bench: Bench, text: str = "") -> Kit:
    configuration = f'[node]\nid = "clinic-0042"\n{text}'
    made = make_kit(parse(configuration, home=bench.folder), configuration, epoch=1, now_ms=TIME_MS)
    return replace(made, node=bench.node_id)


def ship_with_kit(bench: Bench, kit: Kit, until: Callable[[DestinationReport], bool]) -> int | None:
    return replace(bench, kit=lambda: kit).ship(until).kit


def numbers(bench: Bench) -> list[int]:
    async def listed() -> list[int]:
        cloud = await opened(bench)
        return await kit_numbers(cloud, bench.node_id)

    return asyncio.run(listed())


def test_a_kit_is_shipped_once_and_again_when_it_has_changed(bench: Bench) -> None:
    first, second = a_kit(bench), a_kit(bench, "# changed\n")
    looks: list[int] = []

    def has_looked(_: DestinationReport) -> bool:
        looks.append(1)
        return len(looks) > 100  # a second, in which it has connected, claimed and looked at the kit

    assert ship_with_kit(bench, first, lambda report: report.kit is not None) == 1
    assert ship_with_kit(bench, first, has_looked) == 1
    assert numbers(bench) == [1]
    assert ship_with_kit(bench, second, lambda report: report.kit != 1) == 2
    (bench.folder / "shipping" / "cloud.json").unlink()  # What was shipped is not known: a third costs nothing.
    assert ship_with_kit(bench, second, lambda report: report.kit is not None) == 3
    assert numbers(bench) == [1, 2, 3]


def delete_kit(bench: Bench, number: int) -> None:
    async def delete() -> None:
        cloud = await opened(bench)
        await cloud.delete(f"{bench.node_id}/kit/{number}.age")
        await cloud.close()

    asyncio.run(delete())


def test_a_kit_that_somebody_else_put_there_is_not_the_last(bench: Bench) -> None:
    """A promotion takes the last one that opens."""
    kit = a_kit(bench)
    assert ship_with_kit(bench, kit, lambda report: report.kit is not None) == 1

    async def put_another() -> None:
        cloud = await opened(bench)
        assert await cloud.put_new(f"{bench.node_id}/kit/7.age", b"sealed by who knows a recipient")
        await cloud.close()

    asyncio.run(put_another())
    assert ship_with_kit(bench, kit, lambda report: report.kit not in (None, 1)) == 8
    assert numbers(bench) == [1, 7, 8]


def test_a_kit_that_was_deleted_is_shipped_again(bench: Bench) -> None:
    """At the next connecting, and while connected; nobody may need it before it is missed."""
    kit = a_kit(bench)
    assert ship_with_kit(bench, kit, lambda report: report.kit is not None) == 1
    delete_kit(bench, 1)
    assert numbers(bench) == []
    steady = replace(bench, kit=lambda: kit, kit_seen_every_s=0.05)

    async def once_more() -> None:
        """It lies there again: deleted under the shipper's eyes, it comes back."""
        cloud = await opened(bench)
        for _ in range(2):
            async with asyncio.timeout(20):
                while not await kit_numbers(cloud, bench.node_id):
                    await asyncio.sleep(0.02)
            await cloud.delete(f"{bench.node_id}/kit/1.age")
        async with asyncio.timeout(20):
            while not await kit_numbers(cloud, bench.node_id):
                await asyncio.sleep(0.02)
        await cloud.close()

    told = steady.ship(lambda report: reaches(2)(report) and report.kit is not None, during=once_more)
    assert told.kit == 1
    assert numbers(bench) == [1]


def test_where_nothing_is_sealed_no_kit_is_shipped(bench: Bench) -> None:
    plain = replace(bench, recipients=(), kit=lambda: a_kit(bench))
    plain.ship(lambda report: report.conditional_puts is not None and reaches(2)(report))

    async def keys() -> list[str]:
        cloud = await opened(bench)
        return [item.key for item in await cloud.list(bench.node_id)]

    assert not [key for key in asyncio.run(keys()) if "/kit/" in key]


def their_claim(bench: Bench, number: int, *, key: bytes | None = KEY) -> Claim:
    epoch = Epoch(number=number, nonce="theirs", from_epoch=1, from_txid=2)
    return make_claim(epoch, node_id=bench.node_id, from_txid=0, now_ms=TIME_MS, reason="fire", key=key)


def test_a_later_claim_is_found_within_one_round_and_stops_every_destination(bench: Bench) -> None:
    """While connected and with nothing to ship: both destinations stop, although only one was claimed."""
    fence = Fence(
        bench.folder, node_id=bench.node_id, epoch=Epoch(number=1, nonce="mine"), key=KEY, clock=SystemClock()
    )
    bench = replace(bench, fence=fence)

    async def usurp() -> None:
        cloud = await opened(bench)
        async with asyncio.timeout(20):
            while not await cloud.list(f"{bench.node_id}/e0001"):
                await asyncio.sleep(0.02)
        await claim_epoch(cloud, their_claim(bench, 2))
        await cloud.close()

    turns: list[int] = []

    def has_stopped(report: DestinationReport) -> bool:
        """Paused, and for a second after that nothing of what comes up is sent."""
        if paused_for("epoch-taken")(report):
            turns.append(1)
            if len(turns) == 1:
                bench.write(0, 3, 3)
        return len(turns) > 100

    async def keys() -> list[str]:
        cloud = await opened(bench)
        assert [claim.epoch for claim in await later_claims(cloud, bench.node_id, 1)] == [2]
        return [item.key.rsplit("/", 1)[-1] for item in await cloud.list(f"{bench.node_id}/e0001")]

    report = bench.ship(has_stopped, during=usurp)
    assert (report.state, report.copies["his"].lag.txids) == (CopyState.PAUSED, 1)
    found = read_superseded(bench.folder)
    assert found is not None
    assert (found.epoch, found.taken_txid, found.why, found.destination) == (2, 2, "fire", "cloud")
    assert asyncio.run(keys()) == [f"{1:016x}-{2:016x}.ltx.age"]
    # Another destination, which nobody has claimed, gets nothing and is not even claimed.
    other = replace(bench, folder=bench.folder / "other", s3=None, fence=fence)
    other.write(9, 1, 3)
    assert other.ship(lambda report: report.state is CopyState.PAUSED).problems == ()
    assert not (other.folder / "cloud").exists()


def test_a_claim_that_is_not_proven_pauses_its_destination_alone(bench: Bench) -> None:
    fence = Fence(
        bench.folder, node_id=bench.node_id, epoch=Epoch(number=1, nonce="mine"), key=KEY, clock=SystemClock()
    )

    async def put() -> None:
        cloud = await opened(bench)
        await claim_epoch(cloud, their_claim(bench, 2, key=None))
        await cloud.close()

    asyncio.run(put())
    report = replace(bench, fence=fence).ship(paused_for("epoch-taken"))
    assert report.state is CopyState.PAUSED
    assert fence.superseded is None
