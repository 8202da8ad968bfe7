"""Dashboards: what is committed is what the code writes, and a panel asks for what exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from monitoring.dashboards.__main__ import DASHBOARDS, FOLDER, documents
from monitoring.dashboards.grafana import COLUMNS, LANGUAGES, Kind, Panel, Unit, as_json, panels
from tests.support.alert_rules import KNOWN_NAMES, NAME

EVERY = [pytest.param(as_json(board, language), id=f"{board.key}-{language}") for board in DASHBOARDS
         for language in LANGUAGES]  # fmt: skip
PANELS = [pytest.param(panel, id=f"{board.key}-{panel.title.en}") for board in DASHBOARDS for panel in panels(board)]


@pytest.mark.parametrize("path", documents(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_committed_is_what_the_code_writes(path: Path) -> None:
    """`python -m monitoring.dashboards` writes them."""
    assert path.read_text(encoding="utf-8") == documents()[path]


def test_no_file_is_left_over() -> None:
    assert set(FOLDER.glob("*/*.json")) == set(documents())


@pytest.mark.parametrize("board", EVERY)
def test_a_dashboard_has_its_parts_once(board: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert board["templating"]["list"][0]["type"] == "datasource"
    text = json.dumps(board)
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {board["uid"], "${datasource}"}, "no data source by name"
    for variable in board["templating"]["list"][1:]:
        assert set(NAME.findall(variable["query"]["query"])) <= KNOWN_NAMES
    known = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval"}
    assert set(re.findall(r"\$\{?(\w+)", text)) <= known


@pytest.mark.parametrize("board", EVERY)
def test_no_panel_lies_on_another(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells


def test_uids_are_unique_and_titles_are_in_their_language() -> None:
    boards = [as_json(board, language) for board in DASHBOARDS for language in LANGUAGES]
    assert len({board["uid"] for board in boards}) == len(boards)
    for board in boards:
        for panel in board["panels"]:
            has_chinese = bool(re.search(r"[\u4e00-\u9fff]", panel["title"]))
            assert has_chinese == (board["uid"].endswith("-zh")), panel["title"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_is_whole(panel: Panel) -> None:
    assert panel.queries
    assert panel.unit is not Unit.NONE or panel.states or panel.kind is Kind.TABLE, "a number has its unit"
    assert not re.search(r"备份|链路|异常|系统繁忙|抱歉|成功地", panel.title.zh + panel.about.zh)
    if len(panel.queries) > 1:
        assert all(query.legend for query in panel.queries)
    for query in panel.queries:
        asked = set(NAME.findall(query.expr)) | ({"ALERTS"} & set(re.findall(r"[A-Z]+", query.expr)))
        assert asked
        assert asked <= KNOWN_NAMES | {"ALERTS"}
