"""The start of the machine after a power cut in the middle of an upgrade: links, records and words in a real folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.base.errors import ServiceError
from edge_node.release.history import append, last_record, problems
from edge_node.release.releases import Releases
from edge_node.release.settle import settle

OLD, NEW = "0.1.0", "0.2.0"


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """0.2.0 was switched to, and not yet found well. Each release's program says into a file what it was asked."""
    releases = Releases(tmp_path)
    for version in (OLD, NEW):
        program = releases.program(version)
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\necho {version} "$@" >>{tmp_path}/asked\n')
        program.chmod(0o755)
        (releases.folder(version) / ".whole").write_text(f"digest of {version}\n")
    releases.switch(OLD)
    releases.prove(OLD)
    releases.fall_back_to(OLD)
    releases.switch(NEW)
    (tmp_path / "incoming").mkdir()
    append(releases.history, {"at": "2026-11-26T06:58:01.000Z", "target": NEW, "did": "switch", "subject": NEW})
    return releases


def settled(releases: Releases, *, dry_run: bool = False) -> list[str]:
    told: list[str] = []
    settle(releases, where=("--config", "x"), by="root", reason="power", tell=told.append, dry_run=dry_run)
    return told


def asked(releases: Releases) -> str:
    path = releases.root / "asked"
    return path.read_text() if path.exists() else ""


def test_the_release_before_comes_back_and_it_is_told(releases: Releases) -> None:
    assert settled(releases) == [
        "the upgrade to release 0.2.0 was cut off; its last step is of 2026-11-26T06:58:01.000Z",
        "make release 0.1.0 the one that is started again",
        "install the units of release 0.1.0",
        "end the upgrade with release 0.1.0 in use",
        "release 0.1.0 is in use; the upgrade may be given again",
    ]
    assert (releases.current(), releases.fallback()) == (OLD, None)
    assert asked(releases) == "0.1.0 --config x units install\n", "by the release that is certain to work"
    assert not (releases.root / "incoming").exists()
    last = last_record(releases.history)
    assert (last["did"], last["target"], last["outcome"], last["reason"]) == ("settled", NEW, "kept", "power")
    assert [one.code for one in problems(releases.root)] == ["upgrade-cut-off"]
    assert settled(releases) == ["no upgrade was cut off: nothing to do"]
    assert last_record(releases.history) == last


def test_one_that_was_found_well_stays(releases: Releases) -> None:
    releases.prove(NEW)
    releases.fall_back_to(NEW)
    assert settled(releases)[-1] == "release 0.2.0 is in use, as was wanted"
    assert (releases.current(), releases.fallback()) == (NEW, None)
    assert asked(releases) == "0.2.0 --config x units install\n"
    assert problems(releases.root) == []


def test_only_said_what_would_be_done(releases: Releases) -> None:
    assert settled(releases, dry_run=True)[1:] == [
        "would make release 0.1.0 the one that is started again",
        "would install the units of release 0.1.0",
        "would end the upgrade with release 0.1.0 in use",
    ]
    assert (releases.current(), releases.fallback(), asked(releases)) == (NEW, OLD, "")


def test_a_record_that_cannot_be_written_keeps_nobody_from_the_release_that_works(releases: Releases) -> None:
    """Such as on a disk that is full."""
    releases.history.unlink()
    releases.history.mkdir()
    told = settled(releases)
    assert told[1].startswith("this cannot be recorded: ")
    assert told[-1] == "release 0.1.0 is in use; the upgrade may be given again"
    assert (releases.current(), releases.fallback()) == (OLD, None)


def test_where_its_units_cannot_be_installed_it_is_in_use_and_the_next_start_tries_again(releases: Releases) -> None:
    works = releases.program(OLD).read_text()
    releases.program(OLD).write_text("#!/bin/sh\necho the configuration is wrong >&2; exit 3\n")
    for _ in range(2):
        with pytest.raises(ServiceError, match="did not do its work") as caught:
            settled(releases)
        assert caught.value.context is not None and "the configuration is wrong" in caught.value.context
        assert (releases.current(), releases.fallback()) == (OLD, OLD)
        assert [one.code for one in problems(releases.root)] == ["upgrade-unfinished"]
    releases.program(OLD).write_text(works)
    assert settled(releases)[-1] == "release 0.1.0 is in use; the upgrade may be given again"
    assert [one.code for one in problems(releases.root)] == ["upgrade-cut-off"]
    lines = releases.history.read_text().splitlines()
    assert len([line for line in lines if '"settled"' in line]) == 1, "one story, told once"
