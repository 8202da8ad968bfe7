"""The shipper against buckets: moto honours conditional puts, rclone replaces whatever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import obstore
import pyrage
import pytest

from edge_node.replication.destination import CopyState, Destination
from edge_node.replication.destination_report import DestinationReport
from edge_node.replication.epoch import Epoch, claim_key, make_claim, probe_key
from edge_node.replication.sharing import WHOLE, Share
from edge_node.status.line_share import Restraint
from tests.support.s3 import S3Server, s3_server
from tests.support.shipping_bench import TIME_MS, Bench, paused_for, reaches

T = TypeVar("T")


@pytest.fixture(scope="module", params=["rclone", "moto"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp(request.param), request.param) as running:
        yield running


@pytest.fixture
def bench(server: S3Server, tmp_path: Path) -> Bench:
    """Encrypted, so that what is inside the objects cannot be looked at: as a node is."""
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    # A clinic of its own for each test, in the one bucket.
    return Bench(tmp_path, node_id=f"clinic-{tmp_path.name[-24:]}", s3=server.access(), recipients=(recipient,))


def asked(bench: Bench, question: Callable[[Destination], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        cloud = bench.destination()
        await cloud.open_to_read()
        try:
            return await question(cloud)
        finally:
            await cloud.close()

    return asyncio.run(run())


def held(bench: Bench) -> list[str]:
    async def keys(cloud: Destination) -> list[str]:
        found = [item.key for item in await cloud.list(bench.node_id) if item.key != probe_key(bench.node_id)]
        return [key.removeprefix(f"{bench.node_id}/e0001/his/") for key in found]

    return asked(bench, keys)


def test_ships_restarts_and_lists_again(bench: Bench) -> None:
    """What is there was uploaded long before the times in its headers: the two are never compared."""
    bench.write(9, 1, 2)
    for txid in range(3, 6):
        bench.write(0, txid, txid)
    bench.write(1, 3, 5, content=bytes(9000))
    report = bench.ship(lambda report: bench.outcome("sent") >= 5)
    assert (report.state, report.copies["his"].lag.txids) == (CopyState.CURRENT, 0)
    bench.write(0, 6, 6)
    bench.ship(reaches(6))
    (bench.folder / "shipping" / "cloud.json").unlink()
    bench.write(0, 7, 7)
    report = bench.ship(reaches(7))
    assert [problem for problem in report.problems if problem["code"] != "conditional-puts-missing"] == []
    assert (bench.outcome("sent"), bench.outcome("existed")) == (7, 0)
    assert held(bench) == [
        f"{bench.node_id}/claims/e0001.json",
        *(f"0000/{n:016x}-{n:016x}.ltx.age" for n in range(3, 8)),
        f"0001/{3:016x}-{5:016x}.ltx.age",
        f"0009/{1:016x}-{2:016x}.ltx.age",
    ]


@pytest.mark.parametrize("epoch_there", [1, 2], ids=["our-epoch", "a-later-epoch"])
def test_the_claim_of_another_machine_is_left_alone(bench: Bench, epoch_there: int) -> None:
    other = replace(bench, folder=bench.folder / "other", nonce="theirs", epoch=epoch_there)
    other.write(9, 1, 2)
    other.ship(reaches(2))
    before = held(bench)
    bench.write(9, 1, 2)
    report = bench.ship(paused_for("epoch-taken"))
    assert report.state is CopyState.PAUSED
    assert report.problems[0]["args"]["epoch"] == epoch_there
    assert held(bench) == before
    claim = asked(bench, lambda cloud: cloud.read(claim_key(bench.node_id, epoch_there)))
    assert b'"theirs"' in (claim or b"")


@pytest.mark.parametrize("server", ["rclone"], indirect=True)
def test_a_claim_that_is_replaced_while_we_ship_is_noticed(bench: Bench) -> None:
    """rclone lets another machine put its claim over ours; nothing that we send after that may mix with its history."""
    bench.write(9, 1, 2)

    async def usurp() -> None:
        cloud = bench.destination()
        await cloud.open_to_read()
        while not await cloud.list(f"{bench.node_id}/e0001"):
            await asyncio.sleep(0.02)
        claim = make_claim(Epoch(number=1, nonce="theirs"), node_id=bench.node_id, from_txid=0, now_ms=TIME_MS)
        await cloud.put_new(claim_key(bench.node_id, 1), claim.to_json())
        await cloud.close()

    report = bench.ship(paused_for("epoch-taken"), during=usurp)
    assert report.state is CopyState.PAUSED


def test_a_replica_set_back_is_noticed_although_it_has_overtaken_its_destination(bench: Bench) -> None:
    bench.write(9, 1, 2)
    bench.write(0, 3, 3)
    bench.ship(reaches(3))
    before = held(bench)
    bench.set_back_and_overtake(3, 4)
    with_record = bench.ship(paused_for("replica-set-back"))
    (bench.folder / "shipping" / "cloud.json").unlink()
    without_record = bench.ship(paused_for("replica-set-back"))
    assert with_record.copies["his"].set_back == "the newest file that it confirmed is here with other content"
    assert "older than the one here" in (without_record.copies["his"].set_back or "")
    assert held(bench) == before


def test_a_bucket_that_was_emptied_is_filled_again(bench: Bench) -> None:
    bench.write(9, 1, 2)

    async def empty() -> None:
        cloud = bench.destination()
        await cloud.open_to_read()
        while not await cloud.list(f"{bench.node_id}/e0001"):
            await asyncio.sleep(0.02)
        for item in await cloud.list(bench.node_id):
            await obstore.delete_async(cloud._store._small, item.key)  # type: ignore[attr-defined]
        await cloud.close()

    def is_back(report: DestinationReport) -> bool:
        return bench.outcome("sent") >= 2 and report.state is CopyState.CURRENT

    bench.ship(is_back, during=empty)
    assert len(held(bench)) == 2


def test_over_a_metered_line_only_what_brings_it_up_to_date(bench: Bench) -> None:
    bench.write(9, 1, 2, content=bytes(9000))
    for txid in (3, 4, 5):
        bench.write(0, txid, txid, content=bytes(9000))
    bench.write(1, 3, 5, content=bytes(9000))
    bench.share = Share(history=False, restraints=(Restraint.METERED,))
    bench.ship(reaches(5))
    bench.write(0, 6, 6)
    bench.write(9, 1, 6, content=bytes(9000))  # a new snapshot is due, and can wait
    bench.ship(reaches(6))
    fine = {f"0000/{txid:016x}-{txid:016x}.ltx.age" for txid in (3, 4, 5)}
    assert not fine & set(held(bench)) and f"0009/{1:016x}-{6:016x}.ltx.age" not in held(bench)
    bench.share = WHOLE
    bench.ship(lambda report: bench.outcome("sent") >= 7)
    assert fine <= set(held(bench))
