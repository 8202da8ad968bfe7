"""Prometheus's own tools as the judges of rules and examples; and whether the stories of the rules can fail."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.dashboards.__main__ import DASHBOARDS
from monitoring.dashboards.grafana import panels
from tests.support.alert_rules import ALERTS_FOLDER, FILES, HOME, INVENTORY
from tests.support.prometheus import judged, with_prometheus

STORIES = sorted(path.name for path in ALERTS_FOLDER.glob("*.test.yml"))
pytestmark = with_prometheus


def test_the_rules_please_promtool() -> None:
    assert judged("promtool", "check", "rules", *FILES, INVENTORY) == ""


def test_every_query_of_the_dashboards_can_be_asked(tmp_path: Path) -> None:
    """Each as a recording rule, with something in the place of Grafana's variables."""
    asked = [query.expr for board in DASHBOARDS for panel in panels(board) for query in panel.queries]
    concrete = [
        expr.replace("$__rate_interval", "5m").replace("$clinic", "c1").replace("$line", ".*") for expr in asked
    ]
    wrapped = [{"record": f"panel:{place}", "expr": expr} for place, expr in enumerate(concrete)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": wrapped}]}))
    assert len(asked) > 50
    assert judged("promtool", "check", "rules", tmp_path / "panels.yml") == ""


@pytest.mark.parametrize("story", STORIES)
def test_the_stories_of_the_alerts_come_true(story: str) -> None:
    assert judged("promtool", "test", "rules", story, cwd=ALERTS_FOLDER) == ""


def test_the_example_of_a_prometheus_is_one(tmp_path: Path) -> None:
    """As its comments say: alerts/ beside it, the inventory written, the targets in clinics/."""
    shutil.copy(HOME / "prometheus.example.yml", tmp_path / "prometheus.yml")
    shutil.copytree(ALERTS_FOLDER, tmp_path / "alerts", ignore=shutil.ignore_patterns("*.test.yml"))
    shutil.copy(INVENTORY, tmp_path / "inventory.rules.yml")
    (tmp_path / "clinics").mkdir()
    target = '[{"targets": ["10.9.0.42:9108"], "labels": {"clinic": "clinic-0042", "region": "east"}}]'
    (tmp_path / "clinics" / "east.json").write_text(target)
    assert judged("promtool", "check", "config", "prometheus.yml", cwd=tmp_path) == ""


@pytest.mark.parametrize(
    "labels, receiver",
    [
        ('alertname="EdgeOffline" severity="page" clinic="c1"', "duty"),
        ('alertname="EdgeLineDown" severity="ticket" clinic="c1"', "desk"),
        ('alertname="EdgeDiskFilling" severity="info" clinic="c1"', "nobody"),
        ('alertname="SomebodyElses"', "desk"),
    ],
)
def test_the_example_of_an_alertmanager_tells_who_it_says(labels: str, receiver: str) -> None:
    example = HOME / "alertmanager.example.yml"
    assert judged("amtool", "check-config", example) == ""
    routed = ("amtool", "config", "routes", "test", f"--config.file={example}", f"--verify.receivers={receiver}")
    assert judged(*routed, *labels.split()) == ""


# ---- can the stories fail? Each rule in turn is spoilt, and some story must notice.

FILE_OF = {path.name: yaml.safe_load(path.read_text()) for path in FILES}
SPOILABLE = [
    pytest.param(name, g, r, how, id=f"{rule['alert']}-{rule['labels']['severity']}-{how}")
    for name, document in FILE_OF.items()
    for g, group in enumerate(document["groups"])
    for r, rule in enumerate(group["rules"])
    if "alert" in rule
    for how in ("gone", "sooner", "later", "louder")
    if how != "sooner" or "for" in rule
]


def spoilt(rule: dict[str, Any], how: str) -> dict[str, Any]:
    """`sooner` does not wait; `later` waits half as long again, or ten minutes; `louder` has another severity."""
    match how:
        case "sooner":
            return {key: value for key, value in rule.items() if key != "for"}
        case "later":
            return {**rule, "for": _longer(rule.get("for", "7m"))}
        case _:
            return {**rule, "labels": {"severity": "page" if rule["labels"]["severity"] != "page" else "info"}}


def _longer(text: str) -> str:
    unit = {"m": 1, "h": 60}[text[-1]]
    return f"{int(text[:-1]) * unit * 3 // 2 + 1}m"


@pytest.mark.long
@pytest.mark.parametrize("name, group, place, how", SPOILABLE)
def test_a_story_notices_a_spoilt_rule(tmp_path: Path, name: str, group: int, place: int, how: str) -> None:
    shutil.copytree(ALERTS_FOLDER, tmp_path / "alerts")
    document = yaml.safe_load((ALERTS_FOLDER / name).read_text())
    rules = document["groups"][group]["rules"]
    alert = rules[place]["alert"]
    rules[place : place + 1] = [] if how == "gone" else [spoilt(rules[place], how)]
    (tmp_path / "alerts" / name).write_text(yaml.safe_dump(document, allow_unicode=True))
    for path in (tmp_path / "alerts").glob("*.test.yml"):
        told = yaml.safe_load(path.read_text())
        told["tests"] = [test for test in told["tests"] if alert in test["name"].split()]
        if told["tests"]:
            path.write_text(yaml.safe_dump(told, allow_unicode=True))
            if "FAILED" in judged("promtool", "test", "rules", path.name, cwd=tmp_path / "alerts"):
                return
    pytest.fail("no story of its own notices")
