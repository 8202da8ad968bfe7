"""When packets of a size are asked about, of whom, and what their silence may be taken for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from failover.core.model import Detect, Role
from failover.core.path_mtu import MISSES, PathMtu
from failover.probes.engine import REOPEN_S, LineProbing
from failover.probes.mtu import Sized, Sizes, TooLarge
from failover.probes.outcome import Outcome
from failover.probes.pin import NotPermitted, Pin
from failover.setup import ProbeKind, Target

PIN = Pin(interface="en1", address="10.1.1.2", mark=1)
FIRST, SECOND = Target(address="10.100.0.1"), Target(address="10.100.0.2")
TCP = Target(address="10.100.0.3", kind=ProbeKind.TCP, port=443)
CARRIER = Target(address="10.1.1.1", role=Role.CARRIER)


@dataclass
class Far:
    """The other end: which addresses answer, up to which size; and everything that was asked of it."""

    answers: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[float, str, int]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    refuses: Callable[[], Exception | None] = lambda: None
    fate: Outcome | None = None


@dataclass
class Way:
    far: Far
    now: Callable[[], float]
    address: str
    passed: Sized
    waiting: list[int] = field(default_factory=list)

    def ask(self, size: int) -> Outcome | None:
        self.far.asked.append((self.now(), self.address, size))
        if self.far.fate is None and size <= self.far.answers.get(self.address, 0):
            self.waiting.append(size)
        return self.far.fate

    def listen(self) -> None:
        while self.waiting:
            self.passed(self.waiting.pop())

    def close(self) -> None:
        self.far.closed.append(self.address)


class Line:
    """One line's sizes, on a clock of its own; small questions are answered at `heard`, or a moment ago."""

    def __init__(self, *targets: Target, far: Far, detect: Detect | None = None, adopted: int | None = None) -> None:
        self.now, self.far, self.heard = 100.0, far, dict[str, float | None]()
        self.sizes = Sizes(lambda: self.now, self._open, phase=lambda: 0.0)
        self.probing = LineProbing(pin=PIN, targets=targets, detect=detect or Detect())
        self.sizes.set_lines({"telecom": self.probing}, {"telecom": 1500}, now=self.now,
                             adopted={} if adopted is None else {"telecom": adopted})  # fmt: skip

    def _open(self, pin: Pin, address: str, passed: Sized, too_large: TooLarge) -> Way:
        if (error := self.far.refuses()) is not None:
            raise error
        self.far.opened.append(address)
        return Way(self.far, lambda: self.now, address, passed)

    def run(self, seconds: float, *, step_s: float = 0.05) -> PathMtu | None:
        until = self.now + seconds
        while self.now < until:
            self.sizes.turn(lambda line, address: self.heard.get(address, self.now), lambda line: 0.02)
            self.now += step_s
        return self.sizes.of_line("telecom")

    @property
    def path(self) -> PathMtu:
        path = self.sizes.of_line("telecom")
        assert path is not None
        return path


def test_once_every_ten_seconds() -> None:
    line = Line(FIRST, CARRIER, far=Far(answers={"10.100.0.1": 1500}))
    line.run(35)
    assert [(round(at - 100), address, size) for at, address, size in line.far.asked] == [
        (0, "10.100.0.1", 1500), (10, "10.100.0.1", 1500), (20, "10.100.0.1", 1500), (30, "10.100.0.1", 1500),
    ]  # fmt: skip
    assert line.path.is_ok is True


def test_what_is_lost_together_with_small_questions_proves_nothing() -> None:
    """At every question the line lived a moment before; nothing was answered since."""
    line = Line(FIRST, far=Far())
    for nth in range(1, 3 * MISSES + 1):
        line.heard["10.100.0.1"] = line.now - 0.1
        line.run(5)
        del line.heard["10.100.0.1"]
        line.run(100 + 10 * nth - 0.2 - line.now)
    assert len(line.far.asked) == 3 * MISSES and line.path.missed == 0 and line.path.is_ok is None


