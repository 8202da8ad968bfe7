"""The running node: how old the newest change is at the destination, and what each service costs when nothing happens.

`python -m tests.bench.bench_node`. RPO is measured from outside: every 100 ms the destination's folder is read, and
the newest commit that it holds (from the shipped files' place in the chain) is compared with the ledger of commits.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

from tests.support.desk import Desk, phone_number
from tests.support.node import RunningNode, processes_of, running_node
from tests.support.waiting import until

WRITES_PER_S, LOAD_S, IDLE_S, EVERY_S = 5, 60, 60, 0.1
PARTS = {"his": "run his", "replica": "run replica", "monitor": "run monitor", "litestream": "litestream replicate"}
TICKS = os.sysconf("SC_CLK_TCK")


def newest_shipped(home: Path) -> int:
    """The highest TXID whose file lies at the destination."""
    names = (path.name for path in (home / "cloud").glob("*/e0001/his/*/*.ltx.age"))
    return max((int(name[17:33], 16) for name in names), default=0)


def captured_times(home: Path) -> dict[int, float]:
    """TXID to the commit time in its header, of every single capture that is still in the local replica."""
    from edge_node.replication.ltx import parse_name, read_header

    found = {}
    for path in (home / "replica/e0001/his/ltx/0").glob("*.ltx"):
        if (txids := parse_name(path.name)) is not None:
            found[txids[1]] = read_header(path).timestamp_ms / 1000
    return found


def measure_rpo(node: RunningNode) -> list[float]:
    """Seconds between a commit and the moment its file was at the destination, for every capture of a minute's load."""
    desk = Desk(node.url)
    desk.sign_in("zhoumin", node.passwords()["zhoumin"])
    seen: dict[int, float] = {}
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.setdefault(newest_shipped(node.home), time.time())
            stop.wait(EVERY_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    committed: list[float] = []
    began = time.monotonic()
    for number in range(WRITES_PER_S * LOAD_S):
        time.sleep(max(0.0, began + number / WRITES_PER_S - time.monotonic()))
        assert desk.register(f"压测{number}", phone_number(number)).status == 302
        committed.append(time.time())
    until(lambda: node.status()["replica"]["destinations"][1]["state"] == "current", within_s=30)
    time.sleep(2)
    stop.set()
    watcher.join()
    times = captured_times(node.home)
    arrivals = sorted((times[txid], at) for txid, at in seen.items() if txid in times)
    lags = []
    for commit in committed:
        arrived = next((at for captured, at in arrivals if captured >= commit - 0.01), None)
        if arrived is not None:
            lags.append(arrived - commit)
    return lags


def pss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure_idle(home: Path) -> dict[str, tuple[float, float]]:
    """PSS in MB and CPU in percent of a core, by part, over a minute without a request."""
    running = processes_of(home)
    pids = {part: next(pid for pid, argv in running.items() if sign in argv) for part, sign in PARTS.items()}
    before = {part: cpu_s(pid) for part, pid in pids.items()}
    time.sleep(IDLE_S)
    return {part: (pss_mb(pid), (cpu_s(pid) - before[part]) / IDLE_S * 100) for part, pid in pids.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running_node(Path(folder) / "node") as node:
        idle = measure_idle(node.home)
        print(f"{'idle':<12}{'PSS MB':>8}{'CPU %':>8}")
        for part, (memory, cpu) in idle.items():
            print(f"{part:<12}{memory:>8.1f}{cpu:>8.2f}")
        print(f"{'sum':<12}{sum(m for m, _ in idle.values()):>8.1f}{sum(c for _, c in idle.values()):>8.2f}")
        lags = sorted(measure_rpo(node))
        print(f"\n{WRITES_PER_S} writes a second, {len(lags)} commits, from the answer to the file at the destination:")
        for name, value in (
            ("p50", statistics.median(lags)),
            ("p90", lags[int(len(lags) * 0.9)]),
            ("p99", lags[int(len(lags) * 0.99)]),
            ("max", lags[-1]),
        ):
            print(f"  {name}  {value:5.2f} s")


if __name__ == "__main__":
    main()
