"""Every reason the core can give: its code, its sentence, its arguments and the moves it can cause.

The table is the truth. README.md's reason table and state diagram are generated from it, and the tests hold every
verdict and every decision of every story against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Arg = str | int | float


class Mode(StrEnum):
    """What the node does."""

    STARTING = "starting"  # nothing decided yet
    ONLINE = "online"  # on the most preferred line
    BACKUP = "backup"  # on any other line
    OFFLINE = "offline"  # on no line


class Code(StrEnum):
    """Stable names: they reach logs, metric labels, the journal, the pages and the SLA report."""

    # Why a line has its verdict.
    NOT_HEARD = "not-heard"
    ANSWERS = "answers"
    LINK_ONLY = "link-only"
    CLEAN = "clean"
    RETURNING = "returning"
    LOSS = "loss"
    LOSS_OUT = "loss-out"
    LOSS_BACK = "loss-back"
    DELAY = "delay"
    SILENT = "silent"
    CLOUD_SILENT = "cloud-silent"
    NO_CARRIER = "no-carrier"
    NO_LINK = "no-link"
    NO_ADDRESS = "no-address"
    NO_ROUTE = "no-route"
    MTU = "mtu"
    APP_SILENT = "app-silent"
    # What is wrong with a target although its line is not to blame.
    TARGET_SILENT = "target-silent"
    CLOUD_TROUBLE = "cloud-trouble"
    APP_TROUBLE = "app-trouble"
    MTU_SMALL = "mtu-small"
    # Why the node moved.
    FIRST_LINE = "first-line"
    ADOPTED = "adopted"
    LINE_DOWN = "line-down"
    LINE_DEGRADED = "line-degraded"
    LEAST_BAD = "least-bad"
    FAILBACK = "failback"
    METERED = "metered"
    PINNED = "pinned"
    REHEARSED = "rehearsed"
    EVERY_LINE_DOWN = "every-line-down"
    CLOUD_DOWN = "cloud-down"
    BACK_ONLINE = "back-online"
    # Why it did not.
    STEADY = "steady"
    LISTENING = "listening"
    BEFORE_OFFLINE = "before-offline"
    BEFORE_ONLINE = "before-online"
    STILL_OFFLINE = "still-offline"
    HELD = "held"
    MIN_STAY = "min-stay"
    HOLD_RUNS = "hold-runs"
    SUPPRESSED = "suppressed"
    FAILBACK_MANUAL = "failback-manual"
    FAILBACK_WINDOW = "failback-window"
    NO_BETTER_LINE = "no-better-line"
    # What was done beside moving.
    CONNECTIONS_ENDED = "connections-ended"


@dataclass(frozen=True, slots=True, init=False)
class Reason:
    """A code and the values that make its sentence: `Reason(Code.LINE_DOWN, line="telecom", cause="silent")`."""

    code: Code
    args: Mapping[str, Arg]

    def __init__(self, code: Code, /, **args: Arg) -> None:
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "args", args)

    def __str__(self) -> str:
        return REASONS[self.code].sentence.format_map(self.args)


class Kind(StrEnum):
    VERDICT = "verdict"
    TARGET = "target"
    MOVE = "move"
    WAIT = "wait"
    DEED = "deed"


Moves = tuple[tuple[Mode, Mode], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a code stands for. `moves` are the changes of mode (or of line within a mode) it can cause."""

    kind: Kind
    sentence: str
    args: tuple[str, ...] = ()
    moves: Moves = ()


S, ON, BA, OFF = Mode.STARTING, Mode.ONLINE, Mode.BACKUP, Mode.OFFLINE
_BEGIN: Moves = ((S, ON), (S, BA))
_AWAY: Moves = ((ON, BA), (BA, ON), (BA, BA))
_TO_PREFERRED: Moves = ((BA, ON), (BA, BA))


def _verdict(sentence: str, *args: str) -> Spec:
    return Spec(kind=Kind.VERDICT, sentence=sentence, args=args)


def _target(sentence: str, *args: str) -> Spec:
    return Spec(kind=Kind.TARGET, sentence=sentence, args=args)


def _move(moves: Moves, sentence: str, *args: str) -> Spec:
    return Spec(kind=Kind.MOVE, sentence=sentence, args=args, moves=moves)


def _wait(sentence: str, *args: str) -> Spec:
    return Spec(kind=Kind.WAIT, sentence=sentence, args=args)


def _deed(sentence: str, *args: str) -> Spec:
    return Spec(kind=Kind.DEED, sentence=sentence, args=args)