def test_a_search_is_quick_and_waits_as_long_as_answers_take() -> None:
    line = Line(FIRST, far=Far(answers={"10.100.0.1": 1400}))
    line.run(21)
    assert line.path.limit is None
    line.run(6)
    assert line.path.limit == 1400, "twenty seconds, one for the last question, and a search of some three"
    hurried = [at for at, _, size in line.far.asked if size < 1500]
    assert hurried[-1] - hurried[0] < 4


def test_targets_that_answer_pings_are_asked_first_and_a_silent_one_is_passed_over() -> None:
    line = Line(TCP, FIRST, far=Far(answers={"10.100.0.1": 1500, "10.100.0.3": 1500}))
    line.run(1)
    assert line.far.asked[0][1] == "10.100.0.1"
    two = Line(FIRST, SECOND, far=Far(answers={"10.100.0.1": 1500, "10.100.0.2": 1500}))
    two.heard["10.100.0.1"] = None
    two.run(25)
    assert {address for _, address, _ in two.far.asked} == {"10.100.0.2"} and two.path.is_ok is True


def test_a_target_that_ignores_large_pings_is_no_fault_of_the_line() -> None:
    line = Line(FIRST, SECOND, far=Far(answers={"10.100.0.1": 100, "10.100.0.2": 1500}))
    line.run(40)
    assert line.path.is_ok is True and line.path.limit is None
    assert {size for _, _, size in line.far.asked} == {1500}, "nothing was searched"
    neither = Line(FIRST, SECOND, far=Far(answers={"10.100.0.1": 100, "10.100.0.2": 100}))
    neither.run(60)
    assert neither.path.is_ok is None and not neither.path.is_hurried


def test_it_asks_whom_it_may_and_tries_again_where_it_cannot() -> None:
    far = Far(answers={"10.100.0.1": 1500}, refuses=lambda: NotPermitted("icmp"))
    line = Line(FIRST, far=far)
    line.run(40)
    far.refuses = lambda: None
    assert line.run(40) is not None and far.opened == [], "not permitted once is not permitted"
    absent = Far(answers={"10.100.0.1": 1500}, refuses=lambda: OSError(19, "no such device"))
    line = Line(FIRST, far=absent)
    line.run(5)
    absent.refuses = lambda: None
    line.sizes.reopen("telecom")
    line.run(10 + REOPEN_S)
    assert line.path.is_ok is True


@pytest.mark.parametrize("fate", [Outcome.BLIND, Outcome.UNREACHABLE, Outcome.REFUSED])
def test_what_could_not_leave_says_nothing_of_size(fate: Outcome) -> None:
    line = Line(FIRST, far=Far(fate=fate))
    line.run(60)
    assert len(line.far.asked) == 6 and line.path.missed == 0


def test_lines_that_come_go_and_change() -> None:
    far = Far(answers={"10.100.0.1": 1500})
    line = Line(FIRST, far=far, adopted=1400)
    assert line.path.limit == 1400
    line.run(1)
    assert line.path.limit is None, "the larger one is tried at once"
    pinned = LineProbing(pin=Pin(interface="en1", address="10.1.1.9"), targets=(FIRST,))
    line.sizes.set_lines({"telecom": pinned}, {"telecom": 1500}, adopted={}, now=line.now)
    assert far.closed == ["10.100.0.1"] and line.path.is_ok is True, "what is known stays"
    line.sizes.set_lines({"telecom": pinned}, {"telecom": 1450}, adopted={}, now=line.now)
    assert line.path.expected == 1450 and line.path.is_ok is None
    for mtus in ({}, {"telecom": 576}):
        line.sizes.set_lines({"telecom": pinned}, mtus, adopted={}, now=line.now)
        assert line.sizes.of_line("telecom") is None, "no interface, or nothing to find out"
    off = LineProbing(pin=PIN, targets=(FIRST,), detect=Detect(mtu_every_s=0.0))
    line.sizes.set_lines({"telecom": off}, {"telecom": 1500}, adopted={}, now=line.now)
    assert line.sizes.of_line("telecom") is None
    barred = LineProbing(pin=PIN, targets=(FIRST,), barred={"10.100.0.1": "no-route"})
    line.sizes.set_lines({"telecom": barred}, {"telecom": 1500}, adopted={}, now=line.now)
    assert line.sizes.of_line("telecom") is None and line.sizes.next_at(line.now) == float("inf")
