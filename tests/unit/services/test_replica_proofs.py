"""What the replicator tells of drills and of a clock that jumped, and what it then leaves alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from edge_node.config.load import parse
from edge_node.proof_orders import ProofOrderKind, new_proof_order, place_proof_order, replica_orders
from edge_node.replication.drill import Drilled, Outcome
from edge_node.replication.drill_record import keep_drill, record_path
from edge_node.services.node_snapshot import _destination
from edge_node.services.replica_proofs import Proofs
from tests.support.clock import FakeClock

CONFIG = """
[node]
id = "clinic-0042"
[replica]
plain = true
[[replica.destination]]
name = "cloud"
url = "file:///nowhere"
expire = true
"""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def proofs(tmp_path: Path, clock: FakeClock) -> Proofs:
    return Proofs(parse(CONFIG, home=tmp_path), clock, config_path=None)


def test_a_drill_shows_as_soon_as_it_is_written_down(proofs: Proofs, tmp_path: Path) -> None:
    assert set(proofs.shown("cloud").values()) == {None}
    done = Drilled(source="cloud", at_ms=1_795_000_000_000, outcome=Outcome.OK, checks=(), rto_s=12.5, txid=4)
    keep_drill(record_path(tmp_path), "cloud", done)
    shown = proofs.shown("cloud")
    assert shown["last_drill"] == {"at": "2026-11-18T11:06:40.000Z", "ok": True, "rto_s": 12.5, "outcome": "ok"}
    assert proofs.shown("nas")["last_drill"] is None
    taken = _destination({})({"name": "cloud", "state": "current", **shown})
    assert (taken.drill_ok_at, taken.drill_rto_s) == (1_795_000_000.0, 12.5)


@pytest.mark.parametrize("by_s", [-3 * 3600, 86_400])
def test_a_clock_that_jumped_is_a_problem_and_nothing_is_expired(
    proofs: Proofs, clock: FakeClock, capsys: pytest.CaptureFixture[str], by_s: int
) -> None:
    assert proofs.problems() == []
    clock.step_wall(by_s)
    (problem,) = proofs.problems()
    assert problem["code"] == ("clock-set-ahead" if by_s > 0 else "clock-set-back")
    assert problem["args"]["by_s"] == abs(by_s)
    asyncio.run(proofs._expire())
    said = capsys.readouterr().err
    assert "expiry_put_off" in said
    assert "proof_begins" not in said


def test_an_order_is_due_once(proofs: Proofs, tmp_path: Path, clock: FakeClock) -> None:
    path = replica_orders(tmp_path)
    drill, sentinel = (
        new_proof_order(kind, now_ms=clock.wall_ms(), for_s=600, by="li", why="", destination="cloud")
        for kind in (ProofOrderKind.DRILL, ProofOrderKind.SENTINEL)
    )
    place_proof_order(path, drill, now_ms=clock.wall_ms())
    place_proof_order(path, sentinel, now_ms=clock.wall_ms())
    assert proofs._due() == [drill]
    done = Drilled(source="cloud", at_ms=clock.wall_ms(), outcome=Outcome.FAILED, checks=())
    keep_drill(record_path(tmp_path), "cloud", done, order=drill.id)
    assert proofs._due() == []
    assert json.loads(record_path(tmp_path).read_bytes())["orders"] == [drill.id]
