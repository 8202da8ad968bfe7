"""Names, headers and chains of LTX files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.replication import ltx
from edge_node.replication.ltx import LtxFile
from tests.support.litestreams import header, plant


def a_file(level: int, min_txid: int, max_txid: int) -> LtxFile:
    return LtxFile(level=level, min_txid=min_txid, max_txid=max_txid, size_bytes=100)


@pytest.mark.parametrize(
    "name, txids",
    [
        pytest.param("0000000000000001-000000000000001f.ltx", (1, 31), id="a-finished-file"),
        pytest.param("0000000000000001-0000000000000001.ltx.tmp", None, id="still-being-written"),
        pytest.param(".0000000000000001-0000000000000001.ltx", None, id="hidden"),
        pytest.param("0000000000000001-000000000000001F.ltx", None, id="capitals-are-not-litestreams"),
        pytest.param("0000000000000001-0000000000000001.ltx\n", None, id="line-end"),
        pytest.param("0000000000000002-0000000000000001.ltx", None, id="backwards"),
        pytest.param("0000000000000000-0000000000000001.ltx", None, id="txid-zero"),
        pytest.param("1-2.ltx", None, id="short"),
        pytest.param("", None, id="empty"),
    ],
)
def test_name(name: str, txids: tuple[int, int] | None) -> None:
    assert ltx.parse_name(name) == txids


@given(st.integers(1, 2**64 - 1), st.integers(1, 2**64 - 1))
def test_every_name_reads_back(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert ltx.parse_name(ltx.file_name(low, high)) == (low, high)


def test_header_tells_range_time_and_size(tmp_path: Path) -> None:
    path = tmp_path / "file.ltx"
    path.write_bytes(header(3, 7, timestamp_ms=1_795_000_000_123) + b"pages")
    read = ltx.read_header(path)
    assert (read.min_txid, read.max_txid, read.timestamp_ms) == (3, 7, 1_795_000_000_123)
    assert read.database_bytes == 3 * 4096
    assert read == ltx.read_header(path.read_bytes()) == ltx.read_header(path.read_bytes()[:40])


@pytest.mark.parametrize(
    "data, words",
    [
        pytest.param(b"", "here are 0", id="empty"),
        pytest.param(header(1, 1)[:39], "here are 39", id="torn"),
        pytest.param(b"SQLite format 3\0".ljust(100, b"\0"), "begins with b'SQLi'", id="a-database"),
        pytest.param(b"age-encryption.org/v1".ljust(100), "begins with b'age-'", id="still-encrypted"),
        pytest.param(header(2, 1), "TXIDs are 2 to 1", id="backwards"),
        pytest.param(header(0, 0), "TXIDs are 0 to 0", id="zeros"),
    ],
)
def test_what_is_no_header_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ltx.read_header(data)


def test_scan_finds_finished_files_of_all_levels_in_order(tmp_path: Path) -> None:
    for level, low, high in ((9, 1, 1), (0, 2, 2), (0, 1, 1), (1, 1, 2)):
        plant(tmp_path, level, low, high)
    for stranger in ("0/0000000000000003-0000000000000003.ltx.tmp", "0/lost+found", "README"):
        (tmp_path / "ltx" / stranger).write_text("not an LTX file")
    found = ltx.scan(tmp_path)
    assert [(file.level, file.min_txid, file.max_txid) for file in found] == [
        (0, 1, 1),
        (0, 2, 2),
        (1, 1, 2),
        (9, 1, 1),
    ]
    assert {file.size_bytes for file in found} == {100}
    assert all(ltx.read_header(ltx.local_path(tmp_path, file)).max_txid == file.max_txid for file in found)


def test_scan_of_no_replica_is_empty(tmp_path: Path) -> None:
    assert ltx.scan(tmp_path / "not there") == []


def test_file_compacted_away_while_listing_is_left_out(tmp_path: Path) -> None:
    plant(tmp_path, 0, 1, 1)
    (tmp_path / "ltx" / "0" / ltx.file_name(2, 2)).symlink_to("gone")
    assert [file.max_txid for file in ltx.scan_level(tmp_path, 0)] == [1]


@pytest.mark.parametrize(
    "files, frontier, hole",
    [
        pytest.param([], 0, None, id="nothing"),
        pytest.param([a_file(9, 1, 5)], 5, None, id="a-snapshot-alone"),
        pytest.param([a_file(9, 1, 5), a_file(0, 6, 6), a_file(0, 7, 7)], 7, None, id="captures-behind-it"),
        pytest.param([a_file(9, 1, 5), a_file(0, 7, 7)], 5, (6, 6), id="one-is-missing"),
        pytest.param([a_file(9, 1, 5), a_file(1, 4, 8)], 8, None, id="a-compaction-that-overlaps"),
        pytest.param([a_file(9, 1, 5), a_file(0, 2, 2), a_file(0, 3, 3)], 5, None, id="older-ones-do-not-matter"),
        pytest.param([a_file(0, 1, 1), a_file(0, 2, 2)], 2, None, id="from-the-first-capture-without-a-snapshot"),
        pytest.param([a_file(0, 2, 2)], 0, (1, 1), id="no-beginning"),
        pytest.param([a_file(9, 1, 2), a_file(9, 1, 9), a_file(0, 3, 3)], 9, None, id="the-newest-snapshot-counts"),
        pytest.param(
            [a_file(9, 1, 1), a_file(0, 2, 2), a_file(1, 9, 12), a_file(0, 20, 20)], 2, (3, 8), id="two-holes"
        ),
    ],
)
def test_frontier_and_first_hole(files: list[LtxFile], frontier: int, hole: tuple[int, int] | None) -> None:
    assert ltx.frontier(files) == frontier
    assert ltx.first_hole(files) == hole


@pytest.mark.parametrize(
    "chain, contiguous",
    [
        pytest.param([], False, id="nothing-restores-nothing"),
        pytest.param([a_file(9, 1, 5), a_file(1, 6, 9)], True, id="end-to-end"),
        pytest.param([a_file(9, 1, 5), a_file(1, 3, 9)], True, id="overlap"),
        pytest.param([a_file(9, 1, 5), a_file(1, 7, 9)], False, id="gap"),
        pytest.param([a_file(9, 1, 5), a_file(1, 2, 5)], False, id="adds-nothing"),
        pytest.param([a_file(0, 2, 2)], False, id="no-beginning"),
        pytest.param([a_file(1, 6, 9), a_file(9, 1, 5)], False, id="wrong-order"),
    ],
)
def test_chain_is_contiguous(chain: list[LtxFile], contiguous: bool) -> None:
    assert ltx.is_contiguous(chain) is contiguous


FILES = st.lists(
    st.builds(
        lambda level, low, length: a_file(level, 1 if level == 9 else low, low + length),
        st.sampled_from([0, 1, 2, 9]),
        st.integers(1, 12),
        st.integers(0, 6),
    )
)


@given(FILES)
def test_frontier_neither_depends_on_order_nor_reaches_beyond_what_is_covered(files: list[LtxFile]) -> None:
    reach = ltx.frontier(files)
    assert reach == ltx.frontier(files[::-1])
    covered = {txid for file in files for txid in range(file.min_txid, file.max_txid + 1)}
    assert set(range(1, reach + 1)) <= covered
    assert reach + 1 not in covered
    assert (ltx.first_hole(files) is None) == (reach == ltx.head(files))
