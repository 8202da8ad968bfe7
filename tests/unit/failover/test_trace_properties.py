"""Whatever lies in a day file: nothing breaks the reader, and no whole member before the damage is lost."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from failover import trace
from failover.core.model import LinePolicy, LinkState, Policy
from failover.probes.outcome import Direction, Outcome, Sample
from failover.setup import Target
from failover.simulate import Simulation, play
from failover.trace import Entry, LinkChange, Moment, TraceWriter

NOON_MS = 1_795_003_200_000
names = st.text(min_size=1, max_size=12)
times = st.floats(0, 1e8).map(lambda at: round(at, 4))
three = st.none() | st.booleans()
samples = st.builds(
    Sample,
    asked_at=times,
    line=names,
    target=names,
    outcome=st.sampled_from(Outcome),
    rtt_s=st.none() | st.floats(0, 100).map(lambda rtt_s: round(rtt_s, 6)),
    direction=st.none() | st.sampled_from(Direction),
)
links = st.builds(LinkState, present=three, carrier=three, has_address=three, has_route=three)
entries: st.SearchStrategy[list[Entry]] = st.lists(
    samples | st.builds(LinkChange, at=times, line=names, link=links), max_size=8
)
moments = st.builds(
    Moment,
    boot_id=names,
    boottime=st.floats(0, 1e8).map(lambda at: round(at, 3)),
    wall_ms=st.integers(NOON_MS, NOON_MS + 3_600_000),
)
batches = st.lists(st.tuples(moments, entries), min_size=1, max_size=4)

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
rows: st.SearchStrategy[Any] = st.one_of(
    json_values,
    st.tuples(st.just("p"), *[json_values] * 5).map(list),
    st.tuples(st.just("l"), json_values, json_values, json_values).map(list),
    st.fixed_dictionaries({"boot_id": json_values, "boottime": json_values, "wall_ms": json_values}),
)
quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(folder: Path, told: Sequence[tuple[Moment, list[Entry]]]) -> Path:
    for path in folder.glob("*"):
        path.unlink()
    writer = TraceWriter(folder)
    for moment, batch in told:
        writer.append(batch, moment)
    (path,) = folder.iterdir()
    return path


def flat(told: Sequence[tuple[Moment, list[Entry]]]) -> list[Moment | Entry]:
    return [one for moment, batch in told for one in (moment, *batch)]


@quick
@given(told=batches)
def test_what_is_written_is_read(tmp_path: Path, told: list[tuple[Moment, list[Entry]]]) -> None:
    assert list(trace.read(written(tmp_path / "days", told))) == flat(told)


@quick
@given(told=batches, damage=st.binary(min_size=1, max_size=200), after=batches)
@example(told=[(Moment("b", 1.0, NOON_MS), [])], damage=bytes(4096), after=[(Moment("b", 2.0, NOON_MS), [])])
@example(told=[(Moment("b", 1.0, NOON_MS), [])], damage=b"\x1f\x8b\x08\x00", after=[(Moment("b", 2.0, NOON_MS), [])])
def test_members_before_the_damage_are_whole(
    tmp_path: Path,
    told: list[tuple[Moment, list[Entry]]],
    damage: bytes,
    after: list[tuple[Moment, list[Entry]]],
) -> None:
    """Garbage in the middle, and whole members after it."""
    behind = written(tmp_path / "days", after).read_bytes()
    path = written(tmp_path / "days", told)
    path.write_bytes(path.read_bytes() + damage + behind)
    found = list(trace.read(path))
    assert found[: len(flat(told))] == flat(told)


@quick
@given(told=batches, cut=st.integers(1, 400))
def test_a_torn_end_costs_the_last_member_at_most(
    tmp_path: Path, told: list[tuple[Moment, list[Entry]]], cut: int
) -> None:
    path = written(tmp_path / "days", told)
    content = path.read_bytes()
    ends = [end for end, _ in trace._members(path)]
    torn = content[: max(0, len(content) - cut)]
    path.write_bytes(torn)
    whole = sum(end <= len(torn) for end in ends)
    assert list(trace.read(path)) == flat(told[:whole])
    assert trace.mend(path) == len(torn) - (ends[whole - 1] if whole else 0)


@quick
@given(told=batches, more=batches)
def test_files_laid_end_to_end_are_read_through(
    tmp_path: Path, told: list[tuple[Moment, list[Entry]]], more: list[tuple[Moment, list[Entry]]]
) -> None:
    first = written(tmp_path / "days", told).read_bytes()
    path = written(tmp_path / "days", more)
    path.write_bytes(first + path.read_bytes())
    assert list(trace.read(path)) == [*flat(told), *flat(more)]


@quick
@given(content=st.binary(max_size=600) | st.binary(max_size=600).map(gzip.compress))
def test_no_bytes_break_the_reader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "2026-01-01.jsonl.gz"
    path.write_bytes(content)
    list(trace.read(path))
    trace.mend(path)


@quick
@given(lines=st.lists(rows, max_size=6))
@example(lines=[{"boot_id": "b", "boottime": 1.0, "wall_ms": math.inf}])
@example(lines=[{"boot_id": "b", "boottime": 10**400, "wall_ms": 1}])
@example(lines=[["p", math.nan, "telecom", "10.100.0.1", "answered", math.inf]])
@example(lines=[["p", 1.0, "telecom", "10.100.0.1", "answered", 0.1, ["out"]], ["p", 1, 2, 3, {}, 4]])
def test_no_line_breaks_the_reader_nor_what_plays_it(tmp_path: Path, lines: list[Any]) -> None:
    path = tmp_path / "2026-01-01.jsonl.gz"
    head = {"boot_id": "b", "boottime": 1e9, "wall_ms": NOON_MS}
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in (head, *lines)).encode()))
    policy = Policy(lines=(LinePolicy(name="telecom", preferred=1),))
    list(play(trace.read(path), Simulation(policy, {"telecom": (Target(address="10.100.0.1"),)})))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"boot_id":' * 50_000, "1" * 10_000, "\udcff"])
def test_lines_that_no_parser_likes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "2026-01-01.jsonl.gz"
    good = '["l", 1.0, "telecom", {"present": true, "carrier": true, "has_address": true, "has_route": true}]'
    path.write_bytes(gzip.compress(f"{text}\n{good}\n".encode(errors="surrogateescape")))
    assert [type(told) for told in trace.read(path)] == [LinkChange]


def test_a_member_of_another_format_ends_the_reading(tmp_path: Path) -> None:
    path = written(tmp_path / "days", [(Moment("b", 1.0, NOON_MS), [])])
    path.write_bytes(path.read_bytes() + zlib.compress(b"no gzip") + path.read_bytes())
    assert list(trace.read(path)) == [Moment("b", 1.0, NOON_MS)]
