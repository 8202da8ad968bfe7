"""A recorded run of the real watcher, played again under the same policy, gives the same moves at the same times."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from failover import trace
from failover.core.evidence import WEIGH_EVERY_S
from failover.core.model import Code, Detect, Policy, Verdict
from failover.probes.outcome import Outcome, Sample
from failover.simulate import LOOK_EVERY_S, Begun, Blind, Judged, Moved, Simulation, Told, play
from tests.support.asked import POLICY, TARGET, Asked, later, played, well
from tests.support.recorded import WALL_AT_BOOT_MS, RecordedWatcher, Weather
from tests.support.watching import PROBED, interfaces

SILENT = Weather(loss=1.0)
# The watcher looks every 0.2 s and where something is due; the trace's times are rounded, and our loop steps by 10 ms.
WITHIN_S = LOOK_EVERY_S + 0.05
# Quality is weighed once a second, and the trace does not say at which part of it.
QUALITY = (Code.LINE_DEGRADED, Code.LEAST_BAD, Code.FAILBACK)
QUALITY_WITHIN_S = WEIGH_EVERY_S + WITHIN_S

Story = Callable[[RecordedWatcher], RecordedWatcher | None]


def at_ms(boottime: float) -> int:
    return WALL_AT_BOOT_MS + round(boottime * 1000)


def replayed(watcher: RecordedWatcher, folder: Path, policy: Policy | None = None) -> tuple[list[Told], Simulation]:
    """Through a file, as an operator does it."""
    watcher.run(15)  # what was lost is known, and the last batch is written
    watcher.flush()
    writer = trace.TraceWriter(folder)
    for moment, batch in watcher.trace:
        writer.append(batch, moment)
    (path,) = folder.iterdir()
    simulation = Simulation(policy or watcher.setup.policy, watcher.setup.targets)
    return list(play(trace.read(path), simulation)), simulation


def moved_alike(watcher: RecordedWatcher, told: Sequence[Told]) -> None:
    """The same moves at the same times, within a look."""
    moved = [t for t in told if isinstance(t, Moved)]
    wanted = [(m.before.mode, m.after.mode, m.after.line, m.reason.code) for m in watcher.moves]
    assert [(m.before.mode, m.after.mode, m.after.line, m.reason.code) for m in moved] == wanted
    for move, real in zip(moved, watcher.moves, strict=True):
        within_s = QUALITY_WITHIN_S if real.reason.code in QUALITY else WITHIN_S
        assert abs(move.at_ms - at_ms(real.at)) <= within_s * 1000, (move, real)


def judged_alike(watcher: RecordedWatcher, told: Sequence[Told]) -> None:
    for line in ("telecom", "unicom"):
        judged = [(t.before, t.after, t.reason.code) for t in told if isinstance(t, Judged) and t.line == line]
        assert judged == [(j.before, j.after, j.reason.code) for j in watcher.verdicts if j.line == line]


def quiet(watcher: RecordedWatcher) -> None:
    watcher.run(40)


def a_black_hole_and_back(watcher: RecordedWatcher) -> None:
    watcher.run(20)
    watcher.weather["en1"] = SILENT
    watcher.run(10)
    watcher.weather["en1"] = Weather()
    watcher.run(90)


def both_die(watcher: RecordedWatcher) -> None:
    watcher.run(20)
    watcher.weather.update(en1=SILENT, en2=SILENT)
    watcher.run(20)
    watcher.weather["en2"] = Weather()
    watcher.run(30)


def thirty_in_a_hundred_lost(watcher: RecordedWatcher) -> None:
    watcher.run(70)
    watcher.weather["en1"] = Weather(loss=0.3)
    watcher.run(60)


def slow(watcher: RecordedWatcher) -> None:
    watcher.run(70)
    watcher.weather["en1"] = Weather(rtt_s=lambda chance: 0.3 + chance.uniform(0, 0.9))
    watcher.run(60)


def a_cable_is_cut_and_plugged(watcher: RecordedWatcher) -> None:
    watcher.run(20)
    watcher.replaces("en1", replace(interfaces()["en1"], has_carrier=False))
    watcher.weather["en1"] = SILENT
    watcher.run(12)
    watcher.weather["en1"] = Weather()
    watcher.replaces("en1", interfaces()["en1"])
    watcher.run(80)


def an_interface_goes_and_returns(watcher: RecordedWatcher) -> None:
    watcher.run(20)
    watcher.replaces("en1", None)
    watcher.run(9)
    watcher.replaces("en1", interfaces()["en1"])
    watcher.run(80)


def every_interface_goes(watcher: RecordedWatcher) -> None:
    watcher.run(20)
    watcher.replaces("en1", None)
    watcher.replaces("en2", None)
    watcher.run(15)
    watcher.replaces("en2", interfaces()["en2"])
    watcher.run(40)


def stopped_for_two_seconds(watcher: RecordedWatcher) -> None:
    watcher.run(20)
    watcher.sleep(2)
    watcher.run(30)


def stopped_for_an_hour_while_on_the_backup(watcher: RecordedWatcher) -> None:
    a_black_hole_and_back(watcher)
    watcher.weather["en1"] = SILENT
    watcher.run(4)
    watcher.weather["en1"] = Weather()
    watcher.run(20)
    watcher.sleep(3600)
    watcher.run(130)


def stopped_in_the_middle_of_a_silence(watcher: RecordedWatcher) -> None:
    watcher.run(20)
    watcher.weather["en1"] = SILENT
    watcher.run(0.7)
    watcher.sleep(5)
    watcher.run(20)


def short_of_memory(watcher: RecordedWatcher) -> None:
    watcher.run(20)
    watcher.is_short_of_memory = True
    watcher.run(8)
    watcher.is_short_of_memory = False
    watcher.run(20)


def started_over_on_the_backup(watcher: RecordedWatcher) -> RecordedWatcher:
    watcher.run(20)
    watcher.weather["en1"] = SILENT
    watcher.run(10)
    watcher.now += 1.5
    after = RecordedWatcher(PROBED, after=watcher)
    after.run(20)
    return after


def another_boot(watcher: RecordedWatcher) -> RecordedWatcher:
    watcher.run(20)
    watcher.weather["en1"] = SILENT
    watcher.run(10)
    watcher.now += 40
    after = RecordedWatcher(PROBED, after=watcher)
    after.kernel.routing = type(after.kernel.routing)()
    after.boot = "boot-2"
    after.run(20)
    return after


STORIES: list[Story] = [
    quiet,
    a_black_hole_and_back,
    both_die,
    thirty_in_a_hundred_lost,
    slow,
    a_cable_is_cut_and_plugged,
    an_interface_goes_and_returns,
    every_interface_goes,
    stopped_for_two_seconds,
    stopped_for_an_hour_while_on_the_backup,
    stopped_in_the_middle_of_a_silence,
    short_of_memory,
    started_over_on_the_backup,
    another_boot,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_played_again_it_moves_as_it_did(story: Story, tmp_path: Path) -> None:
    watcher = RecordedWatcher(PROBED, seed=len(story.__name__))
    watcher = story(watcher) or watcher
    told, _ = replayed(watcher, tmp_path)
    moved_alike(watcher, told)
    judged_alike(watcher, told)


def any_weather(watcher: RecordedWatcher, chance: random.Random, seconds: float) -> RecordedWatcher:
    """Silences, cuts, stops and restarts, none of a length that lies on a limit."""
    until = watcher.now + seconds
    while watcher.now < until:
        watcher.run(chance.choice((5, 12, 31, 75)) + chance.uniform(0, 1))
        name = chance.choice(("en1", "en2"))
        match chance.choice(["silence", "cut", "stop", "restart", "gone"]):
            case "silence":
                watcher.weather[name] = SILENT
                watcher.run(chance.choice((0.5, 3.3, 8.4, 22.7)))
            case "cut":
                watcher.replaces(name, replace(interfaces()[name], has_carrier=False))
                watcher.run(chance.choice((0.5, 7.7)))
                watcher.replaces(name, interfaces()[name])
            case "stop":
                watcher.sleep(chance.choice((0.7, 1.7, 40, 400)))
            case "restart":
                watcher.now += chance.choice((1.5, 20))
                watcher = RecordedWatcher(PROBED, after=watcher)
            case "gone":
                watcher.replaces(name, None)
                watcher.run(chance.choice((0.7, 9.1)))
                watcher.replaces(name, interfaces()[name])
        watcher.weather[name] = Weather()
    return watcher


def endure(seed: int, folder: Path, seconds: float) -> int:
    watcher = any_weather(RecordedWatcher(PROBED, seed=seed), random.Random(seed), seconds)
    told, _ = replayed(watcher, folder)
    moved_alike(watcher, told)
    return len(watcher.moves)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_weather(seed: int, tmp_path: Path) -> None:
    assert endure(seed, tmp_path, 300) > 1


@pytest.mark.long
def test_a_day_of_weather(tmp_path: Path) -> None:
    assert sum(endure(seed, tmp_path / str(seed), 1800) for seed in range(1000, 1048)) > 400


def test_another_policy_has_another_story(tmp_path: Path) -> None:
    """Two seconds of silence: five questions are a death today, fifteen would not be."""
    watcher = RecordedWatcher(PROBED)
    watcher.run(20)
    watcher.weather["en1"] = SILENT
    watcher.run(2)
    watcher.weather["en1"] = Weather()
    watcher.run(100)
    patient = tuple(replace(line, detect=Detect(dead_after_s=3.0)) for line in watcher.setup.policy.lines)
    _, now = replayed(watcher, tmp_path / "now")
    _, then = replayed(watcher, tmp_path / "then", Policy(lines=patient))
    assert (now.totals.moves, then.totals.moves) == (2, 0)
    assert (now.totals.lines["telecom"].downs, then.totals.lines["telecom"].downs) == (1, 0)
    assert now.totals.lines["unicom"].in_use_s == pytest.approx(61, abs=2), "the outage, its proof, and the hold"
    assert then.totals.lines["telecom"].in_use_s == pytest.approx(then.totals.watched_s, abs=0.5)


def test_every_second_is_counted_once(tmp_path: Path) -> None:
    watcher = another_boot(RecordedWatcher(PROBED))
    began, until = 1000.0, watcher.now
    told, simulation = replayed(watcher, tmp_path)
    totals = simulation.totals
    assert [type(t) for t in told].count(Begun) == totals.runs == 2
    assert totals.watched_s == pytest.approx(until + 15 - began - 40, abs=1.5), "no run, no time"
    for line in totals.lines.values():
        assert sum(line.by_verdict.values()) == pytest.approx(totals.watched_s)
    used_s = sum(line.in_use_s for line in totals.lines.values())
    assert used_s + totals.offline_s == pytest.approx(totals.watched_s, abs=2.5), "but for the beginnings"
    assert totals.lines["telecom"].by_verdict[Verdict.DOWN] == pytest.approx(9 + 34, abs=1)


def test_a_stopped_watcher_is_blind_and_says_for_how_long(tmp_path: Path) -> None:
    watcher = RecordedWatcher(PROBED)
    stopped_for_two_seconds(watcher)
    told, simulation = replayed(watcher, tmp_path)
    (blind,) = [t for t in told if isinstance(t, Blind)]
    assert (blind.until_ms - blind.since_ms) / 1000 == pytest.approx(2, abs=0.3)
    assert simulation.totals.blind_s == pytest.approx(2, abs=0.3)


def test_what_the_policy_does_not_know_is_left_out_and_named() -> None:
    simulation = Simulation(POLICY, {"telecom": (TARGET,)})
    asked = [("telecom", TARGET.name), ("telecom", "10.100.0.9"), ("mobile", TARGET.name)]
    entries: list[trace.Entry] = [
        Sample(1 + n * 0.2, line, target, Outcome.ANSWERED, 0.01) for n in range(100) for line, target in asked
    ]
    told = list(play([trace.Moment("boot", 30.0, WALL_AT_BOOT_MS), *entries], simulation))
    assert simulation.totals.unknown_lines == {"mobile"}
    assert simulation.totals.unknown_targets == {("telecom", "10.100.0.9")}
    assert [t.line for t in told if isinstance(t, Judged)] == ["telecom"]


@pytest.mark.parametrize("every_s, is_down", [(0.2, True), (1.0, False)])
def test_silence_is_counted_in_the_rhythm_in_which_was_asked(every_s: float, is_down: bool) -> None:
    """A trace of one question a second through a policy of five: three lost are no death."""
    simulation = Simulation(POLICY, {"telecom": (TARGET,)})
    silent = later(60, well, lambda chance, at: None if at < 63.5 else 0.012)
    asked = [Asked("telecom", silent, random.Random(1), every_s=every_s)]
    assert any(isinstance(t, Judged) and t.after is Verdict.DOWN for t in played(asked, 90, simulation)) is is_down


def test_late_answers_and_questions_told_twice_are_borne() -> None:
    simulation = Simulation(POLICY, {"telecom": (TARGET,)})
    asked = [Asked("telecom", lambda chance, at: 0.9 + chance.random() * 0.4, random.Random(2))]
    list(played(asked, 60, simulation))
    again = [Asked("telecom", well, random.Random(2))]
    list(played(again, 60, simulation))
    assert simulation.totals.watched_s == pytest.approx(60, abs=0.3)
