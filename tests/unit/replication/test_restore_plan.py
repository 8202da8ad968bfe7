"""Which files a restore takes, and which past states there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.replication.destination import RemoteObject, object_key, parse_object
from edge_node.replication.ltx import LtxFile
from edge_node.replication.restore_points import Stretch, plan, points
from edge_node.replication.restored import Restored
from edge_node.store.databases import DATABASES
from edge_node.store.places import NAMES


def ltx(level: int, first: int, last: int) -> LtxFile:
    return LtxFile(level=level, min_txid=first, max_txid=last, size_bytes=100)


# Each file at the time of its newest TXID: TXID n at n seconds.
FILES = {
    file: file.max_txid * 1000
    for file in (ltx(9, 1, 2), ltx(0, 3, 3), ltx(0, 4, 4), ltx(1, 3, 6), ltx(9, 1, 8), ltx(0, 9, 9), ltx(0, 11, 11))
}


@pytest.mark.parametrize(
    ("at_ms", "txid", "chain", "hole"),
    [
        pytest.param(None, None, [ltx(9, 1, 8), ltx(0, 9, 9)], (10, 10), id="newest-before-the-hole"),
        pytest.param(None, 9, [ltx(9, 1, 8), ltx(0, 9, 9)], None, id="a-txid"),
        pytest.param(None, 4, [ltx(9, 1, 2), ltx(0, 3, 3), ltx(0, 4, 4)], None, id="a-txid-between-snapshots"),
        pytest.param(None, 5, [ltx(9, 1, 2), ltx(0, 3, 3), ltx(0, 4, 4)], None, id="a-file-is-all-or-nothing"),
        pytest.param(6_000, None, [ltx(9, 1, 2), ltx(1, 3, 6)], None, id="a-time-takes-what-was-committed-by-then"),
        pytest.param(5_999, None, [ltx(9, 1, 2), ltx(0, 3, 3), ltx(0, 4, 4)], None, id="a-time-and-nothing-later"),
        pytest.param(1_999, None, [], None, id="before-history"),
    ],
)
def test_plan(at_ms: int | None, txid: int | None, chain: list[LtxFile], hole: tuple[int, int] | None) -> None:
    assert plan(FILES, at_ms=at_ms, txid=txid) == (tuple(chain), hole)


def test_points_are_unbroken_stretches() -> None:
    found = points(FILES)
    assert [(s.level, s.min_txid, s.max_txid, s.files) for s in found] == [
        (0, 3, 4, 2),
        (0, 9, 9, 1),
        (0, 11, 11, 1),
        (1, 3, 6, 1),
        (9, 1, 2, 1),
        (9, 1, 8, 1),
    ]
    assert found[0] == Stretch(level=0, min_txid=3, max_txid=4, from_ms=3000, to_ms=4000, files=2, size_bytes=200)


def test_a_restore_says_where_it_had_to_stop() -> None:
    done = Restored(
        path=Path("/x.db"), source="cloud", txid=9, newest_at_ms=9000, files=2, size_bytes=200, hole=(10, 10)
    )
    assert "stopped there: TXID 10 missing at this source" in done.sentence()


@pytest.mark.parametrize(
    ("key", "file"),
    [
        pytest.param(
            "c/e0001/his/0009/0000000000000001-000000000000000a.ltx.age",
            LtxFile(level=9, min_txid=1, max_txid=10, size_bytes=7),
            id="sealed",
        ),
        pytest.param(
            "c/e0001/his/0000/0000000000000003-0000000000000003.ltx",
            LtxFile(level=0, min_txid=3, max_txid=3, size_bytes=7),
            id="plain",
        ),
        pytest.param("c/e0001/his/0009/0000000000000001-000000000000000a.ltx.part", None, id="staged"),
        pytest.param("c/e0001/his/9/0000000000000001-000000000000000a.ltx", None, id="not-our-layout"),
        pytest.param("c/claims/e0001.json", None, id="a-claim"),
    ],
)
def test_objects_and_files(key: str, file: LtxFile | None) -> None:
    assert parse_object(RemoteObject(key=key, size_bytes=7, time_ms=0)) == file
    if file is not None:
        assert object_key("c/e0001/his", file, ".age" if key.endswith(".age") else "") == key


def test_every_database_is_replicated() -> None:
    assert tuple(DATABASES) == NAMES
