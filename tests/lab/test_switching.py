"""What traffic notices of a move that was asked for (nothing), and of a cable that is cut: with 1 kHz each way."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.lab.blackholes import pin
from tests.lab.both_ways import BothWays
from tests.lab.topology import Laboratory
from tests.lab.watched import WatchedLines, watched
from tests.support.waiting import until

# The kernel tells of a carrier's change at most once a second; a link is quiet when that is over.
QUIET_FOR_S = 1.5
LOST_BY_A_CUT = 5


@pytest.mark.parametrize("switches", [6, pytest.param(100, marks=pytest.mark.long)])
def test_a_planned_switch_loses_nothing(lab: Laboratory, tmp_path: Path, switches: int) -> None:
    """Row 5 of the acceptance."""
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom")
        with BothWays(lab) as stream:
            stream.go_on(200)
            for number in range(switches):
                line = ("unicom", "telecom")[number % 2]
                pin(watcher, line, for_s=60)
                until(lambda line=line: watcher.active() == line, within_s=5)  # type: ignore[misc]
        print(f"\n{switches} planned switches: {stream.told()}")
        assert (stream.lost(), stream.errors()) == (0, 0)
        moves = until(lambda: moves_of(watcher, at_least=switches + 1))
    assert [reason for _, reason in moves] == ["first-line"] + ["pinned"] * switches
    assert lab.leaked() == lab.strayed() == 0


def moves_of(watcher: WatchedLines, *, at_least: int) -> list[tuple[str, str]]:
    """Where the node moved to and why, once so many moves stand in the file."""
    moves = [(t["to_line"], t["reason"]["code"]) for t in watcher.transitions() if t["kind"] == "mode"]
    return moves if len(moves) >= at_least else []


@pytest.mark.long
def test_without_the_kernels_setting_a_cut_would_lose_everything(lab: Laboratory, tmp_path: Path) -> None:
    """That row 6 can fail: the product's file is what keeps the traffic going when nobody watches."""
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom" and watcher.has_fallback("unicom"))
        lab.clinic.sysctl({"net.ipv4.conf.all.ignore_routes_with_linkdown": "0"})
        lab.clinic.sysctl({"net.ipv4.conf.telecom.ignore_routes_with_linkdown": "0"})
        watcher.end(signal.SIGKILL)
        with BothWays(lab) as stream:
            stream.go_on(200)
            lab.fault("telecom", "cut")
            stream.go_on(1200)
        assert len(stream.out.lost()) > 1000


@pytest.mark.parametrize("lives", [True, False], ids=["watched", "watcher killed"])
@pytest.mark.parametrize("cuts", [1, pytest.param(20, marks=pytest.mark.long)])
def test_a_cut_cable_loses_hardly_a_packet(lab: Laboratory, tmp_path: Path, lives: bool, cuts: int) -> None:
    """Row 6 of the acceptance: the kernel leaves the line by itself, whoever watches."""
    lost = []
    with watched(lab, tmp_path / "node", detect={"hold": "0s", "suppress": 0}) as watcher:
        for number in range(cuts):
            watcher.until_up("telecom", "unicom", within_s=30)
            if watcher.active() != "telecom":
                pin(watcher, "telecom")
                until(lambda: watcher.active() == "telecom")
            until(lambda: watcher.has_fallback("unicom"))
            if not lives:
                watcher.end(signal.SIGKILL)
            time.sleep(QUIET_FOR_S)
            with BothWays(lab) as stream:
                stream.go_on(200)
                lab.fault("telecom", "cut")
                sent = stream.go_on(1200)
            print(f"\ncable cut, {'watched' if lives else 'watcher killed'}: {stream.told()}")
            lost.append(max(len(way.lost()) for way in stream.ways))
            assert max(stream.out.arrived) > sent - 100, "it goes on by the other line"
            lab.fault("telecom", "heal")
            if not lives and number + 1 < cuts:
                watcher.start()
    assert max(lost) <= LOST_BY_A_CUT, lost
