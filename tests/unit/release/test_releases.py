"""The folder of releases: its links, and what need not be kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.release.releases import Releases


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def put(releases: Releases, *versions: str, proven: bool = True) -> None:
    for version in versions:
        releases.folder(version).mkdir(parents=True)
        (releases.folder(version) / ".whole").write_text(f"digest of {version}\n")
        if proven:
            releases.prove(version)


def test_nothing_is_installed(releases: Releases) -> None:
    assert (releases.current(), releases.previous(), releases.whole(), releases.spare()) == (None, None, {}, [])


def test_a_switch_remembers_what_to_go_back_to(releases: Releases) -> None:
    put(releases, "0.1.0", "0.2.0")
    releases.switch("0.1.0")
    assert (releases.current(), releases.previous()) == ("0.1.0", "0.2.0")
    releases.switch("0.2.0")
    releases.switch("0.2.0")
    assert (releases.current(), releases.previous()) == ("0.2.0", "0.1.0")
    assert (releases.root / "current").readlink() == Path("releases/0.2.0"), "which holds under another root as well"


def test_what_failed_is_nothing_to_go_back_to(releases: Releases) -> None:
    put(releases, "0.1.0", "0.2.0")
    put(releases, "0.3.0", proven=False)
    releases.switch("0.2.0")
    releases.switch("0.3.0")
    assert releases.previous() == "0.2.0"
    releases.switch_back("0.2.0")
    assert (releases.current(), releases.previous()) == ("0.2.0", "0.1.0")


def test_what_a_start_of_the_machine_leads_to_is_there_only_while_an_upgrade_is_under_way(releases: Releases) -> None:
    put(releases, "0.1.0", "0.2.0")
    assert releases.fallback() is None
    releases.fall_back_to("0.1.0")
    releases.fall_back_to("0.2.0")
    releases.fall_back_to("0.2.0")
    assert releases.fallback() == "0.2.0"
    assert (releases.root / "fallback" / ".whole").exists(), "by this link edge-settle.service finds its program"
    releases.close()
    releases.close()
    assert releases.fallback() is None


def test_a_link_to_what_is_gone_is_no_release(releases: Releases) -> None:
    put(releases, "0.1.0")
    releases.switch("0.1.0")
    releases.remove("0.1.0")
    assert (releases.current(), releases.whole()) == (None, {})


def test_the_last_two_are_kept(releases: Releases) -> None:
    put(releases, "0.8.0", "0.9.0", "0.10.0", "0.11.0", "0.12.0")
    releases.folder("0.7.0").mkdir()
    releases.switch("0.10.0")
    releases.switch("0.11.0")
    assert releases.spare() == ["0.7.0", "0.8.0", "0.9.0"], "and not one that waits for its turn"
    releases.remove("0.8.0")
    assert set(releases.whole()) == {"0.9.0", "0.10.0", "0.11.0", "0.12.0"}


def test_where_nothing_was_in_use_before_the_newest_other_one_is_kept(releases: Releases) -> None:
    put(releases, "0.1.0", "0.2.0", "0.3.0", proven=False)
    releases.switch("0.3.0")
    assert releases.spare() == ["0.1.0"]
