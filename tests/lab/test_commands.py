"""The laboratory as a person uses it: two shells, one of which builds it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import namespace
from tests.lab.topology import ROOT
from tests.support.waiting import until

BUILT_WITHIN_S, GONE_WITHIN_S = 60.0, 60.0


def command(*argv: str) -> subprocess.CompletedProcess[str]:
    argv = (sys.executable, "-m", "tests.lab", *argv)
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.timeout(150)
def test_two_shells(can_build: None, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    argv = [sys.executable, "-m", "tests.lab", "up", "--folder", str(tmp_path / "lab")]
    with log.open("wb") as out, subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out, start_new_session=True) as up:
        try:
            until(lambda: "online, by telecom" in log.read_text() or up.poll() is not None, within_s=BUILT_WITHIN_S)
            assert up.poll() is None, log.read_text()
            name = next(each.rpartition("-")[0] for each in namespace.names() if f"-{up.pid}-" in each)

            said = command("status", "--lab", name)
            assert "clinic-lab" in said.stdout, said
            assert "packets that left the laboratory: 0" in said.stdout
            assert command("fault", "telecom", "blackhole", "--lab", name).returncode == 0
            until(lambda: "backup, by unicom" in log.read_text(), within_s=10)
            assert "telecom   blackhole\nunicom    healthy" in command("status", "--lab", name).stdout
            assert command("fault", "telecom", "heal", "--lab", name).returncode == 0
            wrong = command("fault", "telecom", "rain", "--lab", name)
            assert wrong.returncode == 2
            assert wrong.stderr.startswith("error: 'rain' is no fault; there are blackhole, ")
            assert f"{name}: lives, in process {up.pid}" in command("down").stdout
            assert len(namespace.names(name)) == 6

            os.kill(up.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                up.wait(GONE_WITHIN_S)
            assert up.returncode == 0, log.read_text()
        finally:
            up.kill()
    assert namespace.names(name) == []
    assert "Traceback" not in log.read_text()
    nobody = command("status", "--lab", name)
    assert nobody.returncode == 1
    assert "no laboratory stands" in nobody.stderr
