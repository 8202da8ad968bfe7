"""`edge-node upgrade` where it cannot even begin to look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_node.release.releases import ROOT
from tests.support.node import edge_node


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("upgrade") / "node"
    assert edge_node("init", "--training", home=home).returncode == 0
    return home


@pytest.mark.parametrize(
    "arguments, words",
    [
        pytest.param((), "give a bundle, or --back", id="nothing-asked-for"),
        pytest.param((".", "--back"), "give a bundle, or --back", id="both-ways"),
        pytest.param((".", "--watch", "30"), "--watch '30'", id="a-time-without-a-unit"),
        pytest.param(("/nowhere.tar.gz",), "does not exist", id="no-such-bundle"),
    ],
)
def test_what_makes_no_sense_is_refused(home: Path, arguments: tuple[str, ...], words: str) -> None:
    refused = edge_node("upgrade", *arguments, home=home)
    assert refused.returncode == 2
    assert words in refused.stderr


@pytest.mark.skipif(ROOT.exists(), reason="a node is installed on this machine")
def test_a_node_that_no_bundle_has_installed(home: Path) -> None:
    refused = edge_node("upgrade", "--back", home=home)
    code, words = (2, "error: not-installed: ") if os.geteuid() == 0 else (6, "error: privilege-missing: ")
    assert refused.returncode == code
    assert words in refused.stderr
