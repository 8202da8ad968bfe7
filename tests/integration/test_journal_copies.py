"""What the history keeps of the copies: every drill once with how long it took, and how far each copy was behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_node.base.clock import utc_text
from edge_node.base.files import ServiceStatus
from edge_node.journal.behind import STEP_MS, BehindLog, behind_between
from edge_node.journal.drills import DrillLog, drills_between, last_drills, told_drills
from edge_node.replication.drill import Check, Drilled, Outcome
from edge_node.replication.drill_record import drill_as_json
from edge_node.store.connection import Connection, OperationalError
from tests.support.clock import FakeClock
from tests.support.journal import BOOT, node_database, writing

AT_MS = 1_795_000_000_000
WEEK_MS = 7 * 86_400_000


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with node_database(tmp_path) as conn:
        yield conn


def a_file(clock: FakeClock, state: dict[str, Any], *, stopped: bool = False) -> ServiceStatus:
    return ServiceStatus(service="any", pid=1, boot_id=BOOT, started_at=utc_text(AT_MS),
                         written_at=utc_text(clock.wall_ms()), boottime=clock.boottime(), every_s=1.0,
                         stopped=stopped, state=state)  # fmt: skip


def a_drill(at_ms: int, *, name: str = "cloud", rto_s: float | None = 41.2, failed: str = "") -> dict[str, Any]:
    """As whoever drills writes it down."""
    checks = (
        Check(name="restore", outcome=Outcome.FAILED if failed else Outcome.OK, text=failed or "TXID 7 out of 3 files"),
        Check(name="kit", outcome=Outcome.FINDING, text="there is no recovery kit yet"),
    )
    outcome = Outcome.FAILED if failed else Outcome.OK
    return drill_as_json(
        Drilled(source=name, at_ms=at_ms, outcome=outcome, checks=checks, rto_s=rto_s, txid=7, newest_at_ms=at_ms - 9)
    )


def test_a_drill_is_kept_once_however_often_it_is_told(conn: Connection) -> None:
    clock = FakeClock()
    first = a_file(clock, {"running": None, "results": {"cloud": a_drill(AT_MS)}})
    log = DrillLog(writing(conn))
    assert [log.turn(first), log.turn(first), log.turn(None)] == [1, 0, 0]
    # Another recorder, which remembers nothing; and the file with the next week's drill and another destination's.
    later = {"cloud": a_drill(AT_MS + WEEK_MS, rto_s=None, failed="403"), "nas": a_drill(AT_MS + WEEK_MS, name="nas")}
    log = DrillLog(writing(conn))
    assert [log.turn(first), log.turn(a_file(clock, {"results": later}))] == [1, 2]
    found = last_drills(conn, limit=9)
    assert [(one.destination, one.at_ms, one.outcome, one.rto_s, one.why) for one in found] == [
        ("cloud", AT_MS + WEEK_MS, "failed", None, "403"),
        ("nas", AT_MS + WEEK_MS, "ok", 41.2, ""),
        ("cloud", AT_MS, "ok", 41.2, ""),
    ]
    assert found == (*told_drills(a_file(clock, {"results": later})), *told_drills(first))
    assert [one.at_ms for one in last_drills(conn, limit=1)] == [AT_MS + WEEK_MS]
    assert [one.at_ms for one in drills_between(conn, AT_MS, AT_MS + WEEK_MS)] == [AT_MS]


def test_what_could_not_be_written_is_kept_for_the_next_turn(conn: Connection) -> None:
    file = a_file(FakeClock(), {"results": {"cloud": a_drill(AT_MS)}})
    refuses = [True]

    def write(work: Any) -> None:
        if refuses:
            raise OperationalError("disk is full")
        writing(conn)(work)

    log = DrillLog(write)
    with pytest.raises(OperationalError):
        log.turn(file)
    refuses.clear()
    assert log.turn(file) == 1
    assert len(last_drills(conn, limit=9)) == 1


@pytest.mark.parametrize(
    "raw",
    [None, {}, {"cloud": None}, {"cloud": {"at": "yesterday", "outcome": "ok"}}, {"cloud": {"at": utc_text(AT_MS)}}],
)
def test_another_version_s_file_is_left_out(raw: Any) -> None:
    assert told_drills(a_file(FakeClock(), {"results": raw})) == ()


def test_a_drill_is_taken_with_what_can_be_read_of_it() -> None:
    raw = {**a_drill(AT_MS), "rto_s": "fast", "txid": -1, "checks": [{"name": "restore", "outcome": "ok"}, 7]}
    (one,) = told_drills(a_file(FakeClock(), {"results": {"cloud": raw}}))
    assert (one.rto_s, one.txid, len(one.checks), one.is_ok) == (None, None, 1, True)


def copies(**rpo_s: float | None) -> dict[str, Any]:
    return {"destinations": [{"name": name, "state": "behind", "rpo_s": seconds} for name, seconds in rpo_s.items()]}


def test_each_step_keeps_its_worst_and_silence_is_a_gap(conn: Connection) -> None:
    clock = FakeClock()
    log = BehindLog(writing(conn), clock, boot_id=BOOT)
    start_ms = clock.wall_ms() // STEP_MS * STEP_MS + STEP_MS
    clock.advance((start_ms - clock.wall_ms()) / 1000)
    for seconds in (1.0, 340.5, 2.0):
        log.turn(a_file(clock, copies(cloud=seconds, nas=None)))
        clock.advance(60)
    stale = a_file(clock, copies(cloud=99.0))
    clock.advance(STEP_MS / 1000)  # The next step: nothing but old words, and a service that has stopped.
    log.turn(stale)
    log.turn(a_file(clock, copies(cloud=98.0), stopped=True))
    clock.advance(STEP_MS / 1000)
    log.turn(a_file(clock, copies(cloud=0.0, nas=3.0)))
    clock.advance(STEP_MS / 1000)
    log.turn(None)
    end_ms = clock.wall_ms()
    assert behind_between(conn, "cloud", start_ms, end_ms) == ((start_ms, 340.5), (start_ms + 2 * STEP_MS, 0.0))
    assert behind_between(conn, "nas", start_ms, end_ms) == ((start_ms + 2 * STEP_MS, 3.0),)


def test_what_nobody_draws_any_more_goes(conn: Connection) -> None:
    clock = FakeClock()
    log = BehindLog(writing(conn), clock, boot_id=BOOT)
    for _ in range(3):
        log.turn(a_file(clock, copies(cloud=1.0)))
        clock.advance(20 * 86_400)
    assert len(behind_between(conn, "cloud", 0, clock.wall_ms())) == 1
