"""From one release to the next, step by step, and back by itself where the next one is not well.

The plan is made in `plan.py` from what is on the machine; here it is carried out, and written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.base.clock import SystemClock, utc_text
from edge_node.base.errors import EdgeError, ExitCode, Problem, ServiceError
from edge_node.release.health import ailments, is_hopeless
from edge_node.release.history import append
from edge_node.release.machine import Machine, call
from edge_node.release.plan import Action, Found, Step, back, forward, to_settle
from edge_node.release.releases import Releases

# A quiet mini PC makes an environment in half a minute; a slow disk may take many times that.
STAGES_WITHIN_S = 1800.0
# A large database is copied before it is migrated.
MIGRATES_WITHIN_S = 6 * 3600.0
COMMAND_WITHIN_S = 120.0
# From the order to restart until it works: a clean stop takes up to 15 s, a start some seconds.
COMES_WITHIN_S = 120.0
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for. `bundle`: the unpacked bundle that brings `target`, None when it need not be put in place."""

    target: str
    bundle: Path | None
    watch_s: float
    where: Sequence[str]
    reason: str
    by: str


class Unwell(Exception):
    """A release is not well; why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(", ".join(f"{one.path} {one.text}" for one in problems))
        self.problems = tuple(problems)


class Upgrade:
    """Carries out one wish. `tell` hears each step before it is done; the caller holds `Releases.lock`."""

    def __init__(self, releases: Releases, machine: Machine, wish: Wish, tell: Callable[[str], None]) -> None:
        self._releases, self._machine, self._wish, self._tell = releases, machine, wish, tell

    def found(self) -> Found:
        """What is on the machine now. Raises ServiceError not-installed."""
        current = self._releases.current()
        if current is None:
            raise ServiceError(
                "not-installed",
                f"no release is in use in {self._releases.root}",
                context=None,
                hint="install.sh of the bundle installs the first one",
                exit_code=ExitCode.USAGE,
            )
        return Found(
            current=current,
            previous=self._releases.previous(),
            fallback=self._releases.fallback(),
            whole=frozenset(self._releases.whole()),
            proven=self._releases.proven(),
            running={name: unit.release for name, unit in self._machine.units().items()},
        )

    def settle(self) -> None:
        """Bring every service to the release in use, which is more than nothing where an upgrade was cut off.

        Not called where that release is the target: then this is the upgrade. Raises ServiceError release-unwell.
        """
        found = self.found()
        try:
            for step in to_settle(found):
                self._do(step)
        except Unwell as error:
            raise _unwell(
                f"release {found.current}, which is in use, is not well; nothing was changed",
                error.problems,
                hint="edge-node status, edge-node doctor; mend it before it is upgraded",
            ) from error

    def carry_out(self) -> None:
        """Do what is left to do. Killed at any step it is called again, and the end is the same.

        Raises ServiceError release-unwell when the release before had to come back, and EdgeError where a step failed
        before anything that runs was touched.
        """
        target = self._wish.target
        try:
            for step in forward(self.found(), target):
                self._do(step)
        except Unwell as error:
            self._record("unwell", target, why=str(error))
            self._return(error)
        except EdgeError:
            current = self._releases.current()
            if current is not None and current != target:
                # Nothing that runs was touched, and there is nothing to come back from.
                self._do(Step(action=Action.CLOSE, subject=current))
            raise

    def plan(self) -> Sequence[Step]:
        """What `carry_out` would do."""
        return forward(self.found(), self._wish.target)

    def go_back(self) -> None:
        """Return to the release before because somebody wants it so. Raises ServiceError."""
        steps = back(self.found())
        if not steps:
            raise ServiceError(
                "nothing-to-return-to",
                "there is no release before this one on the machine",
                context=None,
                hint="upgrade to a release that mends what is wrong",
                exit_code=ExitCode.USAGE,
            )
        try:
            for step in steps:
                self._do(step)
        except Unwell as error:
            self._do(steps[-1])
            raise _unwell(f"release {steps[0].subject} is in use again, and not well either", error.problems) from error

    def _return(self, why: Unwell) -> None:
        target, steps = self._wish.target, back(self.found())
        if not steps:
            raise _unwell(f"release {target} is not well, and there is none to return to", why.problems) from why
        self._tell(f"release {target} is not well: {why}")
        before = steps[0].subject
        try:
            for step in steps:
                self._do(step)
        except Unwell as error:
            self._do(steps[-1])
            text = f"release {target} was not well, {before} is in use again, and not well either"
            raise _unwell(text, (*why.problems, *error.problems)) from error
        raise _unwell(
            f"release {target} was not well; {before} is in use again and works",
            why.problems,
            hint="journalctl -u 'edge-*' shows what it said; edge-node upgrade may be tried again, with this bundle or "
            "with a mended one under a new version",
        ) from why

    def _do(self, step: Step) -> None:
        self._tell(str(step))
        action, subject = step.action, step.subject
        began = time.monotonic()
        more: dict[str, Any] = {}
        match action:
            case Action.STAGE:
                assert self._wish.bundle is not None
                call(("sh", str(self._wish.bundle / "install.sh"), "--release-only"), timeout_s=STAGES_WITHIN_S)
            case Action.CHECK:
                self._command(subject, "config", "check")
            case Action.MIGRATE:
                reason = f"upgrade to {subject}"
                done = self._command(subject, "db", "migrate", "--reason", reason, timeout_s=MIGRATES_WITHIN_S)
                more["databases"] = done.splitlines()
                for line in more["databases"]:
                    self._tell(f"  {line}")
            case Action.SWITCH:
                self._releases.switch(subject)
            case Action.SWITCH_BACK:
                self._releases.switch_back(subject)
            case Action.FALLBACK:
                self._releases.fall_back_to(subject)
            case Action.UNITS:
                try:
                    self._command(subject, "units", "install")
                except EdgeError as error:
                    # The switch is made: a release that cannot do this is one to return from.
                    raise Unwell([Problem(path="units", text=error.context or error.message)]) from error
            case Action.RESTART:
                self._restart(subject)
            case Action.WATCH:
                self._watch(subject)
                self._releases.prove(subject)
                # From here on a power cut leads to this one, and the release before may go.
                self._releases.fall_back_to(subject)
            case Action.PRUNE:
                more["removed"] = self._releases.spare()
                for version in more["removed"]:
                    self._releases.remove(version)
            case Action.CLOSE:
                self._releases.close()
        self._record(action, subject, seconds=round(time.monotonic() - began, 1), **more)

    def _command(self, release: str, *arguments: str, timeout_s: float = COMMAND_WITHIN_S) -> str:
        argv = (str(self._releases.program(release)), *self._wish.where, *arguments)
        return call(argv, timeout_s=timeout_s).stdout

    def _restart(self, service: str) -> None:
        """Requests wait in the socket meanwhile. Raises Unwell."""
        release = self._releases.current()
        assert release is not None
        self._machine.restart(service)
        give_up_at = time.monotonic() + COMES_WITHIN_S
        # The order is carried out behind our back: until then the old process is still there.
        while not (unit := self._machine.units()[service]).is_up(release):
            if unit.is_lost() or time.monotonic() > give_up_at:
                ended = f", ended {unit.restarts} times" if unit.restarts else ""
                text = (
                    f"does not come with release {release} ({unit.active}{ended}): journalctl -u edge-{service} -n 30"
                )
                raise Unwell([Problem(path=service, text=text)])
            time.sleep(LOOK_EVERY_S)

    def _watch(self, release: str) -> None:
        """Well within the time that a start takes, and from then on all the time. Raises Unwell."""
        give_up_at = time.monotonic() + COMES_WITHIN_S
        first = self._machine.look()
        while found := ailments(first, release):
            if is_hopeless(first) or time.monotonic() > give_up_at:
                raise Unwell(found)
            time.sleep(LOOK_EVERY_S)
            first = self._machine.look()
        until = time.monotonic() + self._wish.watch_s
        # One bad look is asked again: a status file may be late on a machine that has other things to do.
        before: list[Problem] = []
        while time.monotonic() < until or before:
            time.sleep(LOOK_EVERY_S)
            now = ailments(self._machine.look(), release, since=first)
            if before and now:
                raise Unwell(now)
            before = now

    def _record(self, did: str, subject: str, **more: Any) -> None:
        wish = self._wish
        record = {
            "at": utc_text(SystemClock().wall_ms()), "by": wish.by, "reason": wish.reason, "target": wish.target,
            "did": did, "subject": subject, **more,
        }  # fmt: skip
        append(self._releases.history, record)


def _unwell(text: str, problems: Sequence[Problem], *, hint: str | None = None) -> EdgeError:
    return ServiceError(
        "release-unwell",
        text,
        context=None,
        hint=hint or "edge-node status, edge-node doctor; journalctl -u 'edge-*' -n 100",
        problems=problems,
        exit_code=ExitCode.DATA,
    )
