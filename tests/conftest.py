"""What holds for every tier."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# Files of few tests, each of which takes long: begun last, one of them would run alone while other workers are idle.
FIRST = (ROOT / "system", ROOT / "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; within that, and after it, the order stays as it was drawn."""
    items.sort(key=lambda item: not any(folder in item.path.parents for folder in FIRST))
