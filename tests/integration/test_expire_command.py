"""`replica expire` at a folder and at a bucket: what it says it would delete goes; without the right, nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import utc_text
from edge_node.base.errors import EdgeError
from edge_node.cli.main import Where
from edge_node.cli.replica import replica_group
from edge_node.replication.ltx import file_name
from tests.support.ltx_files import ltx_bytes
from tests.support.replicated import Replicated, make_replicated
from tests.support.s3 import BUCKET, s3_server, write_key
from tests.support.s3_objects import keys_of, objects_of, refusing_deletes

DAY_MS = 86_400_000
DAYS = 40
PREFIX = "clinic-0042/e0001/his"


@dataclass
class Place:
    """A clinic, the keys of its database at the destination, and how deleting there becomes allowed (None: it is)."""

    clinic: Replicated
    keys: Callable[[], set[str]]
    allow: Callable[[], None] | None


def history(now_ms: int) -> Iterator[tuple[str, bytes, int]]:
    """A snapshot every fifth day, two captures a day, and a coarser file over both: keys, contents, times."""
    for day in range(DAYS):
        time_ms = now_ms - (DAYS - day) * DAY_MS
        first, last = 2 * day + 1, 2 * day + 2
        spans = [(0, first, first), (0, last, last), (3, first, last)]
        if day % 5 == 0:
            spans.append((9, 1, last))
        for level, low, high in spans:
            name = f"{PREFIX}/{level:04x}/{file_name(low, high)}"
            yield name, ltx_bytes(low, high, time_ms=time_ms), time_ms


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    now_ms = round(time.time() * 1000)
    if request.param == "file":
        clinic = make_replicated(tmp_path / "home")
        for key, content, time_ms in history(now_ms):
            path = clinic.cloud / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            _set_time(path, time_ms)
        root = clinic.cloud / PREFIX

        def keys() -> set[str]:
            return {str(path.relative_to(root)) for path in root.rglob("*.ltx")}

        yield Place(clinic, keys, None)
        return
    with s3_server(tmp_path / "server", "moto") as server, refusing_deletes(server) as proxy:
        clinic = make_replicated(
            tmp_path / "home",
            f'[[replica.destination]]\nname = "cloud"\nurl = "s3://{BUCKET}/edge"\nendpoint = "{proxy.endpoint}"\n'
            'credential = "cloud-key"\n',
        )
        write_key(clinic.home / "credentials" / "cloud-key")
        store = objects_of(server)
        for key, content, time_ms in history(now_ms):
            attributes = {"mtime": f"{time_ms / 1000:.3f}", "litestream-timestamp": utc_text(time_ms)}
            obstore.put(store, f"edge/{key}", content, attributes=attributes)
        config = clinic.home / "edge-node.toml"

        def allow() -> None:
            config.write_text(config.read_text().replace(proxy.endpoint, server.endpoint))

        yield Place(clinic, lambda: {key.split(f"{PREFIX}/")[1] for key in keys_of(store, f"edge/{PREFIX}")}, allow)


def _set_time(path: Path, time_ms: int) -> None:
    os.utime(path, ns=(time_ms * 1_000_000, time_ms * 1_000_000))


def expire(place: Place, *arguments: str) -> Result:
    return CliRunner().invoke(
        replica_group, ("expire", "--from", "cloud", *arguments), obj=Where(home=place.clinic.home)
    )


def test_a_dry_run_names_what_then_goes(place: Place) -> None:
    before = place.keys()
    said = expire(place, "--keep", "20d", "--fine", "10d", "--dry-run", "--json")
    assert said.exit_code == 0, (said.output, said.exception)
    goes = set(json.loads(said.stdout)[0]["objects"])
    assert place.keys() == before
    assert goes
    if place.allow is not None:
        refused = expire(place, "--keep", "20d", "--fine", "10d")
        assert isinstance(refused.exception, EdgeError)
        assert refused.exception.code == "replica-refused"
        assert place.keys() == before
        place.allow()
    done = expire(place, "--keep", "20d", "--fine", "10d", "--json", "--reason", "a year is over")
    assert done.exit_code == 0, (done.output, done.exception)
    assert place.keys() == before - goes
    # The snapshot of day 15 (25 days old) or 20 begins everything; below it nothing is left.
    left = sorted(place.keys())
    snapshots = [int(key[-20:-4], 16) for key in left if key.startswith("0009/")]
    lowest = min(int(key[-20:-4], 16) for key in left)
    assert lowest == snapshots[0] == json.loads(done.stdout)[0]["oldest_txid"]
    assert max(snapshots) == 2 * 35 + 2
    captures = [int(key[-20:-4], 16) for key in left if key.startswith("0000/")]
    assert min(captures) > lowest, "older captures were thinned out"
    assert expire(place, "--keep", "20d", "--fine", "10d").stdout.startswith("his: 0 objects deleted")


def test_a_snapshot_of_the_future_stops_everything(place: Place) -> None:
    if place.allow is not None:
        return  # The times of a folder are quicker to change.
    newest = max((place.clinic.cloud / PREFIX / "0009").iterdir())
    _set_time(newest, round(time.time() * 1000) + DAY_MS)
    before = place.keys()
    done = expire(place, "--keep", "20d")
    assert isinstance(done.exception, EdgeError)
    assert done.exception.code == "clock-doubtful"
    assert place.keys() == before
