"""The history in a real node.db: recorded once, however often and wherever the recorder is killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from edge_node.base.errors import StoreError
from edge_node.journal.record import HEARD_EVERY_MS, KEEP_MS, Journal
from edge_node.journal.rollup import ABANDONED_MS, GRACE_MS
from edge_node.orders import Maintenance
from edge_node.store.connection import Connection, transaction
from edge_node.store.failures import store_errors
from tests.support.clock import FakeClock
from tests.support.journal import DAY, HOUR, MIN, AWatcher, dump, node_database

# Ten minutes before an hour that is also midnight (UTC).
BEFORE_MIDNIGHT = 1_795_046_400_000 - 10 * MIN


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with node_database(tmp_path) as conn:
        yield conn


@pytest.fixture
def watcher(tmp_path: Path) -> AWatcher:
    return AWatcher(tmp_path, clock=FakeClock(wall_ms=BEFORE_MIDNIGHT))


def until_done(journal: Journal, watcher: AWatcher) -> None:
    while journal.turn(watcher.status()).behind:
        pass


def rows(conn: Connection, table: str, what: str = "*") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in conn.execute(f"SELECT {what} FROM {table}")]


def seen(watcher: AWatcher, seconds: float, *, every_s: float = 2.0, seed: int = 1) -> None:
    """Time passes under a watcher that asks two targets, and writes a batch every ten seconds."""
    rng = random.Random(seed)
    for _ in range(round(seconds / 10)):
        watcher.clock.advance(10)
        batch = []
        for n in range(round(10 / every_s)):
            for target in ("10.100.0.1", "10.100.0.2"):
                answer = None if rng.random() < 0.1 else 0.004 + rng.random() / 1000
                batch.append((10 - n * every_s, "telecom", target, answer))
        watcher.sees(batch)


def a_quarter_of_an_hour(watcher: AWatcher) -> None:
    """Over midnight, with an outage, a restart, and a moment of blindness."""
    watcher.tells("mode", "node", "starting", "online", "first-line", to_line="telecom")
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    seen(watcher, 300)
    watcher.tells("verdict", "telecom", "up", "down", "silent", silent_s=1.0, targets=2)
    watcher.links("telecom", carrier=False)
    watcher.tells("mode", "node", "online", "backup", "line-down", from_line="telecom", to_line="unicom")
    seen(watcher, 200, seed=2)
    watcher.clock.advance(30)
    watcher.restarts()
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    watcher.blind_s = 2.0
    seen(watcher, 400, seed=3)


def test_a_quarter_of_an_hour_is_recorded(conn: Connection, watcher: AWatcher) -> None:
    journal = watcher.journal(conn)
    a_quarter_of_an_hour(watcher)
    watcher.clock.advance(ABANDONED_MS / 1000 + 3600)

    until_done(journal, watcher)

    assert rows(conn, "transition", "era, seq, kind, to_state, to_line") == [
        (1, 1, "mode", "online", "telecom"), (1, 2, "verdict", "up", None), (1, 3, "verdict", "down", None),
        (1, 4, "mode", "backup", "unicom"), (1, 5, "verdict", "up", None),
    ]  # fmt: skip
    asked = sum(row[0] for row in rows(conn, "minute", "count"))
    assert asked == sum(row[0] for row in rows(conn, "hour", "count")) == 900
    assert len(rows(conn, "hour")) == 4, "two targets on both sides of midnight"
    assert len(list(watcher.traces.glob("*.gz"))) == 2
    (first, second) = rows(conn, "heard", "start, until")[:2]
    assert second[0] - first[1] > 30_000, "nobody was there while the watcher was restarted"


def test_nothing_new_is_no_transaction(conn: Connection, watcher: AWatcher) -> None:
    """An idle node must not write into a replicated database every few seconds."""
    written: list[int] = []

    def write(work: Callable[[Connection], None]) -> None:
        written.append(1)
        with transaction(conn):
            work(conn)

    journal = watcher.journal(conn)
    journal._write = write
    journal.turn(watcher.status())
    before = len(written)
    for _ in range(12):
        watcher.clock.advance(5)
        journal.turn(watcher.status())
    assert len(written) - before == 60_000 // HEARD_EVERY_MS


class _Cut(BaseException):
    """The process ends here."""


class _Knife:
    """A connection on which the process ends before its nth statement."""

    def __init__(self, conn: Connection, after: int, kill: Callable[[], None]) -> None:
        self._conn, self._left, self._kill = conn, after, kill

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            self._kill()

    def execute(self, *arguments: Any) -> Any:
        self._count()
        return self._conn.execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        self._count()
        return self._conn.executemany(*arguments)

    @property
    def in_transaction(self) -> bool:
        return bool(self._conn.in_transaction)

    @property
    def used_up(self) -> bool:
        return self._left >= 0


def _cut() -> None:
    raise _Cut


def recorded(folder: Path, watcher: AWatcher, *, batch_samples: int = 150) -> dict[str, list[tuple[Any, ...]]]:
    with node_database(folder) as conn:
        until_done(watcher.journal(conn, batch_samples=batch_samples), watcher)
        return dump(conn)


def test_cut_before_every_statement_it_goes_on_to_the_same_rows(tmp_path: Path, watcher: AWatcher) -> None:
    a_quarter_of_an_hour(watcher)
    watcher.clock.advance(ABANDONED_MS / 1000 + 3600)
    (tmp_path / "whole").mkdir()
    whole = recorded(tmp_path / "whole", watcher)
    assert len(whole["minute"]) > 30

    statements = 0
    while True:
        folder = tmp_path / f"cut-{statements}"
        folder.mkdir()
        with node_database(folder) as conn:
            knife = _Knife(conn, statements, _cut)
            with contextlib.suppress(_Cut):
                until_done(watcher.journal(cast(Connection, knife), batch_samples=150), watcher)
        assert recorded(folder, watcher) == whole, f"cut before statement {statements}"
        if knife.used_up:
            break
        statements += 1
    assert statements > 100


def test_a_process_killed_again_and_again_records_each_thing_once(tmp_path: Path, watcher: AWatcher) -> None:
    """SIGKILL at the first statement, at the second, and so on, always upon what the one before left."""
    a_quarter_of_an_hour(watcher)
    watcher.clock.advance(ABANDONED_MS / 1000 + 3600)
    (tmp_path / "whole").mkdir()
    whole = recorded(tmp_path / "whole", watcher)

    folder = tmp_path / "killed"
    folder.mkdir()
    kills = 0
    while True:
        child = os.fork()
        if child == 0:
            with node_database(folder) as conn:
                knife = _Knife(conn, kills, lambda: os.kill(os.getpid(), signal.SIGKILL))
                until_done(watcher.journal(cast(Connection, knife), batch_samples=150), watcher)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        kills += 1
    assert kills > 20
    with node_database(folder) as conn:
        assert dump(conn) == whole


def test_a_failed_transaction_is_done_again(tmp_path: Path, conn: Connection, watcher: AWatcher) -> None:
    a_quarter_of_an_hour(watcher)
    watcher.clock.advance(ABANDONED_MS / 1000 + 3600)
    journal = watcher.journal(conn)
    is_full = [True]

    def write(work: Callable[[Connection], None]) -> None:
        with store_errors(tmp_path / "node.db"), transaction(conn):
            work(conn)
            if is_full[0] and conn.execute("SELECT count(*) FROM minute").fetchone()[0]:
                raise StoreError("disk-full", "full", context=None, hint=None)

    journal._write = write
    for _ in range(3):
        with pytest.raises(StoreError):
            journal.turn(watcher.status())
    assert dump(conn)["minute"] == []
    is_full[0] = False
    until_done(journal, watcher)
    (tmp_path / "whole").mkdir()
    assert dump(conn) == recorded(tmp_path / "whole", watcher, batch_samples=40_000)


def test_a_new_machine_begins_a_new_era(conn: Connection, watcher: AWatcher) -> None:
    """node.db came back from a copy; the watcher's folder did not, and its numbers begin anew."""
    for _ in range(3):
        watcher.tells("verdict", "telecom", "up", "down")
    until_done(watcher.journal(conn), watcher)
    watcher.loses_its_folder()
    watcher.clock.advance(60)
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    journal = watcher.journal(conn)
    until_done(journal, watcher)
    watcher.tells("verdict", "telecom", "up", "degraded", "loss")
    until_done(journal, watcher)
    until_done(watcher.journal(conn), watcher)

    assert rows(conn, "transition", "era, seq, to_state") == [
        (1, 1, "down"), (1, 2, "down"), (1, 3, "down"), (2, 1, "up"), (2, 2, "degraded"),
    ]  # fmt: skip


