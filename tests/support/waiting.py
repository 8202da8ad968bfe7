"""Waiting for what must become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T | None], *, within_s: float = 10.0, every_s: float = 0.02) -> T:
    """The first true value of `condition`; AssertionError with the last value when the deadline passes."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s; the last value was {value!r}")
        time.sleep(every_s)
