"""The disk under the data is full: the page says so and keeps what was typed, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from edge_node.store.connection import connect_reader
from tests.support.desk import Desk, hidden, phone_number
from tests.support.node import running_node
from tests.support.waiting import until

# Room for two databases, their first five copies and a few hundred registrations.
DISK = "48m"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk: run the tests as root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "edge-node-test", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@needs_root
@pytest.mark.timeout(180)
def test_a_full_disk_is_said_and_nothing_is_lost(small_disk: Path) -> None:
    with running_node(small_disk / "node") as node, Desk(node.url) as desk:
        desk.sign_in("zhoumin", node.passwords()["zhoumin"])
        answered = [desk.register(f"满盘前{number}", phone_number(number)) for number in range(20)]
        assert {answer.status for answer in answered} == {302}

        filler = small_disk / "filler"
        fill(filler)
        refused, number = None, 20
        while refused is None:
            number += 1
            fill(filler)
            answer = desk.register(f"满盘时{number}", phone_number(number))
            if answer.status == 302:
                answered.append(answer)
            else:
                refused = answer
            assert number < 2000, "the disk never became full"
        assert refused.status == 503
        assert "没有保存：磁盘写不进去" in refused.body
        assert f"满盘时{number}" in unescape(refused.body), "what was typed is still there"
        key = hidden(refused.body, "request_key")
        assert desk.get("/reception").status == 200, "reading goes on"
        assert desk.get("/readyz").status == 503
        assert desk.get("/healthz").status == 200

        filler.unlink()
        again = until(lambda: retried(desk, f"满盘时{number}", phone_number(number), key), within_s=30)
        assert re.search("registered=", again)
        until(lambda: desk.get("/readyz").status == 200, within_s=15)

        conn = connect_reader(node.home / "data/his.db")
        try:
            phones = {phone for (phone,) in conn.execute("SELECT phone FROM patient")}
            assert phones == {phone_number(each) for each in (*range(20), *range(21, number + 1))}
            assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        finally:
            conn.close()


def fill(path: Path) -> None:
    """Write until there is no room for another page."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def retried(desk: Desk, name: str, phone: str, key: str) -> str:
    answer = desk.register(name, phone, request_key=key)
    return answer.location if answer.status == 302 else ""