def test_the_monitor_was_away_and_the_history_has_no_gap(conn: Connection, watcher: AWatcher) -> None:
    """What the watcher did meanwhile is in its files, and its own start time says that it never stopped."""
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    until_done(watcher.journal(conn), watcher)
    watcher.clock.advance(3 * 3600)
    watcher.tells("verdict", "telecom", "up", "down")
    until_done(watcher.journal(conn), watcher)
    ((start, until),) = rows(conn, "heard", "start, until")
    assert (until - start) == 3 * HOUR


def test_blind_time_is_left_out_and_told_once(conn: Connection, watcher: AWatcher) -> None:
    journal = watcher.journal(conn)
    journal.turn(watcher.status())
    watcher.clock.advance(60)
    watcher.blind_s = 2.0
    journal.turn(watcher.status())
    now = watcher.clock.wall_ms()
    until_done(watcher.journal(conn), watcher)
    assert rows(conn, "uncounted", "why, line, start, until") == [("blind", "", now - 2000, now)]


def test_a_clock_that_was_years_ahead_does_not_stop_the_journal(conn: Connection, watcher: AWatcher) -> None:
    watcher.clock.step_wall(10 * 365 * 86400)
    seen(watcher, 60)
    watcher.clock.advance(GRACE_MS / 1000 + 3700)
    until_done(watcher.journal(conn), watcher)
    wrong = len(rows(conn, "minute"))
    watcher.clock.step_wall(-10 * 365 * 86400 - 3700)
    journal = watcher.journal(conn)
    until_done(journal, watcher)
    seen(watcher, 180, seed=4)
    until_done(journal, watcher)
    right = [at for (at,) in rows(conn, "minute", "at") if at < BEFORE_MIDNIGHT + DAY]
    assert len(right) >= 4, "two targets, two whole minutes"
    assert len(rows(conn, "minute")) == wrong + len(right)


