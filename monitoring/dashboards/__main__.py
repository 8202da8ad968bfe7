"""Write every dashboard in every language beside this file: en/node.json, zh/node.json …"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from monitoring.dashboards.fleet import FLEET
from monitoring.dashboards.grafana import LANGUAGES, as_json
from monitoring.dashboards.lines import LINES
from monitoring.dashboards.node import NODE

DASHBOARDS = (FLEET, NODE, LINES)
FOLDER = Path(__file__).parent


def documents() -> Mapping[Path, str]:
    """What each file holds."""
    return {
        FOLDER / language / f"{dashboard.key}.json": json.dumps(
            as_json(dashboard, language), ensure_ascii=False, indent=1
        )
        + "\n"
        for dashboard in DASHBOARDS
        for language in LANGUAGES
    }


def main() -> None:
    for path, text in documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
