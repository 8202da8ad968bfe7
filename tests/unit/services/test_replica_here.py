"""What is said of the local replica: that it restores all it has captured, or what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_node.replication.capture import Capture
from edge_node.replication.local_replica import LocalReplica
from edge_node.services.replica_here import BROKEN_AFTER_S, Here
from edge_node.status import PROBLEM_EXITS
from tests.support.clock import FakeClock
from tests.support.ltx_files import write_ltx

TIME_MS = 1_800_000_000_000


@pytest.fixture
def replica(tmp_path: Path) -> LocalReplica:
    return LocalReplica(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def here(replica: LocalReplica, clock: FakeClock) -> Here:
    return Here({"his": replica}, "his", clock)


def entry(here: Here) -> tuple[Any, ...]:
    said = here.entry(Capture(every_s=1, uncaptured_s=0.0), captured_ms=TIME_MS, is_capturing=True)
    return said["state"], said["confirmed_txid"], said["rpo_s"]


def codes(here: Here) -> list[str]:
    return [problem["code"] for problem in here.problems()]


def test_a_replica_that_restores_all_it_has_captured_is_current(here: Here, replica: LocalReplica) -> None:
    write_ltx(replica.path, 9, 1, 2)
    write_ltx(replica.path, 0, 3, 3)
    replica.refresh()
    assert entry(here) == ("current", 3, 0.0)
    assert codes(here) == []


def test_before_anything_is_captured_it_is_not_current(here: Here) -> None:
    assert entry(here)[:2] == ("behind", 0)
    assert codes(here) == []


@pytest.mark.parametrize("gone", [0, 1], ids=["its-beginning", "something-in-between"])
def test_what_lacks_files_is_not_current_and_said(
    here: Here, replica: LocalReplica, clock: FakeClock, gone: int
) -> None:
    """Its disk was away for a while: what was captured meanwhile lies below the mount point, or nowhere."""
    files = [write_ltx(replica.path, 9, 1, 2), write_ltx(replica.path, 0, 3, 3), write_ltx(replica.path, 0, 4, 4)]
    replica.refresh()
    assert entry(here) == ("current", 4, 0.0)
    files[gone].unlink()
    replica.refresh()
    assert entry(here) == ("behind", [0, 2][gone], None)
    assert codes(here) == [], "a notice may have been lost: the next look finds it"
    clock.advance(BROKEN_AFTER_S)
    assert codes(here) == ["replica-broken"]
    assert ("reach" in here.problems()[0]["args"]) == (gone == 1)
    assert PROBLEM_EXITS["replica-broken"] == 5
    write_ltx(replica.path, 9, 1, 4)
    replica.refresh()
    assert entry(here) == ("current", 4, 0.0)
    assert codes(here) == []


def test_a_disk_that_cannot_be_read_is_said(here: Here, replica: LocalReplica, tmp_path: Path) -> None:
    write_ltx(replica.path, 9, 1, 2)
    replica.refresh()
    (replica.path / "ltx").rename(tmp_path / "elsewhere")
    (replica.path / "ltx").symlink_to("ltx")
    replica.refresh()
    assert entry(here) == ("behind", 2, None)
    assert codes(here) == ["replica-unreadable"]


def test_a_file_that_cannot_be_used_is_named(here: Here, replica: LocalReplica) -> None:
    write_ltx(replica.path, 9, 1, 2)
    replica.refresh()
    replica.leave_out(replica.files[0], "input/output error")
    (problem,) = here.problems()
    assert (problem["code"], problem["args"]["why"]) == ("replica-file-unsound", "input/output error")
