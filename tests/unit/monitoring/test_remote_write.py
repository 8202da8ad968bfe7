"""What is pushed and how it is written: read back by a decoder that shares nothing with the writer."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.collector import to_metric
from monitoring.families import FAMILIES
from monitoring.remote_write import (
    AT_HOME,
    HEARTBEAT,
    STALE,
    Step,
    compressed,
    heartbeat,
    is_stale,
    sampled,
    write_request,
)
from monitoring.snapshot import Push, Value
from tests.support.push import a_two_line_snapshot
from tests.support.remote_write import a_step, decompressed, series_in

AT = 1_795_000_000_000
WHO = {"job": "edge-node", "instance": "clinic-0042", "clinic": "clinic-0042"}


def double(value: float) -> bytes:
    return struct.pack("<d", value)


def test_each_series_stands_once_with_its_samples_oldest_first() -> None:
    steps = [a_step(AT + 30_000, edge_b=2.5, edge_a=-0.0), a_step(AT, edge_a=1.0)]
    assert series_in(write_request(steps, labels={"job": "edge-node"})) == [
        ((("__name__", "edge_a"), ("job", "edge-node")), [(AT, double(1.0)), (AT + 30_000, double(-0.0))]),
        ((("__name__", "edge_b"), ("job", "edge-node")), [(AT + 30_000, double(2.5))]),
    ]


def test_labels_are_sorted_wherever_they_come_from() -> None:
    series = (("__name__", "edge_line_active"), ("line", "电信"))
    ((labels, _),) = series_in(write_request([Step(at_ms=AT, values={series: 1.0})], labels=WHO))
    assert labels == (
        ("__name__", "edge_line_active"), ("clinic", "clinic-0042"), ("instance", "clinic-0042"),
        ("job", "edge-node"), ("line", "电信"),
    )  # fmt: skip


def test_the_end_of_a_series_is_the_one_nan_that_says_so() -> None:
    """Prometheus compares the bits: another NaN would be a value."""
    ((_, samples),) = series_in(write_request([a_step(AT, edge_a=STALE)], labels={}))
    assert samples == [(AT, (0x7FF0000000000002).to_bytes(8, "little"))]
    assert is_stale(STALE)
    assert not is_stale(float("nan"))
    assert not is_stale(1.0)


@given(st.binary(max_size=3000) | st.text("ab", max_size=3000).map(str.encode))
def test_what_is_compressed_comes_back(content: bytes) -> None:
    assert decompressed(compressed(content)) == content


@pytest.mark.parametrize("size", [0, 1, 59, 60, 61, 255, 256, 257, 65_535, 65_536, 65_537, 200_000])
def test_a_block_of_any_size_comes_back(size: int) -> None:
    """Literals change their form at these sizes, and offsets end at 64 kB; none of these bytes repeats near itself."""
    content = b"".join((number * 2654435761 % 2**32).to_bytes(4, "big") for number in range(size // 4 + 1))[:size]
    assert decompressed(compressed(content)) == content
    assert decompressed(compressed(b"x" * size)) == b"x" * size


def test_a_step_of_two_lines_is_small_on_the_line() -> None:
    """Every 30 seconds for as long as a clinic lives: 12 MB a day at 4.5 kB."""
    step = Step(at_ms=AT, values=sampled(a_two_line_snapshot()))
    assert 150 < len(step.values) < 220, "a two-line node has about as many series"
    whole = compressed(write_request([step], labels=WHO))
    assert len(whole) < 4500
    assert len(compressed(write_request([heartbeat(step)], labels=WHO))) < 700


def test_what_is_pushed_is_what_a_scrape_finds_but_for_what_stays_at_home() -> None:
    node = a_two_line_snapshot(his_commit_batch_size=())
    found = {dict(series)["__name__"] for series in sampled(node)}
    scraped = {sample.name for f in FAMILIES for sample in to_metric(f, f.samples(node)).samples}
    assert found == {name for name in scraped if not name.startswith(tuple(AT_HOME))}
    assert {"edge_mode", "edge_line_rtt_seconds_bucket", "edge_build_info", "edge_line_probes_total"} <= found


@pytest.mark.parametrize("name", [*AT_HOME, *HEARTBEAT])
def test_a_name_in_a_table_is_one_of_the_nodes(name: str) -> None:
    assert name in {family.name for family in FAMILIES}


def test_a_heartbeat_says_that_the_node_lives_and_where() -> None:
    step = Step(at_ms=AT, values=sampled(a_two_line_snapshot()))
    kept = heartbeat(step)
    assert kept.at_ms == AT
    assert {dict(series)["__name__"] for series in kept.values} == set(HEARTBEAT)
    assert all(step.values[series] == value for series, value in kept.values.items())


def test_a_node_that_pushes_tells_how_that_goes() -> None:
    outcome = Value(labels=("sent",), value=7.0)
    node = a_two_line_snapshot(push=Push(backlog_samples=3, oldest_at=5.5, samples=(outcome,), requests=(outcome,)))
    told = {dict(s)["__name__"]: v for s, v in sampled(node).items() if "remote_write" in dict(s)["__name__"]}
    assert told == {
        "edge_remote_write_backlog_samples": 3.0, "edge_remote_write_oldest_timestamp_seconds": 5.5,
        "edge_remote_write_samples_total": 7.0, "edge_remote_write_requests_total": 7.0,
    }  # fmt: skip
