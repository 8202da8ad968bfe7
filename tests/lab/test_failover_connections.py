"""Rows 7, 17 and 21, through the real watcher: what becomes of connections, and of a watcher that lost messages."""

from __future__ import annotations

import errno
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from failover.netlink.sockets import connections
from tests.lab.namespace import Namespace
from tests.lab.test_stuck_connections import CLOUD, PORT, Client, asks, connect, keeps_asking, server, uploads
from tests.lab.topology import CLOUD_PREFIX, SERVICE_IP, TELECOM, UNICOM, Laboratory
from tests.lab.watched import RouteNews, WatchedLines, watched
from tests.support.waiting import until

pytestmark = pytest.mark.alone

GOES_ON_WITHIN_S, BACK_WITHIN_S = 1.0, 0.2
# `offline_after` and the status that tells of it are added to what detection takes.
OFFLINE_AFTER_S, OFFLINE_SLACK_S = 3.0, 0.5


class Steady:
    """Works on one connection of the service IP, notes when each piece was done, and never connects again."""

    def __init__(self, space: Namespace, work: Callable[[socket.socket], None]) -> None:
        self._socket, self._work = connect(space, SERVICE_IP), work
        self.port = self._socket.getsockname()[1]
        self.done_at: list[float] = []
        self.error: OSError | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._work(self._socket)
            except OSError as error:
                self.error = error
                return
            self.done_at.append(time.monotonic())

    def goes_on_after(self, moment: float) -> float | None:
        return next((at - moment for at in self.done_at if at > moment), None)

    def close(self) -> None:
        self._over.set()
        self._thread.join(timeout=10)
        self._socket.close()


def moved_after_s(news: RouteNews, device: str, since: float, *, within_s: float) -> float:
    """How long until the kernel has the active route by `device`."""
    while (left_s := since + within_s - time.monotonic()) > 0:
        for at, _, active in news.take(within_s=left_s):
            if active == device:
                return at - since
    raise AssertionError(f"the route was not by {device} within {within_s:g} s")


def failover(lab: Laboratory, watcher: WatchedLines) -> tuple[float, float]:
    """One black hole with everything open; how long after the switch the slowest went on, and was back."""
    clinic = lab.clinic
    with ExitStack() as stack:
        for space, at in ((lab.cloud, CLOUD), (clinic, ("127.0.0.1", PORT))):
            stack.enter_context(server(space, at))
        untouched = {
            "other line": connect(clinic, UNICOM.address),
            "loopback": connect(clinic, "127.0.0.1", ("127.0.0.1", PORT)),
        }
        steady = [Steady(clinic, work) for work in (keeps_asking, uploads)]
        pinned = [Client(clinic, work) for work in (keeps_asking, uploads)]
        for held in untouched.values():
            stack.callback(held.close)
        for busy in (*steady, *pinned):
            stack.callback(busy.close)  # type: ignore[attr-defined]
        assert all(asks(each) for each in untouched.values())
        news = RouteNews(lab)
        stack.callback(news.close)
        since = time.monotonic()
        lab.fault(TELECOM.name, "blackhole")
        switched_at = since + moved_after_s(news, UNICOM.name, since, within_s=5)
        until(lambda: all(client.back_at for client in pinned), every_s=0.002, within_s=5)
        until(lambda: all(each.goes_on_after(switched_at) is not None for each in steady), every_s=0.01)
        for client in pinned:
            assert client.error in (errno.ECONNABORTED, errno.EPIPE), errno.errorcode.get(client.error or 0)
            assert client.back_from == SERVICE_IP
        assert [each.error for each in steady] == [None, None]
        for what, each in untouched.items():
            assert asks(each), what
        went_on = max(after for each in steady if (after := each.goes_on_after(switched_at)) is not None)
        return went_on, max(client.back_at for client in pinned) - switched_at


def test_connections_go_on_or_come_back(lab: Laboratory, tmp_path: Path) -> None:
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom")
        went_on_s, back_s = failover(lab, watcher)
        print(f"after the switch: service IP {went_on_s:.3f} s, kill-sockets {back_s:.3f} s")
        assert went_on_s <= GOES_ON_WITHIN_S and back_s <= BACK_WITHIN_S
        until(lambda: watcher.state["connections_ended"] == [{"labels": ["telecom"], "value": 2.0}])
        (told,) = until(lambda: [t for t in watcher.transitions() if t["kind"] == "connections"])
        assert told["subject"] == "telecom" and told["reason"]["args"]["ended"] == 2


