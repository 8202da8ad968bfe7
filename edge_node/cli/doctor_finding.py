"""What a look finds, and the frame in which looks run: one fault hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from edge_node.base.errors import EdgeError, ExitCode
from edge_node.config.schema import Config


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `remedy` is the next command or step where something is wrong.

    `evidence` is what was seen. `exit_code` is that of the service that would stop for it.
    """

    level: Level
    what: str
    remedy: str = ""
    evidence: str = ""
    code: str = ""
    exit_code: ExitCode = ExitCode.DATA


Look = Callable[[Config], Iterator[Finding]]


def ok(what: str) -> Finding:
    return Finding(level=Level.OK, what=what)


def warn(what: str, remedy: str, *, evidence: str = "", code: str = "") -> Finding:
    return Finding(level=Level.WARN, what=what, remedy=remedy, evidence=evidence, code=code)


def fail(what: str, remedy: str, exit_code: ExitCode, *, evidence: str = "", code: str = "") -> Finding:
    return Finding(level=Level.FAIL, what=what, remedy=remedy, evidence=evidence, code=code, exit_code=exit_code)


def of_error(error: EdgeError) -> Finding:
    """The sentence that a service would end with."""
    problems = [f"{problem.path}: {problem.text}" for problem in error.problems]
    return fail(
        error.message,
        error.hint or "",
        error.exit_code,
        evidence="\n".join(filter(None, [error.context, *problems])),
        code=error.code,
    )


def guarded(look: Look, config: Config) -> Iterator[Finding]:
    """What a look finds; its error is a finding like any other."""
    try:
        yield from look(config)
    except EdgeError as error:
        yield of_error(error)
    except OSError as error:
        yield fail(str(error), "", ExitCode.NETWORK, code="unreadable")


def verdict(findings: Mapping[str, list[Finding]]) -> ExitCode:
    """0 when nothing is wrong, else the first that applies of 3, 4, 5, 6 and 75."""
    bad = [finding.exit_code for found in findings.values() for finding in found if finding.level is Level.FAIL]
    return min(bad, default=ExitCode.DONE)
