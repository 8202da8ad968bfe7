"""What a rule has to say: a stop, a question or a note, with the lines it speaks of and its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edge_node.his.prescriptions.model import Line


class Level(StrEnum):
    """A stop can be passed by nobody; a question by the doctor's reason; a note by everybody."""

    STOP = "stop"
    ASK = "ask"
    NOTE = "note"


_ORDER = (Level.STOP, Level.ASK, Level.NOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`lines` count from 1 and are empty where the whole sheet is meant; `subject` tells two findings of one rule on
    the same lines apart (the ingredient). `values` fill the sentence of `words.py`."""

    level: Level
    code: str
    lines: tuple[int, ...] = ()
    subject: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """By which a reason is kept for it, such as `supply-too-long:1`."""
        return ":".join(part for part in (self.code, ",".join(map(str, self.lines)), self.subject) if part)


def of_line(level: Level, code: str, number: int, line: Line, **values: Any) -> Finding:
    """A finding on one line; its sentence may name the drug."""
    return Finding(level=level, code=code, lines=(number,), values={"drug": line.drug.name, **values})


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Stops, questions, notes; each as the rules found them."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.level)))


def unanswered(findings: Iterable[Finding], reasons: Mapping[str, str]) -> tuple[Finding, ...]:
    """What stands between these findings and a signature: stops, and questions without a reason of any letters."""
    return tuple(
        finding
        for finding in findings
        if finding.level is Level.STOP or (finding.level is Level.ASK and not reasons.get(finding.key, "").strip())
    )


def may_sign(findings: Iterable[Finding], reasons: Mapping[str, str]) -> bool:
    """Nothing stops, and every question has its reason."""
    return not unanswered(findings, reasons)
