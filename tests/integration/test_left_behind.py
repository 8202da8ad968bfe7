"""A destination that was away during a promotion, and holds later changes of the machine before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge_node.replication.destination_report import DestinationReport
from edge_node.replication.left_behind import TOLD_FOR_MS
from tests.support.clock import FakeClock
from tests.support.shipping_bench import Bench, reaches

CODE = "changes-left-behind"


@pytest.fixture
def before(tmp_path: Path) -> Bench:
    """The machine before; it has shipped five changes to a NAS, and its disk is dead."""
    old = Bench(tmp_path, nonce="theirs")
    old.write(9, 1, 2)
    for txid in (3, 4, 5):
        old.write(0, txid, txid)
    old.ship(reaches(5))
    (tmp_path / "shipping" / "cloud.json").unlink()
    return old


def successor(before: Bench, *, from_txid: int) -> Bench:
    """Promoted from elsewhere, where there was less."""
    new = Bench(before.folder, epoch=2, from_txid=from_txid, clock=FakeClock())
    shutil.rmtree(new.replica.path, ignore_errors=True)
    new.write(9, 1, 1)
    return new


def told(report: DestinationReport) -> bool:
    return CODE in [problem["code"] for problem in report.problems]


def test_what_it_holds_beyond_what_was_taken_over_is_told_also_after_a_restart(before: Bench) -> None:
    new = successor(before, from_txid=3)
    report = new.ship(told)
    (problem,) = report.problems
    assert problem["args"] == {"destination": "cloud", "epoch": 1, "from_txid": 3, "txid": 5}
    assert told(new.shipper().report()), "it is remembered, and told before anything answers"


def test_after_a_month_it_is_told_no_more(before: Bench) -> None:
    new = successor(before, from_txid=3)
    new.ship(told)
    assert isinstance(new.clock, FakeClock)
    new.clock.advance(TOLD_FOR_MS / 1000 + 1)
    assert not told(new.shipper().report())


def test_where_it_was_reconciled_and_deleted_it_is_told_no_more(before: Bench) -> None:
    new = successor(before, from_txid=3)
    new.ship(told)
    for txid in (4, 5):
        (before.there / "0000" / f"{txid:016x}-{txid:016x}.ltx").unlink()
    new.ship(lambda report: not told(report))


@pytest.mark.parametrize("from_txid", [5, 6])
def test_where_all_was_taken_over_nothing_is_told(before: Bench, from_txid: int) -> None:
    new = successor(before, from_txid=from_txid)
    looks = iter(range(100))
    report = new.ship(lambda report: reaches(1)(report) and next(looks, None) is None)
    assert not told(report)
