"""Every alert is whole: its severity, its words in both languages, its runbook, its tests, and metrics that exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from edge_node.status.model import PROBLEM_EXITS
from monitoring.runbooks import LANGUAGES, runbooks
from tests.support.alert_rules import ALERT_NAMES, ALERTS, ALERTS_FOLDER, HOME, KNOWN_NAMES, NAME, RULES

STORIES = "\n".join(path.read_text() for path in sorted(ALERTS_FOLDER.glob("*.test.yml")))
ANNOTATIONS = {"summary", "summary_zh", "description", "description_zh", "runbook"}


def labels_of(alert: dict[str, Any]) -> str:
    return f"{alert['alert']}-{alert['labels']['severity']}"


@pytest.mark.parametrize("alert", ALERTS, ids=labels_of)
def test_an_alert_is_whole(alert: dict[str, Any]) -> None:
    assert alert["alert"].startswith("Edge")
    assert alert["labels"] in ({"severity": "page"}, {"severity": "ticket"}, {"severity": "info"})
    assert set(alert["annotations"]) == ANNOTATIONS
    assert alert["annotations"]["runbook"] == alert["alert"]
    words = alert["annotations"]
    for text in (words["summary"], words["summary_zh"]):
        assert len(text) < 140, "a summary is read on a watch"
    for text in (words["summary_zh"], words["description_zh"]):
        assert re.search(r"[\u4e00-\u9fff]|\$labels\.code", text)
        assert not re.search(r"备份|链路|异常|系统繁忙|抱歉|成功地", text)
        assert not re.search(r"[\u4e00-\u9fff][,;:!?](?!\d)", text), "full-width punctuation in Chinese"


@pytest.mark.parametrize("name", ALERT_NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_alert_has_its_runbook(name: str, language: str) -> None:
    assert name in runbooks(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_runbook_is_left_over(language: str) -> None:
    assert list(runbooks(language)) == list(runbooks(LANGUAGES[0])), "the same anchors, in the same order"
    assert set(runbooks(language)) == set(ALERT_NAMES)


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_an_alert_has_a_story_in_which_it_fires(name: str) -> None:
    """And one of its own in which it does not, where the first has no harmless neighbour in it."""
    assert f"- name: {name} " in STORIES
    assert f'alertname="{name}"' in STORIES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_what_is_exported(rule: dict[str, Any]) -> None:
    asked = set(NAME.findall(rule["expr"]))
    assert asked
    assert asked <= KNOWN_NAMES


def test_a_story_is_made_of_what_is_exported() -> None:
    assert set(NAME.findall(STORIES)) <= KNOWN_NAMES


def test_problems_with_an_alert_of_their_own_are_known_to_status() -> None:
    """The codes that EdgeProblem leaves to others; a code that is renamed would be told by none."""
    (expression,) = (alert["expr"] for alert in ALERTS if alert["alert"] == "EdgeProblem")
    (pattern,) = re.findall(r'code!~"([^"]+)"', expression)
    left = {code for code in PROBLEM_EXITS if re.fullmatch(pattern, code)}
    assert left >= {
        "service-stale", "service-stopped", "disk-low", "outbox-dead", "litestream-down", "destination-refused",
        "destination-unreachable", "rpo-exceeded", "superseded", "outbox-superseded", "line-down",
    }  # fmt: skip
    assert "kit-incomplete" not in left


def matched(matchers: list[str], labels: dict[str, str]) -> bool:
    """As the Alertmanager matches; a missing label is empty."""
    for matcher in matchers:
        found = re.fullmatch(r'(\w+)(=~|!=|=)"(.*)"', matcher)
        assert found, matcher
        name, sign, wanted = found.groups()
        value = labels.get(name, "")
        if not {"=": value == wanted, "!=": value != wanted, "=~": bool(re.fullmatch(wanted, value))}[sign]:
            return False
    return True


SEVERITIES = ("info", "ticket", "page")
# Only EdgeServiceStale has a service; its severity goes by it.
SERVICES = {"page": ("his", "links", "replica"), "ticket": ("outbox", "monitor"), "info": ()}
LABELLED = [
    {"alertname": alert["alert"], "clinic": "c1", "service": service, **alert["labels"]}
    for alert in ALERTS
    for service in (SERVICES[alert["labels"]["severity"]] if alert["alert"] == "EdgeServiceStale" else ("",))
]


@pytest.mark.parametrize("rule", yaml.safe_load((HOME / "alertmanager.example.yml").read_text())["inhibit_rules"],
                         ids=lambda rule: " ".join(rule["source_matchers"]))  # fmt: skip
def test_a_cause_silences_nothing_more_severe_than_itself(rule: dict[str, Any]) -> None:
    """Else nobody would be woken; and every rule has alerts at both ends, so that a renamed alert is noticed."""
    causes = [labels for labels in LABELLED if matched(rule["source_matchers"], labels)]
    silenced = [labels for labels in LABELLED if matched(rule["target_matchers"], labels)]
    assert causes and silenced
    weakest = min(SEVERITIES.index(labels["severity"]) for labels in causes)
    assert all(SEVERITIES.index(labels["severity"]) <= weakest for labels in silenced)
    for name in re.findall(r"Edge\w+(?=[|\"])", " ".join(rule["target_matchers"])):
        assert name in ALERT_NAMES


def test_what_is_silenced_silences_nothing_that_its_own_cause_does_not() -> None:
    """The Alertmanager lets a silenced alert go on silencing: a chain must be a shorter way to the same end.

    A node that is silent is the exception: whatever it said last is not believed, whoever else is silent with it.
    """
    rules = yaml.safe_load((HOME / "alertmanager.example.yml").read_text())["inhibit_rules"]

    def silenced_by(cause: dict[str, str]) -> list[dict[str, str]]:
        heard = [rule for rule in rules if matched(rule["source_matchers"], cause)]
        return [labels for labels in LABELLED for rule in heard if matched(rule["target_matchers"], labels)]

    for cause in LABELLED:
        directly = silenced_by(cause)
        for link in directly:
            if link["alertname"] != "EdgeNodeSilent":
                further = [labels for labels in silenced_by(link) if labels not in (*directly, cause)]
                assert further == [], (cause["alertname"], link["alertname"])
