"""How far this machine's clock is to be trusted, as whoever keeps it says."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_node.base.clock import kernel_synchronised
from edge_node.base.process import Completed, ProgramMissing, ProgramTimedOut, run

_ASK_S = 2.0
# `chronyc -c tracking`: reference, its name, stratum, its time, how far the clock is off, …, and the leap status last.
_OFFSET, _FIELDS = 4, 14
_UNSYNCHRONISED = "Not synchronised"
_TIMESYNC_OFFSET = re.compile(r"^\s*Offset: ([+-]?[\d.]+)(us|ms|s|min)\s*$", re.MULTILINE)
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}

_LOCALTIME = Path("/etc/localtime")

Ask = Callable[[tuple[str, ...]], str | None]


def asked(argv: tuple[str, ...]) -> str | None:
    """What a program says; None where it is not there, does not answer, or fails."""
    try:
        done: Completed = run(argv, timeout_s=_ASK_S)
    except (ProgramMissing, ProgramTimedOut, OSError):
        return None
    return done.stdout if done.returncode == 0 else None


def clock_facts(*, ask: Ask = asked, kernel: Callable[[], bool | None] = kernel_synchronised) -> dict[str, Any]:
    """Synchronised or not, by how much the clock is off, and who said so; None is "not known"."""
    told = ask(("chronyc", "-c", "tracking"))
    fields = (told or "").strip().split(",")
    if len(fields) >= _FIELDS:
        try:
            offset_s = float(fields[_OFFSET])
        except ValueError:
            offset_s = None
        return {"synchronised": fields[-1] != _UNSYNCHRONISED, "offset_s": offset_s, "said_by": "chronyc tracking"}
    synchronised = kernel()
    if synchronised and (found := _TIMESYNC_OFFSET.search(ask(("timedatectl", "timesync-status")) or "")):
        offset_s = float(found[1]) * _UNITS_S[found[2]]
        return {"synchronised": True, "offset_s": round(offset_s, 9), "said_by": "timedatectl timesync-status"}
    return {"synchronised": synchronised, "offset_s": None,
            "said_by": None if synchronised is None else "the kernel (adjtimex)"}  # fmt: skip


def zone_name() -> str:
    """The name of this machine's time zone, such as Asia/Shanghai; its abbreviation where no name is known."""
    if named := os.environ.get("TZ", "").lstrip(":"):
        return named
    with contextlib.suppress(OSError):
        _, found, name = str(_LOCALTIME.readlink()).partition("zoneinfo/")
        if found:
            return name
    return time.strftime("%Z")
