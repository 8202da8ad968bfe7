"""What the console asks of the node's history, and what it gets: words, figures and finished pictures.

The HIS knows neither the journal nor how charts are drawn. Whoever composes it hands it a `LineHistory`
(`services/line_pictures.py`), so that a page of the clinic never opens node.db by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from edge_node.i18n import Text, text

_HOUR_MS = 3_600_000


class Period(StrEnum):
    """How far back a picture goes, from now."""

    HOURS = "3h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def length_ms(self) -> int:
        return _LENGTHS_MS[self]


_LENGTHS_MS = {
    Period.HOURS: 3 * _HOUR_MS,
    Period.DAY: 24 * _HOUR_MS,
    Period.WEEK: 7 * 24 * _HOUR_MS,
    Period.MONTH: 30 * 24 * _HOUR_MS,
}


class Place(StrEnum):
    """Where a picture stands: alone on the page of its line, or in a row among others."""

    PAGE = "page"
    ROW = "row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One picture as SVG, drawn for a width; the page shows the one that fits."""

    width: str  # wide, medium, narrow
    svg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A period of a line. `sentence` says what the drawings show; the availability is cut, never rounded up.

    Availability and outages are None where nothing is known of the whole period: no outage is not the same.
    """

    drawings: tuple[Drawing, ...]
    sentence: str
    step_s: float
    availability: str | None
    outages: int | None
    outage_s: float
    unknown_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An incident. `ref` is what `line evidence` is asked with; `code` and `args` are its reason."""

    ref: str
    start_ms: int
    length_s: float
    state: str
    code: str
    args: Mapping[str, Any] = field(default_factory=dict)
    goes_on: bool = False
    excluded_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What is known of a line from the configuration alone; promises are written as a contract writes them."""

    circuit: str | None = None
    availability: str | None = None
    rtt_p95_s: float | None = None
    loss: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRecorded:
    """There is nothing to show, and why."""

    why: Text


NO_HISTORY = NotRecorded(why=text("This program was started without a history of the lines."))


class LineHistory(Protocol):
    """Answers from the history; never an exception, since a console must open when everything else is broken."""

    def agreed(self, line: str) -> Agreed:
        """What the configuration says of the line."""

    def shown(self, line: str, period: Period, place: Place, *, language: str) -> Shown | NotRecorded:
        """The line's picture, from now backwards."""

    def past(self, line: str) -> Sequence[Past] | NotRecorded:
        """The incidents of the last 30 days, the newest first."""


class NoHistory:
    """Of a HIS that was given none."""

    def agreed(self, line: str) -> Agreed:
        return Agreed()

    def shown(self, line: str, period: Period, place: Place, *, language: str) -> Shown | NotRecorded:
        return NO_HISTORY

    def past(self, line: str) -> Sequence[Past] | NotRecorded:
        return NO_HISTORY
