"""The shipper against a folder: claims, order, what vanishes, what was set back, and coming back after a failure."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from edge_node.replication.anchors import Head, make_anchor
from edge_node.replication.destination import CopyState
from edge_node.replication.destination_report import DestinationReport
from edge_node.replication.shipping_record import ShippingRecord
from tests.support.clock import FakeClock
from tests.support.shipping_bench import TIME_MS, Bench, paused_for, reaches


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_ships_the_chain_and_then_history(bench: Bench) -> None:
    bench.write(9, 1, 2)
    for txid in range(3, 8):
        bench.write(0, txid, txid)
    bench.write(1, 3, 7)
    report = bench.ship(lambda report: bench.outcome("sent") >= 7)
    assert (report.state, report.copies["his"].lag.txids) == (CopyState.CURRENT, 0)
    assert report.copies["his"].confirmed_at_ms == TIME_MS + 7000
    names = [f"{n:016x}-{n:016x}.ltx" for n in range(3, 8)]
    assert bench.held() == [*(f"0:{name}" for name in names), f"1:{3:016x}-{7:016x}.ltx", f"9:{1:016x}-{2:016x}.ltx"]
    claim = json.loads((bench.folder / "cloud" / "clinic" / "claims" / "e0001.json").read_bytes())
    assert (claim["epoch"], claim["nonce"], claim["from_txid"]) == (1, "mine", 7)


def test_a_restart_sends_nothing_again_and_a_lost_record_costs_a_listing(bench: Bench) -> None:
    bench.write(9, 1, 2)
    bench.write(0, 3, 3)
    bench.ship(reaches(3))
    bench.write(0, 4, 4)
    bench.ship(reaches(4))
    assert (bench.outcome("sent"), bench.outcome("existed")) == (3, 0)
    (bench.folder / "shipping" / "cloud.json").unlink()
    bench.write(0, 5, 5)
    report = bench.ship(reaches(5))
    assert report.problems == ()
    assert (bench.outcome("sent"), bench.outcome("existed")) == (4, 0)


def test_an_audit_log_that_was_not_as_noted_is_told_and_what_is_noted_is_shown(bench: Bench) -> None:
    head = Head(seq=88, hash="5f" * 32, txid=2)
    noted = make_anchor(head, node_id="clinic", epoch=1, now_ms=TIME_MS, why="daily")
    record = ShippingRecord(bench.folder / "shipping" / "cloud.json")
    record.remember_anchors(noted=noted, contradicted=noted)
    record.save()
    bench.write(9, 1, 2)
    report = bench.ship(reaches(2))
    assert report.anchor == noted
    (problem,) = report.problems
    assert problem == {
        "code": "audit-contradicted",
        "args": {"destination": "cloud", "seq": 88, "noted_on": noted.at[:10]},
    }
    assert report.state is CopyState.CURRENT, "what is shipped is shipped all the same"


def test_what_a_killed_shipper_left_half_written_is_swept(bench: Bench) -> None:
    bench.write(9, 1, 2)
    bench.ship(reaches(2))
    torn = bench.there / "0000" / f"{3:016x}-{3:016x}.ltx.0badf00d-7.part"
    torn.parent.mkdir(parents=True, exist_ok=True)
    torn.write_bytes(b"torn")
    bench.write(0, 3, 3)
    bench.ship(reaches(3))
    assert bench.held() == [f"0:{3:016x}-{3:016x}.ltx", f"9:{1:016x}-{2:016x}.ltx"]
    assert not torn.exists()


def test_a_file_compacted_away_between_scan_and_read_is_planned_around(bench: Bench) -> None:
    bench.write(9, 1, 2)
    gone = [bench.write(0, txid, txid) for txid in (3, 4)]
    bench.replica.refresh()
    bench.write(1, 3, 4)
    for path in gone:
        path.unlink()
    # The index still names the two files. The read finds them gone; the shipper looks again, and sends their cover.
    bench.ship(reaches(4), is_looking=False)
    assert bench.outcome("vanished") == 1
    assert f"1:{3:016x}-{4:016x}.ltx" in bench.held()


def test_an_unsound_file_is_reported_and_planned_around(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.write(9, 1, 2)
    bench.write(0, 3, 3).write_bytes(bytes(48))
    bench.write(1, 3, 3, content=b"sound")
    bench.ship(reaches(3))
    assert bench.held() == [f"1:{3:016x}-{3:016x}.ltx", f"9:{1:016x}-{2:016x}.ltx"]
    assert "ltx_unsound" in capsys.readouterr().err


def test_a_file_that_its_disk_does_not_give_is_planned_around(bench: Bench) -> None:
    """A bad sector below one capture: neither the destination nor the rest of the replica is at fault."""
    bench.write(9, 1, 2)
    bad = bench.write(0, 3, 3)
    bad.unlink()
    bad.symlink_to("/proc/self/mem")  # Reading it is an input/output error.
    bench.write(1, 3, 3, content=b"sound")
    report = bench.ship(reaches(3))
    assert bench.held() == [f"1:{3:016x}-{3:016x}.ltx", f"9:{1:016x}-{2:016x}.ltx"]
    assert report.state is CopyState.CURRENT
    assert [(file.name, "error" in why) for file, why in bench.replica.unsound.items()] == [(bad.name, True)]


@pytest.mark.parametrize("epoch_there", [1, 2], ids=["our-epoch", "a-later-epoch"])
def test_nothing_is_shipped_into_an_epoch_of_another_machine(bench: Bench, epoch_there: int) -> None:
    other = Bench(bench.folder, nonce="theirs", epoch=epoch_there)
    other.write(9, 1, 2)
    other.ship(reaches(2))
    (bench.folder / "shipping" / "cloud.json").unlink()
    held = sorted((bench.folder / "cloud").rglob("*"))
    bench.write(0, 3, 3)
    report = bench.ship(paused_for("epoch-taken"))
    assert report.state is CopyState.PAUSED
    assert report.problems[0]["args"]["epoch"] == epoch_there
    assert sorted((bench.folder / "cloud").rglob("*")) == held


def test_a_replica_behind_its_destination_ships_nothing(bench: Bench) -> None:
    bench.write(9, 1, 2)
    late = [bench.write(0, txid, txid) for txid in (3, 4)]
    bench.ship(reaches(4))
    held = bench.held()
    for path in late:
        path.unlink()
    report = bench.ship(paused_for("replica-set-back"))
    assert report.state is CopyState.PAUSED
    # It stays so when the replica, living on, overtakes what is there: the names are the same, the history is not.
    for txid in (3, 4, 5):
        bench.write(0, txid, txid, time_ms=TIME_MS + 900_000 + txid, content=b"other")
    assert bench.ship(paused_for("replica-set-back")).copies["his"].confirmed_txid == 4
    assert bench.held() == held


def test_a_replica_set_back_is_noticed_although_it_has_overtaken_its_destination(bench: Bench) -> None:
    bench.write(9, 1, 2)
    bench.write(0, 3, 3)
    bench.ship(reaches(3))
    held = bench.held()
    bench.set_back_and_overtake(3, 4)
    with_record = bench.ship(paused_for("replica-set-back"))
    (bench.folder / "shipping" / "cloud.json").unlink()
    without_record = bench.ship(paused_for("replica-set-back"))
    assert with_record.copies["his"].set_back == "the newest file that it confirmed is here with other content"
    assert "older than the one here" in (without_record.copies["his"].set_back or "")
    assert bench.held() == held


@pytest.mark.parametrize("later_ms", [-900_000, 900_000], ids=["older", "later"])
@pytest.mark.parametrize("is_running", [True, False], ids=["while-it-ships", "at-its-start"])
def test_a_clone_of_this_disk_that_ships_as_well_is_noticed(bench: Bench, later_ms: int, is_running: bool) -> None:
    """Two machines from one image have one epoch and one claim: the content of one name tells them apart."""
    theirs = bench.there / "0000" / f"{3:016x}-{3:016x}.ltx"
    clone = Bench(bench.folder / "clone")
    beside = clone.write(0, 3, 3, time_ms=TIME_MS + 3000 + later_ms, content=b"what their staff wrote")
    bench.write(9, 1, 2)

    def both_write() -> None:
        theirs.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(beside, theirs)
        bench.write(0, 3, 3, content=b"what our staff wrote")

    def is_noticed(report: DestinationReport) -> bool:
        if is_running and report.state is CopyState.CURRENT and not theirs.exists():
            both_write()
        return paused_for("replica-set-back")(report)

    if not is_running:
        bench.ship(reaches(2))
        both_write()
    report = bench.ship(is_noticed)
    assert "than the one here" in (report.copies["his"].set_back or "")
    assert theirs.read_bytes() == beside.read_bytes()


def test_what_is_listed_and_not_there_is_done_without(bench: Bench) -> None:
    """As a network's folder may show it: another look changes nothing, and a thousand more would hold up everybody."""
    bench.write(9, 1, 2)
    lost = bench.write(0, 3, 3)

    async def lose() -> None:
        lost.unlink()
        lost.symlink_to("nowhere")

    bench.ship(reaches(2), during=lose)
    bench.write(1, 3, 4)
    bench.ship(reaches(4))


