"""`edge-node doctor`: everything that the node needs, looked at from outside, each with its remedy.

What would stop a service is found by the service's own functions, so that both say the same sentence. The looks live
beside this file, by what they look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from edge_node.cli import doctor_copies, doctor_machine, doctor_network, doctor_node
from edge_node.cli.doctor_finding import Finding, Level, Look, guarded, verdict
from edge_node.cli.main import Where, run_as_owner, where_options
from edge_node.cli.output import answer, answer_json

LOOKS: Mapping[str, Sequence[Look]] = {
    "machine": doctor_machine.LOOKS,
    "node": doctor_node.LOOKS,
    "lines and ports": doctor_network.LOOKS,
    "copies": doctor_copies.LOOKS,
}
_INDENT = " " * 8


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@click.option("--wrong", "only_wrong", is_flag=True, help="Leave out what is well.")
@where_options
@click.pass_obj
def doctor(where: Where, as_json: bool, only_wrong: bool) -> None:
    """Look at everything that the node needs. Exit 0 when nothing is wrong, else 3, 4, 5, 6 or 75, the first that
    applies."""
    config = where.load()
    run_as_owner(config)
    findings = {part: [finding for look in looks for finding in guarded(look, config)] for part, looks in LOOKS.items()}
    if as_json:
        answer_json([_document(part, finding) for part, found in findings.items() for finding in found])
    else:
        answer(screen(findings, only_wrong=only_wrong))
    raise click.exceptions.Exit(int(verdict(findings)))


def screen(findings: Mapping[str, Sequence[Finding]], *, only_wrong: bool = False) -> str:
    """The findings as text, in parts, and the count below."""
    parts = []
    for part, found in findings.items():
        shown = [finding for finding in found if not (only_wrong and finding.level is Level.OK)]
        if shown:
            parts.append("\n".join([part, *(line for finding in shown for line in _lines(finding))]))
    return "\n\n".join([*parts, _count([finding for found in findings.values() for finding in found])])


def _lines(finding: Finding) -> list[str]:
    head = f"{finding.code}: {finding.what}" if finding.code else finding.what
    more = [*finding.evidence.splitlines(), *([f"→ {finding.remedy}"] if finding.remedy else [])]
    return [f"  {finding.level:<5} {head}", *(f"{_INDENT}{line}" for line in more)]


def _count(found: Sequence[Finding]) -> str:
    count = {level: sum(finding.level is level for finding in found) for level in Level}
    if not count[Level.FAIL] and not count[Level.WARN]:
        return f"all is well: {count[Level.OK]} things looked at"
    return f"{count[Level.FAIL]} wrong, {count[Level.WARN]} to look at, {count[Level.OK]} well"


def _document(part: str, finding: Finding) -> dict[str, str | int]:
    return {
        "part": part,
        "level": finding.level,
        "code": finding.code,
        "what": finding.what,
        "evidence": finding.evidence,
        "remedy": finding.remedy,
        "exit_code": int(finding.exit_code) if finding.level is Level.FAIL else 0,
    }
