"""What upgrades have left in writing, and what of it a person is to know; draws in next to nothing.

`upgrades.jsonl` has a line for every step. The link `fallback` is there while an upgrade is under way, and names the
release that a start of the machine leads to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_node.base.clock import parse_utc
from edge_node.base.files import append_line
from edge_node.release.plan import Outcome
from edge_node.status.model import Reason

ROOT = Path("/opt/edge-node")
HISTORY, FALLBACK = "upgrades.jsonl", "fallback"
SETTLED = "settled"
# For so long `status` tells what came of an upgrade that was cut off; `doctor` until the next one.
TOLD_FOR_MS = 7 * 86_400_000


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Write a line, durably, and apart from one that a power cut has left torn."""
    with path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        append_line(file, record)


def last_record(path: Path) -> Mapping[str, Any]:
    """The last whole line; empty where there is none."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}


def fallback(root: Path) -> str | None:
    """The release that a start of the machine leads to; None where no upgrade is under way."""
    try:
        return (root / FALLBACK).readlink().name
    except OSError:
        return None


def problems(root: Path, *, now_ms: int | None = None) -> list[Reason]:
    """What is told of upgrades: one that has not ended, and for a while one that a start of the machine has ended.

    Without `now_ms` the latter is told until the next upgrade.
    """
    last, leads_to = last_record(root / HISTORY), fallback(root)
    at, release = str(last.get("at", "")), str(last.get("target") or "?")
    if leads_to is not None:
        return [Reason(code="upgrade-unfinished", args={"release": release, "day": at[:10], "fallback": leads_to})]
    if last.get("did") != SETTLED or last.get("outcome") == Outcome.REACHED:
        return []
    try:
        is_told = now_ms is None or now_ms - parse_utc(at) < TOLD_FOR_MS
    except ValueError:
        is_told = True
    args = {"release": release, "day": at[:10], "kept": str(last.get("subject", "?"))}
    return [Reason(code="upgrade-cut-off", args=args)] if is_told else []
