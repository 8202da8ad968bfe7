"""Coming back: our restores from an encrypted folder and an encrypted bucket, beside bare Litestream in the same run.

One database of rows that do not compress. Each way runs so many times, taking turns, and the least of each is compared,
since whatever else the machine does only adds. The CPU is that of the whole command, Litestream as its child included:
the fairer measure where others use the machine. The memory is that of a process that does nothing but our restore, its
highest point, without Litestream's. The bucket is moto on loopback.

    python -m tests.bench.bench_restore [--size 100MiB | --large] [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyrage

from edge_node.base.process import clean_environment
from edge_node.base.units import parse_size, spoken_size
from edge_node.cli.output import table
from edge_node.replication.destination import Destination, object_key
from edge_node.replication.litestream import binary
from edge_node.replication.ltx import local_path, scan
from edge_node.replication.patience import patiently
from edge_node.replication.restore import restore
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer, read_identity
from edge_node.replication.shipping_plan import restore_chain
from edge_node.replication.source import find_source
from edge_node.store.connection import connect, create
from tests.support.s3 import BUCKET, KEY, S3Server, s3_server

PREFIX = "clinic-0042/e0001/his"
GOAL_FOLDER, GOAL_BUCKET, GOAL_RSS_BYTES = 1.5, 1.25, 100_000_000
LARGE = "1GiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="100MiB")
    parser.add_argument("--large", action="store_true", help=f"as --size {LARGE}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    # The child whose memory is measured: url, endpoint or "-", key or "-", identity, target.
    parser.add_argument("--restore", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.restore:
        _restore_alone(*options.restore)
        return
    size_bytes = parse_size(LARGE if options.large else options.size)
    with tempfile.TemporaryDirectory(prefix="bench-restore-", dir=options.folder) as folder:
        root = Path(folder)
        with s3_server(root / "server", "moto") as server:
            _bench(root, server, size_bytes, rounds=options.rounds)


def _bench(root: Path, server: S3Server, size_bytes: int, *, rounds: int) -> None:
    database, replica = root / "his.db", root / "replica"
    _fill(database, size_bytes)
    _replicate(database, replica)
    identity = pyrage.x25519.Identity.generate()
    (root / "identity").write_text(f"{identity}\n")
    sealed = Sealer([str(identity.to_public())])
    access = server.access()
    asyncio.run(_ship(Destination("cloud", f"file://{root}/cloud", sealed), replica))
    asyncio.run(_ship(Destination("sealed", f"s3://{BUCKET}/sealed", sealed, s3=access), replica))
    asyncio.run(_ship(Destination("plain", f"s3://{BUCKET}/plain", Sealer(()), s3=access), replica))
    bare_s3 = f"s3://{BUCKET}/plain/{PREFIX}?endpoint={server.endpoint}&force-path-style=true&region=us-east-1"
    identity_file, credential = str(root / "identity"), str(access.credential)
    ways: dict[str, Callable[[Path], int]] = {
        "litestream, local replica": lambda to: _bare(f"file://{replica}", to),
        "ours, encrypted folder": lambda to: _ours(f"file://{root}/cloud", "-", "-", identity_file, to),
        "litestream, plain bucket": lambda to: _bare(bare_s3, to),
        "ours, encrypted bucket": lambda to: _ours(
            f"s3://{BUCKET}/sealed", server.endpoint, credential, identity_file, to
        ),
    }
    spent: dict[str, list[Spent]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            spent[name].append(_measured(way, root / "back.db"))
    least = {name: (min(run.wall_s for run in runs), min(run.cpu_s for run in runs)) for name, runs in spent.items()}
    rss = {name: max(run.rss_bytes for run in runs) for name, runs in spent.items()}
    base = {"ours, encrypted folder": "litestream, local replica", "ours, encrypted bucket": "litestream, plain bucket"}
    goals = {"ours, encrypted folder": GOAL_FOLDER, "ours, encrypted bucket": GOAL_BUCKET}
    ratios = {name: [ours / bare for ours, bare in zip(least[name], least[base[name]], strict=True)] for name in goals}
    rows = []
    for name, (wall_s, cpu_s) in least.items():
        shown = [f"{ratio:.2f}" for ratio in ratios.get(name, ())] or ["-", "-"]
        memory = spoken_size(rss[name]) if rss[name] else "-"
        rows.append((name, f"{wall_s:.1f} s", shown[0], str(goals.get(name, "-")), f"{cpu_s:.1f} s", shown[1], memory))
    print(f"database {spoken_size(database.stat().st_size)}, the least of {rounds}, load {os.getloadavg()[0]:.1f}")
    print(table(("WAY", "TIME", "RATIO", "GOAL", "CPU", "RATIO", "OUR MEMORY"), rows))
    misses = [name for name in goals if ratios[name][0] > goals[name] or rss[name] > GOAL_RSS_BYTES]
    print("within the goals" if not misses else f"beyond the goals: {', '.join(misses)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one restore took; the memory is 0 where it is not ours."""

    wall_s: float
    cpu_s: float
    rss_bytes: int


