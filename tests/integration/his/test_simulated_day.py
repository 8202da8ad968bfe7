"""A day of a clinic through its pages, at three desks at once: no page fails, no visit sticks, and what they cost."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from edge_node.base.errors import ExitCode
from edge_node.his.audit import verify
from edge_node.simulation.plan import Fate, plan
from edge_node.simulation.tally import tally
from edge_node.store.connection import connect_reader
from edge_node.store.databases import db_path
from tests.bench.bench_day import GOAL, show
from tests.support.days import Played, play
from tests.support.his_alone import his_alone
from tests.support.his_service import a_home
from tests.support.node import edge_node, free_port

pytestmark = pytest.mark.alone
# Among whose first thirty visits is one of every kind.
SEED = 9


def counted(home: Path) -> Mapping[str, int]:
    """What the day left in the clinic's database."""
    with contextlib.closing(connect_reader(db_path(home, "his"))) as conn:
        found = {
            table: conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("registration", "patient", "note_version", "prescription_version", "triage", "allergy")
        }
        by_status = conn.execute("SELECT status, count(*) FROM registration GROUP BY status").fetchall()
    return {**found, **{row[0]: row[1] for row in by_status}}


def is_whole(played: Played, home: Path, *, visits: int) -> None:
    """Nobody was lost, nothing failed, and the pages say what the database holds."""
    counts, planned = played.outcome.counts, plan(visits, seed=SEED, today=date.today())
    show(played)
    assert played.outcome.stuck == []
    assert [row for row in tally(played.outcome.exchanges) if row.errors] == []
    found = counted(home)
    assert found["registration"] == counts["registered"] == visits
    assert found["patient"] == len({visit.person for visit in planned})
    assert Counter(done=found["done"], cancelled=found.get("cancelled", 0)) == Counter(
        done=counts["signed"], cancelled=counts["cancelled"]
    )
    assert found["note_version"] == counts["signed"] + counts["amended"]
    assert found["triage"] == counts["measured"]
    # A doctor who is quicker than the registrar sees whoever was to be cancelled.
    assert counts["cancelled"] <= sum(visit.fate is Fate.CANCELLED for visit in planned)
    assert counts["late"] <= sum(visit.fate is Fate.LATE for visit in planned)
    assert min(counts[what] for what in ("returning", "measured", "late", "drugs", "amended")) > 0
    assert min(found[table] for table in ("prescription_version", "allergy")) > 0
    assert played.ratio(0.95) <= GOAL


@pytest.mark.timeout(300)
def test_thirty_visits(tmp_path: Path) -> None:
    is_whole(play(tmp_path, visits=30, seed=SEED), tmp_path / "clinic", visits=30)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_visits(tmp_path: Path) -> None:
    is_whole(play(tmp_path, visits=200, seed=SEED), tmp_path / "clinic", visits=200)


def test_the_command_plays_at_a_running_node_and_locks_its_accounts_afterwards(tmp_path: Path) -> None:
    with his_alone(tmp_path / "clinic") as node:
        here = ("simulate-day", "--port", str(node.port), "--visits", "4", "--desks", "4", "--reason", "tried it")
        looked = edge_node(*here, "--dry-run", home=node.home, check=True)
        assert "4 visits" in looked.stderr and "2 doctors" in looked.stderr
        for day in (1, 2):
            done = edge_node(*here, "--seed", str(day), home=node.home, timeout_s=100)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "POST /encounters/*" in done.stdout and "4 registered" in done.stdout
        people = json.loads(edge_node("user", "list", "--json", home=node.home, check=True).stdout)["users"]
        mine = {one["code"]: one["active"] for one in people if one["code"].startswith("day-")}
        assert mine == {"day-registrar1": False, "day-nurse1": False, "day-doctor1": False, "day-doctor2": False}
    with contextlib.closing(connect_reader(db_path(node.home, "his"))) as conn:
        assert verify(conn) is None
        traces = conn.execute(
            "SELECT action, count(*) FROM audit_log WHERE station = 'edge-node simulate-day' "
            "AND json_extract(detail, '$.reason') = 'tried it' GROUP BY action"
        ).fetchall()
        (held,) = conn.execute(
            "SELECT count(*) FROM session JOIN staff ON staff.id = staff_id "
            "WHERE code LIKE 'day-%' AND revoked_at IS NULL"
        ).fetchone()
    assert dict(map(tuple, traces)) == {"staff_added": 4, "password_reset": 4, "staff_locked": 8}
    assert held == 0


def test_no_made_up_patients_among_real_ones_unless_it_is_said(tmp_path: Path) -> None:
    home = a_home(tmp_path / "clinic")
    refused = edge_node("simulate-day", home=home)
    assert refused.returncode == ExitCode.USAGE
    assert "error: not-training: clinic-0042" in refused.stderr
    silent = edge_node("simulate-day", "--real-data", "--port", str(free_port()), home=home)
    assert silent.returncode == ExitCode.NETWORK
    assert "error: his-unheard" in silent.stderr and "--fresh" in silent.stderr


def test_the_command_plays_on_a_clinic_of_its_own_and_tells_it(tmp_path: Path) -> None:
    done = edge_node("simulate-day", "--fresh", "--visits", "6", "--json", home=tmp_path / "none", timeout_s=110)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["counts"]["registered"] == 6
    assert told["counts"]["signed"] + told["counts"]["cancelled"] == 6
    assert {"POST /reception", "POST /triage/*", "POST /encounters/*"} <= {page["kind"] for page in told["pages"]}
    assert not (tmp_path / "none").exists()
