"""What to do when an alert comes: one text per language, one section per alert, under the alert's name.

The `runbook` annotation of a rule is the heading; `edge-node runbook NAME` prints the section on the node itself, where
nothing else may be in reach.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

LANGUAGES = ("zh", "en")
_HEADING = re.compile(r"^## (Edge\w+)$", re.MULTILINE)


def runbooks(language: str) -> Mapping[str, str]:
    """Every section by the name of its alert, in the order of the text. Raises KeyError for a language that is none."""
    if language not in LANGUAGES:
        raise KeyError(language)
    text = (Path(__file__).parent / f"{language}.md").read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    return {name: section.strip() for name, section in zip(parts[::2], parts[1::2], strict=True)}