def test_a_replica_that_was_away_and_is_back_ships_again(bench: Bench) -> None:
    bench.write(9, 1, 2)
    away = bench.write(0, 3, 3)
    bench.ship(reaches(3))
    away.rename(bench.folder / "away")
    bench.ship(paused_for("replica-set-back"))
    (bench.folder / "away").rename(away)
    bench.write(0, 4, 4)
    report = bench.ship(reaches(4))
    assert report.problems == ()


def test_a_replica_whose_disk_was_out_ships_on_when_it_is_back(bench: Bench) -> None:
    """While it is out its captures lie below the mount point, and what is mounted then ends before them."""
    bench.clock = clock = FakeClock()
    bench.write(9, 1, 2)
    late, away = bench.write(0, 3, 3), bench.folder / "below the mount point"

    def goes_on(report: DestinationReport) -> bool:
        if paused_for("replica-set-back")(report) and away.exists():
            away.rename(late)  # What Litestream had staged is put back.
            bench.write(0, 4, 4)
        elif reaches(3)(report) and late.exists() and len(bench.held()) == 2:
            late.rename(away)
        clock.advance(1)
        return reaches(4)(report) and report.state is CopyState.CURRENT

    report = bench.ship(goes_on)
    assert report.problems == ()
    assert len(bench.held()) == 3


