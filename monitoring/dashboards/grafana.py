"""A dashboard as values, and the JSON that Grafana imports (schema 39: Grafana 10 and later).

Only what the dashboards here need. A title has both languages, and each dashboard is written once in each: Grafana has
no translations for what it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LANGUAGES = ("en", "zh")
SCHEMA = 39
COLUMNS = 24  # of Grafana's grid
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, ORANGE, RED, GREY, BLUE = "green", "yellow", "orange", "red", "text", "blue"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Both:
    """The same words in both languages."""

    en: str
    zh: str

    def said(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


class Kind(StrEnum):
    """Grafana's own names of the panels."""

    STAT = "stat"
    GRAPH = "timeseries"
    TIMELINE = "state-timeline"
    TABLE = "table"


class Unit(StrEnum):
    """Grafana's ids of units."""

    NONE = "none"
    SECONDS = "s"
    BYTES = "bytes"
    RATIO = "percentunit"
    PER_SECOND = "cps"
    COUNT = "short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """An expression, and how its series are called: `{{line}}` is a label."""

    expr: str
    legend: str | Both = ""


@dataclass(frozen=True, slots=True)
class State:
    """What a number stands for."""

    value: int
    text: Both
    color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture. `steps` are the values from which on a colour holds; `states` replace numbers by words."""

    title: Both
    kind: Kind
    unit: Unit
    queries: Sequence[Query]
    about: Both
    width: int = 12
    height: int = 8
    steps: Sequence[tuple[float, str]] = ()
    states: Sequence[State] = ()
    least: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under a heading, from left to right; what does not fit begins a new line."""

    title: Both
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variable: values of a label that the reader chooses from."""

    name: str
    title: Both
    metric: str
    label: str
    several: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A page. `key` names its file and, with the language, its uid; `since` is the time range at first sight."""

    key: str
    title: Both
    about: Both
    rows: Sequence[Row]
    choices: Sequence[Choice] = ()
    since: str = "now-6h"


def panels(dashboard: Dashboard) -> Iterator[Panel]:
    for row in dashboard.rows:
        yield from row.panels


def as_json(dashboard: Dashboard, language: str) -> Json:
    """The document that Grafana imports."""
    return {
        "uid": f"edge-{dashboard.key}-{language}",
        "title": dashboard.title.said(language),
        "description": dashboard.about.said(language),
        "tags": ["edge-node", language],
        "schemaVersion": SCHEMA,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "templating": {"list": [_datasource(language), *(_variable(choice, language) for choice in dashboard.choices)]},
        "links": [
            {"type": "dashboards", "tags": ["edge-node", language], "title": "", "keepTime": True, "includeVars": True}
        ],
        "panels": list(_placed(dashboard.rows, language)),
    }


def _datasource(language: str) -> Json:
    label = Both("Data source", "数据源").said(language)
    return {"name": "datasource", "label": label, "type": "datasource", "query": "prometheus"}


def _variable(choice: Choice, language: str) -> Json:
    query = f"label_values({choice.metric}, {choice.label})"
    return {
        "name": choice.name,
        "label": choice.title.said(language),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": choice.name},
        "refresh": 2,
        "sort": 1,
        "multi": choice.several,
        "includeAll": choice.several,
        **({"allValue": ".*"} if choice.several else {}),
    }


def _placed(rows: Sequence[Row], language: str) -> Iterator[Json]:
    number, top = 1, 0
    for row in rows:
        yield {
            "id": number, "type": "row", "title": row.title.said(language), "collapsed": False, "panels": [],
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
        }  # fmt: skip
        number, top, left, tallest = number + 1, top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            yield {"id": number, "gridPos": place, **_panel(panel, language)}
            number, left, tallest = number + 1, left + panel.width, max(tallest, panel.height)
        top += tallest


def _panel(panel: Panel, language: str) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title.said(language),
        "description": panel.about.said(language),
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": DATASOURCE,
                "expr": query.expr,
                "legendFormat": query.legend.said(language) if isinstance(query.legend, Both) else query.legend,
                **_asked_as(panel.kind),
            }
            for place, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel, language), "overrides": []},
        **_OPTIONS[panel.kind],
    }


def _asked_as(kind: Kind) -> Json:
    match kind:
        case Kind.STAT:
            return {"instant": True, "range": False}
        case Kind.TABLE:
            return {"instant": True, "range": False, "format": "table"}
        case _:
            return {"instant": False, "range": True}


def _defaults(panel: Panel, language: str) -> Json:
    steps: list[Json] = [{"color": GREEN if panel.steps else BLUE, "value": None}]
    steps += [{"color": color, "value": value} for value, color in panel.steps]
    found: Json = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if panel.steps or panel.kind is not Kind.GRAPH else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": _mappings(panel.states, language),
    }
    if panel.kind is Kind.GRAPH:
        found["color"] = {"mode": "palette-classic"}
        found["custom"] = {
            "lineWidth": 1, "fillOpacity": 8, "spanNulls": False, "showPoints": "never",
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
        }  # fmt: skip
    if panel.least is not None:
        found["min"] = panel.least
    return found


def _mappings(states: Sequence[State], language: str) -> list[Json]:
    if not states:
        return []
    options: Mapping[str, Json] = {
        str(state.value): {"text": state.text.said(language), "color": state.color, "index": place}
        for place, state in enumerate(states)
    }
    return [{"type": "value", "options": options}]


_OPTIONS: Mapping[Kind, Json] = {
    Kind.STAT: {
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background", "graphMode": "none", "textMode": "auto", "orientation": "auto",
        }
    },
    Kind.GRAPH: {
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    },
    Kind.TIMELINE: {
        "options": {
            "showValue": "auto", "rowHeight": 0.8, "mergeValues": True,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        }
    },
    Kind.TABLE: {
        "options": {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
        "transformations": [
            {"id": "organize", "options": {"excludeByName": {"Time": True, "job": True, "__name__": True}}}
        ],
    },
}  # fmt: skip
