"""What a node costs when nobody does anything: every service and Litestream, in a laboratory of its own, as root.

    python -m tests.bench.bench_idle [--seconds 120]

Two lines are probed five times a second each way, two destinations are kept current, metrics are scraped by nobody. The
supervisor of `edge-node up` is shown and not counted: on a clinic's machine that is systemd.

On a machine that is busy otherwise the same work costs more of the processor (cold caches, a shared core). A small
piece of work that is done beside it all the time says how much: its quickest time against its median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

from tests.lab.clinic import LabNode
from tests.lab.whole import is_well, whole_path
from tests.support.cost import cpu_s, pss_mb
from tests.support.node import processes_of
from tests.support.waiting import until

SERVICES = ("his", "replica", "outbox", "monitor", "links")
PARTS = {**{name: f"edge_node run {name}" for name in SERVICES}, "litestream": "litestream replicate"}
SUPERVISOR = ("up", "edge_node up")
# What the node may cost: a mini PC has other things to do, and 4 GB.
MOST_MB, MOST_SHARE = 300.0, 0.04
# Windows of half a minute are full, and modules that are loaded late are loaded.
WARM_UP_S = 35.0


def pids(node: LabNode) -> dict[str, int]:
    running = processes_of(node.home)
    return {
        part: next(pid for pid, argv in running.items() if sign in argv) for part, sign in (*PARTS.items(), SUPERVISOR)
    }


def asked(node: LabNode) -> float:
    """How many probes the watcher has counted so far."""
    status = json.loads((node.home / "run/links/status.json").read_bytes())
    return float(sum(row["value"] for row in status["state"]["probes"]))


class Yardstick:
    """The same small piece of work, now and then: `dearer` is its median cost in its least."""

    def __init__(self) -> None:
        self._costs_s: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)
        self._thread.start()

    def _measure(self) -> None:
        text = json.dumps([{"at": number, "values": [0.1] * 10} for number in range(50)])
        while not self._stop.wait(0.5):
            began = time.thread_time()
            for _ in range(20):
                json.loads(text)
            self._costs_s.append(time.thread_time() - began)

    def dearer(self) -> float:
        self._stop.set()
        self._thread.join()
        return statistics.median(self._costs_s) / min(self._costs_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, whole_path(Path(folder) / "lab") as whole:
        until(lambda: is_well(whole), within_s=120)
        parts = pids(whole.node)
        started = {part: cpu_s(pid) for part, pid in parts.items()}
        time.sleep(WARM_UP_S)
        before, probes, began = {part: cpu_s(pid) for part, pid in parts.items()}, asked(whole.node), time.monotonic()
        yardstick = Yardstick()
        time.sleep(seconds)
        took_s, after = time.monotonic() - began, {part: cpu_s(pid) for part, pid in parts.items()}
        rate, dearer = (asked(whole.node) - probes) / took_s, yardstick.dearer()
        assert is_well(whole), "the node was not well all the time"
        assert pids(whole.node) == parts, "a process was started anew"
        used = {part: (pss_mb(pid), (after[part] - before[part]) / took_s) for part, pid in parts.items()}
    load = " ".join(Path("/proc/loadavg").read_text().split()[:3])
    print(f"idle for {took_s:.0f} s, {rate:.1f} probes a second; load {load}, work {dearer:.2f} times as dear")
    print(f"\n{'':<12}{'PSS MB':>8}{'core':>9}{'quiet':>9}{'start':>9}")
    for part, (memory, share) in used.items():
        print(f"{part:<12}{memory:>8.1f}{share:>9.2%}{share / dearer:>9.2%}{started[part]:>7.2f} s")
    memory, share = (sum(column) for column in zip(*(used[part] for part in PARTS), strict=True))
    print(f"{'sum':<12}{memory:>8.1f}{share:>9.2%}{share / dearer:>9.2%}   of {MOST_MB:g} MB and {MOST_SHARE:.0%}")


if __name__ == "__main__":
    main()
