"""The watcher's own writer on one side, the journal's reader on the other."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.journal.traces import Sample, TraceFolder, samples_of
from failover.core.model import LinkState
from failover.probes import outcome
from failover.probes.outcome import Outcome
from failover.trace import Entry, LinkChange, Moment, TraceWriter

WALL = 1_795_000_000_000
DAY = "2026-11-18"


def written(folder: Path, *batches: list[Entry]) -> TraceFolder:
    writer = TraceWriter(folder)
    for n, batch in enumerate(batches):
        writer.append(batch, Moment("b", 1000.0 + n * 5, WALL + n * 5000))
    return TraceFolder(folder)


def probe(asked_at: float, what: Outcome = Outcome.ANSWERED, rtt_s: float | None = 0.004) -> Entry:
    return outcome.Sample(asked_at, "telecom", "10.100.0.1", what, rtt_s)


def test_what_the_watcher_writes_is_read(tmp_path: Path) -> None:
    source = written(
        tmp_path,
        [probe(999.0), probe(999.2, Outcome.LOST, None), probe(999.4, Outcome.BLIND, None)],
        [LinkChange(1003.0, "telecom", LinkState(carrier=False)), probe(1004.0, Outcome.UNREACHABLE, None),
         probe(999.2, Outcome.LATE, 1.3)],
    )  # fmt: skip

    assert source.days() == [DAY]
    first, second = source.chunks(DAY, 0)
    assert [(s.at_ms - WALL, s.rtt_s, s.is_late) for s in first.samples] == [(-1000, 0.004, False), (-800, None, False)]
    assert [(s.at_ms - WALL, s.rtt_s, s.is_late) for s in second.samples] == [(4000, None, False), (-800, 1.3, True)]


def test_reading_goes_on_at_any_place(tmp_path: Path) -> None:
    source = written(tmp_path, *([probe(999.0 + n)] for n in range(6)))
    whole = list(source.chunks(DAY, 0))
    assert len(whole) == 6
    for n, chunk in enumerate(whole):
        assert list(source.chunks(DAY, chunk.next_place)) == whole[n + 1 :]


def test_every_outcome_that_is_evidence_is_taken(tmp_path: Path) -> None:
    """A new outcome of the watcher must be sorted here too."""
    told = {what: 0.004 if what in (Outcome.ANSWERED, Outcome.LATE) else None for what in Outcome}
    source = written(tmp_path, [probe(999.0, what, rtt_s) for what, rtt_s in told.items()])
    (chunk,) = source.chunks(DAY, 0)
    assert len(chunk.samples) == len(Outcome) - len({Outcome.BLIND})


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_torn_end_is_not_there_yet(tmp_path: Path, cut: int) -> None:
    source = written(tmp_path, [probe(999.0)], [probe(1000.0)])
    path = tmp_path / f"{DAY}.jsonl.gz"
    content = path.read_bytes()
    os.truncate(path, len(content) - cut)
    (first,) = source.chunks(DAY, 0)
    path.write_bytes(content)
    (second,) = source.chunks(DAY, first.next_place)
    assert second.next_place == len(content)


def test_nothing_there_is_nothing(tmp_path: Path) -> None:
    source = TraceFolder(tmp_path / "gone")
    assert source.days() == []
    assert list(source.chunks(DAY, 0)) == []
    written(tmp_path, [probe(999.0)])
    assert list(TraceFolder(tmp_path).chunks(DAY, 10_000)) == []


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 60))
def test_damage_in_a_file_hurts_nobody(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    folder = tmp_path_factory.mktemp("traces")
    source = written(folder, [probe(999.0)], [probe(1000.0)])
    path = folder / f"{DAY}.jsonl.gz"
    content = path.read_bytes()
    path.write_bytes(content[:at] + noise + content[at + len(noise) :])
    assert all(chunk.next_place <= path.stat().st_size for chunk in source.chunks(DAY, 0))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_lines_that_are_none_are_left_out(noise: bytes) -> None:
    head = b'{"boot_id":"b","boottime":1000,"wall_ms":1795000000000}\n'
    good = b'["p",999.0,"telecom","t","answered",0.004]\n'
    expected = Sample(at_ms=WALL - 1000, line="telecom", target="t", rtt_s=0.004)
    assert expected in samples_of(head + noise.replace(b"\n", b"") + b"\n" + good)


def test_a_member_that_never_ends_is_left(tmp_path: Path) -> None:
    """Zeros pack to nothing: a file of a few kilobytes must not fill the memory."""
    path = tmp_path / f"{DAY}.jsonl.gz"
    path.write_bytes(gzip.compress(b"0" * (65 << 20), 1))
    assert list(TraceFolder(tmp_path).chunks(DAY, 0)) == []
