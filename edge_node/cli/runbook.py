"""`edge-node runbook`: what to do when an alert comes, on the node itself. Reads no configuration."""

from __future__ import annotations

import click

from edge_node.base.errors import UsageError
from edge_node.cli.output import answer
from monitoring.runbooks import LANGUAGES, runbooks


@click.command()
@click.argument("name", required=False)
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
def runbook(name: str | None, language: str) -> None:
    """What an alert means, what to look at, what to do, and when it is over. Without NAME: every alert."""
    known = runbooks(language)
    if name is None:
        for alert, section in known.items():
            answer(f"{alert:<26} {_first_sentence(section)}")
        return
    found = next((alert for alert in known if alert.lower() in (name.lower(), f"edge{name.lower()}")), None)
    if found is None:
        raise UsageError(
            "runbook-unknown",
            f"there is no runbook {name}",
            context="one for each alert, under its name; upper and lower case are the same",
            hint="edge-node runbook",
        )
    answer(f"{found}\n\n{known[found]}")


def _first_sentence(section: str) -> str:
    return section.split("**")[1].rstrip(":：,，")
