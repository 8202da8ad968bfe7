"""Log events: a constant name, and fields for whatever varies, as one logfmt line on standard error.

Levels: info for a change of state, warning for the unexpected that was handled, error for what needs a person.
Under journald each line carries its priority (sd-daemon(3)).
"""

from __future__ import annotations

import os
import re
import sys
import threading

_PRIORITIES = {"error": 3, "warning": 4, "info": 6}
_PLAIN = re.compile(r'[^\s="\\]+')
_lock = threading.Lock()


def format_event(name: str, fields: dict[str, object]) -> str:
    """One event as logfmt: `line_down line=telecom lost=3`."""
    return " ".join([name, *(f"{key}={_value(value)}" for key, value in fields.items())])


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "-" if value is None else str(value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def event(name: str, /, *, level: str = "info", **fields: object) -> None:
    """Write one event. Never patient data: identifiers only, and only ours."""
    prefix = f"<{_PRIORITIES[level]}>" if "JOURNAL_STREAM" in os.environ else f"{level} "
    with _lock:
        sys.stderr.write(f"{prefix}{format_event(name, fields)}\n")
        sys.stderr.flush()


class Repeated:
    """Says which occurrence of a repeated failure is worth a line: the first and every power of ten."""

    def __init__(self) -> None:
        self.count = 0

    def failed(self) -> bool:
        """Count one failure; true when it is to be logged."""
        self.count += 1
        return str(self.count).strip("0") == "1"

    def recovered(self) -> int:
        """The number of failures that just ended; 0 when there were none."""
        count, self.count = self.count, 0
        return count
