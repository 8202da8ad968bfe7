"""What the start of the machine does after a power cut in the middle of an upgrade, before any service is started.

It is carried out by the release that it leads to: the other one was not found well yet, and may not run at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

from edge_node.base.clock import SystemClock, utc_text
from edge_node.release.history import SETTLED, append, last_record
from edge_node.release.machine import call
from edge_node.release.plan import Action, Outcome, Step, at_start
from edge_node.release.releases import Releases

# It hinders the start of the clinic for no longer than this (and `edge-settle.service` for half a minute more).
UNITS_WITHIN_S = 120.0
SENTENCES = {
    Outcome.KEPT: "release {0} is in use; the upgrade may be given again",
    Outcome.REACHED: "release {0} is in use, as was wanted",
    Outcome.LEFT: "there is nothing to go back to: release {0} stays in use; edge-node doctor looks at it",
}


def settle(
    releases: Releases, *, where: Sequence[str], by: str, reason: str, tell: Callable[[str], None], dry_run: bool
) -> None:
    """Bring the release into use that is certain to work; harmless where nothing was cut off, and to repeat.

    The caller holds `Releases.lock`. Raises ServiceError step-failed; the release is in use by then, and the next start
    of the machine tries the rest again.
    """
    last = last_record(releases.history)
    target, at = str(last.get("target") or ""), last.get("at", "a time that is not known")
    settling = at_start(
        fallback=releases.fallback(), current=releases.current(), target=target, whole=frozenset(releases.whole())
    )
    if settling is None:
        tell("no upgrade was cut off: nothing to do")
        return
    tell(f"the upgrade to release {target or '?'} was cut off; its last step is of {at}")
    if dry_run:
        for step in settling.steps:
            tell(f"would {step}")
        return
    subject = settling.steps[-1].subject
    # Before it is done: after a second cut in the middle of this, what is found would tell another story.
    if last.get("did") != SETTLED:
        record = {
            "at": utc_text(SystemClock().wall_ms()), "by": by, "reason": reason, "target": target,
            "did": SETTLED, "subject": subject, "outcome": settling.outcome,
        }  # fmt: skip
        try:
            append(releases.history, record)
        except OSError as error:
            # A disk that is full keeps nobody from the release that works.
            tell(f"this cannot be recorded: {error}")
    shutil.rmtree(releases.root / "incoming", ignore_errors=True)
    for step in settling.steps:
        tell(str(step))
        _do(releases, step, where)
    tell(SENTENCES[settling.outcome].format(subject))


def _do(releases: Releases, step: Step, where: Sequence[str]) -> None:
    match step.action:
        case Action.SWITCH_BACK:
            releases.switch_back(step.subject)
        case Action.UNITS:
            call((str(releases.program(step.subject)), *where, "units", "install"), timeout_s=UNITS_WITHIN_S)
        case Action.CLOSE:
            releases.close()
        case _:
            raise AssertionError(step)
