"""The vocabulary of the decision core. Values only.

A *sample* is evidence, a *verdict* is a judgement, a *mode* is a decision. The three never share a name.
Times are boot time in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from failover.core.reasons import Arg, Code, Mode, Reason

__all__ = [
    "NOT_HEARD",
    "STEADY",
    "Action",
    "Arg",
    "Code",
    "Decision",
    "Detect",
    "Failback",
    "FailbackKind",
    "Flap",
    "GoOffline",
    "LineHealth",
    "LinePolicy",
    "LinkState",
    "Mode",
    "Order",
    "OrderKind",
    "Policy",
    "Reason",
    "Role",
    "State",
    "UseLine",
    "Verdict",
]

NOT_HEARD = Reason(Code.NOT_HEARD)
STEADY = Reason(Code.STEADY)


class Verdict(StrEnum):
    """What we believe about a line."""

    UNKNOWN = "unknown"  # no evidence yet; never the same as down
    UP = "up"
    DEGRADED = "degraded"  # usable, never chosen over a line that is up
    DOWN = "down"


class Role(StrEnum):
    """What a target's silence says: CLOUD about the line, CARRIER only where the line is broken.

    APP about what is served at the far end: it neither kills a line nor proves one alive.
    """

    CLOUD = "cloud"
    CARRIER = "carrier"
    APP = "app"


class FailbackKind(StrEnum):
    AUTO = "auto"
    MANUAL = "manual"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failback:
    """When to return to a preferred line. The window is in minutes after local midnight and may span it."""

    kind: FailbackKind = FailbackKind.AUTO
    from_min: int = 0
    to_min: int = 0

    def is_open(self, minute: int | None) -> bool:
        """Is `minute` of the day within the hours? Not while the time of day is unknown (`None`)."""
        if minute is None:
            return False
        if self.from_min <= self.to_min:
            return self.from_min <= minute < self.to_min
        return minute >= self.from_min or minute < self.to_min


@dataclass(frozen=True, slots=True, kw_only=True)
class Detect:
    """How a line is judged. The names and defaults are those of `[lines.detect]`; the last four are not set there."""

    interval_s: float = 0.2
    dead_after_s: float = 1.0
    window_s: float = 30.0
    confirm_s: float = 5.0
    loss_bad: float = 0.10
    loss_ok: float = 0.02
    rtt_bad_s: float = 0.2
    rtt_ok_s: float = 0.12
    rtt_baseline_factor: float = 4.0
    hold_s: float = 60.0
    hold_max_s: float = 1800.0
    penalty: int = 1000
    half_life_s: float = 300.0
    suppress: int = 2500
    reuse: int = 800
    mtu_every_s: float = 10.0  # between two questions of the full size; 0: none
    penalty_max: int = 6000
    hold_memory_s: float = 6 * 3600.0  # falls older than this no longer lengthen the hold
    clean_s: float = 10.0  # a line that was degraded or down is up after being good for this long
    lost_after_s: float = 1.0  # an answer that takes longer counts as lost until it comes


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePolicy:
    """One line as decisions see it."""

    name: str
    preferred: int
    metered: bool = False
    failback: Failback = field(default_factory=Failback)
    detect: Detect = field(default_factory=Detect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All lines and what holds for all of them."""

    lines: tuple[LinePolicy, ...]
    offline_after_s: float = 3.0
    online_after_s: float = 10.0
    min_stay_s: float = 60.0  # the hold-down: after a move, quality alone does not move us again for this long

    def line(self, name: str) -> LinePolicy:
        return next(line for line in self.lines if line.name == name)

    @property
    def first(self) -> str:
        """The most preferred line: on it the mode is `online`."""
        return min(self.lines, key=lambda line: line.preferred).name


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """What the kernel says about a line's interface, as last read. `None` is "not known", never "no"."""

    present: bool | None = None
    index: int | None = None
    carrier: bool | None = None
    addresses: frozenset[str] | None = None
    has_address: bool | None = None  # the configured one, or any if none is configured
    has_route: bool | None = None  # the default route in the line's own table
    mtu: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flap:
    """How often a line fell. `penalty` is as of `penalty_at`; read it through `flap.penalty`, which lets it decay."""

    falls: tuple[float, ...] = ()
    penalty: float = 0.0
    penalty_at: float = 0.0
    suppressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LineHealth:
    """A verdict with everything a decision or a page needs to know about the line.

    `alive_since`: not down since then (`None` while down or unknown). `good_since`: the hold counts from here (`None`
    while down or unknown; a bad moment sets it to now). `charged` is the flap record before the last fall: should the
    cloud prove guilty, the fall is taken back. `owes_proof`: an earlier watcher left the line fallen, so that its first
    answer is not yet enough.
    """

    verdict: Verdict = Verdict.UNKNOWN
    since: float = 0.0
    reason: Reason = NOT_HEARD
    alive_since: float | None = None
    good_since: float | None = None
    bad_since: float | None = None
    samples_since: float = 0.0
    weighed_at: float | None = None
    flap: Flap = field(default_factory=Flap)
    charged: Flap | None = None
    owes_proof: bool = False
    rtt_s: float | None = None
    rtt_p95_s: float | None = None
    loss_ratio: float | None = None
    baseline_s: float | None = None
    spread_s: float = 0.0


class OrderKind(StrEnum):
    PIN = "pin"  # use this line while it lives
    HOLD = "hold"  # leave this line as it is: stay on it while it lives, do not come to it while another lives
    REHEARSE = "rehearse"  # treat this line as down


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An operator's wish. It holds from `since` until `until` (boot time); who and why are for the record."""

    kind: OrderKind
    line: str
    since: float
    until: float
    by: str = ""
    why: str = ""

    def holds_at(self, now: float) -> bool:
        return self.since <= now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the node does, and since when.

    `line` is `None` while starting or offline. `routed` is where the routes point: it stays when the node goes offline,
    because a route that may work again is better than none. A watcher that starts over routes of its own begins with
    `State(routed="unicom")`, and `decide` adopts the line.
    """

    mode: Mode = Mode.STARTING
    line: str | None = None
    routed: str | None = None
    since: float = 0.0
    lost_at: float | None = None  # since when no line lives
    reason: Reason = STEADY  # of the last move


@dataclass(frozen=True, slots=True)
class UseLine:
    """Point the routes to this line."""

    line: str


@dataclass(frozen=True, slots=True)
class GoOffline:
    """Say that no line lives. Routes and connections stay as they are."""


Action = UseLine | GoOffline


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The new state, what to do about it, and why (also why nothing is to be done)."""

    state: State
    actions: tuple[Action, ...] = ()
    reason: Reason = STEADY


def args_of(reason: Reason) -> Mapping[str, Arg]:
    """The arguments as JSON takes them, seconds and shares to the thousandth."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in reason.args.items()}
