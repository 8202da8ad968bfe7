"""Which way a line loses, as `line list` and `line explain` say it: from the targets that can tell (STAMP)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_node.cli.output import table

# Losses of which so large a share went one way are shown with it; the watcher's own verdict asks for as much.
_CLEAR_SHARE = 0.8
_HEAD = ("  TARGET", "KIND", "LOSS", "OUT", "BACK", "UNKNOWN", "JITTER OUT", "JITTER BACK")


def loss_cell(line: Mapping[str, Any]) -> str:
    """A line's loss, and the way on which it is lost where its targets agree about one: "12% out"."""
    if line["loss_ratio"] is None:
        return "-"
    ways = {way for target in line["targets"] if (way := _way(target)) and target.get("role") != "carrier"}
    shown = _percent(line["loss_ratio"])
    return f"{shown} {ways.pop()}" if line["loss_ratio"] and len(ways) == 1 else shown


def directions_table(line: Mapping[str, Any]) -> str | None:
    """Every target with what is lost each way; None for a line none of whose targets can tell."""
    targets = line.get("targets", ())
    if not any(target.get("direction") for target in targets):
        return None
    return table(_HEAD, [_row(target) for target in targets])


def _row(target: Mapping[str, Any]) -> tuple[str, ...]:
    told = target.get("direction") or {}
    out, back, unknown = (told.get(name, {}) for name in ("out", "back", "unknown"))
    return (
        f"  {target['name']}",
        str(target["kind"]),
        _percent(target["loss_ratio"]),
        *(_percent(way.get("loss_ratio")) for way in (out, back, unknown)),
        *(_milliseconds(way.get("jitter_s")) for way in (out, back)),
    )


def _way(target: Mapping[str, Any]) -> str | None:
    told = target.get("direction")
    if not told:
        return None
    out, back, unknown = (told[name].get("loss_ratio") or 0.0 for name in ("out", "back", "unknown"))
    whole = out + back + unknown
    return next(
        (name for name, ratio in (("out", out), ("back", back)) if whole and ratio >= _CLEAR_SHARE * whole), None
    )


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.0%}"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.2f} ms"
