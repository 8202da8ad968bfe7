"""A day in the laboratory, recorded by the real watcher, and played again: the same moves at the same times."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from edge_node.base.clock import parse_utc
from tests.lab.topology import Laboratory
from tests.lab.watched import watched

# A look of the watcher, and one of the simulation; a failback lies in the second in which quality is weighed.
WITHIN_MS, FAILBACK_WITHIN_MS = 450, 1_700


@pytest.mark.alone
@pytest.mark.long
def test_what_was_recorded_in_the_laboratory_is_played_again(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        lab.fault("telecom", "blackhole")
        watcher.until_mode("backup", "unicom")
        time.sleep(3)
        lab.fault("unicom", "blackhole")
        watcher.until_mode("offline", None)
        lab.fault("telecom", "heal")
        watcher.until_mode("online", "telecom", within_s=30)
        lab.fault("unicom", "heal")
        watcher.until_up("unicom", within_s=30)
        watcher.signal(signal.SIGSTOP)
        time.sleep(2)
        watcher.signal(signal.SIGCONT)
        time.sleep(2)
        watcher.end(signal.SIGTERM)
        real = [told for told in watcher.transitions() if told["kind"] == "mode"]
        asked = (sys.executable, "-m", "edge_node", "line", "simulate", "--home", str(watcher.home), "--json")
        document = json.loads(lab.clinic.run(*asked, timeout_s=120).stdout)
    (present,) = document["policies"]
    assert [(move["to"]["mode"], move["to"]["line"], move["reason"]["code"]) for move in present["moves"]] == [
        (told["to"], told["to_line"], told["reason"]["code"]) for told in real
    ]
    apart = [
        abs(parse_utc(move["at"]) - parse_utc(told["at"])) for move, told in zip(present["moves"], real, strict=True)
    ]
    print(f"{len(real)} moves, apart by {apart} ms; blind {present['blind_s']} s")
    assert all(
        ms <= (FAILBACK_WITHIN_MS if told["reason"]["code"] == "failback" else WITHIN_MS)
        for ms, told in zip(apart, real, strict=True)
    )
    assert 1.5 <= present["blind_s"] <= 4
