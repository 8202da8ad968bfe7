"""From a bundle to the first page, on a bare Debian 12 that has no network at all."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge_node.cli.unit_files import JOBS, SERVICES, TARGET
from tests.support.bundles import bundle
from tests.support.installed import BUNDLES, install, installed
from tests.support.machine import booted
from tests.support.machine_image import missing
from tests.support.machine_node import unit
from tests.support.waiting import until

pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.alone,
    # The first one that boots builds the image, and the first one that installs the bundle.
    pytest.mark.timeout(900),
]

SERVES_WITHIN_S = 180.0
ASK = """
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen("http://127.0.0.1:8080/readyz", timeout=30).read().decode())
"""


def test_installed_and_serving_in_three_minutes_and_after_the_next_start(tmp_path: Path) -> None:
    archive = bundle("0.1.0")
    with booted(tmp_path, binds={BUNDLES: archive.parent}) as machine:
        began_s = time.monotonic()
        install(machine, archive.name, "--training")
        machine.run("python3", "-c", ASK)
        took_s = time.monotonic() - began_s
        print(f"installed and serving after {took_s:.0f} s")
        assert took_s < SERVES_WITHIN_S
        assert "default" not in machine.run("ip", "route").stdout, "it has no way out"

        enabled = (
            [unit(name) for name in SERVICES] + [f"edge-{name}.timer" for name in JOBS] + ["edge-his.socket", TARGET]
        )
        assert set(machine.systemctl("is-enabled", *enabled).stdout.split()) == {"enabled"}
        waiting = machine.systemctl("list-timers", "--no-legend", "edge-*").stdout
        assert all(f"edge-{name}.timer" in waiting for name in JOBS)

        machine.off()
        machine.boot()
        machine.run("python3", "-c", ASK)
        assert machine.systemctl("--failed", "--plain", "--no-legend").stdout == ""


def test_every_job_of_a_timer_does_what_it_is_for(tmp_path: Path) -> None:
    """A drill, a look at the copies, and the report of last month: as their timers start them."""
    with booted(tmp_path, layers=(installed().disk,)) as machine:
        until(lambda: machine.run("edge-node", "status", check=False).returncode == 0, within_s=180, every_s=1)
        for name in JOBS:
            machine.systemctl("start", unit(name))
            assert machine.show(unit(name), "Result") == "success", machine.journal(unit(name))
        assert "restored in" in machine.journal(unit("drill"))
        assert "a restore takes" in machine.journal(unit("verify"))
        html, csv = machine.run("find", "/var/lib/edge-node/reports", "-name", "sla-*").stdout.split()
        assert {Path(html).suffix, Path(csv).suffix} == {".html", ".csv"}
