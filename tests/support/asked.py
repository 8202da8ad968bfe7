"""Days of questions on lines with weather, as a trace would tell them: fast, and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from failover.core.model import LinePolicy, LinkState, Policy
from failover.probes.outcome import Outcome, Sample
from failover.setup import Target
from failover.simulate import Moved, Simulation, Told
from failover.trace import Entry, LinkChange, Moment

BATCH_S = 10.0
EVERY_S = 0.2
WALL_AT_BOOT_MS = 1_790_000_000_000
TARGET = Target(address="10.100.0.1")
LINES = ("telecom", "unicom")
POLICY = Policy(lines=tuple(LinePolicy(name=name, preferred=n) for n, name in enumerate(LINES, start=1)))
WHOLE = LinkState(present=True, carrier=True, has_address=True, has_route=True)

Answer = Callable[[random.Random, float], float | None]
"""What becomes of a question that is asked at a time: its round trip in seconds, or None for lost."""


def well(chance: random.Random, at: float) -> float | None:
    return 0.012


def losing(share: float) -> Answer:
    return lambda chance, at: None if chance.random() < share else 0.012


def later(change_at: float, before: Answer, after: Answer) -> Answer:
    return lambda chance, at: before(chance, at) if at < change_at else after(chance, at)


@dataclass
class Asked:
    """One line and target: asked every 200 ms with a phase of its own."""

    line: str
    answer: Answer
    chance: random.Random
    target: Target = TARGET
    every_s: float = EVERY_S
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.chance.uniform(0, self.every_s)

    def until(self, end: float) -> Iterator[Sample]:
        at, answer, chance, line, name, every_s = (
            self.at, self.answer, self.chance, self.line, self.target.name, self.every_s,
        )  # fmt: skip
        while at < end:
            rtt_s = answer(chance, at)
            if rtt_s is None or rtt_s > 1.0:
                yield Sample(at, line, name, Outcome.LOST)
                if rtt_s is not None:
                    yield Sample(at, line, name, Outcome.LATE, rtt_s)
            else:
                yield Sample(at, line, name, Outcome.ANSWERED, rtt_s)
            at += every_s
        self.at = at


def played(asked: Sequence[Asked], seconds: float, simulation: Simulation) -> Iterator[Told]:
    """Play that long through a policy."""
    links: list[Entry] = [LinkChange(0.0, line, WHOLE) for line in simulation.totals.lines]
    end = 0.0
    while end < seconds:
        end = min(seconds, end + BATCH_S)
        entries = links + [sample for one in asked for sample in one.until(end)]
        links = []
        yield from simulation.play(Moment("boot", end, WALL_AT_BOOT_MS + round(end * 1000)), entries)
    yield from simulation.finish()


def story(seed: int, seconds: float, telecom: Answer, unicom: Answer = well) -> tuple[list[Told], Simulation]:
    """Two lines with a target each."""
    simulation = Simulation(POLICY, dict.fromkeys(LINES, (TARGET,)))
    asked = [
        Asked(line, answer, random.Random(f"{seed} {line}"))
        for line, answer in zip(LINES, (telecom, unicom), strict=True)
    ]
    return list(played(asked, seconds, simulation)), simulation


def seconds_of(move: Moved) -> float:
    return (move.at_ms - WALL_AT_BOOT_MS) / 1000
