"""Whether a release is well, from one look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_node.release.health import ENOUGH_RESTARTS, Seen, Unit, ailments, is_hopeless

NEW = "0.2.0"
UP = Unit(active="active", release=NEW, pid=7, restarts=0)
WELL = Seen(units={"his": UP, "links": UP}, heard={"his": "ok", "links": "ok"}, not_ready=None)


def with_his(unit: Unit) -> Seen:
    return replace(WELL, units={**WELL.units, "his": unit})


def test_well() -> None:
    assert ailments(WELL, NEW) == []
    assert ailments(WELL, NEW, since=WELL) == []
    assert not is_hopeless(WELL)


@pytest.mark.parametrize(
    "seen, where, words",
    [
        pytest.param(with_his(Unit(active="activating", release=None, pid=0, restarts=2)), "his",
                     "is activating, ended 2 times", id="does-not-start"),
        pytest.param(with_his(Unit(active="failed", release=None, pid=0, restarts=0)), "his", "is failed", id="failed"),
        pytest.param(with_his(replace(UP, release="0.1.0")), "his", "still runs release 0.1.0", id="the-old-one"),
        pytest.param(replace(WELL, heard={"his": "stale", "links": "ok"}), "his", "its status is stale", id="stale"),
        pytest.param(replace(WELL, heard={"links": "ok"}), "his", "its status is stopped", id="not-heard"),
        pytest.param(replace(WELL, not_ready="the HIS cannot write: 503"), "/readyz", "503", id="cannot-write"),
    ],
)  # fmt: skip
def test_what_is_not_well(seen: Seen, where: str, words: str) -> None:
    found = ailments(seen, NEW)
    assert [one.path for one in found] == [where]
    assert words in found[0].text


def test_a_service_that_came_back_by_itself_has_ended_all_the_same() -> None:
    found = ailments(with_his(replace(UP, pid=8, restarts=1)), NEW, since=WELL)
    assert [one.path for one in found] == ["his"]


@pytest.mark.parametrize(
    "unit, hopeless",
    [
        pytest.param(Unit(active="activating", release=None, pid=0, restarts=0), False, id="it-starts"),
        pytest.param(Unit(active="activating", release=None, pid=0, restarts=1), False, id="once-is-nothing"),
        pytest.param(
            Unit(active="activating", release=None, pid=0, restarts=ENOUGH_RESTARTS), True, id="again-and-again"
        ),
        pytest.param(Unit(active="failed", release=None, pid=0, restarts=0), True, id="given-up"),
    ],
)
def test_when_waiting_is_no_use(unit: Unit, hopeless: bool) -> None:
    assert is_hopeless(with_his(unit)) is hopeless
