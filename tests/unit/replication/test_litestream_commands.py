"""The configuration and the arguments that Litestream gets."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from edge_node.replication import commands
from edge_node.replication.commands import CaptureSettings
from tests.support.litestreams import replicated


def parsed(text: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in lines)}


def a_document(folder: Path = Path("/srv/西城 #1%20$HOME")) -> dict[str, Any]:
    databases = [replicated(folder, "his"), replicated(folder, "node")]
    return parsed(commands.litestream_yaml(databases, socket="litestream.sock", settings=CaptureSettings()))


def test_configuration_says_how_to_capture_and_keep() -> None:
    document = a_document()
    assert document["levels"] == [{"interval": "30s"}, {"interval": "5m0s"}, {"interval": "1h0m0s"}]
    assert document["snapshot"] == {"interval": "24h0m0s", "retention": "168h0m0s"}
    assert document["l0-retention"] == "24h0m0s"
    assert document["retention"] == {"enabled": False}, "it would go by the wall clock"
    assert document["shutdown-sync-timeout"] == "5s"
    assert document["socket"] == {"enabled": True, "path": "litestream.sock", "permissions": 0o600}
    assert [db["path"] for db in document["dbs"]] == [
        f"/srv/西城 #1%20$HOME/data/{name}.db" for name in ("his", "node")
    ]
    assert document["dbs"][0]["replica"] == {
        "type": "file",
        "path": "/srv/西城 #1%20$HOME/replica/e0001/his",
        "sync-interval": "0.1s",
    }
    assert document["dbs"][0]["meta-path"] == "/srv/西城 #1%20$HOME/litestream/e0001/his"


def paths_of(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(node, dict):
        return [deeper for key in node for deeper in [(*path, key), *paths_of(node[key], (*path, key))]]
    if isinstance(node, list):
        return paths_of(node[0], (*path, 0))
    return []


@pytest.mark.parametrize("path", paths_of(a_document()), ids=lambda path: ".".join(map(str, path)))
def test_every_misspelt_key_and_every_wrong_kind_is_named(path: tuple[Any, ...]) -> None:
    *above, key = path
    spoken = ".".join(map(str, path)).replace(".0", "[0]")

    document = copy.deepcopy(a_document())
    table = document
    for step in above:
        table = table[step]
    table[f"{key}s"] = table.pop(key)
    assert commands.check_document(document) == [f"{spoken}s is unknown"]

    table[key] = None
    del table[f"{key}s"]
    [problem] = commands.check_document(document)
    assert problem.startswith(f"{spoken} is not ")


def test_a_wrong_document_is_not_written() -> None:
    with pytest.raises(ValueError, match="snapshots is unknown; dbs is not a list of at least one"):
        commands.written({"snapshots": {"interval": "1s"}, "dbs": []})


@pytest.mark.parametrize(
    "seconds, text",
    [
        pytest.param(0.2, "0.2s", id="part-of-a-second"),
        pytest.param(1, "1s", id="second"),
        pytest.param(90, "1m30s", id="minute-and-a-half"),
        pytest.param(3600, "1h0m0s", id="hour"),
        pytest.param(604_800, "168h0m0s", id="week"),
        pytest.param(86_399.5, "23h59m59.5s", id="almost-a-day"),
    ],
)
def test_duration_as_go_writes_it(seconds: float, text: str) -> None:
    assert commands.go_duration(seconds) == text


def test_duration_of_zero_would_mean_the_default_and_is_refused() -> None:
    with pytest.raises(ValueError, match="default"):
        commands.go_duration(0)


BINARY, CONFIG, DB, TO = Path("/bin/litestream"), Path("/tmp/l.yml"), Path("/tmp/his.db"), Path("/srv/new.db")
BEGIN = ("/bin/litestream", "restore", "-json", "-no-expand-env", "-config", "/tmp/l.yml", "-integrity-check", "full")


@pytest.mark.parametrize(
    "until, flags",
    [
        pytest.param({}, (), id="newest"),
        pytest.param({"txid": 255}, ("-txid", "00000000000000ff"), id="a-txid"),
        pytest.param({"at_ms": 1_795_000_000_123}, ("-timestamp", "2026-11-18T11:06:40.123Z"), id="a-time"),
    ],
)
def test_restore_arguments(until: dict[str, int], flags: tuple[str, ...]) -> None:
    argv = commands.restore_argv(BINARY, CONFIG, DB, TO, integrity="full", **until)
    assert argv == (*BEGIN, *flags, "-o", "/srv/new.db", "/tmp/his.db")


def test_restore_to_both_a_txid_and_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="not to both"):
        commands.restore_argv(BINARY, CONFIG, DB, TO, integrity="full", txid=1, at_ms=1)


def test_replicate_and_version_arguments() -> None:
    replicate = commands.replicate_argv(BINARY, "litestream.yml")
    assert replicate == ("/bin/litestream", "replicate", "-no-expand-env", "-config", "litestream.yml")
    assert commands.version_argv(BINARY) == ("/bin/litestream", "version")
    bound = commands.bound_to_parent_argv(Path("/usr/bin/setpriv"), replicate)
    assert bound == ("/usr/bin/setpriv", "--pdeathsig", "KILL", "--", *replicate)