def test_rollups_go_after_400_days_and_never_all_at_once(conn: Connection, watcher: AWatcher) -> None:
    journal = watcher.journal(conn)
    watcher.tells("verdict", "telecom", "unknown", "up", "answers")
    seen(watcher, 120)
    until_done(journal, watcher)
    with transaction(conn):
        old = watcher.clock.wall_ms() - KEEP_MS
        for age_days in (1, 2, 3, 4):
            conn.execute("INSERT INTO minute SELECT ?, series, count, lost, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL "
                         "FROM minute GROUP BY series", (old - age_days * DAY,))  # fmt: skip

    def ages() -> int:
        return len([at for (at,) in rows(conn, "minute", "DISTINCT at") if at < watcher.clock.wall_ms() - KEEP_MS])

    left = [ages()]
    for _ in range(5):
        watcher.clock.advance(3600)
        seen(watcher, 120)
        until_done(journal, watcher)
        left.append(ages())
    assert left[0] == 4
    assert left[-1] == 0
    assert all(before - after <= 2 for before, after in pairwise(left))
    assert rows(conn, "transition", "to_state") == [("up",)], "transitions stay for ever"


def a_work(**changes: Any) -> Maintenance:
    told: dict[str, Any] = {
        "id": "a1", "line": "telecom", "start_ms": 1000, "until_ms": 2000, "announced_ms": 500, "by": "li",
        "why": "cable", **changes,
    }  # fmt: skip
    return Maintenance(**told)


def test_announced_work_is_recorded_once_and_can_be_taken_back(conn: Connection, watcher: AWatcher) -> None:
    journal, written = watcher.journal(conn), []

    def write(work: Callable[[Connection], None]) -> None:
        written.append(1)
        with transaction(conn):
            work(conn)

    journal._write = write
    journal.turn(None, [a_work()])
    before = len(written)
    for _ in range(3):
        journal.turn(None, [a_work()])
    assert len(written) == before, "the same file again is no transaction"
    journal.turn(None, [a_work(), a_work(id="a2", announced_ms=2500)])
    journal.turn(None, [a_work().taken_back(now_ms=1400, by="wang")])
    until_done(watcher.journal(conn), watcher)
    assert rows(conn, "maintenance") == [
        ("a1", "telecom", 1000, 1400, 500, "li", "cable", 1400, "wang"),
        ("a2", "telecom", 1000, 2000, 2500, "li", "cable", None, None),
    ], "an order that is gone from the file stays recorded"


def test_the_links_of_a_line_are_kept_and_read_again_they_are_the_same(conn: Connection, watcher: AWatcher) -> None:
    for carrier in (True, False, True):
        watcher.clock.advance(10)
        watcher.links("telecom", carrier=carrier)
    for _ in range(2):
        until_done(watcher.journal(conn), watcher)
    assert rows(conn, "link", "line, carrier, has_route") == [
        ("telecom", 1, None), ("telecom", 0, None), ("telecom", 1, None),
    ]  # fmt: skip