REASONS: Final[Mapping[Code, Spec]] = {
    Code.NOT_HEARD: _verdict("nothing is known of it yet"),
    Code.ANSWERS: _verdict("a target answers"),
    Code.LINK_ONLY: _verdict("carrier, address and route are there; it has no target to ask"),
    Code.CLEAN: _verdict("good for {for_s:.0f} s", "for_s"),
    Code.RETURNING: _verdict("it answers again and has yet to prove itself"),
    Code.LOSS: _verdict("{loss:.0%} of the probes lost, limit {limit:.0%}", "loss", "limit"),
    Code.LOSS_OUT: _verdict(
        "{loss:.0%} of the probes lost on the way to the cloud, limit {limit:.0%}", "loss", "limit"
    ),
    Code.LOSS_BACK: _verdict("{loss:.0%} of the probes lost on the way back, limit {limit:.0%}", "loss", "limit"),
    Code.DELAY: _verdict(
        "95 in 100 answers take up to {rtt_p95_s:.3f} s, limit {limit_s:.3f} s", "rtt_p95_s", "limit_s"
    ),
    Code.SILENT: _verdict("silent for {silent_s:.1f} s on {targets} of {targets} targets", "silent_s", "targets"),
    Code.CLOUD_SILENT: _verdict("the carrier answers, the cloud is silent on every line; not charged to the line"),
    Code.NO_CARRIER: _verdict("the interface has no carrier"),
    Code.NO_LINK: _verdict("the interface is gone"),
    Code.NO_ADDRESS: _verdict("the line's address is gone from the interface"),
    Code.NO_ROUTE: _verdict("the line's own route is gone"),
    Code.MTU: _verdict("packets over {mtu} bytes vanish, {expected} are expected to pass", "mtu", "expected"),
    Code.APP_SILENT: _verdict("{target} is silent on it, and answers by another line", "target"),
    Code.TARGET_SILENT: _target("{target} is silent on {line}, which others prove alive", "target", "line"),
    Code.CLOUD_TROUBLE: _target("{target} is silent on all {lines} lines, which others prove alive", "target", "lines"),
    Code.APP_TROUBLE: _target("{target} is silent on all {lines} lines that live", "target", "lines"),
    Code.MTU_SMALL: _target(
        "{line} lets packets of {mtu} bytes pass and no larger ones, {expected} are expected; what is sent keeps to it",
        "line",
        "mtu",
        "expected",
    ),
    Code.FIRST_LINE: _move(_BEGIN, "{line} is the best line that answers", "line"),
    Code.ADOPTED: _move(_BEGIN, "{line} was in use before this start and lives", "line"),
    Code.LINE_DOWN: _move((*_BEGIN, *_AWAY), "{line} is down ({cause})", "line", "cause"),
    Code.LINE_DEGRADED: _move(_AWAY, "{line} is degraded ({cause}), {to} is up", "line", "cause", "to"),
    Code.LEAST_BAD: _move(_AWAY, "{line} is degraded ({cause}), {to} clearly less", "line", "cause", "to"),
    Code.FAILBACK: _move(_TO_PREFERRED, "{line} is preferred and has been good for {good_s:.0f} s", "line", "good_s"),
    Code.METERED: _move(_AWAY, "{line} is metered, {to} lives", "line", "to"),
    Code.PINNED: _move(_AWAY, "an order pins {line}", "line"),
    Code.REHEARSED: _move((*_BEGIN, *_AWAY, (ON, OFF), (BA, OFF)), "an order rehearses the loss of {line}", "line"),
    Code.EVERY_LINE_DOWN: _move(((S, OFF), (ON, OFF), (BA, OFF)), "no line lives"),
    Code.CLOUD_DOWN: _move(((S, OFF), (ON, OFF), (BA, OFF)), "the carriers answer, the cloud does not"),
    Code.BACK_ONLINE: _move(((OFF, ON), (OFF, BA)), "{line} has lived for {alive_s:.0f} s", "line", "alive_s"),
    Code.STEADY: _wait("nothing to do"),
    Code.LISTENING: _wait("lines that could be preferred have not been judged yet"),
    Code.BEFORE_OFFLINE: _wait("no line lives; offline in {left_s:.1f} s", "left_s"),
    Code.BEFORE_ONLINE: _wait("{line} lives; online in {left_s:.1f} s", "line", "left_s"),
    Code.STILL_OFFLINE: _wait("no line lives"),
    Code.HELD: _wait("an order leaves {line} as it is", "line"),
    Code.MIN_STAY: _wait("{line} is better; stays for {left_s:.0f} s after the last move", "line", "left_s"),
    Code.HOLD_RUNS: _wait("{line} must be good for {left_s:.0f} s more", "line", "left_s"),
    Code.SUPPRESSED: _wait(
        "{line} fell too often: penalty {penalty:.0f}, usable below {reuse}", "line", "penalty", "reuse"
    ),
    Code.FAILBACK_MANUAL: _wait("{line} is good again; returning waits for an order", "line"),
    Code.FAILBACK_WINDOW: _wait("{line} is good again; returning waits for its hours", "line"),
    Code.NO_BETTER_LINE: _wait("{line} is degraded ({cause}) and no line is better", "line", "cause"),
    Code.CONNECTIONS_ENDED: _deed(
        "{ended} of {found} connections ended that hung on {line}, {translations} translations forgotten",
        "line",
        "found",
        "ended",
        "translations",
    ),
}


def table() -> str:
    """The reason table of README.md (Markdown)."""
    rows = (f"| `{code}` | {spec.kind} | {spec.sentence} | {', '.join(spec.args)} |" for code, spec in REASONS.items())
    return "\n".join(("| code | why | sentence | arguments |", "|---|---|---|---|", *rows))


def diagram() -> str:
    """The state diagram of README.md (Mermaid)."""
    edges: dict[tuple[Mode, Mode], list[str]] = {}
    for code, move in _moves():
        edges.setdefault(move, []).append(code.value)
    order = list(Mode)
    arrows = (
        f"    {start} --> {end}: {', '.join(codes)}"
        for (start, end), codes in sorted(edges.items(), key=lambda e: (order.index(e[0][0]), order.index(e[0][1])))
    )
    return "\n".join(("stateDiagram-v2", f"    [*] --> {Mode.STARTING}", *arrows))


def _moves() -> Iterator[tuple[Code, tuple[Mode, Mode]]]:
    for code, spec in REASONS.items():
        for move in spec.moves:
            yield code, move
