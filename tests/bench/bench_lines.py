"""What the watcher of the lines costs, and how fast it is beside FRR's bfdd: as root, in laboratories of its own.

    python -m tests.bench.bench_lines [--seconds 60] [--runs 20] [--only cost|detection]

*Cost*: `edge-node run links` with four lines and eight targets at 5 and at 10 questions a second, its share of one core
and its memory (PSS); beside it, at the same time, sockets that are only asked and read (`bare_probes`), so that what
the machine and the language cost can be told from what we add. *Detection*: black holes on the line in use; bfdd at
100 ms x 3 meets the same ones where it is installed (Debian package frr). Figures count from the first lost packet of a
1 kHz stream.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import bfd
from tests.lab.blackholes import DEFAULT, FAST, BlackHole, black_holes, share_of
from tests.lab.four_lines import FourLines, configure, four_lines
from tests.lab.topology import ROOT, TELECOM, laboratory, missing
from tests.lab.watched import watched
from tests.support.waiting import until

TICKS = os.sysconf("SC_CLK_TCK")
# (interval, the bar for the share of a core)
RATES = ((0.2, 0.03), (0.1, 0.05))
MOST_MB = 60.0
# Windows of half a minute are full, and modules that are loaded late are loaded.
WARM_UP_S = 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    core_share: float
    pss_mb: float


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss_mb(pid: int) -> float:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("Pss:")).split()[1]) / 1024


def costs(net: FourLines, folder: Path, interval_s: float, seconds: float) -> tuple[Cost, Cost]:
    """The watcher's, and the bare loop's beside it."""
    home = folder / f"at-{interval_s:g}"
    configure(home, interval_s=interval_s)
    with home.with_suffix(".log").open("wb") as log:
        watcher = net.clinic.popen(
            sys.executable, "-m", "edge_node", "run", "links", "--home", str(home), stderr=log, stdout=log, cwd=ROOT
        )
    try:
        until(lambda: all_up(home), within_s=30)
        bare = net.clinic.popen(
            sys.executable, "-m", "tests.bench.bare_probes", str(interval_s), stdout=subprocess.PIPE, cwd=ROOT
        )
        assert bare.stdout is not None and bare.stdout.readline() == b"ready\n"
        time.sleep(WARM_UP_S)
        before, began = (cpu_s(watcher.pid), cpu_s(bare.pid)), time.monotonic()
        time.sleep(seconds)
        took_s, after = time.monotonic() - began, (cpu_s(watcher.pid), cpu_s(bare.pid))
        assert all_up(home), "a line was not up all the time"
        ours, theirs = (
            Cost(core_share=(then - now) / took_s, pss_mb=pss_mb(one.pid))
            for one, now, then in zip((watcher, bare), before, after, strict=True)
        )
        return ours, theirs
    finally:
        for process in net.clinic.started:
            process.kill()
            process.wait()


def all_up(home: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        lines = json.loads((home / "run/links/status.json").read_bytes())["state"]["lines"]
        return len(lines) == 4 and all(line["verdict"] == "up" for line in lines)
    return False


def cost(seconds: float) -> bool:
    """Print the table; true when every bar is kept."""
    rows, kept = [], True
    with tempfile.TemporaryDirectory(prefix="bench-lines-") as folder:
        for interval_s, bar in RATES:
            with four_lines() as net:
                ours, bare = costs(net, Path(folder), interval_s, seconds)
            kept &= ours.core_share <= bar and ours.pss_mb <= MOST_MB
            rows.append(
                (
                    f"4 lines x 2 targets at {1 / interval_s:.0f} Hz, {seconds:.0f} s",
                    f"≤ {bar:.0%} of a core, ≤ {MOST_MB:.0f} MB",
                    f"{ours.core_share:.2%}, {ours.pss_mb:.0f} MB",
                    f"asking and reading alone: {bare.core_share:.2%}, {bare.pss_mb:.0f} MB; "
                    f"ratio {ours.core_share / bare.core_share:.2f}",
                )
            )
    print_table(("what", "bar", "measured", "beside"), rows)
    return kept


def seen(detect: dict[str, object], runs: int) -> list[BlackHole]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-lines-"))
        lab = stack.enter_context(laboratory())
        beside = stack.enter_context(bfd.bfd_session(lab, TELECOM)) if bfd.is_installed() else None
        watcher = stack.enter_context(watched(lab, Path(folder) / "node", detect=detect))
        return list(black_holes(lab, watcher, runs, bfd=beside))


def detection(runs: int) -> bool:
    """Print the table; true when every bar is kept."""
    fast, default = seen(FAST, runs), seen(DEFAULT, runs)
    verdicts = [hole.verdict_s for hole in fast]
    theirs = [hole.bfd_s for hole in fast if hole.bfd_s is not None]
    beside = f"bfdd {quantiles(theirs)}" if theirs else "bfdd is not installed (Debian: frr)"
    ratio = f", ratio of p50 {share_of(verdicts, 0.5) / share_of(theirs, 0.5):.2f}" if theirs else ""
    routes, outages = [hole.route_s for hole in (*fast, *default)], [hole.outage_s for hole in fast]
    slow = [hole.verdict_s for hole in default]
    print_table(
        ("what", "bar", "measured, p50 / p95 / max ms", "beside, in the same run"),
        [
            (f"black hole to verdict, 100 ms x 3, {runs} runs", "p50 ≤ 1.15 x bfdd, p95 ≤ 400 ms",
             quantiles(verdicts), f"{beside}{ratio}"),
            (f"black hole to verdict, 200 ms x 5, {runs} runs", "p95 ≤ 1,200 ms", quantiles(slow), ""),
            ("verdict to route in the kernel", "p95 ≤ 50 ms", quantiles(routes), ""),
            ("1 kHz stream without answer, 100 ms x 3", "p95 ≤ 450 ms", quantiles(outages), ""),
        ],
    )  # fmt: skip
    kept = share_of(verdicts, 0.95) <= 0.4 and share_of(slow, 0.95) <= 1.2
    kept &= share_of(routes, 0.95) <= 0.05 and share_of(outages, 0.95) <= 0.45
    return kept and (not theirs or share_of(verdicts, 0.5) <= 1.15 * share_of(theirs, 0.5))


def quantiles(values: Sequence[float]) -> str:
    return " / ".join(f"{value * 1000:.0f}" for value in (share_of(values, 0.5), share_of(values, 0.95), max(values)))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(f"\nload of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of measured cost, at each rate")
    parser.add_argument("--runs", type=int, default=20, help="black holes of each profile")
    parser.add_argument("--only", choices=("cost", "detection"))
    asked = parser.parse_args()
    if sentence := missing():
        print(f"not measured: {sentence}")
        return 0
    kept = asked.only == "detection" or cost(asked.seconds)
    kept &= asked.only == "cost" or detection(asked.runs)
    print("every bar is kept" if kept else "a bar is missed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
