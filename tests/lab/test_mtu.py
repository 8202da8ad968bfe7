"""A line that swallows large packets: found, set on its routes, and an upload passes; taken back when it is healed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.topology import CLOUD_PREFIX, SERVICE_IP, TARGETS, TELECOM, Laboratory
from tests.lab.watched import WatchedLines, watched
from tests.support.waiting import until

PORT = 7200
UPLOAD_BYTES = 200_000
FLAGGED_WITHIN_S = 40.0
MTU = 1400


@contextmanager
def taker(lab: Laboratory) -> Iterator[None]:
    """Takes uploads in the cloud, and says how many bytes came once the other side is done."""
    listening = lab.cloud.socket(socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((TARGETS[0], PORT))
    listening.listen(8)

    def take(opened: socket.socket) -> None:
        came = 0
        with opened:
            try:
                while data := opened.recv(65_536):
                    came += len(data)
                opened.sendall(str(came).encode())
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                opened, _ = listening.accept()
            except OSError:
                return
            opened.settimeout(60)
            threading.Thread(target=take, args=(opened,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(timeout=5)


def upload(lab: Laboratory, source: str, *, within_s: float) -> float | None:
    """Send 200 kB from the clinic; how long until the cloud has them all, `None` where they did not arrive in time."""
    began = time.monotonic()
    with lab.clinic.socket(socket.SOCK_STREAM) as opened:
        opened.settimeout(within_s)
        opened.bind((source, 0))
        try:
            opened.connect((TARGETS[0], PORT))
            opened.sendall(bytes(UPLOAD_BYTES))
            opened.shutdown(socket.SHUT_WR)
            arrived = opened.recv(64)
        except TimeoutError:
            return None
    assert int(arrived) == UPLOAD_BYTES
    return time.monotonic() - began


def mtus(watcher: WatchedLines, table: int) -> dict[str, Any]:
    """What the kernel says of the routes of a table: device and MTU, with its lock."""
    said = watcher.lab.clinic.run("ip", "-j", "route", "show", "table", str(table)).stdout
    return {r["dev"]: r.get("metrics", [{}])[0] for r in json.loads(said) if r.get("dev")}


def black_hole(lab: Laboratory, home: Path, **detect: Any) -> float:
    """One run; how long until it was flagged."""
    # As on a wire: without this the carrier would see several segments in one piece, and measure that.
    lab.clinic.configure("link set dev telecom gso_max_segs 1\n")
    with taker(lab), watched(lab, home, detect=detect) as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom")
        until(lambda: watcher.line("telecom")["mtu_ok"] is True, within_s=25)
        assert upload(lab, SERVICE_IP, within_s=5) is not None
        since = time.monotonic()
        lab.fault("telecom", f"mtu={MTU}")
        assert upload(lab, SERVICE_IP, within_s=2) is None, "without help it hangs"
        until(lambda: watcher.line("telecom")["mtu"] == MTU, within_s=FLAGGED_WITHIN_S + 5)
        took_s = time.monotonic() - since
        line = watcher.line("telecom")
        assert (line["mtu_ok"], line["verdict"]) == (False, "up") and watcher.active() == "telecom"
        until(lambda: [t["code"] for t in watcher.state["troubles"]] == ["mtu-small"])
        assert watcher.state["troubles"][0]["args"] == {"line": "telecom", "mtu": MTU, "expected": 1500}
        for table in (100, 101):
            assert mtus(watcher, table)["telecom"]["mtu"] == MTU
        assert watcher.ours()[0].count(f"mtu lock {MTU}") == 2
        first_s, second_s = (upload(lab, source, within_s=10) for source in (SERVICE_IP, TELECOM.address))
        assert first_s is not None and second_s is not None, "from either address"
        assert max(first_s, second_s) < 2
        print(f"set after {took_s:.1f} s, then 200 kB in {first_s:.2f} and {second_s:.2f} s")
        assert watcher.line("unicom")["mtu_ok"] is True and watcher.line("unicom")["mtu"] is None
        told = until(lambda: [t for t in watcher.transitions() if t["kind"] == "mtu"])
        assert [(t["subject"], t["reason"]["args"]["mtu"]) for t in told] == [("telecom", MTU)]
        moves = [t["reason"]["code"] for t in watcher.transitions() if t["kind"] == "mode"]
        assert moves == ["first-line"], "nobody moved"
    return took_s


@pytest.mark.alone
def test_a_black_hole_is_found_and_an_upload_passes(lab: Laboratory, tmp_path: Path) -> None:
    """Row 13, asked every two seconds instead of every ten."""
    assert black_hole(lab, tmp_path / "node", mtu_every="2s") <= FLAGGED_WITHIN_S / 2


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize("run", range(3))
def test_a_black_hole_with_the_defaults(lab: Laboratory, tmp_path: Path, run: int) -> None:
    took_s = black_hole(lab, tmp_path / "node")
    assert took_s <= FLAGGED_WITHIN_S


@pytest.mark.alone
def test_observing_it_is_told_and_nothing_set_and_a_healed_line_is_whole_again_for_the_next(
    lab: Laboratory, tmp_path: Path
) -> None:
    with watched(lab, tmp_path / "node", "observe", detect={"mtu_every": "1s"}) as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.line("telecom")["mtu_ok"] is True)
        lab.fault("telecom", f"mtu={MTU}")
        until(lambda: watcher.line("telecom")["verdict"] == "degraded", within_s=25)
        line = watcher.line("telecom")
        assert line["reason"] == {"code": "mtu", "args": {"mtu": MTU, "expected": 1500}} and line["mtu"] is None
        assert "mtu" not in watcher.ours()[0]
    # The same node with leave to act: it finds the hole by itself, and one that starts over finds it healed.
    home = tmp_path / "acting"
    with watched(lab, home, detect={"mtu_every": "1s"}) as watcher:
        until(lambda: watcher.line("telecom")["mtu"] == MTU, within_s=25)
        before = watcher.ours()
        assert watcher.end(9) < 2 and watcher.ours() == before
        watcher.start()
        until(lambda: watcher.line("telecom")["mtu"] == MTU)
        assert watcher.ours() == before
        watcher.end(9)
        lab.fault("telecom", "heal")
        watcher.start()
        until(lambda: watcher.line("telecom")["mtu_ok"] is True, within_s=15)
        until(lambda: "mtu" not in watcher.ours()[0])
        assert watcher.line("telecom")["mtu"] is None
    assert CLOUD_PREFIX in before[0]


@pytest.mark.alone
def test_a_router_that_says_so_is_believed_and_no_search_is_needed(lab: Laboratory, tmp_path: Path) -> None:
    lab.telecom.configure("link set dev wan mtu 1300\n")
    with watched(lab, tmp_path / "node", detect={"mtu_every": "1s"}) as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.line("telecom")["mtu"] == 1300, within_s=10)
        assert watcher.line("telecom")["verdict"] == "up"
