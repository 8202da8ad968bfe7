"""The writing thread against one BEGIN IMMEDIATE transaction per write: durable writes per second, worst latency.

Both ways write the same rows of 200 bytes into databases on the same disk, taking turns within one run, so that what
else the machine does meets both. A write counts when its COMMIT has returned; its latency is what its caller waited.

    python -m tests.bench.bench_writer [--seconds 1] [--rounds 10] [--writers 1 8 32] [--folder DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from edge_node.base.instruments import Histogram
from edge_node.cli.output import table
from edge_node.store.connection import Connection, OperationalError, connect, create, transaction
from edge_node.store.writer import Writer

BASE = "transaction each"
GOAL_RATIO = {1: 0.85, 32: 3.0}
GOAL_WORST_MS = 100.0
ROW = "x" * 200


@dataclass(kw_only=True)
class Run:
    """What all turns of one way with so many writers added up to."""

    latencies_s: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    refused: int = 0
    least: int = sys.maxsize
    most: int = 0

    def quantile_ms(self, q: float) -> float:
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def insert(conn: Connection) -> None:
    conn.execute("INSERT INTO entry (body) VALUES (?)", (ROW,))


@contextlib.contextmanager
def direct(path: Path) -> Iterator[Callable[[], Callable[[], None]]]:
    """Each writer has its own connection and its own transactions."""
    opened: list[Connection] = []

    def writer() -> Callable[[], None]:
        conn = connect(path)
        opened.append(conn)

        def write() -> None:
            with transaction(conn):
                insert(conn)

        return write

    yield writer
    for conn in opened:
        conn.close()


@contextlib.contextmanager
def by_thread(path: Path) -> Iterator[Callable[[], Callable[[], None]]]:
    """All writers hand their work to the writing thread."""
    serving = Writer(
        path,
        commit_seconds=Histogram([0.001, 0.01, 0.1]),
        batch_size=Histogram([1, 4, 16, 64]),
        wal_limit_bytes=1 << 40,
        litestream_alive=lambda: True,
    )
    serving.start()
    with contextlib.closing(serving):
        yield lambda: lambda: serving.submit(insert)


WAYS: Mapping[str, Callable[[Path], contextlib.AbstractContextManager[Callable[[], Callable[[], None]]]]] = {
    BASE: direct,
    "writing thread": by_thread,
}


def turn(run: Run, path: Path, writers: list[Callable[[], None]], *, seconds: float) -> None:
    """Let all writers write for so long, and add what they did to the run."""
    latencies: list[list[float]] = [[] for _ in writers]
    refused = [0] * len(writers)
    begin = threading.Barrier(len(writers) + 1)
    ends = [0.0]

    def loop(n: int) -> None:
        write, mine, clock = writers[n], latencies[n], time.perf_counter
        begin.wait()
        while (asked := clock()) < ends[0]:
            try:
                write()
                mine.append(clock() - asked)
            except OperationalError:  # ten seconds of waiting were not enough
                refused[n] += 1

    threads = [threading.Thread(target=loop, args=(n,)) for n in range(len(writers))]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    ends[0] = began + seconds
    begin.wait()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    counts = [len(mine) for mine in latencies]
    run.latencies_s += [latency for mine in latencies for latency in mine]
    run.rates.append(sum(counts) / took)
    run.refused += sum(refused)
    run.least, run.most = min(run.least, *counts), max(run.most, *counts)
    with contextlib.closing(connect(path)) as conn:
        (held,) = conn.execute("SELECT count(*) FROM entry").fetchone()
        assert held == len(run.latencies_s), f"{len(run.latencies_s)} writes were answered, {held} are there"
        # The next turn finds a WAL that is there to be written over, as on a node whose Litestream makes checkpoints.
        conn.execute("PRAGMA wal_checkpoint(PASSIVE)")


def measure(folder: Path, *, writers: Sequence[int], rounds: int, seconds: float) -> dict[tuple[str, int], Run]:
    runs: dict[tuple[str, int], Run] = {}
    with contextlib.ExitStack() as stack:
        turns = []
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        for count in writers:
            for name, way in WAYS.items():
                path = scratch / f"{name}-{count}.db".replace(" ", "-")
                with contextlib.closing(create(path)) as conn:
                    conn.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
                make = stack.enter_context(way(path))
                run = runs[name, count] = Run()
                turns.append((run, path, [make() for _ in range(count)]))
        for number in range(rounds):
            # The order changes from round to round: who comes second finds another disk than who comes first.
            for run, path, all_writers in turns if number % 2 == 0 else turns[::-1]:
                turn(run, path, all_writers, seconds=seconds)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one turn")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--writers", type=int, nargs="+", default=(1, 8, 32))
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="on the disk to be measured; not a tmpfs")
    options = parser.parse_args()
    runs = measure(options.folder, writers=options.writers, rounds=options.rounds, seconds=options.seconds)
    rows, goals = [], []
    for (name, count), run in runs.items():
        # Round by round, then the median: a neighbour that keeps the disk busy for a while spoils single rounds.
        ratio = median(a / b for a, b in zip(run.rates, runs[BASE, count].rates, strict=True))
        rows.append([
            str(count), name, f"{median(run.rates):.0f}", f"{ratio:.2f}", f"{run.quantile_ms(0.5):.1f}",
            f"{run.quantile_ms(0.99):.1f}", f"{run.quantile_ms(1):.1f}", f"{run.least} to {run.most}", str(run.refused),
        ])  # fmt: skip
        if name != BASE:
            worst = run.quantile_ms(1)
            least = GOAL_RATIO.get(count, 1.0)
            goals.append((f"{count} writers, ratio at least {least:g}", f"{ratio:.2f}", ratio >= least))
            goals.append(
                (f"{count} writers, worst at most {GOAL_WORST_MS:g} ms", f"{worst:.1f}", worst <= GOAL_WORST_MS)
            )
    print(f"{options.rounds} rounds of {options.seconds:g} s each, taking turns; medians of the rounds, worst of all")
    head = ("WRITERS", "WAY", "WRITES/S", "RATIO", "P50 MS", "P99 MS", "WORST MS", "PER WRITER AND TURN", "REFUSED")
    print(table(head, rows), end="\n\n")
    print(table(("GOAL", "MEASURED", ""), [[goal, value, "reached" if ok else "MISSED"] for goal, value, ok in goals]))


if __name__ == "__main__":
    main()
