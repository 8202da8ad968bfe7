"""A watcher that starts over remembers what the last one saw: nobody gains by a restart."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.lab.topology import Laboratory
from tests.lab.watched import watched
from tests.support.waiting import until


def test_a_fallen_line_gains_nothing_by_a_restart(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node", online_after="1s", offline_after="0s") as watcher:
        watcher.until_up("telecom", "unicom")
        lab.fault("telecom", "blackhole")
        watcher.until_mode("backup", "unicom")
        watcher.written_until("backup")
        watcher.end(signal.SIGKILL)
        lab.fault("telecom", "heal")
        watcher.start()
        until(lambda: watcher.line("telecom")["verdict"] == "degraded")
        line = watcher.line("telecom")
        assert line["reason"]["code"] == "returning", "its first answer is not yet enough"
        assert 900 < line["penalty"] <= 1000 and line["hold_left_s"] > 40
        watcher.until_mode("backup", "unicom")

        for name in ("telecom", "unicom"):
            lab.fault(name, "blackhole")
        watcher.until_mode("offline", None)
        watcher.written_until("offline")
        watcher.end(signal.SIGKILL)
        for name in ("telecom", "unicom"):
            lab.fault(name, "heal")
        watcher.start()
        until(lambda: watcher.state["mode"]["name"] in ("online", "backup"))
        until(lambda: watcher.state["offline_until"] is not None)
        ended = watcher.state["offline_until"]
        watcher.written_until(watcher.state["mode"]["name"])
        watcher.end(signal.SIGKILL)
        watcher.start()
        assert until(lambda: watcher.state["offline_until"])[:19] == ended[:19]
