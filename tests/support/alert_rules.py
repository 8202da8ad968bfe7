"""The rules in monitoring/alerts, read once, and the names that a query may ask for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

import monitoring
from monitoring.families import FAMILIES
from monitoring.family import Kind

HOME = Path(monitoring.__file__).parent
ALERTS_FOLDER = HOME / "alerts"
FILES = sorted(ALERTS_FOLDER.glob("*.rules.yml"))
INVENTORY = HOME / "inventory.example.rules.yml"
# A metric, or a recording rule of ours, in an expression or a story.
NAME = re.compile(r"\b(?:(?:edge|region|carrier):)?edge_\w+(?::\w+)?|\bedge:\w+:\w+")


def rules(path: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


RULES = [rule for path in FILES for rule in rules(path)]
ALERTS = [rule for rule in RULES if "alert" in rule]
ALERT_NAMES = sorted({rule["alert"] for rule in ALERTS})
_RECORDED = {rule["record"] for rule in (*RULES, *rules(INVENTORY)) if "record" in rule}
_PARTS = {family.name + part for family in FAMILIES if family.kind is Kind.HISTOGRAM for part in
          ("_bucket", "_sum", "_count")}  # fmt: skip
# Every name that a query may ask for.
KNOWN_NAMES = {family.name for family in FAMILIES} | _PARTS | _RECORDED
