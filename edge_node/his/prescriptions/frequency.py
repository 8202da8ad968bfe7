"""How often a drug is taken: the abbreviations, how many times a day at most, and their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from edge_node.i18n import Text, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequency:
    """`a_day` counts times a day, at most where it is "when needed"; `single` is one time and no more."""

    a_day: Decimal
    words: Text
    single: bool = False


FREQUENCIES: Mapping[str, Frequency] = {
    "once": Frequency(a_day=Decimal(1), words=text("Once"), single=True),
    "qd": Frequency(a_day=Decimal(1), words=text("1× a day")),
    "bid": Frequency(a_day=Decimal(2), words=text("2× a day")),
    "tid": Frequency(a_day=Decimal(3), words=text("3× a day")),
    "qid": Frequency(a_day=Decimal(4), words=text("4× a day")),
    "qn": Frequency(a_day=Decimal(1), words=text("At bedtime")),
    "q4h": Frequency(a_day=Decimal(6), words=text("Every 4 hours")),
    "q6h": Frequency(a_day=Decimal(4), words=text("Every 6 hours")),
    "q8h": Frequency(a_day=Decimal(3), words=text("Every 8 hours")),
    "q12h": Frequency(a_day=Decimal(2), words=text("Every 12 hours")),
    "qod": Frequency(a_day=Decimal("0.5"), words=text("Every other day")),
    "qw": Frequency(a_day=Decimal(1) / 7, words=text("Once a week")),
    "prn-q6h": Frequency(a_day=Decimal(4), words=text("If needed, 6 h apart")),
    "prn-q8h": Frequency(a_day=Decimal(3), words=text("If needed, 8 h apart")),
}
