"""A key that may not delete: replication, looks, drills and restores need no more; expiry says that it cannot."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.errors import EdgeError
from edge_node.cli.main import Where
from edge_node.cli.replica import replica_group
from tests.support.replicated import Replicated, make_replicated, replicating, rows, write_row, writing
from tests.support.s3 import BUCKET, s3_server, write_key
from tests.support.s3_objects import keys_of, objects_of, refusing_deletes
from tests.support.waiting import until


def replica(clinic: Replicated, *arguments: str) -> Result:
    return CliRunner().invoke(replica_group, arguments, obj=Where(home=clinic.home))


@pytest.mark.timeout(240)
def test_nothing_but_expiry_deletes(tmp_path: Path) -> None:
    with s3_server(tmp_path / "server", "moto") as server, refusing_deletes(server) as proxy:
        clinic = make_replicated(
            tmp_path / "home",
            f'[[replica.destination]]\nname = "cloud"\nurl = "s3://{BUCKET}/edge"\nendpoint = "{proxy.endpoint}"\n'
            'credential = "cloud-key"\nexpire = true\n',
        )
        write_key(clinic.home / "credentials" / "cloud-key")
        (clinic.home / "credentials" / "node-identity").write_text(f"{clinic.identity}\n")
        chance = random.Random(3)
        with writing(clinic) as conn, replicating(clinic):
            for _ in range(10):
                write_row(conn, chance)
                # Above a megabyte it goes in parts, and what begins in parts may be aborted.
            write_row(conn, chance, size_bytes=3_000_000)
            clinic.wait_until_shipped(within_s=60)
            until(lambda: clinic.destination()["state"] == "current", within_s=30)
            drilled = replica(clinic, "drill", "--json")
            assert drilled.exit_code == 0, drilled.output
            seen = {check["name"]: check["outcome"] for check in json.loads(drilled.stdout)[0]["checks"]}
            assert (seen["restore"], seen["confirmed"], seen["local"]) == ("ok", "ok", "ok")
            looked = replica(clinic, "verify", "--deep")
            assert looked.exit_code == 0, looked.output
            assert clinic.destination()["state"] == "current"
        back = replica(clinic, "restore", "--from", "cloud", "--to", str(tmp_path / "back.db"))
        assert back.exit_code == 0, back.output
        assert rows(tmp_path / "back.db") == rows(clinic.his)
        assert proxy.refused == [], "somebody tried to delete"

        # What expiry does with such a key: it says so, and what is there stays.
        before = keys_of(objects_of(server), "edge/")
        nothing = replica(clinic, "expire", "--from", "cloud", "--dry-run")
        assert nothing.exit_code == 0, nothing.output
        assert "0 objects would go" in nothing.stdout
        assert keys_of(objects_of(server), "edge/") == before
        short = replica(clinic, "expire", "--from", "cloud", "--keep", "1d")
        assert isinstance(short.exception, EdgeError)
        assert "too short" in short.exception.message
