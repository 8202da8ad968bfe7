"""The paper of a prescription, how long it is valid, and how long it is kept. Pure.

Sources: 处方管理办法 annex 1 (colours and labels), article 18 (validity), article 50 (years kept).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from edge_node.his.prescriptions.model import Kind

# Article 18: three days at most, its own among them.
MOST_VALID_DAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is printed at the top right, the ground, and the years after which it may be listed for destruction."""

    label: str
    colour: str
    years_kept: int


PAPERS: Mapping[Kind, Paper] = {
    Kind.ORDINARY: Paper(label="普通", colour="white", years_kept=1),
    Kind.EMERGENCY: Paper(label="急诊", colour="yellow", years_kept=1),
    Kind.CHILD: Paper(label="儿科", colour="green", years_kept=1),
    Kind.PSYCHOTROPIC_2: Paper(label="精二", colour="white", years_kept=2),
    Kind.NARCOTIC: Paper(label="麻、精一", colour="red", years_kept=3),
}


def is_valid(*, signed: datetime, until: date | None, now: datetime) -> bool:
    """Whether a sheet may still be dispensed: on the day of its signature, or to the day that the doctor wrote.

    All in the clinic's local time. A clock that was set back makes no sheet invalid.
    """
    return now.date() <= (until or signed.date())


def extension_refused(*, signed: date, until: date, reason: str) -> str:
    """Why a validity cannot be written on the sheet: a code, or nothing."""
    if until < signed:
        return "validity-past"
    if until > signed + timedelta(days=MOST_VALID_DAYS - 1):
        return "validity-too-long"
    return "" if reason.strip() else "validity-reason"
