"""When questions are asked and what became of them, with a clock that the test moves and probes that it answers."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

import pytest

from failover.core.model import Detect, Role
from failover.probes.directions import Directions
from failover.probes.engine import REOPEN_S, TOLD_WITHIN_S, Engine, Heard, LineProbing, Probe
from failover.probes.outcome import Direction, Outcome, Sample, outcome_of
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


@dataclass
class CountingProbe(FakeProbe):
    """A STAMP probe and its reflector: `fates` are the next questions' (`.`, `o`, `b`), then all are answered."""

    fates: list[str] = field(default_factory=list)
    directions: Directions = field(default_factory=lambda: Directions(60.0))
    counted: int = 0
    numbers: dict[float, tuple[int, int]] = field(default_factory=dict)

    def ask(self, asked_at: float) -> Outcome | None:
        sequence = self.directions.asked(asked_at)
        fate = self.fates.pop(0) if self.fates else "."
        if fate != "o":
            self.counted += 1
        if fate == ".":
            self.numbers[asked_at] = (sequence, self.counted - 1)
        return super().ask(asked_at)

    def listen(self) -> None:
        for at, numbers in self.numbers.items():
            self.directions.answered(*numbers)
            self.heard(at, 0.012)
        self.numbers.clear()


class Bench:
    """An engine, its clock, and what it opened and recorded."""

    def __init__(self, *targets: Target, phase: float = 0.0, kind: type[FakeProbe] = FakeProbe) -> None:
        self._kind = kind
        self.now, self.opened, self.samples = 100.0, list[FakeProbe](), list[Sample]()
        self.refuses: Exception | None = None
        self.engine = Engine(lambda: self.now, self._open, self.samples.append, phase=lambda: phase)
        self.line = LineProbing(pin=PIN, targets=targets or (TARGET,), detect=DETECT)
        self.engine.set_lines({"telecom": self.line}, self.now)

    def _open(self, pin: Pin, target: Target, heard: Heard) -> Probe:
        if self.refuses is not None:
            raise self.refuses
        probe = self._kind(pin, heard)
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


def counting() -> tuple[Bench, CountingProbe]:
    bench = Bench(kind=CountingProbe)
    bench.run(100.3, answers=False)
    probe = bench.opened[0]
    assert isinstance(probe, CountingProbe)
    return bench, probe


def ways(bench: Bench) -> list[Direction | None]:
    return [sample.direction for sample in bench.samples if sample.outcome is Outcome.LOST]


def test_what_is_lost_is_told_with_its_direction() -> None:
    bench, probe = counting()
    probe.fates = list(".oo.b.ob")
    bench.run(104.0, answers=False)
    assert ways(bench) == [Direction.OUT, Direction.OUT, Direction.BACK, None, None]
    (asked,) = bench.engine.of_line("telecom")
    assert asked.by_way is not None
    assert (asked.by_way.lost_out, asked.by_way.lost_back) == (3, 2)


def test_an_outage_is_told_when_it_is_known_and_no_later_than_it_may_be() -> None:
    """Of an outage the direction is known when it ends: until then nothing is said, unless it lasts too long."""
    bench, probe = counting()
    probe.fates = ["o"] * 70  # 14 s
    began = bench.now
    told_at: dict[float, float] = {}

    def record(sample: Sample) -> None:
        bench.samples.append(sample)
        if sample.outcome is Outcome.LOST:
            told_at[sample.asked_at] = bench.now

    bench.engine._record = record
    while bench.now < began + 20:
        bench.run(bench.now + 0.2, answers=False)
    waits = [told - asked for asked, told in told_at.items()]
    assert len(waits) == 70 and max(waits) <= TOLD_WITHIN_S + 0.2
    assert ways(bench)[0] is None and ways(bench)[-1] is Direction.OUT
    assert ways(bench).count(Direction.OUT) >= 45, "the last ten seconds"
    (asked,) = bench.engine.of_line("telecom")
    assert asked.by_way is not None and asked.by_way.lost_out >= 69, "the window knows all of it"


def test_an_answer_that_comes_after_its_question_was_given_up_is_told_as_of_any_probe() -> None:
    bench, probe = counting()
    probe.fates = ["b"] * 20
    bench.run(102.5, answers=False)
    (asked,) = bench.engine.of_line("telecom")
    late = next(iter(asked.lost))
    assert Outcome.LOST not in bench.outcomes()
    probe.heard(late, 1.9)
    assert [sample.outcome for sample in bench.samples if sample.asked_at == late] == [Outcome.LOST, Outcome.LATE]
    bench.run(106.0, answers=False)
    assert [sample.outcome for sample in bench.samples if sample.asked_at == late] == [Outcome.LOST, Outcome.LATE]


def test_the_account_outlives_the_socket() -> None:
    bench, probe = counting()
    probe.fates = list(".oo.")
    bench.run(102.5, answers=False)
    (asked,) = bench.engine.of_line("telecom")
    account = asked.directions
    assert account is probe.directions and asked.by_way is not None and asked.by_way.lost_out == 2
    bench.engine.reopen("telecom")
    bench.run(104.5, answers=False)
    again = bench.opened[-1]
    assert isinstance(again, CountingProbe) and again is not probe and again.directions is account
    again.fates = list("bbb.")
    bench.run(108.0, answers=False)
    assert (asked.by_way.lost_out, asked.by_way.lost_back, asked.by_way.lost_unknown) == (2, 3, 0)


def test_time_in_which_nobody_listened_is_no_direction_s() -> None:
    bench, probe = counting()
    probe.fates = list("oo")
    bench.run(100.7, answers=False)
    bench.now = 103.0
    bench.engine.settle(bench.now)
    bench.run(106.0, answers=False)
    (asked,) = bench.engine.of_line("telecom")
    assert asked.by_way is not None
    assert (asked.by_way.lost_out, asked.by_way.lost_back, asked.by_way.lost_unknown) == (0, 0, 0)


def test_what_is_not_told_yet_is_recorded_at_the_end() -> None:
    bench, probe = counting()
    probe.fates = ["b"] * 100
    bench.run(104.0, answers=False)
    assert Outcome.LOST not in bench.outcomes()
    bench.engine.close()
    assert bench.outcomes().count(Outcome.LOST) >= 10
