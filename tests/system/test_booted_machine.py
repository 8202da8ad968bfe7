"""The machine that other tests boot: real, empty, and gone afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import namespace
from tests.support.machine import booted
from tests.support.machine_image import missing
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
# The first one that boots builds the image.
pytestmark = [pytest.mark.skipif(missing() is not None, reason=str(missing())), pytest.mark.timeout(900)]

BOOT_AND_WAIT = """
import sys, time
from pathlib import Path
from tests.support.machine import booted
with booted(Path(sys.argv[1])) as machine:
    print(machine.leader, machine.name, flush=True)
    time.sleep(600)
"""


def test_two_machines_side_by_side_and_a_second_boot_from_the_same_disk(tmp_path: Path) -> None:
    with booted(tmp_path / "one", keep_disk=True) as one, booted(tmp_path / "two", binds={"/opt/src": ROOT}) as two:
        assert "Debian GNU/Linux 12" in one.read("/etc/os-release")
        assert one.show("dbus.service", "MainPID") not in ("", "0")
        assert two.read("/opt/src/pyproject.toml") == (ROOT / "pyproject.toml").read_text()
        assert one.run("ip", "-br", "link").stdout.split()[0] == "lo"
        one.put("/srv/kept", "by the first\n", mode=0o600, owner="nobody:nogroup")
        assert one.run("id", "-un", user="nobody").stdout == "nobody\n"
        assert one.run("cat", "/srv/kept", user="systemd-network", check=False).returncode == 1
        assert two.run("cat", "/srv/kept", check=False).returncode == 1, "each has a disk of its own"
        one.off()
        one.boot()
        assert one.read("/srv/kept") == "by the first\n"
        one.kill()
        with booted(tmp_path / "three", layers=(one.disk,)) as three:
            assert three.read("/srv/kept") == "by the first\n"
            leaders = [two.leader, three.leader]
    assert [namespace.start_ticks(pid) for pid in leaders] == [None, None]
    assert not (tmp_path / "three/disk").exists()


def test_nothing_is_left_of_a_machine_whose_test_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", BOOT_AND_WAIT, str(tmp_path / "machine")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        said = owner.stdout.readline().split()
        assert len(said) == 2, "it did not boot"
        leader, name = int(said[0]), said[1]
        assert namespace.start_ticks(leader) is not None
    finally:
        owner.kill()
        owner.communicate()
    until(lambda: namespace.start_ticks(leader) is None, within_s=30)
    assert not [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(tmp_path) in line]
    with booted(tmp_path / "next"):
        left = [place for root in ("unified", "systemd", "") for place in Path("/sys/fs/cgroup", root).glob(f"{name}*")]
        assert left == [], "the next one clears away the cgroups of the dead"
