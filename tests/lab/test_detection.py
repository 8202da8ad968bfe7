"""How fast a dead line is seen and left, beside FRR's bfdd where it is installed: both meet the same black holes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.lab import bfd
from tests.lab.blackholes import DEFAULT, FAST, BlackHole, black_holes, share_of, told
from tests.lab.topology import TELECOM, Laboratory
from tests.lab.watched import watched

# A few runs beside whatever else the machine does show that it works; the figures are those of the long form.
A_FEW, MANY = 3, 20


def test_a_fast_line_is_left_as_soon_as_it_is_dead(lab: Laboratory, tmp_path: Path) -> None:
    seen = measured(lab, tmp_path, FAST, A_FEW, wait_until_up=False)
    assert max(hole.verdict_s for hole in seen) <= 0.8
    assert max(hole.route_s for hole in seen) <= 0.3
    assert max(hole.outage_s for hole in seen) <= 1.0
    # Not before its time either: three questions without answer, and what came before the black hole was answered.
    assert min(hole.verdict_s for hole in seen) >= 0.2


@pytest.mark.long
def test_as_fast_as_bfd(lab: Laboratory, tmp_path: Path) -> None:
    """Rows 1, 3 and 4 of the acceptance: 100 ms x 3, two targets."""
    if not bfd.is_installed():
        pytest.skip("FRR's bfdd is measured beside: apt-get install --no-install-recommends frr")
    seen = measured(lab, tmp_path, FAST, MANY)
    verdicts, theirs = [hole.verdict_s for hole in seen], [hole.bfd_s for hole in seen if hole.bfd_s is not None]
    assert len(theirs) == MANY
    assert share_of(verdicts, 0.5) <= 1.15 * share_of(theirs, 0.5)
    assert share_of(verdicts, 0.95) <= 0.4
    assert share_of([hole.route_s for hole in seen], 0.95) <= 0.05
    assert share_of([hole.outage_s for hole in seen], 0.95) <= 0.45


@pytest.mark.long
def test_the_default_sees_a_dead_line_within_a_second(lab: Laboratory, tmp_path: Path) -> None:
    """Row 2 of the acceptance: 200 ms x 5."""
    seen = measured(lab, tmp_path, DEFAULT, MANY)
    assert share_of([hole.verdict_s for hole in seen], 0.95) <= 1.2
    assert share_of([hole.route_s for hole in seen], 0.95) <= 0.05


def measured(
    lab: Laboratory, folder: Path, detect: dict[str, object], times: int, *, wait_until_up: bool = True
) -> list[BlackHole]:
    with contextlib.ExitStack() as stack:
        beside = stack.enter_context(bfd.bfd_session(lab, TELECOM)) if bfd.is_installed() else None
        watcher = stack.enter_context(watched(lab, folder / "node", detect=detect))
        seen = list(black_holes(lab, watcher, times, bfd=beside, wait_until_up=wait_until_up))
    print()
    print(told("first lost packet to verdict", [hole.verdict_s for hole in seen]))
    if beside is not None:
        print(told("bfdd 100 ms x 3, same black holes", [hole.bfd_s for hole in seen if hole.bfd_s is not None]))
    print(told("verdict to route in the kernel", [hole.route_s for hole in seen]))
    print(told("1 kHz stream without answer", [hole.outage_s for hole in seen]))
    assert lab.leaked() == 0
    return seen
