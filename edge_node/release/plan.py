"""Which steps lead from one release to another; pure.

    units  restart*  stage  check  migrate  switch  units  restart*  watch  prune
                                                                       └─ not well: switch-back  units  restart*  watch

Each step is harmless to repeat, and what is left to do follows from what is found: an upgrade that was killed, wherever
that was, is run again, and ends as it would have ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# In this order: the HIS first, since it has the most that can fail and the people who notice; what it needs while it
# starts (the replicator, the watcher of the lines) is still the old one's then. Each waits until the one before works.
SERVICES = ("his", "outbox", "monitor", "replica", "links")


class Action(StrEnum):
    STAGE = "stage"
    CHECK = "check"
    MIGRATE = "migrate"
    SWITCH = "switch"
    SWITCH_BACK = "switch-back"
    UNITS = "units"
    RESTART = "restart"
    WATCH = "watch"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`subject` is a release, or the service of a restart."""

    action: Action
    subject: str

    def __str__(self) -> str:
        return SENTENCES[self.action].format(self.subject)


SENTENCES = {
    Action.STAGE: "put release {0} beside the others",
    Action.CHECK: "have release {0} read the configuration",
    Action.MIGRATE: "migrate the databases for release {0}, after a copy",
    Action.SWITCH: "make release {0} the one that is started",
    Action.SWITCH_BACK: "make release {0} the one that is started again",
    Action.UNITS: "install the units of release {0}",
    Action.RESTART: "restart {0}",
    Action.WATCH: "watch whether release {0} is well",
    Action.PRUNE: "remove the releases that release {0} leaves unneeded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is on the machine. `whole`: releases that are complete; `proven`: those that were once found well here.

    `running`: the release that each service's process was started from; None where there is no process.
    """

    current: str
    previous: str | None
    whole: frozenset[str]
    proven: frozenset[str]
    running: Mapping[str, str | None]


def to_settle(found: Found) -> tuple[Step, ...]:
    """First of all: every service runs the release in use. More than nothing only where an upgrade was cut off."""
    restarts = _restarts(found, found.current)
    return (Step(action=Action.UNITS, subject=found.current), *restarts) if restarts else ()


def forward(found: Found, target: str) -> tuple[Step, ...]:
    """From there to `target`; what is done already is left out, and nothing is left where it is proven.

    (Who gives a bundle again weeks later must not be taken back to the release before for a fault of today.)
    """
    if found.current == target and target in found.proven:
        return ()
    steps = []
    if found.current != target:
        if target not in found.whole:
            steps.append(Step(action=Action.STAGE, subject=target))
        steps += [Step(action=each, subject=target) for each in (Action.CHECK, Action.MIGRATE, Action.SWITCH)]
    steps.append(Step(action=Action.UNITS, subject=target))
    steps += _restarts(found, target)
    steps.append(Step(action=Action.WATCH, subject=target))
    steps.append(Step(action=Action.PRUNE, subject=target))
    return tuple(steps)


def back(found: Found) -> tuple[Step, ...]:
    """From a release that is not well to the one before it; nothing where there is none.

    The databases stay: what the newer release has added, the older one can live with.
    """
    if found.previous is None or found.previous not in found.whole or found.previous == found.current:
        return ()
    return (
        Step(action=Action.SWITCH_BACK, subject=found.previous),
        Step(action=Action.UNITS, subject=found.previous),
        *_restarts(found, found.previous),
        Step(action=Action.WATCH, subject=found.previous),
    )


def _restarts(found: Found, release: str) -> tuple[Step, ...]:
    return tuple(Step(action=Action.RESTART, subject=name) for name in SERVICES if found.running.get(name) != release)
