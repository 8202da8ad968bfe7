"""The laboratory's fixtures; without root or its programs, the tests that need it are skipped with what to install."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.topology import Laboratory, laboratory, missing


@pytest.fixture(scope="session")
def can_build() -> None:
    if sentence := missing():
        pytest.skip(sentence)


@pytest.fixture
def lab(can_build: None) -> Iterator[Laboratory]:
    """A laboratory of this test's own, without a node."""
    with laboratory() as built:
        yield built
