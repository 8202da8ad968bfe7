"""After two weeks, and after three days, without the store: what makes it current at 2 Mbit/s, and how soon.

The scale is that of `tests/support/fortnight.py`: an hour lasts 0.7 s, and the clinic is one of a hundredth. An hour's
file weighs beside a snapshot what it does at a clinic of 2 GB (1 to 370 there). Takes a quarter of an hour.

    python -m tests.bench.bench_two_weeks [DAYS ...]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from edge_node.base.units import spoken_size
from edge_node.cli.output import table
from edge_node.replication.ltx import LtxFile
from tests.support.fortnight import Found, Scale, go_through, least_cost
from tests.support.s3 import s3_server

DAYS, HOUR_S, PATIENTS, VISITS_A_DAY = (14.0, 3.0), 0.7, 20_000, 240


def main() -> None:
    for days in [float(text) for text in sys.argv[1:]] or DAYS:
        scale = Scale(days=days, hour_s=HOUR_S, patients=PATIENTS, visits_a_day=VISITS_A_DAY)
        with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder) / "store", "rclone") as server:
            _, found = go_through(Path(folder) / "home", server, scale)
        print(f"{days:g} days, an hour in {HOUR_S} s, load {os.getloadavg()[0]:.1f}")
        print(table(("WHAT", "FOUND"), rows(found)))


def rows(found: Found) -> list[tuple[str, str]]:
    """What a person wants to know of it."""
    hours = [file.size_bytes for file in found.here if file.level == 3 and file.min_txid > 1]
    snapshots = [file.size_bytes for file in found.here if file.is_snapshot]
    ratios = sorted(found.ratios())
    return [
        ("here, not there", _weight(found.lacked)),
        ("an hour's file (median), a snapshot", f"{spoken_size(int(median(hours)))}, {spoken_size(max(snapshots))}"),
        ("made it current", _weight(found.chain)),
        ("  of which snapshots", str(sum(file.is_snapshot for file in found.chain))),
        ("  cost, against the least", f"{found.chain_cost}, {least_cost(found.here, found.frontier)}"),
        (
            "  the least without snapshots",
            _least([file for file in found.here if not file.is_snapshot], found.frontier),
        ),
        ("current after", f"{found.current_s:.1f} s"),
        ("time told / time taken", f"{ratios[0]:.2f} to {ratios[-1]:.2f}, median {median(ratios):.2f}"),
        ("  first told after", f"{first_told_s(found):.1f} s"),
        ("history filled after", f"{found.filled_s:.1f} s"),
        ("shipped in all", f"{found.shipped} objects, {spoken_size(found.shipped_bytes)}"),
    ]


def first_told_s(found: Found) -> float:
    """When the status first told a time that came from the new line: it is not known in between."""
    unknown = [told.at_s for told in found.told if told.left_s is None]
    return min((told.at_s for told in found.told if told.left_s and told.at_s > min(unknown, default=0)), default=-1.0)


def _weight(files: tuple[LtxFile, ...]) -> str:
    return f"{len(files)} objects, {spoken_size(sum(file.size_bytes for file in files))}"


def _least(files: list[LtxFile], frontier: int) -> str:
    try:
        return str(least_cost(files, frontier))
    except IndexError:
        return "no way: what is kept does not reach down so far"


if __name__ == "__main__":
    main()
