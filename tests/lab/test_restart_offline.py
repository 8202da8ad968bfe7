"""The issue's second row: the node is killed and started again in the middle of an outage."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.lab.load import Load, staff_at_work
from tests.lab.proofs import (
    a_restore_equals_the_live_one,
    nothing_answered_is_lost,
    told_exactly_once_in_order,
)
from tests.lab.whole import has_caught_up, is_empty, is_well, whole_path
from tests.support.node import STARTS_WITHIN_S
from tests.support.waiting import until

# Of each part of the outage: before the kill, and after the return.
OFFLINE_S, LONG_OFFLINE_S = 4.0, 30.0
PAIRS, RATE_PER_S = 4, 20.0


@pytest.mark.parametrize(
    "offline_s",
    [
        pytest.param(OFFLINE_S, marks=pytest.mark.timeout(240), id="short"),
        pytest.param(LONG_OFFLINE_S, marks=[pytest.mark.long, pytest.mark.timeout(400)], id="a-minute"),
    ],
)
def test_killed_and_started_again_while_offline(can_build: None, tmp_path: Path, offline_s: float) -> None:
    folder = tmp_path / "lab"
    with (
        whole_path(folder) as whole,
        staff_at_work(whole.node, folder / "staff", pairs=PAIRS, rate_per_s=RATE_PER_S) as load,
    ):
        node, lab = whole.node, whole.lab
        until(lambda: is_well(whole), within_s=20, every_s=0.1)
        for line in ("telecom", "unicom"):
            lab.fault(line, "blackhole")
        until(lambda: node.mode() == "offline", within_s=6)
        visits_go_on(load, for_s=offline_s)

        node.kill()
        killed_s = time.monotonic()
        node.start(wait=False)
        until(lambda: visits_answered(load, since_s=killed_s) > 0, within_s=STARTS_WITHIN_S, every_s=0.1)
        back_s = time.monotonic() - killed_s
        until(lambda: node.mode() == "offline" and node.state_of("replica").get("litestream") == "running", within_s=20)
        captured = int(node.state_of("replica")["txid"])
        visits_go_on(load, for_s=offline_s)
        until(lambda: node.state_of("replica")["txid"] > captured, within_s=5)
        assert node.mode() == "offline"
        assert node.destination("cloud")["state"] == "unreachable"

        for line in ("telecom", "unicom"):
            lab.fault(line, "heal")
        healed_s, healed_ms = time.monotonic(), time.time() * 1000
        until(lambda: has_caught_up(whole, since_ms=healed_ms), within_s=30)
        recovered_s = time.monotonic() - healed_s

        load.stop()
        until(lambda: is_empty(whole), within_s=10)
        nothing_answered_is_lost(node, load)
        a_restore_equals_the_live_one(node, folder, origin="cloud")
        messages = told_exactly_once_in_order(node, whole.receiver)
        assert lab.leaked() == lab.strayed() == 0
        unanswered = [request for request in load.requests() if request.failed]
        print(
            f"killed offline, first visit answered after {back_s:.1f} s, {len(unanswered)} requests unanswered; "
            f"recovered {recovered_s:.1f} s after the heal; {len(load.answered('encounter'))} visits, "
            f"{messages} messages, {whole.receiver.received().duplicates} told again"
        )
        assert all(request.began_s >= killed_s - 1 for request in unanswered)


def visits_go_on(load: Load, *, for_s: float) -> None:
    """Somebody finishes a visit, and time passes with more of them."""
    since_s = time.monotonic()
    until(
        lambda: time.monotonic() > since_s + for_s and visits_answered(load, since_s=since_s) > 0,
        within_s=for_s + 20, every_s=0.1,
    )  # fmt: skip


def visits_answered(load: Load, *, since_s: float) -> int:
    return len(load.answered("encounter", since_s=since_s))
