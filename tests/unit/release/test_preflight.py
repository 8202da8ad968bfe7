"""What keeps an upgrade from beginning: each alone, and all of it at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_node.base.errors import ExitCode, Problem
from edge_node.release.bundle import KnownSchema, Manifest
from edge_node.release.preflight import DATA_FLOOR_BYTES, RELEASE_NEEDS_BYTES, Facts, obstacles

HIS = KnownSchema(migrations=("m0001_first", "m0002_outbox"), needed="m0001_first")
MORE = KnownSchema(migrations=(*HIS.migrations, "m0003_later"), needed="m0001_first")
MANIFEST = Manifest(version="0.2.0", arch="x86_64", python="3.11", released=1000, schemas={"his": MORE})
FINE = Facts(
    manifest=MANIFEST, unsound=(), untrusted=None, mark="new", installed_mark=None, current="0.1.0", own={"his": HIS},
    arch="x86_64", python="3.11", now_s=2000.0,
    program_free_bytes=10**10, data_free_bytes=10**10, database_bytes=10**8, damage=None, replica_lag=None,
)  # fmt: skip


def told(facts: Facts) -> list[tuple[str, ExitCode]]:
    return [(f"{one.problem.path}: {one.problem.text}", one.exit_code) for one in obstacles(facts)]


def test_nothing_is_in_the_way_of_a_node_that_is_well() -> None:
    assert told(FINE) == []


@pytest.mark.parametrize(
    "changed, where, words, exit_code",
    [
        pytest.param({"unsound": (Problem(path="wheels/a.whl", text="is not as it was made"),)},
                     "wheels/a.whl", "is not as it was made", ExitCode.USAGE, id="a-byte-changed"),
        pytest.param({"untrusted": "is not signed"}, "the bundle", "is not signed: --unsigned takes it all the same",
                     ExitCode.USAGE, id="nobody-signed-it"),
        pytest.param({"current": "0.10.0"}, "the bundle", "older than 0.10.0", ExitCode.USAGE, id="an-older-one"),
        pytest.param({"manifest": replace(MANIFEST, version="next")}, "the bundle", "is no version", ExitCode.USAGE,
                     id="no-version"),
        pytest.param({"installed_mark": "other"}, "the bundle", "brings another 0.2.0", ExitCode.USAGE,
                     id="two-bundles-of-one-version"),
        pytest.param({"arch": "aarch64"}, "the bundle", "is for processor x86_64", ExitCode.USAGE, id="processor"),
        pytest.param({"python": "3.13"}, "the bundle", "is for Python 3.11", ExitCode.USAGE, id="python"),
        pytest.param({"manifest": replace(MANIFEST, schemas={"his": HIS}), "own": {"his": MORE}},
                     "his.db", "does not know m0003_later", ExitCode.DATA, id="a-migration-it-does-not-know"),
        pytest.param({"manifest": replace(MANIFEST, schemas={})}, "his.db", "does not know", ExitCode.DATA,
                     id="a-database-it-does-not-know"),
        pytest.param({"manifest": replace(MANIFEST, schemas={"his": replace(MORE, needed="m0003_later")})},
                     "his.db", "nothing would lead back to 0.1.0", ExitCode.DATA, id="no-way-back"),
        pytest.param({"now_s": 999.0}, "the clock", "is behind the time", ExitCode.DATA, id="clock"),
        pytest.param({"program_free_bytes": RELEASE_NEEDS_BYTES - 1}, "/opt", "are needed", ExitCode.DATA,
                     id="no-room-for-the-release"),
        pytest.param({"data_free_bytes": 10**8 + DATA_FLOOR_BYTES - 1}, "the state folder", "are needed",
                     ExitCode.DATA, id="no-room-for-the-copy"),
        pytest.param({"damage": "error: db-corrupt"}, "the databases", "db-corrupt", ExitCode.DATA, id="damage"),
        pytest.param({"replica_lag": "is behind"}, "the local replica", "is behind", ExitCode.REPLICA, id="replica"),
    ],
)  # fmt: skip
def test_each_alone(changed: dict[str, Any], where: str, words: str, exit_code: ExitCode) -> None:
    found = told(replace(FINE, **changed))
    assert len(found) == 1, found
    assert found[0][0].startswith(f"{where}: ")
    assert words in found[0][0]
    assert found[0][1] is exit_code


def test_all_at_once() -> None:
    facts = replace(
        FINE, arch="aarch64", now_s=0.0, data_free_bytes=0, damage="error: db-corrupt", replica_lag="is behind"
    )
    assert [one.problem.path for one in obstacles(facts)] == [
        "the bundle", "the clock", "the state folder", "the databases", "the local replica"
    ]  # fmt: skip


def test_a_release_that_is_in_its_place_needs_no_room() -> None:
    assert told(replace(FINE, installed_mark="new", program_free_bytes=0)) == []


def test_what_cannot_be_measured_is_no_obstacle() -> None:
    assert told(replace(FINE, program_free_bytes=None, data_free_bytes=None)) == []