@pytest.mark.long
@pytest.mark.parametrize("run", range(20))
def test_connections_twenty_times(lab: Laboratory, tmp_path: Path, run: int) -> None:
    test_connections_go_on_or_come_back(lab, tmp_path)


def test_with_all_lines_dead_nothing_is_ended_or_flushed(lab: Laboratory, tmp_path: Path) -> None:
    """Both at once: whichever is judged first, no connection of it is ended, since the other one is silent as well."""
    clinic = lab.clinic
    with watched(lab, tmp_path / "node") as watcher, ExitStack() as stack:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom")
        stack.enter_context(server(lab.cloud, CLOUD))
        opened = [connect(clinic, source) for source in (TELECOM.address, UNICOM.address, SERVICE_IP)]
        for each in opened:
            stack.callback(each.close)
            assert asks(each)

        def standing() -> set[tuple[str, int]]:
            sources = (TELECOM.address, UNICOM.address, SERVICE_IP)
            found = (clinic.within(lambda s=s: connections(s, [CLOUD_PREFIX])) for s in sources)  # type: ignore[misc]
            return {(str(each.source), each.source_port) for these in found for each in these}

        before = standing()
        assert len(before) == 3
        for name in ("telecom", "unicom"):
            lab.fault(name, "blackhole")
        watcher.until_mode("offline", None, within_s=10)
        assert standing() == before
        routes = watcher.ours()[0]
        assert watcher.active() in ("telecom", "unicom") and "table 101" in routes and "table 102" in routes
        written = watcher.transitions()[: watcher.written_until("offline")]
        downs = [t["boottime"] for t in written if t["kind"] == "verdict" and t["to"] == "down"]
        offline = next(t["boottime"] for t in written if t["to"] == "offline")
        print(f"offline {offline - max(downs):.3f} s after the last line was judged dead")
        assert offline - max(downs) <= OFFLINE_AFTER_S + OFFLINE_SLACK_S
        for name in ("telecom", "unicom"):
            lab.fault(name, "heal")
        for each in opened:
            each.settimeout(20)
            assert asks(each), "the same connection"
        assert standing() == before and watcher.state["connections_ended"] == []


FOREIGN = 800


def test_messages_that_were_lost_are_made_good_by_reading_again(lab: Laboratory, tmp_path: Path) -> None:
    """Row 21: the watcher is stopped while somebody adds and removes routes by the thousand, and some of its own."""
    with watched(lab, tmp_path / "node") as watcher:
        watcher.until_up("telecom", "unicom")
        until(lambda: watcher.active() == "telecom")
        known, before = watcher.written_until("online"), watcher.ours()
        assert watcher.state["netlink_overruns"] == 0
        foreign = [f"172.16.{n // 256}.{n % 256}/32 dev internet table 77" for n in range(FOREIGN)]
        flood = "".join(f"route add {each}\n" for each in foreign) + "".join(f"route del {each}\n" for each in foreign)
        watcher.signal(signal.SIGSTOP)
        for _ in range(3):
            lab.clinic.configure(flood)
        lab.clinic.run("ip", "route", "flush", "table", "100")
        lab.clinic.run("ip", "route", "flush", "table", "101", check=False)
        assert watcher.ours() != before
        watcher.signal(signal.SIGCONT)
        began = time.monotonic()
        until(lambda: watcher.ours() == before, within_s=2)
        print(f"whole again {time.monotonic() - began:.3f} s after it went on")
        until(lambda: watcher.state["netlink_overruns"] >= 1)
        # Whatever it would conclude from what it missed, it would have concluded within a few looks.
        settled = watcher.written_at()
        until(lambda: watcher.written_at() != settled, within_s=5)
        assert watcher.transitions()[known:] == [] and watcher.mode() == ("online", "telecom")
        assert all(line["verdict"] == "up" and line["penalty"] == 0 for line in watcher.state["lines"])
        assert watcher.state["problems"] == []
