"""One upstream as the sender sees it: how many messages may be under way, and why not more. Pure; time is an argument.

An upstream that fails several times in a row is asked with one message at a time: ten thousand queued messages must not
each find out that the server is gone, and each have that written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_node.base.retry import backoff_s
from edge_node.outbox.model import Message, Outcome, Result
from edge_node.outbox.policy import CLASSES, RETRY_AFTER_CAP_S, UNANSWERED, Class
from edge_node.status import Reason

# Enough to hide the delay of a line (8 at 80 ms are 100 a second), and nothing that a platform would notice.
IN_FLIGHT = 8
# As many failures in a row are no accident of a message any more.
FAILURES = 3
# How often one message asks: where nobody answers, where a server says that it cannot, where it refuses us, and while
# the node is offline, so that delivery stays the truth.
SILENT_CAP_S, BUSY_CAP_S, PAUSED_S, OFFLINE_S = 10.0, 30.0, 30.0, 10.0
PROBE_BASE_S = 1.0


@dataclass(slots=True)
class Lane:
    """The state of one upstream. Times are boot time in seconds, `recovered_ms` is wall time."""

    upstream: str
    under_way: dict[int, Message] = field(default_factory=dict)
    failures: int = 0
    not_before: float = 0.0
    # The whole upstream waits until then, whoever asks: a server said so.
    held_until: float = 0.0
    paused: Reason | None = None
    failing: Reason | None = None
    is_offline: bool = False
    # Messages that were put to wait before this need not wait any longer.
    recovered_ms: int = 0

    @property
    def is_slow(self) -> bool:
        """Is it asked with one message at a time?"""
        return self.is_offline or self.paused is not None or self.failures >= FAILURES

    def room(self, now: float) -> int:
        """How many more messages may start now."""
        if now < self.held_until:
            return 0
        if self.is_slow:
            return 1 if not self.under_way and now >= self.not_before else 0
        return max(0, IN_FLIGHT - len(self.under_way))

    def next_at(self, now: float) -> float | None:
        """When there is room again, if that is only a matter of time."""
        later = max(self.held_until, self.not_before if self.is_slow else 0.0)
        return later if later > now and not (self.is_slow and self.under_way) else None

    def begin(self, message: Message) -> None:
        """This message is under way."""
        self.under_way[message.seq] = message

    def ended(self, message: Message, outcome: Outcome, *, now: float, now_ms: int, jitter: float) -> None:
        """Learn from what came of an attempt."""
        self.under_way.pop(message.seq, None)
        match CLASSES[outcome.result]:
            case Class.DONE | Class.ROW if outcome.result is not Result.DAMAGED:
                self._answered(now_ms)
            case Class.TRANSIENT:
                self._failed(outcome, now, jitter)
            case Class.BATCH:
                self.paused = Reason(
                    code=f"upstream-{outcome.result}", args={"upstream": self.upstream, "words": outcome.words}
                )
                self.failing = None
                self.not_before = now + PAUSED_S

    def mode(self, is_offline: bool, *, now: float, now_ms: int) -> None:
        """The node went offline, or is not any more: then everything may be tried at once, first with one message."""
        if is_offline:
            self.not_before = max(self.not_before, now + OFFLINE_S) if not self.is_offline else self.not_before
        else:
            self.failures = min(self.failures, FAILURES)
            self.not_before, self.held_until, self.recovered_ms = now, 0.0, now_ms
        self.is_offline = is_offline

    def _answered(self, now_ms: int) -> None:
        if self.is_slow:
            # Delivery is the truth: whatever the mode says, this upstream is no longer asked seldom.
            self.recovered_ms = now_ms
        self.failures, self.held_until, self.is_offline = 0, 0.0, False
        self.paused = self.failing = None

    def _failed(self, outcome: Outcome, now: float, jitter: float) -> None:
        self.failures += 1
        cap_s = SILENT_CAP_S if outcome.result in UNANSWERED else BUSY_CAP_S
        wait_s = backoff_s(max(1, self.failures - FAILURES + 1), base_s=PROBE_BASE_S, cap_s=cap_s, jitter=jitter)
        self.not_before = now + (OFFLINE_S if self.is_offline else wait_s)
        if outcome.retry_after_s is not None:
            self.held_until = now + min(outcome.retry_after_s, RETRY_AFTER_CAP_S)
        if self.failures >= FAILURES:
            self.failing = Reason(
                code=f"upstream-{outcome.result}", args={"upstream": self.upstream, "words": outcome.words}
            )
