"""What shipping may take of a line that others need too. Pure: the words of other services in, a share out.

A metered line is paid by volume: only what brings a copy up to date travels, the cheapest chain. While urgent messages
(duties with a deadline, money, trace codes) wait to leave, they get three quarters of what shipping may take.

What nobody says is not known, and takes nothing away: a watcher that is gone must not stop the copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

URGENT_PART = 0.25


class Restraint(StrEnum):
    """Why less is shipped than could be. A closed set: it is shown."""

    METERED = "metered"
    URGENT = "urgent-messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`part` of the bandwidth; `history` is false where nothing beyond the newest chain travels."""

    part: float = 1.0
    history: bool = True
    restraints: tuple[Restraint, ...] = ()


WHOLE = Share()


def share(links: Mapping[str, Any] | None, outbox: Mapping[str, Any] | None) -> Share:
    """What a destination beyond the lines may take now.

    `links` and `outbox` are the states of those services' status files, `None` where a file is missing or stale.
    """
    is_metered = any(
        line.get("active") is True and line.get("metered") is True for line in (links or {}).get("lines", ())
    )
    urgent = (outbox or {}).get("urgent", 0)
    has_urgent = isinstance(urgent, int) and urgent > 0
    return Share(
        part=URGENT_PART if has_urgent else 1.0,
        history=not is_metered and not has_urgent,
        restraints=(*((Restraint.METERED,) if is_metered else ()), *((Restraint.URGENT,) if has_urgent else ())),
    )
