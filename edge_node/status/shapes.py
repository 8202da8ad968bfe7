"""Values out of a status file that another version of the program may have written: each of its kind, or None.

What has not the expected shape is not known; it is never an error, and never a zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from edge_node.base.clock import parse_utc, utc_text
from edge_node.status.model import Reason

_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# Times outside this are a slip of whoever wrote them, and some of them no time at all for the C library.
_EARLIEST_MS, _LATEST_MS = 0, 4_102_444_800_000


def objects(raw: object) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [entry for entry in raw if isinstance(entry, Mapping)] if isinstance(raw, list | tuple) else []


def mapping(raw: object) -> Mapping[str, Any]:
    return raw if isinstance(raw, Mapping) else {}


def words(raw: object) -> str | None:
    """Text with something in it."""
    return raw if isinstance(raw, str) and raw else None


def number(raw: object) -> float | None:
    """A finite number that is not below zero."""
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        return None
    return raw if raw >= 0 else None


def count(raw: object) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0 else None


def ratio(raw: object) -> float | None:
    value = number(raw)
    return value if value is not None and value <= 1 else None


def moment(raw: object) -> str | None:
    """A time, as the contract writes it."""
    at = moment_ms(raw)
    return None if at is None else utc_text(at)


def moment_ms(raw: object) -> int | None:
    if not isinstance(raw, str):
        return None
    try:
        at = parse_utc(raw)
    except (ValueError, OverflowError):
        return None
    return at if _EARLIEST_MS <= at <= _LATEST_MS else None


def one_of(raw: object, known: Collection[str]) -> str | None:
    return raw if isinstance(raw, str) and raw in known else None


def reason(raw: object) -> Reason | None:
    """A code with its arguments."""
    known = mapping(raw)
    code = known.get("code")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return None
    return Reason(code=code, args=dict(mapping(known.get("args"))))


def reasons(raw: object) -> tuple[Reason, ...]:
    return tuple(found for entry in objects(raw) if (found := reason(entry)))
