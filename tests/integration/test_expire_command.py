"""`replica expire` at a folder and at a bucket: what it says it would delete goes; without the right, nothing."""

from __future__ import annotations

import json
import shutil
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
from tests.support.old_copies import DAY_MS, history, put_history, set_time
from tests.support.replicated import Replicated, make_replicated
from tests.support.s3 import BUCKET, s3_server, write_key
from tests.support.s3_objects import keys_of, objects_of, refusing_deletes

# What a folder shows as well as a bucket, and sooner.
AT_A_FOLDER = pytest.mark.parametrize("place", ["file"], indirect=True)
DAYS = 40
PREFIX = "clinic-0042/e0001/his"


@dataclass
class Place:
    """A clinic, the keys of its database at the destination, and how deleting there becomes allowed (None: it is)."""

    clinic: Replicated
    keys: Callable[[], set[str]]
    allow: Callable[[], None] | None


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    now_ms = round(time.time() * 1000)
    if request.param == "file":
        clinic = make_replicated(tmp_path / "home")
        put_history(clinic.cloud, PREFIX, days=DAYS, until_ms=now_ms)
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
        for key, content, time_ms in history(PREFIX, days=DAYS, until_ms=now_ms):
            attributes = {"mtime": f"{time_ms / 1000:.3f}", "litestream-timestamp": utc_text(time_ms)}
            obstore.put(store, f"edge/{key}", content, attributes=attributes)
        config = clinic.home / "edge-node.toml"

        def allow() -> None:
            config.write_text(config.read_text().replace(proxy.endpoint, server.endpoint))

        yield Place(clinic, lambda: {key.split(f"{PREFIX}/")[1] for key in keys_of(store, f"edge/{PREFIX}")}, allow)


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


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_a_key_that_a_person_brings_may_lie_on_a_stick_that_knows_no_modes(place: Place, tmp_path: Path) -> None:
    (place.clinic.home / "credentials" / "cloud-key").unlink()
    key = write_key(tmp_path / "stick" / "deleter.toml")
    key.chmod(0o755)
    done = expire(place, "--keep", "20d", "--dry-run", "--credential", str(key))
    assert done.exit_code == 0, (done.output, done.exception)
    points = ("points", "--from", "cloud", "--credential", str(key))
    shown = CliRunner().invoke(replica_group, points, obj=Where(home=place.clinic.home))
    assert shown.exit_code == 0, (shown.output, shown.exception)


@AT_A_FOLDER
def test_a_snapshot_of_the_future_stops_everything(place: Place) -> None:
    newest = max((place.clinic.cloud / PREFIX / "0009").iterdir())
    set_time(newest, round(time.time() * 1000) + DAY_MS)
    before = place.keys()
    done = expire(place, "--keep", "20d")
    assert isinstance(done.exception, EdgeError)
    assert done.exception.code == "clock-doubtful"
    assert place.keys() == before


@AT_A_FOLDER
def test_the_histories_of_machines_before_go_when_they_are_no_longer_needed(place: Place) -> None:
    """Two promotions ago, one promotion ago, and now: what a newer epoch restores need not be kept twice."""
    cloud, now_ms = place.clinic.cloud, round(time.time() * 1000)
    for epoch, days, ago_days in ((2, 30, 0), (1, 20, 30)):
        root = cloud / f"clinic-0042/e{epoch:04d}"
        if root.exists():
            shutil.rmtree(root)
        put_history(cloud, f"clinic-0042/e{epoch:04d}/his", days=days, until_ms=now_ms - ago_days * DAY_MS)
    claimed = cloud / "clinic-0042/e0003/his/0000"  # Claimed, and not restoring yet: it is nobody's beginning.
    claimed.mkdir(parents=True)
    (claimed / file_name(5, 5)).write_bytes(ltx_bytes(5, 5, time_ms=now_ms))

    def left(epoch: int) -> list[str]:
        return sorted(path.name for path in (cloud / f"clinic-0042/e{epoch:04d}").rglob("*.ltx"))

    # 40 days reach into the first epoch: it is thinned below them, and nothing else.
    before = {epoch: left(epoch) for epoch in (1, 2, 3)}
    said = json.loads(expire(place, "--keep", "40d", "--fine", "40d", "--json").stdout)
    assert [(one["epoch"], one["whole"]) for one in said] == [(3, False), (1, False)]
    assert (left(2), left(3)) == (before[2], before[3])
    assert 0 < len(left(1)) < len(before[1])
    for epoch, txid in ((1, 40), (2, 60)):
        done = restored(place, epoch)
        assert done.exit_code == 0 and f"TXID {txid} out of" in done.stdout, done.output
    # 20 days are the second epoch's own: the first goes as a whole.
    dry = expire(place, "--keep", "20d", "--fine", "20d", "--dry-run")
    assert "his, epoch 1: " in dry.stdout and "all of it" in dry.stdout
    assert left(1)
    said = json.loads(expire(place, "--keep", "20d", "--fine", "20d", "--json").stdout)
    assert {one["epoch"]: one["whole"] for one in said} == {3: False, 2: False, 1: True}
    assert (left(1), left(3)) == ([], before[3])
    assert "TXID 60 out of" in restored(place, 2).stdout
    # And however short the wish: the newest that restores stays.
    expire(place, "--keep", "8d", "--fine", "8d")
    assert "TXID 60 out of" in restored(place, 2).stdout


def restored(place: Place, epoch: int) -> Result:
    """What a restore of that epoch would take."""
    to = str(place.clinic.home / "none.db")
    arguments = ("restore", "--from", "cloud", "--epoch", str(epoch), "--to", to, "--dry-run")
    return CliRunner().invoke(replica_group, arguments, obj=Where(home=place.clinic.home))
