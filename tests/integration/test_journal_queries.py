"""What the history answers: a verdict holds while somebody is there to see, and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_node.journal import queries
from edge_node.journal.month import ReportedLine, line_pieces, line_smoke, month_before, month_window, sla_month
from edge_node.journal.record import record_maintenance
from edge_node.orders import new_maintenance
from edge_node.store.connection import Connection
from monitoring.report import Promise
from monitoring.sla import Bar, Window, account
from monitoring.smoke import blind_spans
from tests.support.clock import FakeClock
from tests.support.journal import HOUR, MIN, AWatcher, node_database

SHANGHAI = timezone(timedelta(hours=8))
# Midnight of 12 October in the clinic.
MIDNIGHT = int(datetime(2026, 10, 11, 16, tzinfo=UTC).timestamp() * 1000)
CLOUD = ("10.100.0.1", "10.100.0.2")


def local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with node_database(tmp_path) as conn:
        yield conn


@pytest.fixture
def watcher(tmp_path: Path) -> AWatcher:
    return AWatcher(tmp_path, clock=FakeClock(wall_ms=MIDNIGHT))


def states(conn: Connection, window: Window, now_ms: int) -> dict[str, int]:
    told = account(line_pieces(conn, "telecom", window, now_ms=now_ms), window)
    assert sum(told.by_state.values()) + told.unknown_ms + told.excluded_ms == window.length_ms
    return {**told.by_state, "unknown": told.unknown_ms, **{why.value: ms for why, ms in told.excluded.items()}}


def an_hour(now_ms: int) -> Window:
    return Window(start_ms=MIDNIGHT, end_ms=MIDNIGHT + HOUR)


def passes(watcher: AWatcher, minutes: float, *, conn: Connection | None = None, sees: bool = False) -> None:
    """Time passes, and a monitor (if there is one) looks every minute."""
    for _ in range(round(minutes)):
        if sees:
            watcher.clock.advance(60)
            watcher.sees([(60 - n, "telecom", target, 0.004) for n in range(60) for target in CLOUD])
        else:
            watcher.clock.advance(60)
        if conn is not None:
            watcher.is_recorded(conn)


def test_a_verdict_holds_until_the_next(conn: Connection, watcher: AWatcher) -> None:
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    passes(watcher, 20)
    watcher.tells("verdict", "telecom", "up", "down", silent_s=1.0, targets=2)
    passes(watcher, 10)
    watcher.tells("verdict", "telecom", "down", "up", "clean")
    passes(watcher, 30)
    now = watcher.is_recorded(conn)

    assert states(conn, an_hour(now), now) == {"up": 50 * MIN, "down": 10 * MIN, "unknown": 0}
    (one,) = queries.line_incidents(conn, "telecom", an_hour(now), now_ms=now)
    assert (one.ref, one.duration_ms, one.reason.code, one.reason.args["targets"]) == ("1.2", 10 * MIN, "silent", 2)
    assert queries.line_incidents(conn, "unicom", an_hour(now), now_ms=now) == ()


def test_after_the_watchers_death_nothing_is_known(conn: Connection, watcher: AWatcher) -> None:
    """The last verdict was up: half an hour without a watcher must not count as half an hour up."""
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    passes(watcher, 20, conn=conn)
    watcher.clock.advance(30 * 60)  # nobody
    watcher.restarts()
    watcher.clock.advance(60)
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    watcher.clock.advance(9 * 60)
    now = watcher.is_recorded(conn)

    assert states(conn, an_hour(now), now) == {"up": 29 * MIN, "unknown": 31 * MIN}, "nor the minute before it judged"


def test_a_watcher_that_starts_again_at_once_knows_nothing_until_its_first_verdict(
    conn: Connection, watcher: AWatcher
) -> None:
    """Its samples bridge the second of the restart; the old verdict does not hold beyond it."""
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    passes(watcher, 10, conn=conn, sees=True)
    watcher.restarts()
    watcher.clock.advance(20)
    watcher.sees([(20 - n, "telecom", CLOUD[0], None) for n in range(20)])
    watcher.tells("verdict", "telecom", "unknown", "down")
    watcher.clock.advance(50 * 60 - 20)
    now = watcher.is_recorded(conn)

    assert states(conn, an_hour(now), now) == {"up": 10 * MIN, "unknown": 20_000, "down": 50 * MIN - 20_000}


def test_samples_tell_that_it_ran_while_no_monitor_did(conn: Connection, watcher: AWatcher) -> None:
    """The monitor comes back after a restart of the watcher: of its first run there are only samples."""
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    passes(watcher, 30, sees=True)
    watcher.clock.advance(10 * 60)
    watcher.restarts()
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    watcher.clock.advance(20 * 60)
    now = watcher.is_recorded(conn)

    told = states(conn, an_hour(now), now)
    assert told["unknown"] == pytest.approx(10 * MIN, abs=2000)
    assert told["up"] == HOUR - told["unknown"]


def test_at_this_moment_the_last_minute_is_trusted(conn: Connection, watcher: AWatcher) -> None:
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    watcher.clock.advance(60)
    now = watcher.is_recorded(conn)
    window = Window(start_ms=MIDNIGHT, end_ms=now + 20_000)
    assert states(conn, window, now + 20_000) == {"up": 80_000, "unknown": 0}
    later = Window(start_ms=MIDNIGHT, end_ms=now + 600_000)
    assert states(conn, later, now + 600_000) == {"up": 60_000, "unknown": 600_000}


def test_what_is_not_counted(conn: Connection, watcher: AWatcher) -> None:
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    watcher.clock.advance(10 * 60)
    watcher.tells("verdict", "telecom", "up", "down", "cloud-silent")
    watcher.clock.advance(5 * 60)
    watcher.tells("verdict", "telecom", "down", "up", "clean")
    watcher.clock.advance(45 * 60)
    now = watcher.is_recorded(conn)
    works = [
        new_maintenance(line, start_ms=start_ms, until_ms=until_ms, now_ms=MIDNIGHT, by="li", why="cable")
        for line, start_ms, until_ms in (
            ("telecom", MIDNIGHT + 30 * MIN, MIDNIGHT + 40 * MIN), ("unicom", MIDNIGHT, MIDNIGHT + HOUR),
            ("telecom", MIDNIGHT + 45 * MIN, MIDNIGHT + 50 * MIN),
        )
    ]  # fmt: skip
    works[2] = works[2].taken_back(now_ms=MIDNIGHT + 44 * MIN, by="li")
    record_maintenance(conn, works)

    assert states(conn, an_hour(now), now) == {"up": 45 * MIN, "unknown": 0, "maintenance": 10 * MIN, "cloud": 5 * MIN}
    (one,) = queries.line_incidents(conn, "telecom", an_hour(now), now_ms=now)
    assert one.counted_ms == 0


def test_a_clock_that_is_set_back_makes_unknown_time_and_no_good_one(conn: Connection, watcher: AWatcher) -> None:
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    passes(watcher, 30, conn=conn)
    watcher.tells("verdict", "telecom", "up", "down")
    watcher.clock.advance(60)
    watcher.is_recorded(conn)
    watcher.clock.step_wall(-600)
    watcher.tells("verdict", "telecom", "down", "up", "clean")
    passes(watcher, 40, conn=conn)
    now = watcher.clock.wall_ms()

    told = states(conn, an_hour(now), now)
    assert told["unknown"] >= 9 * MIN
    assert told["up"] <= 51 * MIN


def test_which_line_was_in_use(conn: Connection, watcher: AWatcher) -> None:
    watcher.tells("mode", "node", "starting", "online", "first-line", to_line="telecom")
    watcher.clock.advance(600)
    watcher.tells("mode", "node", "online", "offline", "every-line-down", from_line="telecom")
    watcher.clock.advance(600)
    watcher.tells("mode", "node", "offline", "backup", "back-online", to_line="unicom")
    watcher.clock.advance(2400)
    now = watcher.is_recorded(conn)
    window = an_hour(now)

    used = [(u.line, (u.end_ms - u.start_ms) // MIN) for u in queries.in_use(conn, window, now_ms=now)]
    assert used == [("telecom", 10), ("unicom", 40)]
    assert queries.switches(conn, window) == 1
    (offline,) = queries.service_incidents(conn, window, now_ms=now)
    assert (offline.duration_ms, offline.reason.code) == (10 * MIN, "every-line-down")


def a_line(**further: object) -> ReportedLine:
    return ReportedLine(name="telecom", targets=CLOUD, **further)  # type: ignore[arg-type]


def test_a_months_value(conn: Connection, watcher: AWatcher) -> None:
    watcher.tells("mode", "node", "starting", "online", "first-line", to_line="telecom")
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    passes(watcher, 45, conn=conn, sees=True)
    watcher.tells("verdict", "telecom", "up", "down")
    for _ in range(10):
        watcher.clock.advance(60)
        watcher.sees([(60 - n, "telecom", target, None) for n in range(60) for target in CLOUD])
    watcher.tells("verdict", "telecom", "down", "up", "clean")
    passes(watcher, 90, conn=conn, sees=True)
    now = watcher.clock.wall_ms()

    promise = Promise(availability=0.999, rtt_p95_s=0.003, loss=0.001)
    month = sla_month(
        conn, [a_line(promise=promise)], node_id="clinic-0042", node_name=None, version="0.1.0", month="2026-10",
        now_ms=now, local=local,
    )  # fmt: skip

    (line,) = month.lines
    assert month.window.start_ms == MIDNIGHT - 11 * 24 * HOUR, "a month begins at midnight in the clinic"
    assert not month.is_complete
    assert line.account.by_state == {"up": 135 * MIN, "down": 10 * MIN}
    assert line.account.availability == pytest.approx(135 / 145)
    assert line.bars == {"availability": Bar.OPEN, "rtt_p95": Bar.MISSED, "loss": Bar.MET}, "eleven days are unknown"
    assert line.quality.p95_s == pytest.approx(0.004, rel=0.011)
    assert line.quality.loss == 0.0, "the outage has its own figure"
    assert month.picture is not None
    assert len(month.picture.smoke.outages) == 1
    assert line.account.excluded == {}


def test_a_chart_of_now_does_not_call_the_newest_minute_missing(conn: Connection, watcher: AWatcher) -> None:
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    passes(watcher, 50, conn=conn, sees=True)
    now = watcher.clock.wall_ms()
    smoke = line_smoke(conn, a_line(), Window(start_ms=MIDNIGHT, end_ms=now), now_ms=now)
    assert len(smoke.steps) in (48, 49)
    assert smoke.no_data == ()
    assert blind_spans(smoke) == ()


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "October", "2026-10-01", "", "26-10"])
def test_what_is_no_month(month: str) -> None:
    with pytest.raises(ValueError):
        month_window(month, local=local)


@pytest.mark.parametrize(
    "now, before", [("2026-01-01T00:00", "2025-12"), ("2026-03-31T23:59", "2026-02"), ("2026-11-26T06:00", "2026-10")]
)
def test_the_month_before(now: str, before: str) -> None:
    assert month_before(0, local=lambda _: datetime.fromisoformat(now)) == before


def test_a_month_is_as_long_as_its_days() -> None:
    def berlin(at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, ZoneInfo("Europe/Berlin"))

    assert month_window("2026-10", local=local).length_ms == 31 * 24 * HOUR
    assert month_window("2026-12", local=local).length_ms == 31 * 24 * HOUR
    october = month_window("2026-10", local=berlin)
    assert october.length_ms == 31 * 24 * HOUR + HOUR, "a clock went back in it"
    assert berlin(october.start_ms).isoformat() == "2026-10-01T00:00:00+02:00"
    assert berlin(october.end_ms).isoformat() == "2026-11-01T00:00:00+01:00"