def test_a_destination_that_goes_and_comes_back(bench: Bench) -> None:
    bench.write(9, 1, 2)
    cloud = bench.folder / "cloud"

    async def outage() -> None:
        async with asyncio.timeout(10):
            while not bench.held():
                await asyncio.sleep(0.01)
        cloud.rename(bench.folder / "unplugged")
        for txid in (3, 4):
            bench.write(0, txid, txid)

    states: list[CopyState] = []

    def back(report: DestinationReport) -> bool:
        if not states or states[-1] is not report.state:
            states.append(report.state)
        if report.state is CopyState.UNREACHABLE and not cloud.exists():
            assert report.copies["his"].lag.rpo_s is not None
            (bench.folder / "unplugged").rename(cloud)
        return CopyState.UNREACHABLE in states and reaches(4)(report) and report.state is CopyState.CURRENT

    bench.ship(back, during=outage)
    assert bench.held()[-1] == f"9:{1:016x}-{2:016x}.ltx"
    assert states[-1] is CopyState.CURRENT


def test_a_disk_that_is_exchanged_for_its_older_twin_gets_what_it_lacks(bench: Bench) -> None:
    """Two disks in turns, or a NAS set back: what was confirmed by the other says nothing about this one."""
    bench.write(9, 1, 2)
    bench.write(0, 3, 3)
    cloud, twin = bench.folder / "cloud", bench.folder / "twin"

    def captures() -> list[int]:
        return [int(name[2:18], 16) for name in bench.held() if name.startswith("0:")]

    safe = bench.folder / "in the safe"

    def exchanged(report: DestinationReport) -> bool:
        if captures() == [3] and not twin.exists() and not safe.exists():
            shutil.copytree(cloud, twin)
            for txid in (4, 5):
                bench.write(0, txid, txid)
        elif captures() == [3, 4, 5] and not safe.exists():
            cloud.rename(safe)
            twin.rename(cloud)
            bench.write(0, 6, 6)
        return report.state is CopyState.CURRENT and 6 in captures()

    report = bench.ship(exchanged)
    assert captures() == [3, 4, 5, 6]
    assert report.problems == ()


def test_a_stop_that_coincides_with_a_new_file_is_not_lost(bench: Bench) -> None:
    """Seen once in twenty runs: the wait for a file ended by both, and only the file was noticed."""

    async def run() -> bool:
        shipper = bench.shipper()
        task = asyncio.create_task(shipper.run())
        async with asyncio.timeout(20):
            while not shipper.is_current():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # all lanes wait
        shipper.wake(bench.replica)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        return bool(done)

    bench.write(9, 1, 2)
    bench.replica.refresh()
    assert asyncio.run(run())


def test_a_snapshot_that_leads_up_is_sent_by_one_lane(bench: Bench) -> None:
    """After two weeks it is both the way up and due by itself: sent twice at once it would take twice as long."""
    bench.write(9, 1, 2)
    bench.ship(reaches(2))
    bench.write(9, 1, 9, content=bytes(200_000))
    looks = iter(range(40))  # Long enough for the other lane to have begun, and ended.
    report = bench.ship(lambda report: reaches(9)(report) and next(looks, None) is None)
    assert report.state is CopyState.CURRENT
    assert (bench.outcome("sent"), bench.outcome("existed")) == (2, 0)


class HeavyClock(FakeClock):
    """Half a second passes between any two looks at it, as on a machine with much to find out."""

    def boottime(self) -> float:
        self.advance(0.5)
        return super().boottime()


def test_how_far_behind_is_found_out_seldom_where_it_takes_long(bench: Bench) -> None:
    """After two weeks it takes half a second, and a status is written every second."""
    bench.clock = clock = HeavyClock()
    bench.write(0, 1, 1)
    bench.replica.refresh()
    shipper = bench.shipper()
    first = shipper.report().copies["his"].lag
    bench.write(0, 2, 2, content=bytes(100_000))
    bench.replica.refresh()
    second = shipper.report().copies["his"].lag
    assert (second.txids, second.size_bytes) == (2, first.size_bytes)
    clock.advance(60)
    assert shipper.report().copies["his"].lag.size_bytes > 100_000
