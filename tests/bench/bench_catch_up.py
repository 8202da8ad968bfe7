"""After an outage at 40 ms round trip: our shipper, and Litestream straight to the same store, in the same run.

`python -m tests.bench.bench_catch_up [OBJECTS]`. Everything at ten times a clinic's pace: captures every 100 ms, levels
of 3 s, 30 s and 6 min. Two databases take the same writes: one is captured to a local replica and shipped, the other is
Litestream's own affair. The store is away meanwhile; then it returns.

Litestream's first snapshot is in the store before that goes away: while it tries to send one it captures nothing, and
would then have one large object to send instead of many. It is watched until it has sent them all, or for WATCHED_S. Of
both the busiest WINDOW_S count.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from edge_node.base.process import clean_environment
from edge_node.replication.litestream import binary
from edge_node.replication.ltx import scan
from edge_node.replication.shipping_plan import cheapest_chain
from edge_node.store.connection import connect, create
from tests.support.replicated import make_replicated, replicating, write_row
from tests.support.s3 import BUCKET, KEY, S3Server, s3_server, write_key
from tests.support.slow_link import slow_link
from tests.support.waiting import until

OBJECTS, ROUND_TRIP_S, EVERY_S = 2000, 0.040, 0.1
LEVELS_S = (3.0, 30.0, 360.0)
WATCHED_S, WINDOW_S = 150.0, 3.0

LITESTREAM = """
dbs:
  - path: {path}
    monitor-interval: 100ms
    replica:
      type: s3
      bucket: {bucket}
      path: bare
      endpoint: http://127.0.0.1:{port}
      region: us-east-1
      force-path-style: true
      access-key-id: {key}
      secret-access-key: {secret}
      sync-interval: 100ms
"""


def arrivals(server: S3Server, below: str, is_over: Callable[[], bool]) -> list[float]:
    """The moments at which objects appeared, until it is over."""
    seen: set[Path] = set(server.bucket.glob(below))
    found: list[float] = []
    while not is_over():
        now = set(server.bucket.glob(below))
        found += [time.monotonic()] * len(now - seen)
        seen |= now
        time.sleep(0.02)
    return found


def newest(server: S3Server) -> int:
    """The highest TXID in the bucket."""
    names = (path.name for path in server.bucket.glob("edge/*/e0001/his/*/*.ltx.age"))
    return max((int(name[17:33], 16) for name in names), default=0)


def newest_bare(server: S3Server) -> int:
    """The same of what Litestream sends by itself."""
    return max((int(path.stem[17:], 16) for path in server.bucket.glob("bare/0000/*.ltx")), default=0)


def rate(moments: list[float]) -> float:
    """Objects a second in the busiest WINDOW_S: what came to an end is not slow."""
    return (
        max((bisect_right(moments, at + WINDOW_S) - number for number, at in enumerate(moments)), default=0) / WINDOW_S
    )


def main() -> None:
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with s3_server(folder / "store", "rclone") as server, slow_link(server.port, ROUND_TRIP_S) as port:
            run(folder, server, port, objects)


def run(folder: Path, server: S3Server, port: int, objects: int) -> None:
    node = make_replicated(
        folder / "home",
        f'[[replica.destination]]\nname = "cloud"\nurl = "s3://{BUCKET}/edge"\n'
        f'endpoint = "http://127.0.0.1:{port}"\ncredential = "cloud-key"\n',
    )
    write_key(node.home / "credentials/cloud-key")
    bare = folder / "bare.db"
    create(bare).execute("CREATE TABLE visit (id INTEGER PRIMARY KEY, at INTEGER, note BLOB) STRICT")
    settings = folder / "litestream.yml"
    settings.write_text(LITESTREAM.format(path=bare, bucket=BUCKET, port=port, key=KEY[0], secret=KEY[1]))
    with (folder / "bare.log").open("wb") as log, replicating(node, levels_s=LEVELS_S):
        litestream = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", str(binary()), "replicate", "-config", str(settings)),
            stdout=log,
            stderr=log,
            env=clean_environment({"HOME": str(folder)}),
        )
        try:
            measure(node, bare, server, objects)
        finally:
            litestream.kill()
            litestream.wait()


def measure(node, bare: Path, server: S3Server, objects: int) -> None:  # type: ignore[no-untyped-def]
    databases, chance = (connect(node.his), connect(bare)), random.Random(4)
    for conn in databases:
        write_row(conn, chance)
    until(lambda: list(server.bucket.glob("bare/0009/*.ltx")), within_s=60)
    node.wait_until_shipped()
    server.stop()
    for _ in range(objects):  # one capture each, at the pace at which they are captured
        for conn in databases:
            write_row(conn, chance, size_bytes=300)
        time.sleep(EVERY_S)
    head = node.local_head()
    chain = cheapest_chain(scan(node.home / "replica/e0001/his"), int(node.destination()["confirmed_txid"]))
    waiting = [path.stem for path in (bare.parent / f".{bare.name}-litestream/ltx/0").glob("*.ltx")]
    bare_head = max(int(name[17:], 16) for name in waiting)
    left = sum(int(name[17:], 16) > newest_bare(server) for name in waiting)
    print(f"{objects} commits without the store: ours ends at TXID {head}, Litestream's at {bare_head}, {left} wait")

    healed = time.monotonic()
    over = threading.Event()
    found: dict[str, list[float]] = {}

    def watch(name: str, below: str) -> None:
        found[name] = arrivals(server, below, over.is_set)

    watching = [
        threading.Thread(target=watch, args=args)
        for args in (("ours", "edge/*/e0001/his/*/*.ltx.age"), ("litestream", "bare/**/*.ltx"))
    ]
    for thread in watching:
        thread.start()
    server.start()
    until(lambda: newest(server) >= head, within_s=60)
    current_s = time.monotonic() - healed
    until(lambda: newest_bare(server) >= bare_head or time.monotonic() > healed + WATCHED_S, within_s=2 * WATCHED_S)
    over.set()
    for thread in watching:
        thread.join()
    print("| what | ours | Litestream to S3 | goal |\n|---|---|---|---|")
    print(f"| current after the heal | {current_s:.2f} s | | ≤ 3 s |")
    print(f"| objects of the chain that leads there | {len(chain)} | | ≤ 30 |")
    print(f"| first object after the heal | {found['ours'][0] - healed:.2f} s | "
          f"{found['litestream'][0] - healed if found['litestream'] else float('nan'):.2f} s | |")  # fmt: skip
    ours, theirs = (rate(found[name]) for name in ("ours", "litestream"))
    ratio = ours / theirs if theirs else float("nan")
    print(f"| objects a second in the busiest 3 s | {ours:.0f} | {theirs:.1f} | ratio {ratio:.1f}, ≥ 10 |")
    ends = {name: f"{moments[-1] - healed:.1f} s" if moments else "-" for name, moments in found.items()}
    print(f"| the last object after the heal | {ends['ours']} | {ends['litestream']} | |")
    print(f"| objects | {len(found['ours'])} | {len(found['litestream'])} | |")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
