"""The running node: how old the newest change is at the destination, and what each service costs when nothing happens.

`python -m tests.bench.bench_node`. RPO is measured from outside, by when the files at the destination came to be there.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from tests.support.desk import Desk, phone_number
from tests.support.node import RunningNode, processes_of, running_node
from tests.support.rpo import Spread, arrivals_s
from tests.support.waiting import until

WRITES_PER_S, LOAD_S, IDLE_S = 5, 60, 60
PARTS = {"his": "run his", "replica": "run replica", "monitor": "run monitor", "litestream": "litestream replicate"}
TICKS = os.sysconf("SC_CLK_TCK")


def measure_rpo(node: RunningNode) -> Spread:
    """Seconds between an answer of the HIS and the moment its file was at the destination, over a minute's load."""
    desk = Desk(node.url)
    desk.sign_in("zhoumin", node.passwords()["zhoumin"])
    committed: list[float] = []
    began = time.monotonic()
    for number in range(WRITES_PER_S * LOAD_S):
        time.sleep(max(0.0, began + number / WRITES_PER_S - time.monotonic()))
        assert desk.register(f"压测{number}", phone_number(number)).status == 302
        committed.append(time.time())
    until(lambda: node.status()["replica"]["destinations"][1]["state"] == "current", within_s=30)
    time.sleep(2)
    [shipped] = (node.home / "cloud").glob("*/e0001/his")
    return Spread.of(committed, arrivals_s(node.home / "replica/e0001/his/ltx", shipped, committed))


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
        spread = measure_rpo(node)
        print(
            f"\n{WRITES_PER_S} writes a second, {spread.count} commits, from the answer to the file at the destination:"
        )
        for name, value in (("p50", spread.p50_s), ("p99", spread.p99_s), ("max", spread.worst_s)):
            print(f"  {name}  {value:5.2f} s")


if __name__ == "__main__":
    main()
