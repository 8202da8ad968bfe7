"""What holds for every tier."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# Files of few tests, each of which takes long: begun last, one of them would run alone while other workers are idle.
FIRST = (ROOT / "system", ROOT / "e2e")


# Whole outages against the clock: they have the machine for themselves.
ALONE = ROOT / "lab"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs alone; begin with what takes longest, and leave the order as it was drawn beyond that."""
    for item in items:
        if ALONE in item.path.parents:
            item.add_marker(pytest.mark.alone)
    items.sort(key=lambda item: not any(folder in item.path.parents for folder in FIRST))
