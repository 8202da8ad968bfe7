"""What a receiver's answer means for the samples that wait, and when to ask again. Pure.

Oldest first, since a receiver without an out-of-order window takes nothing that is older than what it has. A sample is
done with when it was taken. It is otherwise skipped only with proof that it is the sample that is not wanted, and not
the receiver that is in trouble: Prometheus answers 400 to what it cannot place, 500 to what lies before its window
(2.42, measured), and both times throws away the whole request. So a request that fails is made smaller; and of one step
that fails alone an inquiry is made, with a series of its own that no order of ours depends on: does it take a sample of
that time? If so, it is the step. If not, and it takes one of now, all that lie before the first time that it takes are
skipped; halving what is between finds that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from edge_node.base.retry import backoff_s
from edge_node.status import Reason

# Two lines make some 180 series: a request of this many steps weighs 32 kB, and costs 50 ms of a core to make.
MOST_STEPS = 30
# As many errors in a row are no accident: then it is asked why.
FAILURES = 3
# Between two requests of a long drain: a day's outage is sent in two minutes, at 0.25 Mbit/s.
PAUSE_S = 1.0
BASE_S, CAP_S = 1.0, 60.0
# Something that a person must mend.
DENIED_S = 30.0
RETRY_AFTER_CAP_S = 3600.0
# No progress for so long is worth a sentence; shorter outages are the central alert's business.
BEHIND_AFTER_S = 15 * 60.0
# An error over a sample younger than this is the receiver's own: no out-of-order window is that short.
YOUNG_S = 30 * 60.0
# Prometheus takes no later ones (10 minutes), or, before 2.44, takes them and then no others.
AHEAD_MS = 5 * 60_000


class Answer(StrEnum):
    """What came of a request. A closed set: it is a label."""

    TAKEN = "taken"
    REFUSED = "refused"  # it does not want these samples
    FAILED = "failed"  # an error of its own, or samples that lie too far back
    BUSY = "busy"
    SILENT = "silent"
    DENIED = "denied"  # it does not want us, or is no receiver


class Outcome(StrEnum):
    """How a sample ended. A closed set: it is a label."""

    SENT = "sent"
    EXPIRED = "expired"  # older than the window
    REFUSED = "refused"  # the receiver takes others, and not this one
    AHEAD = "ahead"  # from a clock that was wrong
    DROPPED = "dropped"  # no room was left


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`words` is what a person is told of it."""

    answer: Answer
    words: str
    retry_after_s: float | None = None


_REFUSALS = frozenset({400, 413, 422})
_BUSY = frozenset({408, 425, 429, 502, 503, 504})


