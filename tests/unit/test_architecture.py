"""Who may import whom. Each rule carries its why, so that breaking it is a conversation."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("edge_node", "failover", "monitoring")
FEATURES = ("edge_node.his", "edge_node.outbox", "edge_node.replication", "edge_node.journal", "edge_node.push")
COMPOSITION = ("edge_node.services", "edge_node.cli")

RULES = [  # who, must not import, why
    ("failover", ("edge_node", "monitoring", "flask", "pysqlite3", "sqlite_utils"), "the line library knows nobody"),
    (
        "failover/core",
        (
            *("time", "datetime", "random", "os", "io", "pathlib", "socket", "subprocess"),
            *("threading", "asyncio", "logging", "pyroute2"),
        ),
        "the core decides; it never reads, waits or acts",
    ),
    (
        "monitoring",
        ("edge_node", "failover", "flask", "sqlite3", "pysqlite3"),
        "monitoring is handed values, and can be tested with literals",
    ),
    ("edge_node/store", ("flask", *FEATURES, *COMPOSITION), "the data layer outlives the web layer"),
    (
        "edge_node/replication",
        ("flask", "edge_node.his", "edge_node.outbox", *COMPOSITION),
        "a backup must not depend on what it backs up",
    ),
    (
        "edge_node/outbox",
        ("flask", "edge_node.his", "edge_node.replication", "edge_node.journal", "failover", *COMPOSITION),
        "it delivers what others put; it knows neither who nor over which line",
    ),
    (
        "edge_node/journal",
        ("flask", "edge_node.his", "edge_node.replication", "edge_node.outbox", "failover", *COMPOSITION),
        "it records and answers; it decides nothing, and needs no one of those it records",
    ),
    (
        "edge_node/push",
        (
            "flask",
            "edge_node.his",
            "edge_node.replication",
            "edge_node.outbox",
            "edge_node.journal",
            "failover",
            *COMPOSITION,
        ),
        "it sends the samples that it is handed; it knows neither what they mean nor who took them",
    ),
    (
        "edge_node/his",
        ("edge_node.replication", "failover", "monitoring", "prometheus_client", *COMPOSITION),
        "the HIS serves the clinic; it copies nothing, routes nothing and exports nothing",
    ),
    (
        "edge_node/tls",
        ("flask", "uvicorn", "edge_node.store", *FEATURES, *COMPOSITION),
        "it makes and judges certificates; whoever shows them, and the page that explains them, come to it",
    ),
    (
        "edge_node/simulation",
        ("flask", "edge_node.store", "edge_node.config", "failover", "monitoring", *FEATURES, *COMPOSITION),
        "it knows a clinic by its pages alone, as a browser does",
    ),
    (
        "edge_node/release",
        ("flask", "failover", "monitoring", *FEATURES, *COMPOSITION),
        "an upgrade must work when what it replaces does not",
    ),
    ("edge_node/config", ("flask", "edge_node.store", *FEATURES, *COMPOSITION), "the configuration is a value"),
    ("edge_node/services", ("edge_node.cli",), "composition roots do not import each other"),
    *(
        (
            f"edge_node/services/{name}.py",
            ("flask", "edge_node.store", "edge_node.status", "monitoring", "prometheus_client", *FEATURES),
            "the process that may change routes opens no database and serves nobody",
        )
        for name in ("links", "line_keys", "line_memory", "line_settings", "line_record", "line_report")
    ),
]
PYSQLITE_ROOM = ROOT / "edge_node/store/connection.py"
WITHOUT_FLASK = ("queries.py", "rules.py", "forms.py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def breaches(paths: Iterator[Path] | list[Path], banned: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted(paths)
        for name, line in imported(path)
        if any(name == ban or name.startswith(f"{ban}.") for ban in banned)
    ]


@pytest.mark.parametrize("who, banned, why", RULES, ids=[rule[0] for rule in RULES])
def test_import_direction(who: str, banned: tuple[str, ...], why: str) -> None:
    room = ROOT / who
    assert room.exists(), f"{who} is gone: update this rule"
    found = breaches([room] if room.is_file() else list(room.rglob("*.py")), banned)
    assert not found, f"{why}:\n" + "\n".join(found)


def test_base_is_a_leaf_of_the_standard_library() -> None:
    foreign = [
        f"{path.name}:{line} imports {name}"
        for path in (ROOT / "edge_node/base").glob("*.py")
        for name, line in imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("edge_node.base")
    ]
    assert not foreign


def test_sqlite_is_imported_in_one_place() -> None:
    """pysqlite3 raises its own exceptions: two imports of different SQLites would not catch each other's."""
    paths = [path for name in OURS for path in (ROOT / name).rglob("*.py") if path != PYSQLITE_ROOM]
    assert not breaches(paths, ("sqlite3", "pysqlite3"))
    assert breaches([PYSQLITE_ROOM], ("pysqlite3",)), "the rule looks at the wrong file"


def test_domain_cores_know_no_web() -> None:
    paths = [path for path in (ROOT / "edge_node/his").glob("*/*.py") if path.name in WITHOUT_FLASK]
    assert len(paths) > 3
    assert not breaches(paths, ("flask",))


def test_prometheus_lives_in_monitoring_and_its_service() -> None:
    paths = [path for path in (ROOT / "edge_node").rglob("*.py") if path.name != "monitor.py"]
    assert not breaches(paths, ("prometheus_client",))


def test_files_stay_readable() -> None:
    """A file that passes 400 lines wants to be two."""
    long = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for name in (*OURS, "tests")
        for path in (ROOT / name).rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    ]
    assert not long
