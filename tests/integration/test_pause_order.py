"""A pause: nothing is sent to that destination while the order stands, and everything afterwards, by itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import SystemClock
from edge_node.base.errors import EdgeError
from edge_node.cli.main import Where
from edge_node.cli.order import order_group
from edge_node.cli.replica import replica_group
from edge_node.proof_orders import (
    ProofOrder,
    ProofOrderKind,
    new_proof_order,
    place_proof_order,
    read_proof_orders,
    replica_orders,
    withdraw_proof_order,
)
from edge_node.replication.destination import CopyState
from edge_node.replication.destination_report import DestinationReport
from edge_node.replication.epoch import Epoch, make_claim
from edge_node.replication.fence import Fence
from tests.support.replicated import Replicated, make_replicated, replicating
from tests.support.shipping_bench import TIME_MS, Bench, paused_for, reaches
from tests.support.waiting import until

KEY = bytes(range(32))


def a_pause(*, destination: str = "cloud", for_s: float = 3600) -> ProofOrder:
    now_ms = SystemClock().wall_ms()
    return new_proof_order(
        ProofOrderKind.PAUSE, now_ms=now_ms, for_s=for_s, by="顾工", why="the switch is mended", destination=destination
    )


def test_a_paused_destination_is_sent_nothing_and_then_everything(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(9, 1, 2)

    async def story() -> None:
        shipper = bench.shipper()
        bench.replica.refresh()
        shipper.pause(a_pause())
        task = asyncio.create_task(shipper.run())
        try:
            await asyncio.sleep(1.0)
            report = shipper.report()
            assert report.state is CopyState.PAUSED
            assert report.reason is not None
            assert (report.reason["code"], report.reason["args"]["by"]) == ("paused-by-order", "顾工")
            assert report.reason["args"]["why"] == "the switch is mended"
            assert bench.held() == []
            assert report.copies["his"].lag.txids == 2, "how far it is behind is told all the same"
            shipper.pause(None)
            async with asyncio.timeout(20):
                while not reaches(2)(shipper.report()):
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert bench.held()


def test_while_paused_a_later_owner_is_found_all_the_same(tmp_path: Path) -> None:
    """A pause must not let two machines work: who owns the clinic is looked at as ever."""
    fence = Fence(tmp_path, node_id="clinic", epoch=Epoch(number=1, nonce="mine"), key=KEY, clock=SystemClock())
    bench = Bench(tmp_path, fence=fence)
    bench.write(9, 1, 2)
    bench.ship(reaches(2))
    theirs = Epoch(number=2, nonce="theirs", from_epoch=1, from_txid=2)
    claim = make_claim(theirs, node_id="clinic", from_txid=0, now_ms=TIME_MS, key=KEY)

    async def story() -> DestinationReport:
        shipper = bench.shipper()
        shipper.pause(a_pause())
        task = asyncio.create_task(shipper.run())
        try:
            async with asyncio.timeout(30):
                while shipper.report().claimed_at is None:  # It has connected, and would send if it might.
                    await asyncio.sleep(0.02)
                (tmp_path / "cloud" / "clinic" / "claims" / "e0002.json").write_bytes(claim.to_json())
                while not paused_for("epoch-taken")(shipper.report()):
                    await asyncio.sleep(0.02)
            return shipper.report()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    assert asyncio.run(story()).state is CopyState.PAUSED
    assert fence.superseded is not None


@pytest.fixture
def clinic(tmp_path: Path) -> Replicated:
    return make_replicated(tmp_path / "home")


def command(clinic: Replicated, *arguments: str) -> Result:
    return CliRunner().invoke(replica_group, arguments, obj=Where(home=clinic.home))


def standing(clinic: Replicated) -> list[ProofOrder]:
    return list(read_proof_orders(replica_orders(clinic.home), now_ms=SystemClock().wall_ms()))


def test_the_replicator_heeds_the_command_and_the_command_that_ends_it(clinic: Replicated) -> None:
    with replicating(clinic):
        clinic.wait_until_shipped()
        done = command(clinic, "pause", "cloud", "--for", "2h", "--reason", "the switch is mended")
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("cloud is paused until ")
        until(lambda: clinic.destination().get("state") == "paused", within_s=30)
        assert clinic.destination()["reason"]["code"] == "paused-by-order"
        shown = CliRunner().invoke(order_group, ("list",), obj=Where(home=clinic.home))
        assert "replica   pause   cloud" in shown.stdout
        assert "the switch is mended" in shown.stdout
        document = json.loads(CliRunner().invoke(order_group, ("list", "--json"), obj=Where(home=clinic.home)).stdout)
        assert [(one["addressee"], one["kind"]) for one in document] == [("replica", "pause")]
        assert command(clinic, "resume", "cloud").stdout == "cloud goes on\n"
        until(lambda: clinic.destination().get("state") == "current", within_s=30)
    assert command(clinic, "resume", "cloud").stdout == "cloud is not paused\n"
    # What the local replica can bring back is in the status as well, for the page.
    points = clinic.state()["points"]["local"]
    assert points["stretches"][0]["level"] == 0 and points["size_bytes"] > 0


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("pause", "moon", "--for", "2h", "--reason", "x"), "there is no destination 'moon'"),
        (("pause", "local", "--for", "2h", "--reason", "x"), "the local copy is Litestream's"),
        (("pause", "cloud", "--for", "2d", "--reason", "x"), "--for 2d is not between"),
        (("pause", "cloud", "--for", "soon", "--reason", "x"), "--for: "),
        (("pause", "cloud", "--for", "2h", "--reason", " "), "--reason is empty"),
        (("resume", "moon"), "there is no destination 'moon'"),
    ],
)
def test_what_cannot_be_ordered_is_said(clinic: Replicated, arguments: tuple[str, ...], said: str) -> None:
    error = command(clinic, *arguments).exception
    assert isinstance(error, EdgeError)
    assert said in error.render()
    assert standing(clinic) == []


def test_a_dry_run_orders_nothing(clinic: Replicated) -> None:
    done = command(clinic, "pause", "cloud", "--for", "2h", "--reason", "x", "--dry-run")
    assert "cloud would be paused until" in done.stdout
    assert standing(clinic) == []


def test_a_second_pause_takes_the_place_of_the_first_and_others_stand(clinic: Replicated) -> None:
    path, now_ms = replica_orders(clinic.home), SystemClock().wall_ms()
    nas, first, second = a_pause(destination="nas"), a_pause(), a_pause(for_s=60)
    drill = new_proof_order(ProofOrderKind.DRILL, now_ms=now_ms, for_s=60, by="li", why="x", destination="cloud")
    for order in (nas, first, drill, second):
        place_proof_order(path, order, now_ms=now_ms)
    assert standing(clinic) == [nas, drill, second]
    assert withdraw_proof_order(path, nas.id, now_ms=now_ms)
    assert not withdraw_proof_order(path, nas.id, now_ms=now_ms)
    assert standing(clinic) == [drill, second]
