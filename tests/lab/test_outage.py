"""The issue's first row: visits all the time; one line dies, both die, both return; nobody at a desk notices.

And its third: nothing ever left the laboratory.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.clinic import LabNode
from tests.lab.load import Load, Request, quantile, staff_at_work
from tests.lab.proofs import nothing_answered_is_lost, told_exactly_once_in_order
from tests.lab.whole import has_caught_up, is_empty, is_well, took_s, whole_path
from tests.support.waiting import until

SETTLES_WITHIN_S = 20.0
FAILS_OVER_WITHIN_S, OFFLINE_WITHIN_S, RECOVERS_WITHIN_S = 1.5, 5.0, 30.0
# Of the p99 offline to that before. In the short form a p99 is the third worst of a phase, which says more about what
# else the machine does: there the median is judged, and the worst. A median below the floor is no wait for the network,
# whatever else the machine began to do meanwhile: the shortest deadline towards the cloud is a second.
P99_RATIO, SHORT_P50_RATIO, SHORT_P50_FLOOR_S, SHORT_WORST_S = 1.5, 3.0, 0.25, 5.0
CPU_RATIO = 1.5
RUNS = 3
# Fewer do not make a p99.
ENOUGH_REQUESTS, SHORT_REQUESTS = 2_000, 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one outage took and cost, in seconds."""

    failed_over_s: float
    offline_s: float
    caught_up_s: float
    left_offline_s: float
    before: list[Request]
    offline: list[Request]
    # What a request costs the HIS, which does not depend on who else wants the processor.
    cpu_before_s: float
    cpu_offline_s: float
    messages: int
    duplicates: int

    @property
    def p99_ratio(self) -> float:
        return quantile(self.offline, 0.99) / quantile(self.before, 0.99)

    def __str__(self) -> str:
        p99_ms = [quantile(phase, 0.99) * 1000 for phase in (self.before, self.offline)]
        return (
            f"failover {self.failed_over_s:.2f} s, offline after {self.offline_s:.2f} s; after the heal all told and "
            f"copied in {self.caught_up_s:.1f} s, offline left in {self.left_offline_s:.1f} s; p99 before "
            f"{p99_ms[0]:.0f} ms ({len(self.before)} requests), offline {p99_ms[1]:.0f} ms ({len(self.offline)}), "
            f"ratio {self.p99_ratio:.2f}; CPU of the HIS for a request {self.cpu_before_s * 1000:.1f} ms, offline "
            f"{self.cpu_offline_s * 1000:.1f} ms; {self.messages} messages, {self.duplicates} told again"
        )


@pytest.mark.timeout(240)
def test_an_outage_that_no_desk_notices(can_build: None, tmp_path: Path) -> None:
    seen = an_outage(tmp_path / "lab", requests=SHORT_REQUESTS)
    print(seen)
    assert quantile(seen.offline, 0.5) < max(SHORT_P50_FLOOR_S, SHORT_P50_RATIO * quantile(seen.before, 0.5))
    assert quantile(seen.offline, 1.0) < SHORT_WORST_S
    assert seen.cpu_offline_s < CPU_RATIO * seen.cpu_before_s


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_an_outage_costs_no_time_at_the_desk(can_build: None, tmp_path: Path) -> None:
    """The median of three runs of at least 2,000 requests a phase."""
    all_seen = [an_outage(tmp_path / f"lab-{run}", requests=ENOUGH_REQUESTS) for run in range(RUNS)]
    print(*all_seen, sep="\n")
    assert statistics.median(seen.p99_ratio for seen in all_seen) <= P99_RATIO


def an_outage(folder: Path, *, requests: int) -> Seen:
    """Telecom fails, unicom fails, both return, with visits all the time; what must hold at once is asserted here."""
    with whole_path(folder) as whole, staff_at_work(whole.node, folder / "staff") as load:
        node, lab = whole.node, whole.lab
        began_s = time.monotonic()
        until(lambda: is_well(whole), within_s=SETTLES_WITHIN_S, every_s=0.1)
        assert node.way_out() == "telecom"
        before, cpu_before_s = a_phase(node, load, requests)

        lab.fault("telecom", "blackhole")
        failed_over_s = took_s(lambda: node.way_out() == "unicom" and node.mode() == "backup", FAILS_OVER_WITHIN_S)
        kept = len(whole.receiver.received().kept)
        until(lambda: len(whole.receiver.received().kept) > kept, within_s=10)

        lab.fault("unicom", "blackhole")
        offline_s = took_s(lambda: node.mode() == "offline", OFFLINE_WITHIN_S)
        offline, cpu_offline_s = a_phase(node, load, requests)
        assert node.mode() == "offline"
        assert node.state_of("outbox")["queued"] + node.state_of("outbox")["waiting"] > 0

        lab.fault("telecom", "heal")
        lab.fault("unicom", "heal")
        healed_ms = time.time() * 1000
        healed_s = time.monotonic()
        caught_up_s = took_s(lambda: has_caught_up(whole, since_ms=healed_ms), RECOVERS_WITHIN_S)
        until(lambda: node.mode() in ("online", "backup"), within_s=healed_s + RECOVERS_WITHIN_S - time.monotonic())
        left_offline_s = time.monotonic() - healed_s

        load.stop()
        until(lambda: is_empty(whole), within_s=10)
        failed = [request for request in load.requests(since_s=began_s) if request.failed]
        assert failed == []
        nothing_answered_is_lost(node, load)
        messages = told_exactly_once_in_order(node, whole.receiver)
        assert lab.leaked() == 0
        assert lab.strayed() == 0, "nothing for the cloud takes another way than a line"
        return Seen(
            failed_over_s=failed_over_s, offline_s=offline_s, caught_up_s=caught_up_s, left_offline_s=left_offline_s,
            before=before, offline=offline, cpu_before_s=cpu_before_s, cpu_offline_s=cpu_offline_s,
            messages=messages, duplicates=whole.receiver.received().duplicates,
        )  # fmt: skip


def a_phase(node: LabNode, load: Load, requests: int) -> tuple[list[Request], float]:
    """The next so many requests of the staff, and how many seconds of the processor each took of the HIS."""
    since_s, cpu_s = time.monotonic(), node.cpu_s("his")
    until(lambda: len(load.requests(since_s=since_s)) >= requests, within_s=120 + requests / 10, every_s=0.5)
    cpu_s = node.cpu_s("his") - cpu_s
    seen = load.requests(since_s=since_s, until_s=time.monotonic())
    return seen, cpu_s / len(seen)
