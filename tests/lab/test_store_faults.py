"""The issue's fifth row: the store refuses the key, answers nothing, vanishes; the rest of the clinic is unhurt."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.cloud import Store, StoreKey
from tests.lab.load import staff_at_work
from tests.lab.proofs import a_restore_equals_the_live_one, nothing_answered_is_lost, told_exactly_once_in_order
from tests.lab.whole import Whole, is_current, is_empty, is_well, took_s, whole_path
from tests.support.waiting import until

SEEN_WITHIN_S, CURRENT_WITHIN_S = 10.0, 10.0
# How long each fault lasts beyond its being seen: visits and messages must go on meanwhile.
LASTS_S = 3.0
# The other destination lacks meanwhile what was written since the last capture or two.
UNHURT_RPO_S = 4.0
PAIRS, RATE_PER_S = 4, 20.0


def refuse(store: Store) -> None:
    store.vanish()
    store.start(StoreKey())


def accept_again(right: StoreKey) -> Callable[[Store], None]:
    def mend(store: Store) -> None:
        store.vanish()
        store.start(right)

    return mend


@pytest.mark.timeout(240)
def test_a_store_that_is_ill_hurts_nobody_else(can_build: None, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with (
        whole_path(folder) as whole,
        staff_at_work(whole.node, folder / "staff", pairs=PAIRS, rate_per_s=RATE_PER_S) as load,
    ):
        until(lambda: is_well(whole), within_s=20, every_s=0.1)
        began_s = time.monotonic()
        illnesses: tuple[tuple[str, Callable[[Store], None], str, Callable[[Store], None]], ...] = (
            ("refuses the key", refuse, "refused", accept_again(whole.store.key)),
            ("answers nothing", Store.hang, "unreachable", Store.go_on),
            ("is gone", Store.vanish, "unreachable", Store.start),
        )
        for what, fall_ill, state, recover in illnesses:
            fall_ill(whole.store)
            seen_s = took_s(lambda state=state: cloud_is(whole, state), SEEN_WITHIN_S)  # type: ignore[misc]
            everything_else_goes_on(whole, LASTS_S)
            assert cloud_is(whole, state)
            recover(whole.store)
            current_s = took_s(lambda: is_current(whole, "cloud"), CURRENT_WITHIN_S)
            print(f"{what}: {state} after {seen_s:.1f} s, current {current_s:.1f} s after the heal")

        load.stop()
        until(lambda: is_empty(whole), within_s=10)
        assert [request for request in load.requests(since_s=began_s) if request.failed] == []
        nothing_answered_is_lost(whole.node, load)
        told_exactly_once_in_order(whole.node, whole.receiver)
        a_restore_equals_the_live_one(whole.node, folder, origin="cloud")
        assert whole.lab.leaked() == 0


def cloud_is(whole: Whole, state: str) -> bool:
    return whole.node.destination("cloud").get("state") == state


def everything_else_goes_on(whole: Whole, for_s: float) -> None:
    """Messages are delivered, the other destination keeps up, and the lines are as they were."""
    told, until_s = len(whole.receiver.received().kept), time.monotonic() + for_s
    while time.monotonic() < until_s:
        nas = whole.node.destination("nas")
        assert nas["state"] == "current"
        assert nas["rpo_s"] <= UNHURT_RPO_S, nas
        assert whole.node.mode() == "online"
        time.sleep(0.1)
    assert len(whole.receiver.received().kept) > told
