"""The way from one release to the next: what is left to do, also after it was cut off anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from edge_node.release.plan import SENTENCES, SERVICES, Action, Found, Step, back, forward, to_settle

OLD, NEW = "0.1.0", "0.2.0"


@dataclass
class World:
    """A machine as steps change it. `broken`: releases that are never found well."""

    current: str = OLD
    previous: str | None = None
    whole: set[str] = field(default_factory=lambda: {OLD})
    proven: set[str] = field(default_factory=lambda: {OLD})
    running: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SERVICES, OLD))
    migrated: set[str] = field(default_factory=lambda: {OLD})
    units: str = OLD
    broken: frozenset[str] = frozenset()

    def found(self) -> Found:
        return Found(
            current=self.current, previous=self.previous, whole=frozenset(self.whole), proven=frozenset(self.proven),
            running=dict(self.running),
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
            case Action.PRUNE:
                self.whole &= {self.current, self.previous or self.current}
        return True

    def upgrade(self, target: str) -> Iterator[Step]:
        """Each step that is about to be done, as the runner does them."""
        if self.current != target:
            yield from self._all(to_settle(self.found()))
        went_well = yield from self._all(forward(self.found(), target))
        if not went_well:
            yield from self._all(back(self.found()))

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
        return self.current, running, self.units, self.migrated, sorted(self.whole), sorted(self.proven)


def finished(world: World) -> World:
    for _ in world.upgrade(NEW):
        pass
    return world


def test_an_upgrade() -> None:
    world = World()
    did = [str(step) for step in world.upgrade(NEW)]
    assert did == [
        "put release 0.2.0 beside the others",
        "have release 0.2.0 read the configuration",
        "migrate the databases for release 0.2.0, after a copy",
        "make release 0.2.0 the one that is started",
        "install the units of release 0.2.0",
        *(f"restart {name}" for name in ("his", "outbox", "monitor", "replica", "links")),
        "watch whether release 0.2.0 is well",
        "remove the releases that release 0.2.0 leaves unneeded",
    ]
    assert world.end() == (NEW, {NEW}, NEW, {OLD, NEW}, [OLD, NEW], [OLD, NEW])


def test_a_release_that_is_not_well_is_returned_from() -> None:
    world = finished(World(broken=frozenset({NEW})))
    assert world.end() == (OLD, {OLD}, OLD, {OLD, NEW}, [OLD, NEW], [OLD])


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
        current=OLD, previous=None, whole=frozenset({OLD}), proven=frozenset({OLD}),
        running={**dict.fromkeys(SERVICES, OLD), "outbox": None},
    )  # fmt: skip
    assert to_settle(found) == (
        Step(action=Action.UNITS, subject=OLD), Step(action=Action.RESTART, subject="outbox")
    )  # fmt: skip


@pytest.mark.parametrize("previous", [None, NEW, "0.0.9"], ids=["none", "itself", "not-there"])
def test_where_there_is_nothing_to_return_to(previous: str | None) -> None:
    found = Found(
        current=NEW, previous=previous, whole=frozenset({NEW}), proven=frozenset(), running=dict.fromkeys(SERVICES, NEW)
    )
    assert back(found) == ()


def test_every_action_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Action)
