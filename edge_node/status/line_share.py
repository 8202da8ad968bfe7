"""Why a service should take less of the lines than it could: others need them, or they are paid by volume. Pure.

What nobody says is not known, and takes nothing away: a watcher that is gone must not stop what leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Restraint(StrEnum):
    """A closed set: it is shown."""

    METERED = "metered"
    URGENT = "urgent-messages"


def restraints(links: Mapping[str, Any] | None, outbox: Mapping[str, Any] | None) -> tuple[Restraint, ...]:
    """What holds now: the line in use is metered; duties with a deadline, money or trace codes wait to leave.

    `links` and `outbox` are the states of those services' status files, `None` where a file is missing or stale.
    """
    is_metered = any(
        line.get("active") is True and line.get("metered") is True for line in (links or {}).get("lines", ())
    )
    urgent = (outbox or {}).get("urgent", 0)
    has_urgent = isinstance(urgent, int) and urgent > 0
    return (*((Restraint.METERED,) if is_metered else ()), *((Restraint.URGENT,) if has_urgent else ()))