def _measured(way: Callable[[Path], int], to: Path) -> Spent:
    os.sync()  # What the one before has left to be written is not this one's.
    began, before = time.monotonic(), _cpu_of_children_s()
    rss_bytes = way(to)
    wall_s, cpu_s = time.monotonic() - began, _cpu_of_children_s() - before
    to.unlink()
    return Spent(wall_s=wall_s, cpu_s=cpu_s, rss_bytes=rss_bytes)


def _cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _fill(database: Path, size_bytes: int) -> None:
    conn = create(database)
    conn.execute("CREATE TABLE visit (id INTEGER PRIMARY KEY, note BLOB) STRICT")
    conn.execute("INSERT INTO visit (note) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                 "SELECT randomblob(2000) FROM n", (size_bytes // 2048,))  # fmt: skip
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()


def _replicate(database: Path, replica: Path) -> None:
    """A snapshot, and some captures after it."""
    config = replica.with_name("litestream.yml")
    config.write_text(
        f'dbs: [{{"path": "{database}", "meta-path": "{replica}-meta", '
        f'"replica": {{"type": "file", "path": "{replica}"}}}}]\n'
    )
    argv = (binary(), "replicate", "-config", config, "-once")
    subprocess.run((*argv, "-force-snapshot"), check=True, capture_output=True, env=clean_environment(), timeout=600)
    conn = connect(database)
    for _ in range(10):
        conn.execute("INSERT INTO visit (note) VALUES (randomblob(2000))")
        subprocess.run(argv, check=True, capture_output=True, env=clean_environment(), timeout=600)
    conn.close()


async def _ship(destination: Destination, replica: Path) -> None:
    await destination.open(known=False)
    for file in restore_chain(scan(replica)):
        key, path = object_key(PREFIX, file, destination.sealer.suffix), local_path(replica, file)
        await patiently(partial(destination.send, key, path))  # This server needs minutes to put a gigabyte together.
    await destination.close()


def _bare(url: str, to: Path) -> int:
    keys = {"AWS_ACCESS_KEY_ID": KEY[0], "AWS_SECRET_ACCESS_KEY": KEY[1]}
    argv = (binary(), "restore", "-integrity-check", "full", "-o", to, url)
    subprocess.run(argv, check=True, capture_output=True, env=clean_environment(keys), timeout=900)
    return 0


def _ours(url: str, endpoint: str, key: str, identity: str, to: Path) -> int:
    argv = (sys.executable, "-m", "tests.bench.bench_restore", "--restore", url, endpoint, key, identity, str(to))
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=900)
    return int(done.stdout)


def _restore_alone(url: str, endpoint: str, key: str, identity: str, to: str) -> None:
    async def work() -> None:
        access = S3Access(endpoint=endpoint, region="us-east-1", credential=Path(key)) if endpoint != "-" else None
        destination = Destination("cloud", url, Sealer(()), s3=access)
        keys = read_identity(Path(identity))
        source = await find_source(destination, database="his", node_id="clinic-0042", identity=keys)
        await restore(source, Path(to))
        await source.close()

    asyncio.run(work())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()
