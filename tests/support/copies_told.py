"""Three copies as the replicator tells of them, and their history: one current, one behind, one not to be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyrage

from edge_node.base.clock import utc_text
from edge_node.journal.behind import STEP_MS, record_behind
from edge_node.journal.drills import DrillCheck, PastDrill, record_drills
from edge_node.store.connection import Connection

HOUR_MS, DAY_MS = 3_600_000, 86_400_000

CONFIG = f"""
[node]
id = "clinic-0042"
[replica]
encrypt_to = ["{pyrage.x25519.Identity.generate().to_public()}"]
[[replica.destination]]
name = "cloud"
url = "s3://clinic-copies/0042"
endpoint = "https://s3.example.com"
credential = "cloud-key"
[[replica.destination]]
name = "nas"
url = "file:///mnt/nas/0042"
expire = true
"""


def copies_state(now_ms: int, **changes: Any) -> dict[str, Any]:
    """The replicator's state: the cloud is current, the NAS away for 47 minutes."""

    def ago(ms: int) -> str:
        return utc_text(now_ms - ms)

    def drill(ms: int, *, ok: bool = True, rto_s: float | None = 41.2) -> dict[str, Any]:
        return {"at": ago(ms), "ok": ok, "rto_s": rto_s, "outcome": "ok" if ok else "failed"}

    away = {"code": "destination-unreachable", "args": {"destination": "nas", "why": "the folder is not there"}}
    local = {"name": "local", "state": "current", "confirmed_txid": 48_211, "confirmed_at": ago(0), "rpo_s": 0.0}
    cloud = {"name": "cloud", "state": "current", "reason": None, "confirmed_txid": 48_210, "confirmed_at": ago(1000),
             "rpo_s": 1.8, "behind_txids": 1, "behind_bytes": 4120, "catch_up_s": 0.4,
             "last_drill": drill(5 * DAY_MS), "last_drill_ok": {"at": ago(5 * DAY_MS), "rto_s": 41.2},
             "last_verify": {"at": ago(7 * HOUR_MS), "ok": True, "findings": 0},
             "conditional_puts": True, "kit": 3, "claimed_at": ago(60 * DAY_MS)}  # fmt: skip
    nas = {"name": "nas", "state": "unreachable", "reason": away, "confirmed_txid": 47_823,
           "confirmed_at": ago(47 * 60_000), "rpo_s": 2820.0, "behind_txids": 388, "behind_bytes": 1_900_000,
           "catch_up_s": 3.0, "last_drill": drill(10 * DAY_MS, rto_s=12.0),
           "last_drill_ok": {"at": ago(10 * DAY_MS), "rto_s": 12.0},
           "last_verify": {"at": ago(31 * HOUR_MS), "ok": False, "findings": 2},
           "conditional_puts": False, "kit": 3, "claimed_at": ago(60 * DAY_MS)}  # fmt: skip
    problems = [{"code": "conditional-puts-missing", "args": {"destination": "nas", "why": "two could own it"}}]
    return {
        "epoch": 1, "superseded_by": None, "superseded": None, "litestream": "running", "txid": 48_211,
        "captured_at": ago(0), "destinations": [local, cloud, nas], "problems": problems,
        "points": {
            "local": {"at": ago(60_000), "stretches": stretches(now_ms, 7), "size_bytes": 6_500_000_000},
            "cloud": {"at": ago(7 * HOUR_MS), "stretches": stretches(now_ms - 7 * HOUR_MS, 30)},
        },
        **changes,
    }  # fmt: skip


def stretches(until_ms: int, days: int) -> list[dict[str, Any]]:
    """What Litestream's levels leave of so many days, and a snapshot of each day."""

    def one(level: int, from_ms: int, *, to_ms: int = until_ms, files: int, size: int, txid: int) -> dict[str, Any]:
        return {"level": level, "granularity_s": None, "min_txid": txid if level < 9 else 1, "max_txid": txid + files,
                "from": utc_text(from_ms), "to": utc_text(to_ms), "files": files, "size_bytes": size}  # fmt: skip

    return [
        one(0, until_ms - DAY_MS, files=12_400, size=376_000_000, txid=35_000),
        one(1, until_ms - 2 * DAY_MS, files=2_760, size=214_000_000, txid=30_000),
        one(2, until_ms - min(days, 6) * DAY_MS, files=1_728, size=1_300_000_000, txid=20_000),
        one(3, until_ms - days * DAY_MS, files=24 * days, size=4_200_000_000, txid=1),
        *(one(9, until_ms - n * DAY_MS, to_ms=until_ms - n * DAY_MS, files=1, size=180_000_000, txid=48_000 - 1000 * n)
          for n in range(days)),
    ]  # fmt: skip


def fill_copies(conn: Connection, now_ms: int) -> None:
    """Drills of five weeks, one of them failed, and a day of RPO in which the cloud was away once."""
    record_drills(
        conn,
        [
            *(a_drill("cloud", now_ms - (5 + 7 * n) * DAY_MS, rto_s=41.2 + n) for n in (0, 2, 3, 4)),
            a_drill("cloud", now_ms - 12 * DAY_MS, why="403: the key is not known: cloud-key"),
            *(a_drill("nas", now_ms - (10 + 7 * n) * DAY_MS, rto_s=12.0 + n) for n in range(3)),
        ],
    )
    first = now_ms // STEP_MS * STEP_MS - DAY_MS
    for step in range(288):
        at_ms = first + step * STEP_MS
        away_s = (step - 59) * 300.0 if 60 <= step < 66 else 0.0
        nas_s = max(0.0, (now_ms - 47 * 60_000 - at_ms) / -1000)
        worst: Mapping[str, float] = {"local": 0.4, "cloud": 1.5 + away_s, "nas": 1.0 + nas_s}
        record_behind(conn, at_ms, {} if 100 <= step < 106 else worst, now_ms=now_ms)


def a_drill(name: str, at_ms: int, *, rto_s: float | None = None, why: str = "") -> PastDrill:
    checks = [DrillCheck(name=f"check-{n}", outcome="ok", text="well") for n in range(11)]
    checks.append(DrillCheck(name="restore", outcome="failed" if why else "ok", text=why))
    return PastDrill(
        destination=name, at_ms=at_ms, outcome="failed" if why else "ok", rto_s=rto_s, txid=7,
        newest_at_ms=at_ms - 3_000, size_bytes=None, checks=tuple(checks),
    )  # fmt: skip
