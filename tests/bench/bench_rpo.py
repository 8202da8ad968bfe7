"""How old is the newest change that a place lacks: the local replica, a bucket beside it, a bucket 40 ms away.

`python -m tests.bench.bench_rpo [SECONDS]`. A writer of the project, the real replicator and Litestream, captures every
second as at a clinic. Each commit is timed from its answer to the moment when the object that holds it is at the place;
and what the status file said is compared with what was true when it was written.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from time import sleep

from tests.support.replicated import replicating
from tests.support.rpo import LOCAL, Spread, arrived_s, at_work, errors_s, made_for_buckets
from tests.support.s3 import s3_server
from tests.support.slow_link import slow_link

RATES_PER_S = (5, 20)
LOAD_S, ROUND_TRIP_S = 60.0, 0.04
GOALS_S = {LOCAL: 1.2, "near": 1.5, "far": 1.5 + ROUND_TRIP_S}


def measure(folder: Path, rate_per_s: float, load_s: float) -> None:
    """One line per place."""
    with ExitStack() as stack:
        server = stack.enter_context(s3_server(folder / "server", "rclone"))
        far = stack.enter_context(slow_link(server.port, ROUND_TRIP_S))
        clinic = made_for_buckets(folder / "home", {"near": server.endpoint, "far": f"http://127.0.0.1:{far}"})
        stack.enter_context(replicating(clinic))
        sleep(5)  # The first copies are under way.
        with at_work(clinic, rate_per_s=rate_per_s) as ledger:
            sleep(load_s)
        sleep(3)  # What was committed last arrives.
        for name, goal_s in GOALS_S.items():
            arrived = arrived_s(clinic, ledger, name, server.bucket)
            spread = Spread.of(ledger.committed_s, arrived)
            wrong = errors_s(ledger, arrived, name, ledger.said)
            print(
                f"{rate_per_s:>4} {name:<6}{len(ledger.committed_s):>8}{spread.count:>9}{spread.p50_s:>7.2f}"
                f"{spread.p99_s:>7.2f}{spread.worst_s:>7.2f}{goal_s:>7.2f}{len(wrong):>7}{min(wrong):>9.2f}"
                f"{max(wrong):>9.2f}"
            )


def main() -> None:
    load_s = float(sys.argv[1]) if len(sys.argv) > 1 else LOAD_S
    print(f"seconds from a commit's answer to its object at the place; load {os.getloadavg()[0]:.1f}")
    print(f"{'/s':>4} {'place':<6}{'commits':>8}{'arrived':>9}{'p50':>7}{'p99':>7}{'max':>7}{'goal':>7}", end="")
    print(f"{'looks':>7}{'too low':>9}{'too high':>9}")
    for rate_per_s in RATES_PER_S:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), rate_per_s, load_s)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
