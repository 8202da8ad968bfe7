"""Fifty clients on connections that are kept, one write in five, without a pause: what a write waits beside one client.

    python -m tests.bench.bench_clients [--clients 50] [--requests 5000] [--rounds 3] [--long]

One and fifty take turns in one run. With --long the same node then answers 100,000 requests, and its memory is read
every ten thousandth.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from edge_node.cli.output import table
from edge_node.simulation.tally import quantile
from tests.support.cost import rss_mb
from tests.support.his_alone import his_alone
from tests.support.keepalive import Asked, Client, ask, seated

# Of the 99th percentile of a write; and what the HIS may take of a clinic's mini PC, at the end and while it goes on.
GOAL_RATIO, MOST_MB, GROWTH_MB = 5.0, 200.0, 8.0
LONG_REQUESTS, LOOKS = 100_000, 10
ONE_REQUESTS = 500


def main() -> int:
    """Print the tables; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        his_alone(Path(folder) / "clinic") as node,
        seated(node, options.clients) as clients,
    ):
        ask(clients[:2], requests=200)
        ones, many, rows = Asked(), Asked(), []
        for _ in range(options.rounds):
            alone = Asked()
            for client in clients[:2]:
                alone.exchanges += ask([client], requests=ONE_REQUESTS).exchanges
            began = time.monotonic()
            together = ask(clients, requests=options.requests)
            rate = len(together.exchanges) / (time.monotonic() - began)
            ones.exchanges += alone.exchanges
            many.exchanges += together.exchanges
            rows.append(_row(alone, together, rate))
        print(
            table(
                ("", "ONE P50 MS", "P99", f"{options.clients} P50 MS", "P99", "RATIO P99", "REQUESTS/S", "LOAD"), rows
            )
        )
        ratio = quantile(many.writes_s, 0.99) / quantile(ones.writes_s, 0.99)
        print(f"\none: {ones.said()}\n{options.clients}: {many.said()}")
        print(f"writes' p99: {ratio:.2f} times that of one client (goal: at most {GOAL_RATIO:g})")
        failed = len(ones.failed) + len(many.failed)
        missed = ratio > GOAL_RATIO
        if options.long:
            missed |= _long(node.pid, clients)
    print(f"{failed} failed")
    return int(missed or bool(failed))


def _row(alone: Asked, together: Asked, rate: float) -> tuple[str, ...]:
    figures = [quantile(asked.writes_s, q) * 1000 for asked in (alone, together) for q in (0.5, 0.99)]
    return (
        "writes", *(f"{figure:.1f}" for figure in figures), f"{figures[3] / figures[1]:.2f}", f"{rate:.0f}",
        f"{os.getloadavg()[0]:.1f}",
    )  # fmt: skip


def _long(pid: int, clients: list[Client]) -> bool:
    memory, errors = [rss_mb(pid)], 0
    for look in range(1, LOOKS + 1):
        errors += len(ask(clients, requests=LONG_REQUESTS // LOOKS).failed)
        memory.append(rss_mb(pid))
        print(
            f"after {look * LONG_REQUESTS // LOOKS} more requests: {memory[-1]:.0f} MB, load {os.getloadavg()[0]:.1f}"
        )
    # Its first requests fill caches; what grows afterwards grows for ever.
    grown = statistics.mean(memory[-3:]) - statistics.mean(memory[2:5])
    print(f"{errors} failed; {memory[-1]:.0f} MB at the end (at most {MOST_MB:g}), {grown:+.1f} MB in the later half")
    return bool(errors) or max(memory) > MOST_MB or grown > GROWTH_MB


if __name__ == "__main__":
    sys.exit(main())
