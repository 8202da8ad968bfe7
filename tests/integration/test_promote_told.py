"""Who waits for a promotion sees how far the restore is, as with `replica restore`; on a slow line that takes hours."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

from edge_node.replication.progress import Progress, Step
from tests.support.owners import a_wish, made_clinic, promote_argv, shipping
from tests.support.s3 import s3_server
from tests.support.slow_link import slow_link

# A round trip. A fetch takes two, for its connection; its bytes are looked at every half second.
FAR_S = 0.6


def test_a_person_at_a_terminal_sees_bytes_and_what_is_left(tmp_path: Path) -> None:
    with s3_server(tmp_path / "server", "moto") as server:
        clinic = made_clinic(tmp_path / "a", server)
        with shipping(clinic):
            pass
        wish = a_wish(clinic, tmp_path / "b", server=server)
        with slow_link(server.port, FAR_S) as port:
            endpoint = ("--endpoint", f"http://127.0.0.1:{port}", "--credential", str(wish.credential))
            argv = promote_argv(clinic, tmp_path / "b", *endpoint, cloud=wish.origin.url)
            code, said = at_a_terminal(argv)
    assert code == 0, said
    total = re.findall(r"\rfetching: [\d.]+ [KM]?B of ([\d.]+ [KM]?B) +\r", said)
    assert total, said
    # Wiped before the next sentence, which else would stand behind it.
    assert re.search(r"\r +\r  restored his", said), said
    assert "this machine owns epoch 2" in said


def at_a_terminal(argv: list[str]) -> tuple[int, str]:
    """Exit code, and what the command wrote to a terminal."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            said = b""
            while True:
                try:
                    chunk = os.read(ours, 65536)
                except OSError:  # The other end is closed: the command has ended.
                    break
                if not chunk:
                    break
                said += chunk
            return process.wait(60), said.decode()
    finally:
        os.close(ours)


def test_time_left_is_told_once_there_is_a_rate() -> None:
    told = Progress(step=Step.FETCHING, done_bytes=30_000_000, total_bytes=90_000_000, elapsed_s=10.0)
    assert told.left_s == 20.0
    assert told.sentence().endswith("20 s left")
