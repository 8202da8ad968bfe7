"""The sender: what the spool holds, oldest first, until nothing waits. One turn is one request at the most."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.base.clock import Clock, utc_text
from edge_node.base.logs import Repeated, event
from edge_node.push.policy import (
    AHEAD_MS,
    CAP_S,
    Answer,
    Outcome,
    Probe,
    Progress,
    Reply,
    Span,
    after,
    problems,
    question,
    still,
)
from edge_node.push.spool import Spool
from edge_node.status import Reason
from edge_node.status.line_share import Restraint
from monitoring.remote_write import compressed, heartbeat, probe, write_request

# Over a line that is paid by volume: often enough for an alert on ten minutes of silence, and 1 MB a day.
METERED_EVERY_S = 120.0
# While urgent messages wait: what is new still arrives, and of what is old no more than they leave room for.
URGENT_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the sender is told of the node. `is_synchronised` is the clock's; None where that is not known."""

    restraints: tuple[Restraint, ...] = ()
    is_offline: bool = False
    is_synchronised: bool | None = None


class Sender:
    """Sends what is in the spool; used by one thread, but for `state`, `problems` and `requests`.

    `post` sends one compressed body; `labels` go with every series. `draw` is the source of chance, in [0, 1).
    """

    def __init__(
        self,
        spool: Spool,
        post: Callable[[bytes], Reply],
        *,
        labels: Mapping[str, str],
        window_s: float,
        clock: Clock,
        surroundings: Callable[[], Surroundings],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._spool, self._post, self._labels = spool, post, labels
        self._window_ms = round(window_s * 1000)
        self._clock, self._surroundings, self._draw = clock, surroundings, draw
        self._progress = Progress()
        self._trouble: Reply | None = None
        self._around = Surroundings()
        self._moved_at = clock.boottime()
        self._failing, self._skipping = Repeated(), Repeated()
        self._requests = dict.fromkeys(Answer, 0)
        self._backlog, self._ended = spool.backlog(), spool.ended()
        self._sent_ms: int | None = None

    def turn(self) -> float | None:
        """Do what is next. Returns after how many seconds to come again; None: when there is something new.

        Raises StoreError.
        """
        now_ms, around = self._clock.wall_ms(), self._surroundings()
        self._around = around
        self._end_what_nobody_takes(now_ms, around)
        backlog = self._backlog = self._spool.backlog()
        if backlog.span is None:
            self._moved_at = self._clock.boottime()
            return None
        if Restraint.METERED in around.restraints:
            return self._beat()
        return self._send(backlog.span, now_ms, pause_s=URGENT_PAUSE_S if around.restraints else None)

    def state(self) -> dict[str, Any]:
        """For the status file, from any thread."""
        backlog = self._backlog
        return {
            "backlog_samples": backlog.samples,
            "oldest_at": None if backlog.oldest_ms is None else utc_text(backlog.oldest_ms),
            "sent_at": None if self._sent_ms is None else utc_text(self._sent_ms),
            "trouble": None if self._trouble is None else self._trouble.words,
            "samples": [{"labels": [outcome], "value": count} for outcome, count in self._ended.items()],
            "requests": [{"labels": [answer], "value": count} for answer, count in self._requests.items()],
        }

    def problems(self) -> list[Reason]:
        stuck_s = self._clock.boottime() - self._moved_at
        return problems(trouble=self._trouble, stuck_s=stuck_s, is_offline=self._around.is_offline)

    # ---

    def _end_what_nobody_takes(self, now_ms: int, around: Surroundings) -> None:
        if self._backlog.oldest_ms is not None and around.is_synchronised:
            # Without a time service it may as well be the present that is wrong.
            self._skipped(self._spool.end_after(now_ms + AHEAD_MS, Outcome.AHEAD), Outcome.AHEAD)
        self._skipped(self._spool.end_before(now_ms - self._window_ms, Outcome.EXPIRED), Outcome.EXPIRED)

    def _beat(self) -> float:
        """Only that the node lives. It is sent again with the rest when the rest may travel, and is the same then."""
        newest = self._spool.newest()
        if newest is not None:
            reply = self._ask(write_request([heartbeat(newest)], labels=self._labels))
            if reply.answer is not Answer.TAKEN:
                self._in_trouble(reply)
        # Nobody is waiting for what must not travel.
        self._moved_at = self._clock.boottime()
        return METERED_EVERY_S

    def _send(self, pending: Span, now_ms: int, *, pause_s: float | None) -> float:
        self._progress = still(self._progress, pending)
        asked = question(self._progress, pending)
        steps = self._spool.steps(asked if isinstance(asked, Span) else Span(first=asked.step, last=asked.step))
        if not steps:
            return 0.0  # the sampler made room meanwhile
        if isinstance(asked, Probe):
            steps = [probe(step) for step in steps]
        if max(step.at_ms for step in steps) > now_ms + AHEAD_MS:
            # A receiver that took them would refuse the present of every clinic. Held until the clock is known.
            self._in_trouble(Reply(answer=Answer.FAILED, words="they are from later than the clock says it is"))
            return CAP_S
        reply = self._ask(write_request(steps, labels=self._labels))
        age_s = (now_ms - steps[0].at_ms) / 1000
        follows = after(self._progress, pending, asked, reply, age_s=age_s, jitter=self._draw())
        self._progress = follows.progress
        if follows.done is not None:
            samples = self._spool.done(follows.done, follows.outcome)
            if follows.outcome is Outcome.SENT:
                self._moved_at, self._sent_ms = self._clock.boottime(), self._clock.wall_ms()
                self._skipping.recovered()
                self._ended = self._spool.ended()
            else:
                self._skipped(samples, follows.outcome)
            self._backlog = self._spool.backlog()
            if self._backlog.span is None:
                return 0.0
        if follows.backs_off:
            self._in_trouble(reply)
            return follows.wait_s
        return follows.wait_s if pause_s is None else max(pause_s, follows.wait_s)

    def _ask(self, content: bytes) -> Reply:
        reply = self._post(compressed(content))
        self._requests[reply.answer] += 1
        if reply.answer is Answer.TAKEN:
            self._trouble = None
            if times := self._failing.recovered():
                event("samples_taken_again", failed=times)
        return reply

    def _in_trouble(self, reply: Reply) -> None:
        self._trouble = reply
        if self._failing.failed():
            event("samples_not_taken", level="warning", why=reply.words, times=self._failing.count)

    def _skipped(self, samples: int, outcome: Outcome) -> None:
        if samples:
            self._ended = self._spool.ended()
            if self._skipping.failed():
                event("samples_skipped", level="warning", why=outcome, samples=samples, times=self._skipping.count)
