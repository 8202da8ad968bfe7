"""The reason table is the truth; README.md repeats it."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

from failover.core import reasons
from failover.core.reasons import REASONS, Code

README = Path(__file__).resolve().parents[3] / "failover/README.md"


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_sentence_of_its_arguments(code: Code) -> None:
    fields = {name for _, name, _, _ in string.Formatter().parse(REASONS[code].sentence) if name}
    assert fields == set(REASONS[code].args)


@pytest.mark.parametrize("part", [reasons.table(), reasons.diagram()], ids=["table", "diagram"])
def test_the_readme_repeats_the_table(part: str) -> None:
    assert part in README.read_text(encoding="utf-8"), f"write this into {README.name}:\n{part}"
