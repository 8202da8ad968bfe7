"""Random weather over sampling and sending: a real spool, virtual time, outages, kills, lost and odd answers.

Whatever happens, each sample is at the receiver, once and unchanged, or it is counted as skipped and had a reason.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.push.policy import Answer, Outcome, Reply, of_status
from edge_node.push.sender import METERED_EVERY_S, Sender, Surroundings
from edge_node.push.spool import Spool, join_spool, open_spool
from edge_node.status.line_share import Restraint
from monitoring.remote_write import PROBE, Step
from tests.support.clock import FakeClock
from tests.support.remote_write import Kept, decompressed, series_in

pytestmark = pytest.mark.timeout(300)
EVERY_MS = 30_000
NAMES = tuple(f"edge_{number}" for number in range(6))
NODE = (("instance", "clinic-0042"),)
HOUR_MS = 3_600_000
# Hours of commits, each of which waits for the disk, are minutes of a busy one.
MEMORY = Path("/dev/shm")


class Killed(Exception):
    """The monitor is gone at this moment."""


@dataclass
class World:
    """A monitor and its receiver. Times in milliseconds; `bad` are moments that the receiver never takes."""

    path: Path
    lot: Random
    window_ms: int
    receiver_window_ms: int
    too_old_status: int
    clock: FakeClock = field(default_factory=FakeClock)
    kept: Kept = field(default_factory=Kept)
    recorded: dict[int, int] = field(default_factory=dict)  # moment to its samples
    numbers: dict[int, int] = field(default_factory=dict)  # a step's number to its moment
    bad: set[int] = field(default_factory=set)
    is_up: bool = True
    storm: float = 0.0
    around: Surroundings = field(default_factory=Surroundings)

    def post(self, body: bytes) -> Reply:
        if self.lot.random() < self.storm:
            match self.lot.randrange(7):
                case 0:
                    raise Killed
                case 1:
                    self.judge(body)
                    raise Killed
                case 2:
                    self.judge(body)
                    return Reply(answer=Answer.SILENT, words="the answer was lost")
                case 3:
                    return of_status(self.lot.choice((401, 404)))
                case other:
                    return of_status((429, 503, 502)[other - 4], retry_after_s=self.lot.choice((None, 3.0)))
        if not self.is_up:
            return Reply(answer=Answer.SILENT, words="no connection")
        return self.judge(body)

    def judge(self, body: bytes) -> Reply:
        """As Prometheus does: one sample that it does not want, and the whole request is rolled back."""
        series = series_in(decompressed(body))
        times = [at for _, samples in series for at, _ in samples]
        is_probe = dict(series[0][0])["__name__"] == PROBE
        if min(times) < self.clock.wall_ms() - self.receiver_window_ms:
            return of_status(self.too_old_status)
        if self.bad & set(times) and not is_probe:
            return of_status(400)
        if not is_probe:
            self.kept.take(body)
        return of_status(204)

    def sample(self, spool: Spool) -> None:
        at_ms = self.clock.wall_ms() // EVERY_MS * EVERY_MS
        names = self.lot.sample(NAMES, self.lot.randint(1, len(NAMES)))
        before = spool.backlog().samples
        values = {(("__name__", name),): self.lot.random() for name in ("edge_mode", *names)}
        if spool.record(Step(at_ms=at_ms, values=values)):
            backlog = spool.backlog()
            assert backlog.span is not None
            self.recorded[at_ms] = backlog.samples - before
            self.numbers[backlog.span.last] = at_ms

    @contextlib.contextmanager
    def sender(self) -> Iterator[Sender]:
        with contextlib.closing(join_spool(self.path)) as spool:
            yield Sender(
                spool, self.post, labels=dict(NODE), window_s=self.window_ms / 1000, clock=self.clock,
                surroundings=lambda: self.around, draw=self.lot.random,
            )  # fmt: skip

    def live(self, hours: float) -> None:
        """A monitor that is killed now and then, and started again."""
        end = self.clock.boottime() + hours * 3600
        while self.clock.boottime() < end:
            with contextlib.suppress(Killed), contextlib.closing(open_spool(self.path)) as spool, self.sender() as one:
                self.run(spool, one, end)

    def run(self, spool: Spool, sender: Sender, end: float) -> None:
        due: float | None = 0.0
        while (now := self.clock.boottime()) < end:
            before = self.pending(spool)
            if due is not None and now >= due:
                wait_s = sender.turn()
                due = None if wait_s is None else now + wait_s
            self.assert_reasons(before - self.pending(spool), now_ms=self.clock.wall_ms())
            to_next_s = (EVERY_MS - self.clock.wall_ms() % EVERY_MS) / 1000
            if due is not None and due - now < to_next_s:
                self.clock.advance(max(0.001, due - now))
                continue
            self.clock.advance(to_next_s)
            self.sample(spool)
            due = self.clock.boottime() if due is None else due

    def pending(self, spool: Spool) -> set[int]:
        span = spool.backlog().span
        return {self.numbers[number] for number in range(span.first, span.last + 1)} if span else set()

    def settle(self) -> None:
        """Until nothing waits; no sample is taken meanwhile."""
        with contextlib.closing(open_spool(self.path)), self.sender() as sender:
            while (wait_s := sender.turn()) is not None:
                self.clock.advance(wait_s)

    def assert_reasons(self, ended: set[int], *, now_ms: int) -> None:
        """Nothing ends that the receiver has not got, unless it lay too far back or is one that it never takes."""
        has = {at for _, at in self.kept.samples}
        for at in ended - has:
            oldest_taken = now_ms - min(self.window_ms, self.receiver_window_ms)
            assert at < oldest_taken or at in self.bad, f"{at} ended, {now_ms - at} ms old"

    def assert_everything_ended(self) -> None:
        self.settle()
        with contextlib.closing(open_spool(self.path)) as spool:
            assert spool.backlog().span is None
            ended = spool.ended()
        assert sum(ended.values()) == sum(self.recorded.values())
        assert ended[Outcome.SENT] <= len(self.kept.samples)
        assert ended[Outcome.AHEAD] == ended[Outcome.DROPPED] == 0
        missing = sum(self.recorded.values()) - len(self.kept.samples)
        assert missing <= ended[Outcome.EXPIRED] + ended[Outcome.REFUSED]
        assert {at for _, at in self.kept.samples} <= self.recorded.keys()


@contextlib.contextmanager
def a_world(seed: int, **changes: int) -> Iterator[World]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        settled = {"window_ms": 168 * HOUR_MS, "receiver_window_ms": 168 * HOUR_MS, "too_old_status": 400, **changes}
        yield World(path=Path(folder) / "push" / "samples.db", lot=Random(seed), **settled)


WEATHER = {
    "seed": st.integers(0, 2**32),
    "weather": st.lists(
        st.tuples(st.sampled_from([0.2, 0.5, 1.5]), st.booleans(), st.sampled_from([0.0, 0.05, 0.4])), max_size=3
    ),
    "window_h": st.sampled_from([1, 2, 168]),
    "receiver_window_h": st.sampled_from([1, 2, 168]),
    "too_old_status": st.sampled_from([400, 500]),
}


@settings(max_examples=5, deadline=None)
@given(**WEATHER)
def test_each_sample_arrives_once_or_is_counted_as_skipped(**drawn: Any) -> None:
    assert_each_sample_arrives_once_or_is_skipped(**drawn)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=400, deadline=None)
@given(**WEATHER)
def test_each_sample_arrives_once_or_is_counted_as_skipped_in_much_weather(**drawn: Any) -> None:
    assert_each_sample_arrives_once_or_is_skipped(**drawn)


def assert_each_sample_arrives_once_or_is_skipped(
    seed: int,
    weather: list[tuple[float, bool, float]],
    window_h: int,
    receiver_window_h: int,
    too_old_status: int,
) -> None:
    with a_world(
        seed,
        window_ms=window_h * HOUR_MS,
        receiver_window_ms=receiver_window_h * HOUR_MS,
        too_old_status=too_old_status,
    ) as world:
        for hours, is_up, storm in weather:
            world.is_up, world.storm = is_up, storm
            world.live(hours)
        world.is_up, world.storm = True, 0.0
        world.live(0.5)
        world.assert_everything_ended()
        if window_h == receiver_window_h == 168:
            assert sum(world.recorded.values()) == len(world.kept.samples), "within the window nothing is lost"


@pytest.mark.parametrize("status", [400, 500])
def test_an_outage_longer_than_the_receivers_window_loses_what_lies_before_it(status: int) -> None:
    with a_world(7, receiver_window_ms=HOUR_MS, too_old_status=status) as world:
        world.is_up = False
        world.live(3)
        world.is_up = True
        world.live(0.2)
        world.assert_everything_ended()
        has = {at for _, at in world.kept.samples}
        lost = sorted(world.recorded.keys() - has)
        assert lost == sorted(world.recorded)[: len(lost)], "what is lost is the oldest"
        assert 235 <= len(lost) <= 245, "two of three hours"


def test_what_is_older_than_our_window_expires_while_nobody_answers() -> None:
    with a_world(8, window_ms=HOUR_MS) as world:
        world.is_up = False
        world.live(3)
        with contextlib.closing(open_spool(world.path)) as spool:
            assert len(world.pending(spool)) == pytest.approx(120, abs=4), "an hour of three"
            assert spool.ended()[Outcome.EXPIRED] > 0
        world.is_up = True
        world.assert_everything_ended()


def test_a_sample_that_is_never_taken_costs_its_moment_alone() -> None:
    with a_world(3) as world:
        world.is_up = False
        world.live(1)
        world.bad = {sorted(world.recorded)[50]}
        world.is_up = True
        world.live(0.2)
        world.assert_everything_ended()
        assert world.recorded.keys() - {at for _, at in world.kept.samples} == world.bad


def test_over_a_metered_line_only_that_the_node_lives_and_the_rest_afterwards() -> None:
    with a_world(4) as world:
        world.around = Surroundings(restraints=(Restraint.METERED,))
        world.live(1)
        has = {(dict(series)["__name__"], at) for series, at in world.kept.samples}
        assert {name for name, _ in has} == {"edge_mode"}
        assert len(has) == pytest.approx(3600 / METERED_EVERY_S, abs=2)
        world.around = Surroundings()
        world.live(0.1)
        world.assert_everything_ended()
        assert sum(world.recorded.values()) == len(world.kept.samples)


def test_while_urgent_messages_wait_what_is_new_arrives_and_the_old_goes_slowly() -> None:
    with a_world(5) as world:
        world.is_up = False
        world.live(2)
        world.is_up, world.around = True, Surroundings(restraints=(Restraint.URGENT,))
        posts = world.kept.samples
        world.live(1 / 60)
        assert 0 < len({at for _, at in posts}) <= 60, "two requests in a minute"
        world.live(0.2)
        world.assert_everything_ended()


def test_samples_of_a_clock_that_was_ahead_wait_until_the_time_is_known() -> None:
    """A receiver that took them would refuse the present of every clinic."""
    with a_world(6) as world, contextlib.closing(open_spool(world.path)) as spool, world.sender() as sender:
        world.clock.advance(30 * 86_400)
        world.sample(spool)
        world.clock.step_wall(-30 * 86_400)
        world.sample(spool)
        assert sender.turn() is not None
        assert world.kept.samples == {}
        assert sender.state()["trouble"] is not None
        world.around = Surroundings(is_synchronised=True)
        sender.turn()
        assert sender.turn() is None
        assert len({at for _, at in world.kept.samples}) == 1
        assert spool.ended()[Outcome.AHEAD] == world.recorded[max(world.recorded)]
