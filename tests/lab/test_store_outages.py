"""A store that refuses, hangs, or whose packets vanish: what the node says of it is true all the way, and it heals.

Compared with what lies in the store and in the local replica, not with our own status. A writer of the project and the
real replicator live in the laboratory's clinic, the store in its cloud; seconds each, three minutes in the long form.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.cloud import BUCKET, Store, StoreKey, store
from tests.lab.topology import CLOUD_PREFIX, TELECOM, Laboratory, laboratory
from tests.support.replicated import Replicated, replicating, rows
from tests.support.replicators import captured
from tests.support.rpo import LOCAL, Ledger, arrived_s, at_work, errors_s, made_for_buckets, true_rpo_s
from tests.support.s3 import KEY
from tests.support.waiting import until

RATE_PER_S = 5.0
KNOWN_WITHIN_S, CURRENT_WITHIN_S = 10.0, 10.0
# An RPO that is said may be this much too long (what one capture holds is taken to be as old as it can be), and hardly
# too short: files have times of their own, a few milliseconds coarse.
TOO_LONG_S, TOO_SHORT_S = 2.5, 1.0
# Captured every second, with room for a machine that has other work.
CAPTURED_WITHIN_S = 10.0

Act = Callable[[Laboratory, Store], None]
FAULTS: dict[str, tuple[Act, Act]] = {
    "refuses": (lambda lab, kept: kept.vanish(), lambda lab, kept: kept.start()),
    "hangs": (lambda lab, kept: kept.hang(), lambda lab, kept: kept.go_on()),
    "drops packets": (
        lambda lab, kept: lab.fault(TELECOM.name, "blackhole"),
        lambda lab, kept: lab.fault(TELECOM.name, "heal"),
    ),
}


@pytest.mark.parametrize(
    "lasts_s", [pytest.param(12.0, id="seconds"), pytest.param(180.0, id="minutes", marks=pytest.mark.long)]
)
@pytest.mark.timeout(1200)
def test_what_is_said_of_a_store_is_true_all_the_way(can_build: None, tmp_path: Path, lasts_s: float) -> None:
    with ExitStack() as stack:
        lab = stack.enter_context(laboratory())
        lab.clinic.configure(f"route replace {CLOUD_PREFIX} via {TELECOM.gateway} dev {TELECOM.name}\n")
        kept = stack.enter_context(store(lab.cloud, tmp_path / "store"))
        kept.vanish()
        kept.start(StoreKey(access_key_id=KEY[0], secret_access_key=KEY[1]))
        clinic = made_for_buckets(tmp_path / "home", {"cloud": kept.endpoint})
        stack.enter_context(replicating(clinic, through=lab.clinic.argv()))
        until(lambda: clinic.destination("cloud").get("state") == "current", within_s=60)
        spans: dict[str, tuple[float, float, float]] = {}
        with at_work(clinic, rate_per_s=RATE_PER_S) as ledger:
            for name, (fall_ill, recover) in FAULTS.items():
                time.sleep(3)
                fall_ill(lab, kept)
                began_s = time.time()
                time.sleep(lasts_s)
                mending_s = time.time()
                recover(lab, kept)
                spans[name] = (began_s, mending_s, time.time())
                until(lambda: clinic.destination("cloud")["state"] == "current", within_s=60)
            time.sleep(3)
        written = until(lambda: captured(clinic.home, "his"), within_s=30)
        until(lambda: clinic.local_head() >= written, within_s=30)
        clinic.wait_until_shipped(within_s=60)
        bucket = tmp_path / "store/objects" / BUCKET
        there, here = (arrived_s(clinic, ledger, name, bucket) for name in ("cloud", LOCAL))
        for name, (began_s, mending_s, healed_s) in spans.items():
            judge(name, ledger, there, here, began_s=began_s, mending_s=mending_s, healed_s=healed_s)
        a_restore_equals(clinic, lab, tmp_path)


def judge(
    name: str,
    ledger: Ledger,
    there: list[float | None],
    here: list[float | None],
    *,
    began_s: float,
    mending_s: float,
    healed_s: float,
) -> None:
    """One fault: known in time, true while it lasts, all captured, and over in time.

    From `mending_s` on it may be over, at `healed_s` it is: a store takes a while to start.
    """
    known_s = next(said.at_s for said in ledger.said if said.at_s > began_s and said.states["cloud"] == "unreachable")
    current_s = next(said.at_s for said in ledger.said if said.at_s > mending_s and said.states["cloud"] == "current")
    meanwhile = ledger.said_within(known_s, mending_s)
    wrong = errors_s(ledger, there, "cloud", ledger.said_within(began_s, current_s + 2))
    captured_s = [
        at_s - since_s if at_s is not None else float("inf")
        for since_s, at_s in zip(ledger.committed_s, here, strict=True)
        if began_s <= since_s <= mending_s
    ]
    true_s = true_rpo_s(ledger.committed_s, there, current_s)
    print(
        f"{name} for {mending_s - began_s:.0f} s: known after {known_s - began_s:.1f} s,"
        f" current {current_s - healed_s:.1f} s after the heal, {true_s:.1f} s behind then;"
        f" its RPO told {len(wrong)} times, wrong by {min(wrong):.2f} to {max(wrong):.2f} s;"
        f" {len(captured_s)} commits captured within {max(captured_s):.2f} s"
    )
    assert known_s - began_s <= KNOWN_WITHIN_S
    assert {said.states["cloud"] for said in meanwhile} == {"unreachable"}
    assert {said.states[LOCAL] for said in meanwhile} == {"current"}
    assert min(wrong) >= -TOO_SHORT_S
    assert max(wrong) <= TOO_LONG_S
    assert max(said.rpo_s["cloud"] or 0.0 for said in meanwhile) > mending_s - began_s - KNOWN_WITHIN_S
    assert max(captured_s) <= CAPTURED_WITHIN_S
    assert current_s - healed_s <= CURRENT_WITHIN_S


def a_restore_equals(clinic: Replicated, lab: Laboratory, folder: Path) -> None:
    to = folder / "back.db"
    # A process of its own: the client's threads may be older than this test, and live outside of the laboratory.
    command = ("replica", "restore", "--from", "cloud", "--to", str(to), "--identity", str(clinic.identity_file()))
    done = lab.clinic.run(
        sys.executable, "-m", "edge_node", *command, "--home", str(clinic.home), check=False, timeout_s=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(to) == rows(clinic.his)
