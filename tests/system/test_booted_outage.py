"""A clinic's day with real units and users: one line dies, both die, both return; the machine is a booted Debian."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.lab.cloud import store
from tests.lab.load import staff_at_work
from tests.lab.proofs import nothing_answered_is_lost, told_exactly_once_in_order
from tests.lab.receiver import receiver
from tests.lab.topology import laboratory
from tests.lab.topology import missing as missing_for_a_laboratory
from tests.lab.whole import took_s
from tests.support.machine_image import missing
from tests.support.machine_node import BootedNode, booted_node
from tests.support.waiting import until

CANNOT = missing() or missing_for_a_laboratory()
pytestmark = [
    pytest.mark.skipif(CANNOT is not None, reason=str(CANNOT)),
    pytest.mark.alone,
    # The first one that boots builds the image.
    pytest.mark.timeout(900),
]

SETTLES_WITHIN_S = 180.0
# As in tests/lab/test_outage.py, which holds them on a machine of its own; here a status file is read by a command.
FAILS_OVER_WITHIN_S, OFFLINE_WITHIN_S, RECOVERS_WITHIN_S = 20.0, 30.0, 90.0
VISITS = 3


def test_an_outage_with_the_real_units(tmp_path: Path) -> None:
    with (
        laboratory() as lab,
        store(lab.cloud, tmp_path) as kept,
        receiver(lab.cloud, tmp_path) as platform,
        booted_node(tmp_path, lab, store=kept) as node,
    ):
        node.start()
        with staff_at_work(node, tmp_path / "staff", pairs=2, rate_per_s=8) as load:
            began_s = time.monotonic()

            def visits_go_on() -> None:
                already = len(load.answered("encounter"))
                until(
                    lambda: len(load.answered("encounter")) >= already + VISITS, within_s=SETTLES_WITHIN_S, every_s=0.2
                )

            until(lambda: is_well(node), within_s=SETTLES_WITHIN_S, every_s=0.2)
            visits_go_on()

            lab.fault("telecom", "blackhole")
            failed_over_s = took_s(lambda: node.way_out() == "unicom" and node.mode() == "backup", FAILS_OVER_WITHIN_S)
            told = len(platform.received().kept)
            until(lambda: len(platform.received().kept) > told, within_s=SETTLES_WITHIN_S)

            lab.fault("unicom", "blackhole")
            offline_s = took_s(lambda: node.mode() == "offline", OFFLINE_WITHIN_S)
            visits_go_on()
            until(lambda: node.destination("nas").get("state") == "current", within_s=SETTLES_WITHIN_S, every_s=0.2)
            assert node.destination("cloud").get("state") == "unreachable"

            lab.fault("telecom", "heal")
            lab.fault("unicom", "heal")
            recovered_s = took_s(lambda: is_well(node), RECOVERS_WITHIN_S)
            load.stop()
            until(lambda: node.state_of("outbox").get("queued") == 0, within_s=SETTLES_WITHIN_S, every_s=0.2)

            assert [request for request in load.requests(since_s=began_s) if request.failed] == []
            copy = node.copied(tmp_path)
            nothing_answered_is_lost(copy, load)
            messages = told_exactly_once_in_order(copy, platform)
            assert lab.leaked() == lab.strayed() == 0
            assert node.machine.systemctl("--failed", "--plain", "--no-legend").stdout == ""
            print(
                f"failover seen after {failed_over_s:.1f} s, offline after {offline_s:.1f} s, recovered in "
                f"{recovered_s:.1f} s; {len(load.answered('encounter'))} visits, {messages} messages"
            )


def is_well(node: BootedNode) -> bool:
    """On its first line or on another, copied everywhere, and told."""
    copies = {name: node.destination(name).get("state") for name in ("cloud", "nas")}
    return (
        node.mode() in ("online", "backup")
        and set(copies.values()) == {"current"}
        and node.state_of("outbox").get("paused_upstreams") == []
    )
