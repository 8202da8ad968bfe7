"""The scratch folder of a restore: private, gone at the end, and swept where its owner was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from edge_node.replication.scratch import scratch_in
from tests.support.waiting import until

HOLDS = """
import sys, time
from pathlib import Path
from edge_node.replication.scratch import scratch_in
with scratch_in(Path(sys.argv[1])) as scratch:
    (scratch / "restored.db").write_bytes(b"patients")
    print(scratch, flush=True)
    time.sleep(600)
"""


def held(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a scratch folder there, and that folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_restore_has_left_is_swept_by_the_next_one(tmp_path: Path) -> None:
    process, left = held(tmp_path)
    with process:
        assert left.stat().st_mode & 0o777 == 0o700
        process.send_signal(signal.SIGKILL)
    until(lambda: process.poll() is not None)
    assert (left / "restored.db").exists()
    with scratch_in(tmp_path) as scratch:
        assert sorted(tmp_path.iterdir()) == [scratch]
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    process, other = held(tmp_path)
    with process:
        try:
            with scratch_in(tmp_path):
                assert (other / "restored.db").read_bytes() == b"patients"
        finally:
            process.kill()
    assert (other / "restored.db").exists()
