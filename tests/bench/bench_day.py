"""A clinic's day at several desks at once, through its pages, and what they cost beside a bare page of the same server.

    python -m tests.bench.bench_day [--visits 200] [--desks 3] [--seed 1]

Times are the server's own (`support/timed_his.py`): from the head of a request to the last byte of its answer. The bare
page is asked while the desks work, so that what else the machine does meets both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from edge_node.cli.output import table
from edge_node.simulation.tally import quantile, tally
from tests.support.days import Played, play

# The 95th percentile of all pages in that of the bare page.
GOAL = 8.0


def show(played: Played) -> None:
    rows = []
    for kind, seconds in sorted(played.pages.items(), key=lambda item: -len(item[1])):
        figures = (f"{quantile(seconds, q) * 1000:.1f}" for q in (0.5, 0.95))
        rows.append((kind, str(len(seconds)), *figures, f"{max(seconds) * 1000:.0f}"))
    for name, seconds in (("a bare page", played.bare), ("… with nobody else there", played.bare_before)):
        figures = (f"{quantile(seconds, q) * 1000:.1f}" for q in (0.5, 0.95))
        rows.append((name, str(len(seconds)), *figures, f"{max(seconds) * 1000:.0f}"))
    print(table(("PAGE", "COUNT", "P50 MS", "P95 MS", "MAX MS"), rows))
    counts = ", ".join(f"{what} {count}" for what, count in sorted(played.outcome.counts.items()))
    print(f"\n{counts}; {played.outcome.seconds:.0f} s, load {played.load:.1f}")
    print("ratio to the bare page: " + ", ".join(f"p{q * 100:.0f} {played.ratio(q):.2f}" for q in (0.5, 0.95, 0.99)))


def main() -> int:
    """Print the table; 1 when a page failed, a visit stuck, or the goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=200)
    parser.add_argument("--desks", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        played = play(Path(folder), visits=options.visits, desks=options.desks, seed=options.seed)
    show(played)
    for sentence in played.outcome.stuck:
        print(sentence, file=sys.stderr)
    errors = sum(row.errors for row in tally(played.outcome.exchanges) if row.kind)
    return int(bool(played.outcome.stuck) or bool(errors) or played.ratio(0.95) > GOAL)


if __name__ == "__main__":
    sys.exit(main())
