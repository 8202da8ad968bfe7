"""The way from one release to the next: what is left to do, also after it was cut off anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from edge_node.release.plan import (
    SENTENCES,
    SERVICES,
    Action,
    Found,
    Outcome,
    Step,
    at_start,
    back,
    forward,
    to_settle,
)

OLD, NEW = "0.1.0", "0.2.0"


@dataclass
class World:
    """A machine as steps change it. `broken`: releases that are never found well, and do not work."""

    current: str = OLD
    previous: str | None = None
    fallback: str | None = None
    whole: set[str] = field(default_factory=lambda: {OLD})
    proven: set[str] = field(default_factory=lambda: {OLD})
    running: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SERVICES, OLD))
    migrated: set[str] = field(default_factory=lambda: {OLD})
    units: str = OLD
    broken: frozenset[str] = frozenset()

    def found(self) -> Found:
        return Found(
            current=self.current, previous=self.previous, fallback=self.fallback, whole=frozenset(self.whole),
            proven=frozenset(self.proven), running=dict(self.running),
        )  # fmt: skip

    def do(self, step: Step) -> bool:
        """False where the release turns out not to be well."""
        match step.action:
            case Action.STAGE:
                self.whole.add(step.subject)
            case Action.CHECK:
                assert step.subject in self.whole
            case Action.MIGRATE:
                self.migrated.add(step.subject)
            case Action.SWITCH:
                assert step.subject in self.whole & self.migrated, "nothing is started before it is ready"
                if self.current != step.subject:
                    self.previous, self.current = self.current, step.subject
            case Action.SWITCH_BACK:
                self.current = step.subject
            case Action.FALLBACK:
                self.fallback = step.subject
            case Action.UNITS:
                self.units = step.subject
            case Action.RESTART:
                assert self.units == self.current
                self.running[step.subject] = self.current
            case Action.WATCH:
                assert set(self.running.values()) == {self.current}
                if step.subject in self.broken:
                    return False
                self.proven.add(step.subject)
                self.fallback = step.subject
            case Action.PRUNE:
                self.whole &= {self.current, self.previous or self.current}
            case Action.CLOSE:
                self.fallback = None
        return True

    def start(self, target: str, cut_after: int | None = None) -> Outcome | None:
        """The machine starts anew: what was cut off is settled, to the end or not, and then every service starts."""
        self.running = {}
        settling = at_start(fallback=self.fallback, current=self.current, target=target, whole=frozenset(self.whole))
        if settling is not None:
            for step in settling.steps[:cut_after]:
                assert step.action in (Action.SWITCH_BACK, Action.UNITS, Action.CLOSE), "nothing that takes long"
                self.do(step)
        self.running = dict.fromkeys(SERVICES, self.current)
        return settling.outcome if settling is not None else None

    def upgrade(self, target: str) -> Iterator[Step]:
        """Each step that is about to be done, as the runner does them."""
        if self.current != target:
            yield from self._all(to_settle(self.found()))
        went_well = yield from self._all(forward(self.found(), target))
        if not went_well:
            yield from self._all(back(self.found()))

    def upgrade_steps(self) -> list[Step]:
        return list(self.upgrade(NEW))

    def _all(self, steps: tuple[Step, ...]) -> Iterator[Step]:  # type: ignore[misc]
        for step in steps:
            yield step
            if not self.do(step):
                return False
        return True

    def cut_off(self, target: str, after: int) -> bool:
        """Do so many steps and no more; False where it has ended before."""
        steps = self.upgrade(target)
        for _ in range(after):
            if next(steps, None) is None:
                return False
        steps.close()
        return True

    def end(self) -> tuple[object, ...]:
        running = set(self.running.values())
        whole, proven = sorted(self.whole), sorted(self.proven)
        return self.current, running, self.units, self.fallback, self.migrated, whole, proven


def finished(world: World) -> World:
    for _ in world.upgrade(NEW):
        pass
    return world


def test_an_upgrade() -> None:
    world = World()
    did = [str(step) for step in world.upgrade(NEW)]
    assert did == [
        "have a power cut from here on lead to release 0.1.0",
        "put release 0.2.0 beside the others",
        "have release 0.2.0 read the configuration",
        "migrate the databases for release 0.2.0, after a copy",
        "make release 0.2.0 the one that is started",
        "install the units of release 0.2.0",
        *(f"restart {name}" for name in ("his", "outbox", "monitor", "replica", "links")),
        "watch whether release 0.2.0 is well",
        "remove the releases that release 0.2.0 leaves unneeded",
        "end the upgrade with release 0.2.0 in use",
    ]
    assert world.end() == (NEW, {NEW}, NEW, None, {OLD, NEW}, [OLD, NEW], [OLD, NEW])


def test_a_release_that_is_not_well_is_returned_from() -> None:
    world = finished(World(broken=frozenset({NEW})))
    assert world.end() == (OLD, {OLD}, OLD, None, {OLD, NEW}, [OLD, NEW], [OLD])


@pytest.mark.parametrize("broken", [frozenset[str](), frozenset({NEW})], ids=["well", "not-well"])
def test_cut_off_after_any_step_and_again_after_any_other_the_end_is_the_same(broken: frozenset[str]) -> None:
    wanted = finished(World(broken=broken)).end()
    first = 0
    while True:
        first += 1
        second = 0
        while True:
            world = World(broken=broken)
            is_cut = world.cut_off(NEW, first)
            second += 1
            is_cut_again = world.cut_off(NEW, second)
            assert finished(world).end() == wanted, f"cut off after {first}, then after {second} steps"
            if not is_cut_again:
                break
        if not is_cut:
            break
    assert first > len(SERVICES)


# Which release is in use after a power cut that came when so many steps of an upgrade were done, and what is told.
AFTER_A_CUT = [
    ("nothing", OLD, None),
    ("have a power cut from here on lead to release 0.1.0", OLD, Outcome.KEPT),
    ("put release 0.2.0 beside the others", OLD, Outcome.KEPT),
    ("have release 0.2.0 read the configuration", OLD, Outcome.KEPT),
    ("migrate the databases for release 0.2.0, after a copy", OLD, Outcome.KEPT),
    ("make release 0.2.0 the one that is started", OLD, Outcome.KEPT),
    ("install the units of release 0.2.0", OLD, Outcome.KEPT),
    *((f"restart {name}", OLD, Outcome.KEPT) for name in SERVICES),
    ("watch whether release 0.2.0 is well", NEW, Outcome.REACHED),
    ("remove the releases that release 0.2.0 leaves unneeded", NEW, Outcome.REACHED),
    ("end the upgrade with release 0.2.0 in use", NEW, None),
]
AFTER_A_CUT_OF_THE_WAY_BACK = [
    *((f"restart {name}", OLD, Outcome.KEPT) for name in SERVICES),
    ("watch whether release 0.2.0 is well", OLD, Outcome.KEPT),
    ("make release 0.1.0 the one that is started again", OLD, Outcome.KEPT),
    ("install the units of release 0.1.0", OLD, Outcome.KEPT),
    *((f"restart {name}", OLD, Outcome.KEPT) for name in SERVICES),
    ("watch whether release 0.1.0 is well", OLD, Outcome.KEPT),
    ("end the upgrade with release 0.1.0 in use", OLD, None),
]


@pytest.mark.parametrize(
    "broken, table",
    [(frozenset[str](), AFTER_A_CUT), (frozenset({NEW}), AFTER_A_CUT_OF_THE_WAY_BACK)],
    ids=["well", "not-well"],
)
def test_after_a_power_cut_at_any_step_the_machine_works_by_itself(
    broken: frozenset[str], table: list[tuple[str, str, Outcome | None]]
) -> None:
    all_steps = ["nothing", *map(str, World(broken=broken).upgrade_steps())]
    first = len(all_steps) - len(table)
    assert [step for step, *_ in table] == all_steps[first:], "the table has every step"
    for done, (_, in_use, outcome) in enumerate(table, start=first):
        # The settling itself is cut off after so many steps, once and again, and then not.
        for cuts in ((), (0,), (1,), (2,), (1, 1), (0, 2)):
            world = World(broken=broken)
            # A step is done when the next one is asked for.
            world.cut_off(NEW, done + 1)
            told, *again = [world.start(NEW, cut_after=cut) for cut in (*cuts, None)]
            assert (told, world.current, world.units) == (outcome, in_use, in_use)
            assert set(again) <= {outcome, None}, "a second cut tells no other story"
            assert world.running == dict.fromkeys(SERVICES, in_use) and in_use not in broken
            assert world.fallback is None, "the next start has nothing to do"
            assert finished(world).end() == finished(World(broken=broken)).end(), "and it can be given again"


def test_a_return_that_somebody_wanted_is_made_by_the_start_of_the_machine() -> None:
    world = finished(World())
    assert world.current == NEW
    wanted, *_ = back(world.found())
    world.do(wanted)
    assert world.start(OLD) is Outcome.REACHED
    assert (world.current, world.units, world.fallback) == (OLD, OLD, None)


def test_what_is_not_there_any_more_is_nothing_to_go_back_to() -> None:
    settling = at_start(fallback=OLD, current=NEW, target=NEW, whole=frozenset({NEW}))
    assert settling is not None and settling.outcome is Outcome.LEFT
    assert settling.steps == (Step(action=Action.CLOSE, subject=NEW),)


def test_an_upgrade_to_a_release_that_was_proven_once_falls_back_until_it_is_found_well_again() -> None:
    """Taken back by a person, then wanted again: that it was well last month says nothing of today."""
    world = finished(World())
    for step in back(world.found()):
        world.do(step)
    assert (world.current, world.proven) == (OLD, {OLD, NEW})
    switched = world.upgrade(NEW)
    while (step := next(switched)).action is not Action.WATCH:
        pass
    switched.close()
    assert (world.current, world.fallback) == (NEW, OLD)
    assert [step.action for step in forward(world.found(), NEW)] == [
        Action.UNITS, Action.WATCH, Action.PRUNE, Action.CLOSE
    ], "given again it is watched"  # fmt: skip
    assert world.start(NEW) is Outcome.KEPT
    assert world.current == OLD


def test_a_release_that_was_found_well_is_not_judged_again() -> None:
    world = finished(World())
    assert list(world.upgrade(NEW)) == []


def test_services_that_run_another_release_are_brought_to_the_one_in_use_first() -> None:
    """As after a return that was cut off: `current` is the old one again, and its HIS is not restarted yet."""
    world = World(running={**dict.fromkeys(SERVICES, OLD), "his": NEW})
    steps = world.upgrade(NEW)
    assert next(steps) == Step(action=Action.UNITS, subject=OLD)
    assert next(steps) == Step(action=Action.RESTART, subject="his")


def test_a_service_without_a_process_is_started() -> None:
    found = Found(
        current=OLD, previous=None, fallback=None, whole=frozenset({OLD}), proven=frozenset({OLD}),
        running={**dict.fromkeys(SERVICES, OLD), "outbox": None},
    )  # fmt: skip
    assert to_settle(found) == (
        Step(action=Action.UNITS, subject=OLD), Step(action=Action.RESTART, subject="outbox")
    )  # fmt: skip


@pytest.mark.parametrize("previous", [None, NEW, "0.0.9"], ids=["none", "itself", "not-there"])
def test_where_there_is_nothing_to_return_to(previous: str | None) -> None:
    found = Found(
        current=NEW, previous=previous, fallback=None, whole=frozenset({NEW}), proven=frozenset(),
        running=dict.fromkeys(SERVICES, NEW),
    )  # fmt: skip
    assert back(found) == ()


def test_every_action_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Action)
