"""When questions are asked and what became of them, with a clock that the test moves and probes that it answers."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

import pytest

from failover.core.model import Detect, Role
from failover.probes.engine import REOPEN_S, Engine, Heard, LineProbing, Probe
from failover.probes.outcome import Outcome, Sample, outcome_of
from failover.probes.pin import NotPermitted, Pin
from failover.setup import Target

DETECT = Detect(interval_s=0.2, dead_after_s=1.0)
TARGET = Target(address="10.100.0.1")
SLOW = Target(address="10.1.1.1", role=Role.CARRIER, every_s=1.0)
PIN = Pin(interface="en1", address="10.1.1.2", mark=1)


@dataclass
class FakeProbe:
    """A probe whose answers the test gives."""

    pin: Pin
    heard: Heard
    fate: Outcome | None = None
    is_pinned: bool = True
    asked_at: list[float] = field(default_factory=list)
    waiting: list[tuple[float, float]] = field(default_factory=list)
    is_closed: bool = False

    def ask(self, asked_at: float) -> Outcome | None:
        self.asked_at.append(asked_at)
        return self.fate

    def listen(self) -> None:
        while self.waiting:
            self.heard(*self.waiting.pop(0))

    def close(self) -> None:
        self.is_closed = True


class Bench:
    """An engine, its clock, and what it opened and recorded."""

    def __init__(self, *targets: Target, phase: float = 0.0) -> None:
        self.now, self.opened, self.samples = 100.0, list[FakeProbe](), list[Sample]()
        self.refuses: Exception | None = None
        self.engine = Engine(lambda: self.now, self._open, self.samples.append, phase=lambda: phase)
        self.line = LineProbing(pin=PIN, targets=targets or (TARGET,), detect=DETECT)
        self.engine.set_lines({"telecom": self.line}, self.now)

    def _open(self, pin: Pin, target: Target, heard: Heard) -> Probe:
        if self.refuses is not None:
            raise self.refuses
        probe = FakeProbe(pin, heard)
        self.opened.append(probe)
        return probe

    def run(self, until: float, *, answers: bool = True) -> None:
        """Tick exactly when something is due; every answer takes 12 ms."""
        while (due := self.engine.next_due()) is not None and due < until - 1e-9:
            self.now = max(self.now, due)
            already = [len(probe.asked_at) for probe in self.opened]
            self.engine.tick(self.now)
            for probe, count in zip(self.opened, already + [0] * len(self.opened), strict=False):
                if answers and probe.fate is None:
                    probe.waiting += [(at, 0.012) for at in probe.asked_at[count:]]
        self.now = until
        self.engine.settle(until)

    def outcomes(self) -> list[Outcome]:
        return [sample.outcome for sample in self.samples]

    def silence_s(self) -> float | None:
        (watched, *_) = self.engine.watched("telecom")
        return watched.window.silence_s(self.now)


def test_ticks_are_absolute_and_have_a_phase() -> None:
    bench = Bench(phase=0.5)
    bench.run(101.0)
    assert bench.opened[0].asked_at == pytest.approx([100.1, 100.3, 100.5, 100.7, 100.9])
    assert set(bench.outcomes()) == {Outcome.ANSWERED}


def test_a_little_late_is_asked_and_the_next_tick_is_not_moved() -> None:
    bench = Bench()
    bench.run(100.3)
    bench.now = 100.49  # the tick of 100.4, 90 of at most 100 ms late
    bench.engine.tick(bench.now)
    assert bench.opened[0].asked_at[-1] == pytest.approx(100.49)
    assert bench.engine.next_due() == pytest.approx(100.6)


def test_a_tick_that_came_late_is_blind_and_never_lost() -> None:
    bench = Bench()
    bench.run(101.0)
    bench.now = 103.0  # stopped for two seconds
    bench.engine.tick(bench.now)
    asked = list(bench.opened[0].asked_at)
    assert asked[-1] < 101.0, "the missed ticks are not asked afterwards"
    assert bench.silence_s() == pytest.approx(0.2, abs=0.02)
    assert bench.engine.blind_s == pytest.approx(2.0, abs=0.01)
    bench.run(105.0)
    assert Outcome.LOST not in bench.outcomes()


@pytest.mark.parametrize("first", ["settle", "tick"])
def test_whoever_wakes_first_marks_the_sleep(first: str) -> None:
    """The look may run before the tick: it must not condemn a line for time in which nobody ran."""
    bench = Bench()
    bench.run(101.0)
    bench.now = 103.0
    getattr(bench.engine, first)(bench.now)
    assert (bench.silence_s() or 0.0) < 0.3
    assert bench.engine.next_due() == pytest.approx(103.2)


def test_blind_time_is_counted_once_for_all_targets() -> None:
    bench = Bench(TARGET, SLOW)
    bench.run(102.0)
    bench.now = 106.0
    bench.engine.settle(bench.now)
    assert bench.engine.blind_s == pytest.approx(4.0, abs=0.01)


def test_an_answer_that_waited_in_the_kernel_while_we_slept_is_an_answer() -> None:
    bench = Bench()
    bench.run(101.0)
    bench.engine.tick(101.0)
    bench.opened[0].waiting.append((bench.opened[0].asked_at[-1], 0.012))
    bench.now = 104.0
    bench.engine.settle(bench.now)
    assert Outcome.BLIND not in bench.outcomes() and Outcome.LOST not in bench.outcomes()


def test_no_answer_is_lost_after_its_time_and_late_if_it_comes_after_all() -> None:
    bench = Bench()
    bench.run(100.1, answers=False)
    asked_at = bench.opened[0].asked_at[0]
    bench.run(101.5, answers=False)
    assert bench.outcomes()[0] is Outcome.LOST
    bench.opened[0].waiting.append((asked_at, 1.45))
    bench.engine.settle(bench.now)
    assert bench.samples[-1] == Sample(asked_at, "telecom", "10.100.0.1", Outcome.LATE, 1.45)


def test_what_cannot_leave_is_evidence() -> None:
    bench = Bench()
    bench.run(100.1)
    bench.opened[0].fate = Outcome.UNREACHABLE
    bench.run(101.5)
    assert (bench.silence_s() or 0.0) > 1.2
    assert bench.outcomes().count(Outcome.UNREACHABLE) == 7


def test_what_we_had_no_memory_to_send_is_none() -> None:
    bench = Bench()
    bench.run(100.3)
    bench.opened[0].fate = Outcome.BLIND
    bench.run(103.0)
    assert (bench.silence_s() or 0.0) < 0.5
    assert Outcome.LOST not in bench.outcomes()


def test_no_interface_is_no_silence_and_is_tried_again() -> None:
    bench = Bench()
    bench.run(100.5)
    bench.refuses = OSError(errno.ENODEV, "gone")
    bench.engine.reopen("telecom")
    bench.run(102.5)
    assert bench.opened[0].is_closed
    assert (bench.silence_s() or 0.0) < 0.5, "nobody could ask, so nobody was silent"
    bench.refuses = None
    bench.run(102.5 + REOPEN_S + 0.5)
    assert len(bench.opened) == 2 and bench.opened[1].asked_at


def test_what_is_not_permitted_is_said_and_not_asked() -> None:
    bench = Bench()
    bench.refuses = NotPermitted("icmp")
    bench.engine.reopen("telecom")
    bench.run(105.0)
    (asked,) = bench.engine.of_line("telecom")
    assert asked.barred == "icmp-not-permitted"
    assert bench.engine.watched("telecom")[0].window.heard_at is None and not bench.opened


def test_a_line_that_is_pinned_anew_keeps_what_is_known_and_gets_new_sockets() -> None:
    bench = Bench()
    bench.run(101.0)
    known = bench.engine.watched("telecom")[0].window
    moved = LineProbing(pin=Pin(interface="en1", address="10.1.1.6", mark=1), targets=(TARGET,), detect=DETECT)
    bench.engine.set_lines({"telecom": moved}, bench.now)
    bench.run(101.5)
    assert bench.engine.watched("telecom")[0].window is known
    assert [probe.is_closed for probe in bench.opened] == [True, False]
    bench.engine.set_lines({}, bench.now)
    assert bench.engine.next_due() is None and bench.opened[-1].is_closed


def test_a_barred_target_is_not_asked_while_it_is_barred() -> None:
    bench = Bench()
    bench.run(101.0)
    barred = LineProbing(pin=PIN, targets=(TARGET,), detect=DETECT, barred={TARGET.name: "no-route"})
    bench.engine.set_lines({"telecom": barred}, bench.now)
    bench.run(104.0)
    assert bench.opened[0].is_closed and len(bench.opened) == 1
    assert (bench.silence_s() or 0.0) < 0.5
    bench.engine.set_lines({"telecom": bench.line}, bench.now)
    bench.run(104.5)
    assert len(bench.opened) == 2


@pytest.mark.parametrize(
    "code, outcome",
    [
        (errno.EHOSTUNREACH, Outcome.UNREACHABLE),
        (errno.ENETUNREACH, Outcome.UNREACHABLE),
        (errno.ENODEV, Outcome.UNREACHABLE),
        (errno.EPERM, Outcome.REFUSED),
        (errno.ENOBUFS, Outcome.BLIND),
        (errno.EMFILE, Outcome.BLIND),
    ],
)
def test_what_the_kernel_says_is_evidence_or_it_is_not(code: int, outcome: Outcome) -> None:
    assert outcome_of(OSError(code, "")) is outcome
