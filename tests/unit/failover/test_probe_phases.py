"""When targets are asked within an interval: those of one line near each other, lines apart."""

from __future__ import annotations

import random

import pytest

from failover.core.model import Detect
from failover.probes.engine import NEAR, Engine, LineProbing
from failover.probes.pin import Pin
from failover.setup import Target

TARGETS = (Target(address="10.100.0.1"), Target(address="10.100.0.2"))
DETECT = Detect(interval_s=0.1)


def phases(seed: int) -> dict[str, list[float]]:
    """When each target of two lines is asked first, in intervals."""
    engine = Engine(lambda: 100.0, lambda *_: pytest.fail("nothing is due"), print, phase=random.Random(seed).random)
    lines = {
        name: LineProbing(pin=Pin(interface=name, address="10.1.1.2", mark=1), targets=TARGETS, detect=DETECT)
        for name in ("telecom", "unicom")
    }
    engine.set_lines(lines, 100.0)
    return {name: [(asked.due - 100.0) / DETECT.interval_s for asked in engine.of_line(name)] for name in lines}


def test_targets_of_a_line_are_near_each_other_and_not_in_step() -> None:
    drawn = [phases(seed) for seed in range(200)]
    apart = [abs(first - second) for each in drawn for first, second in each.values()]
    assert min(apart) > 0 and max(apart) <= NEAR
    assert all(0 <= at <= 1 for each in drawn for line in each.values() for at in line)


def test_lines_are_apart() -> None:
    between = [abs(each["telecom"][0] - each["unicom"][0]) for each in map(phases, range(200))]
    assert sum(between) / len(between) > 0.2, "anywhere within the interval"
