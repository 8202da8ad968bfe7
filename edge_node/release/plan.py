"""Which steps lead from one release to another; pure.

    units  restart*  fallback  stage  check  migrate  switch  units  restart*  watch  prune  close
                                                       not well: switch-back  units  restart*  watch  close

Each step is harmless to repeat, and what is left to do follows from what is found: an upgrade that was killed, wherever
that was, is run again, and ends as it would have ended. Where the machine starts anew before that, `at_start` says what
is done without anybody's command.
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
    FALLBACK = "fallback"
    UNITS = "units"
    RESTART = "restart"
    WATCH = "watch"
    PRUNE = "prune"
    CLOSE = "close"


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
    Action.FALLBACK: "have a power cut from here on lead to release {0}",
    Action.UNITS: "install the units of release {0}",
    Action.RESTART: "restart {0}",
    Action.WATCH: "watch whether release {0} is well",
    Action.PRUNE: "remove the releases that release {0} leaves unneeded",
    Action.CLOSE: "end the upgrade with release {0} in use",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is on the machine. `whole`: releases that are complete; `proven`: those that were once found well here.

    `running`: the release that each service's process was started from; None where there is no process. `fallback`: the
    release that a start of the machine leads to, None where no upgrade is under way.
    """

    current: str
    previous: str | None
    fallback: str | None
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
    tidying = (Step(action=Action.PRUNE, subject=target), Step(action=Action.CLOSE, subject=target))
    if found.current == target and target in found.proven and found.fallback in (None, target):
        return tidying if found.fallback else ()
    steps = []
    before = (found.fallback or found.previous) if found.current == target else found.current
    if before is not None and (found.current != target or found.fallback is None):
        steps.append(Step(action=Action.FALLBACK, subject=before))
    if found.current != target:
        if target not in found.whole:
            steps.append(Step(action=Action.STAGE, subject=target))
        steps += [Step(action=each, subject=target) for each in (Action.CHECK, Action.MIGRATE, Action.SWITCH)]
    steps.append(Step(action=Action.UNITS, subject=target))
    steps += _restarts(found, target)
    steps.append(Step(action=Action.WATCH, subject=target))
    return (*steps, *tidying)


def back(found: Found) -> tuple[Step, ...]:
    """From a release that is not well to the one before it; nothing where there is none.

    The databases stay: what the newer release has added, the older one can live with.
    """
    if found.previous is None or found.previous not in found.whole or found.previous == found.current:
        return ()
    return (
        *((Step(action=Action.FALLBACK, subject=found.previous),) if found.fallback != found.previous else ()),
        Step(action=Action.SWITCH_BACK, subject=found.previous),
        Step(action=Action.UNITS, subject=found.previous),
        *_restarts(found, found.previous),
        Step(action=Action.WATCH, subject=found.previous),
        Step(action=Action.CLOSE, subject=found.previous),
    )


class Outcome(StrEnum):
    """How an upgrade ended that was cut off, once the machine has started anew."""

    # The release that was in use before it is in use: still, or again.
    KEPT = "kept"
    # What was wanted is in use: it had been found well, or was to be returned to.
    REACHED = "reached"
    # What was in use before is not on the disk any more, and nothing was changed.
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What the start of the machine does about it, before any service is started."""

    outcome: Outcome
    steps: tuple[Step, ...]


def at_start(*, fallback: str | None, current: str | None, target: str, whole: frozenset[str]) -> Settling | None:
    """After a power cut in the middle of an upgrade to `target`; None where none was under way.

    Nobody would watch a release that was not found well yet, so `fallback` is what is started: the release before until
    the new one has been found well, then that one. How far the databases have come is not asked: a migration only adds,
    and the release before works with them. Harmless to repeat, and a cut in the middle of it leads to the same end.
    """
    if fallback is None:
        return None
    if fallback not in whole:
        return Settling(outcome=Outcome.LEFT, steps=(Step(action=Action.CLOSE, subject=current or target),))
    back_first = (Step(action=Action.SWITCH_BACK, subject=fallback),) if current != fallback else ()
    return Settling(
        outcome=Outcome.REACHED if fallback == target else Outcome.KEPT,
        steps=(
            *back_first,
            Step(action=Action.UNITS, subject=fallback),
            Step(action=Action.CLOSE, subject=fallback),
        ),
    )


def _restarts(found: Found, release: str) -> tuple[Step, ...]:
    return tuple(Step(action=Action.RESTART, subject=name) for name in SERVICES if found.running.get(name) != release)
