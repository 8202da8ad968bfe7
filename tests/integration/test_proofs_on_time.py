"""Without timers the replicator proves its copies on time, and expires where that is wished: by real child processes.

The clock that decides is the test's; the children have the machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_node.base.files import file_lock
from edge_node.replication.drill_record import last_at_ms, read_record, record_path
from edge_node.replication.proof_due import Proof
from edge_node.services.replica_proofs import AGAIN_S, FIRST_EXPIRY_S, Proofs
from tests.support.clock import FakeClock
from tests.support.old_copies import DAY_MS, put_history
from tests.support.owners import made_clinic, shipping
from tests.support.replicated import Replicated, make_replicated
from tests.support.waiting import until

WITHIN_S = 60.0


@dataclass
class Story:
    """The replicator's part in proving, run for a while; a test moves its clock."""

    proofs: Proofs
    clock: FakeClock

    def until(self, *conditions: Callable[[], bool], then_s: float = 0.0) -> None:
        """Wait for one after the other, an hour apart; raises TimeoutError when one does not come."""

        async def run() -> None:
            task = asyncio.create_task(self.proofs.run())
            try:
                for condition in conditions:
                    self.clock.advance(3600)
                    async with asyncio.timeout(WITHIN_S):
                        while not condition():
                            await asyncio.sleep(0.05)
                            if task.done():
                                await task
                await asyncio.sleep(then_s)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

        asyncio.run(run())


def a_story(clinic: Replicated, **more: bool) -> Story:
    clock = FakeClock(wall_ms=round(time.time() * 1000))
    owns = more.pop("owns", True)
    return Story(Proofs(clinic.config, clock, config_path=None, owns=lambda: owns, **more), clock)


def proven(clinic: Replicated, proof: Proof) -> int | None:
    return last_at_ms(read_record(record_path(clinic.home)), "cloud", proof)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Replicated:
    made = made_clinic(tmp_path_factory.mktemp("clinic") / "a")
    with shipping(made):
        pass
    return made


def test_a_copy_that_nobody_proves_is_drilled_and_looked_at_once(
    clinic: Replicated, capfd: pytest.CaptureFixture[str]
) -> None:
    record_path(clinic.home).unlink(missing_ok=True)
    story = a_story(clinic, has_timers=False)
    story.until(lambda: all(proven(clinic, proof) for proof in Proof))
    record = read_record(record_path(clinic.home))["destinations"]["cloud"]
    assert (record["drill"]["outcome"], record["verify_his"]["ok"]) == ("ok", True), record
    said = capfd.readouterr().err
    assert said.count("proof_begins") == 2
    # Done: not again the next hour, nor by a replicator that is started anew.
    story.until(lambda: True, then_s=3.0)
    a_story(clinic, has_timers=False).until(lambda: True, then_s=3.0)
    assert "proof_begins" not in capfd.readouterr().err


def test_beside_timers_and_on_a_machine_that_was_replaced_nothing_begins(
    clinic: Replicated, capfd: pytest.CaptureFixture[str]
) -> None:
    record_path(clinic.home).unlink(missing_ok=True)
    a_story(clinic, has_timers=True).until(lambda: True, then_s=3.0)
    a_story(clinic, has_timers=False, owns=False).until(lambda: True, then_s=3.0)
    assert "proof_begins" not in capfd.readouterr().err


def test_one_that_another_is_at_is_left_to_it_and_tried_hours_later(
    clinic: Replicated, capfd: pytest.CaptureFixture[str]
) -> None:
    """The lock is the timer's and the operator's as well: two drills at once would fill the disk for nothing."""
    record_path(clinic.home).unlink(missing_ok=True)
    locks = clinic.home / "drill"
    locks.mkdir(exist_ok=True)
    said: list[str] = []

    def ended(count: int) -> bool:
        said.append(capfd.readouterr().err)
        return "".join(said).count("proof_ended") >= count

    story = a_story(clinic, has_timers=False)
    with file_lock(locks / "drill.lock"), file_lock(locks / "verify.lock"):
        story.until(lambda: ended(2), lambda: ended(2), then_s=3.0)
        assert "".join(said).count("proof_begins") == 2
        assert "".join(said).count("code=75") == 2, said
    story.clock.advance(AGAIN_S)
    story.until(lambda: all(proven(clinic, proof) for proof in Proof))


def test_a_node_that_expires_by_itself_keeps_ninety_days(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clinic = make_replicated(tmp_path / "home")
    config = clinic.home / "edge-node.toml"
    config.write_text(config.read_text() + "expire = true\n")
    now_ms = round(time.time() * 1000)
    put_history(clinic.cloud, "clinic-0042/e0002/his", days=100, until_ms=now_ms)
    put_history(clinic.cloud, "clinic-0042/e0001/his", days=9, until_ms=now_ms - 100 * DAY_MS)

    def files(epoch: int) -> set[Path]:
        return set((clinic.cloud / f"clinic-0042/e{epoch:04d}").rglob("*.ltx"))

    before = files(2)
    assert FIRST_EXPIRY_S <= 3600
    story = a_story(clinic, has_timers=True)
    story.until(lambda: "proof_ended" in capfd.readouterr().err)
    assert files(1) == set(), "ninety days begin in the second epoch"
    gone = before - files(2)
    assert 0 < len(gone) < len(before)
    # Snapshots are five days apart: the one that is 90 to 95 days old begins everything.
    oldest = min((path for path in files(2) if path.parent.name == "0009"), key=lambda path: path.name)
    assert 90 * DAY_MS <= now_ms - oldest.stat().st_mtime * 1000 <= 95 * DAY_MS + 60_000
    # The day after nothing more is due.
    left = files(2)
    story.until(lambda: True, then_s=2.0)
    assert files(2) == left


def test_a_stop_ends_what_a_proof_has_started_as_well(
    clinic: Replicated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drill restores by a Litestream of its own, for a minute: nothing of it may outlive the node."""
    told, command = tmp_path / "pid", tmp_path / "drill"
    command.write_text(f"#!/bin/sh\nsleep 300 &\necho $! > {told}\nwait\n")
    command.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(command))
    record_path(clinic.home).unlink(missing_ok=True)
    a_story(clinic, has_timers=False).until(lambda: told.exists() and told.read_text().endswith("\n"))
    until(lambda: is_gone(int(told.read_text())), within_s=5)


def is_gone(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