def of_status(status: int, *, retry_after_s: float | None = None) -> Reply:
    """What an HTTP status says. One that is not foreseen skips nothing."""
    words = f"HTTP {status}"
    if 200 <= status < 300:
        return Reply(answer=Answer.TAKEN, words=words)
    if status in _REFUSALS:
        return Reply(answer=Answer.REFUSED, words=words)
    if status in _BUSY:
        return Reply(answer=Answer.BUSY, words=words, retry_after_s=retry_after_s)
    return Reply(answer=Answer.FAILED if 500 <= status < 600 else Answer.DENIED, words=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Steps by their number, both ends included."""

    first: int
    last: int

    @property
    def steps(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One sample of no meaning, with the time of this step."""

    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """Why is the step `of` not taken? `refused` and `taken` are the steps nearest to each other whose times are;
    `errors` is how often the last question was answered by an error."""

    of: int
    refused: int | None = None
    taken: int | None = None
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is known of the receiver; a new process knows nothing, and learns it again."""

    most_steps: int = MOST_STEPS
    failures: int = 0
    inquiry: Inquiry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What follows from an answer: every step up to `done` has ended as `outcome`, if any has."""

    progress: Progress
    wait_s: float = PAUSE_S
    backs_off: bool = False
    done: int | None = None
    outcome: Outcome = Outcome.SENT


CAREFUL = Progress(most_steps=1)


def still(progress: Progress, pending: Span) -> Progress:
    """What still holds, now that this is pending: the step that an inquiry is about may have expired."""
    return CAREFUL if progress.inquiry is not None and progress.inquiry.of < pending.first else progress


def question(progress: Progress, pending: Span) -> Span | Probe:
    """What the next request is to hold: these steps of what is pending, or a probe."""
    match progress.inquiry:
        case None:
            return Span(first=pending.first, last=min(pending.first + progress.most_steps - 1, pending.last))
        case Inquiry(of=step, taken=taken) if taken == step:
            return Span(first=step, last=step)  # its time is taken: is it the step itself?
        case Inquiry(of=step, refused=None):
            return Probe(step=step)
        case Inquiry(taken=None):
            return Probe(step=pending.last)
        case Inquiry(refused=int(refused), taken=int(taken)):
            # With nothing between them, this is the refused one: it is asked once more before anything is skipped.
            return Probe(step=(refused + taken) // 2)
        case never:
            raise AssertionError(never)


def after(progress: Progress, pending: Span, asked: Span | Probe, reply: Reply, *, age_s: float, jitter: float) -> Next:
    """What follows from the reply to `asked`, which `question` chose and whose oldest sample is `age_s` old.

    `jitter` in [0, 1) is drawn by the caller.
    """
    steps = asked.steps if isinstance(asked, Span) else 1
    match reply.answer:
        case Answer.BUSY | Answer.SILENT | Answer.DENIED:
            return _backed_off(progress, reply, jitter, most_steps=max(1, steps // 2))
        case Answer.FAILED if age_s < YOUNG_S:
            return _backed_off(progress, reply, jitter)
        case Answer.TAKEN | Answer.REFUSED | Answer.FAILED:
            if progress.inquiry is None:
                return _sent(progress, pending, steps, reply, jitter)
            if isinstance(asked, Span):
                return _sent_again(progress, progress.inquiry, reply)
            return _probed(progress, progress.inquiry, asked.step, reply, jitter)
        case never:
            assert_never(never)


def _sent(progress: Progress, pending: Span, steps: int, reply: Reply, jitter: float) -> Next:
    inquiry = Inquiry(of=pending.first)
    match reply.answer:
        case Answer.TAKEN:
            doubled = Progress(most_steps=min(2 * progress.most_steps, MOST_STEPS))
            return Next(progress=doubled, done=pending.first + steps - 1)
        case Answer.REFUSED if steps > 1:
            return Next(progress=replace(progress, most_steps=steps // 2))
        case Answer.REFUSED:
            return Next(progress=replace(progress, most_steps=1, inquiry=inquiry))
        case _:
            later = _backed_off(progress, reply, jitter)
            if later.progress.failures < FAILURES:
                return later
            return replace(later, progress=replace(later.progress, inquiry=inquiry))


def _sent_again(progress: Progress, inquiry: Inquiry, reply: Reply) -> Next:
    """The step whose time is taken."""
    if reply.answer is Answer.TAKEN:
        return Next(progress=CAREFUL, done=inquiry.of)
    return _proved(progress, inquiry, reply, done=inquiry.of)


def _probed(progress: Progress, inquiry: Inquiry, step: int, reply: Reply, jitter: float) -> Next:
    known = replace(progress, inquiry=replace(inquiry, taken=step, errors=0))
    if reply.answer is Answer.TAKEN:
        # The refused one, asked once more: it was the receiver that was in trouble.
        return Next(progress=CAREFUL if step == inquiry.refused else known)
    if inquiry.refused is not None and inquiry.taken is None:
        return _backed_off(progress, reply, jitter)  # it takes no sample of any time
    if inquiry.refused == step:
        return _proved(progress, inquiry, reply, done=step)
    return Next(progress=replace(progress, inquiry=replace(inquiry, refused=step, errors=0)))


def _proved(progress: Progress, inquiry: Inquiry, reply: Reply, *, done: int) -> Next:
    """A server has errors of its own: one proves nothing."""
    if reply.answer is Answer.FAILED and inquiry.errors + 1 < FAILURES:
        return Next(progress=replace(progress, inquiry=replace(inquiry, errors=inquiry.errors + 1)))
    return Next(progress=CAREFUL, done=done, outcome=Outcome.REFUSED)


def _backed_off(progress: Progress, reply: Reply, jitter: float, *, most_steps: int = 1) -> Next:
    failures = progress.failures + 1
    wait_s = backoff_s(failures, base_s=BASE_S, cap_s=CAP_S, jitter=jitter)
    if reply.answer is Answer.DENIED:
        wait_s = max(wait_s, DENIED_S)
    if reply.retry_after_s is not None:
        wait_s = max(wait_s, min(reply.retry_after_s, RETRY_AFTER_CAP_S))
    return Next(progress=Progress(most_steps=most_steps, failures=failures), wait_s=wait_s, backs_off=True)


def problems(*, trouble: Reply | None, stuck_s: float, is_offline: bool) -> list[Reason]:
    """What `status` says. `trouble` is the reply that made us back off, if we do; `stuck_s` is for how long samples
    have been waiting of which none has left.

    While no line is up, samples wait for nobody's fault.
    """
    if trouble is not None and trouble.answer in (Answer.DENIED, Answer.REFUSED):
        return [Reason(code="remote-write-refused", args={"words": trouble.words})]
    if stuck_s < BEHIND_AFTER_S or is_offline:
        return []
    args: Mapping[str, object] = {"words": trouble.words} if trouble is not None else {}
    return [Reason(code="remote-write-behind", args={"for_s": round(stuck_s), **args})]
