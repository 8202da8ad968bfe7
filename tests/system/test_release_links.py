"""What an upgrade has written down is on the disk when the power goes: the next start of the machine builds on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_node.release.history import append, last_record
from edge_node.release.releases import Releases
from tests.support import power
from tests.support.power import Disk, a_disk

pytestmark = pytest.mark.skipif(power.MISSING is not None, reason=str(power.MISSING))

OLD, NEW = "0.1.0", "0.2.0"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with a_disk(tmp_path / "power") as disk:
        yield disk


def test_each_step_outlasts_a_power_cut_that_follows_at_once(disk: Disk) -> None:
    releases = Releases(disk.path / "edge-node")
    for version in (OLD, NEW):
        releases.folder(version).mkdir(parents=True)
    releases.switch(OLD)
    os.sync()
    did: list[tuple[Callable[[], None], tuple[str | None, ...]]] = [
        (lambda: releases.fall_back_to(OLD), (OLD, OLD, None)),
        (lambda: append(releases.history, {"did": "fallback"}), (OLD, OLD, "fallback")),
        (lambda: releases.switch(NEW), (NEW, OLD, "fallback")),
        (lambda: releases.switch_back(OLD), (OLD, OLD, "fallback")),
        (lambda: releases.switch(NEW), (NEW, OLD, "fallback")),
        (lambda: releases.fall_back_to(NEW), (NEW, NEW, "fallback")),
        (lambda: append(releases.history, {"did": "settled"}), (NEW, NEW, "settled")),
        (releases.close, (NEW, None, "settled")),
    ]
    for number, (step, wanted) in enumerate(did):
        step()
        with disk.power_cut() as place:
            found = Releases(place / "edge-node")
            state = found.current(), found.fallback(), last_record(found.history).get("did")
            assert state == wanted, f"after step {number}"
            assert found.current() == OLD or found.previous() == OLD, (
                "whoever finds the new one finds what to go back to"
            )


def test_the_control_forgets_a_link_that_was_not_synced(disk: Disk) -> None:
    (disk.path / "link").symlink_to("anywhere")
    with disk.power_cut() as place:
        assert not (place / "link").is_symlink()
