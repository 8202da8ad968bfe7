"""Lines that live and are bad: one real run each of what virtual time plays twenty times. Minutes each: long."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.measure import pour, sink
from tests.lab.topology import STORE_ADDRESS, Laboratory
from tests.lab.watched import WatchedLines, watched
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

# After a move, quality alone does not move the node for a minute.
MIN_STAY_S = 62.0
UPLOAD_BYTES = 32_000_000


def settled(watcher: WatchedLines) -> None:
    """On telecom, with both lines up, for long enough that quality may move the node."""
    watcher.until_up("telecom", "unicom")
    watcher.until_mode("online", "telecom")
    time.sleep(MIN_STAY_S)
    watcher.until_mode("online", "telecom", within_s=1)


def moves(watcher: WatchedLines) -> list[tuple[float, str | None, str]]:
    """Every move of the node that stands in the file: when by boot time, to which line, and why."""
    return [(t["boottime"], t["to_line"], t["reason"]["code"]) for t in watcher.transitions() if t["kind"] == "mode"]


def left_after_s(watcher: WatchedLines, since: float, *, within_s: float) -> float:
    """How long until the node left telecom, by the watcher's own record."""

    def left() -> list[float]:
        return [at for at, line, _ in moves(watcher) if at > since and line == "unicom"]

    return until(left, within_s=within_s)[0] - since


def boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def test_thirty_percent_loss_is_left_once(lab: Laboratory, tmp_path: Path) -> None:
    """Row 8 of the acceptance."""
    with watched(lab, tmp_path / "node") as watcher:
        settled(watcher)
        known, since = len(moves(watcher)), boot_time()
        lab.fault("telecom", "loss=30%")
        took_s = left_after_s(watcher, since, within_s=40)
        print(f"\n30 % loss: left after {took_s:.1f} s")
        assert took_s <= 25
        time.sleep(300 - took_s)
        assert [reason for _, _, reason in moves(watcher)[known:]] == ["line-degraded"], "one move in five minutes"


def test_a_delay_is_left_although_nothing_is_lost(lab: Laboratory, tmp_path: Path) -> None:
    """Row 9 of the acceptance, first half."""
    with watched(lab, tmp_path / "node") as watcher:
        settled(watcher)
        since = boot_time()
        lab.fault("telecom", "delay=300")
        took_s = left_after_s(watcher, since, within_s=30)
        print(f"\n+300 ms: left after {took_s:.1f} s")
        assert took_s <= 10
        until(lambda: watcher.line("telecom")["reason"]["code"] == "delay")


def test_a_line_that_our_own_upload_clogs_is_left(lab: Laboratory, tmp_path: Path) -> None:
    """Row 9, second half: 2 Mbit/s and a queue of 400 kB; nothing is lost, everything waits."""
    with watched(lab, tmp_path / "node") as watcher:
        settled(watcher)
        lab.fault("telecom", "rate=2mbit")
        with upload(lab):
            since = boot_time()
            took_s = left_after_s(watcher, since, within_s=40)
            print(f"\n2 Mbit/s with an upload: left after {took_s:.1f} s")
            assert took_s <= 10
            until(lambda: watcher.line("telecom")["reason"]["code"] in ("delay", "returning", "clean"))


@contextlib.contextmanager
def upload(lab: Laboratory) -> Iterator[None]:
    """From the clinic's service IP to the store's address, one after the other."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            pour(lab.clinic, STORE_ADDRESS, size_bytes=UPLOAD_BYTES, within_s=20)

    with sink(lab.cloud, STORE_ADDRESS):
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            lab.fault("telecom", "heal")
            thread.join()


def test_a_line_that_flaps_for_ten_minutes_moves_the_node_twice_at_most(lab: Laboratory, tmp_path: Path) -> None:
    """Row 10 of the acceptance: 3 s on, 3 s off."""
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        watcher.until_mode("online", "telecom")
        known, end = len(moves(watcher)), time.monotonic() + 600
        while time.monotonic() < end:
            for spec in ("blackhole", "heal"):
                lab.fault("telecom", spec)
                time.sleep(3)
        switches = moves(watcher)[known:]
        print(f"\n3 s on, 3 s off for 10 min: {len(switches)} switches, {[reason for _, _, reason in switches]}")
        assert 1 <= len(switches) <= 2


def test_jitter_moves_nothing(lab: Laboratory, tmp_path: Path) -> None:
    """Row 12 of the acceptance: 80±20 ms from the moment on, for five minutes."""
    with watched(lab, tmp_path / "node") as watcher:
        settled(watcher)
        known = len(watcher.transitions())
        lab.fault("telecom", "delay=80±20")
        until(lambda: (watcher.line("telecom")["rtt_s"] or 0) > 0.06, within_s=60)
        time.sleep(240)
        line = watcher.line("telecom")
        print(f"\n80±20 ms: p50 {line['rtt_s']:.3f} p95 {line['rtt_p95_s']:.3f} s, {line['verdict']}")
        assert watcher.decided_since(known) == []
