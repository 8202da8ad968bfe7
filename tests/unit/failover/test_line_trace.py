"""Traces: what was written is read back, and what was torn costs only itself."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover import trace
from failover.core.model import LinkState
from failover.probes.outcome import Direction, Outcome, Sample
from failover.trace import LinkChange, Moment, TraceWriter

DAY_MS = 24 * 3600 * 1000
NOON_MS = 1_795_003_200_000 - 1_795_003_200_000 % DAY_MS + DAY_MS // 2


def moment(wall_ms: int = NOON_MS) -> Moment:
    return Moment("boot", 812.5, wall_ms)


def sample(n: int) -> Sample:
    lost = n % 7 == 0
    return Sample(800 + n * 0.2, "telecom", "10.100.0.1", *((Outcome.LOST,) if lost else (Outcome.ANSWERED, 0.012)))


LINK = LinkChange(801.0, "unicom", LinkState(present=True, carrier=False, has_address=True, has_route=None))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path)
    writer.append([sample(n) for n in range(100)], moment())
    writer.append([LINK], moment())
    (path,) = tmp_path.iterdir()
    assert path.name == "2026-11-18.jsonl.gz"
    assert list(trace.read(path)) == [moment(), *(sample(n) for n in range(100)), moment(), LINK]


def test_the_way_of_a_lost_question_is_written_where_it_is_known(tmp_path: Path) -> None:
    known = Sample(801.0, "telecom", "10.100.0.1:862", Outcome.LOST, direction=Direction.BACK)
    unknown = Sample(801.2, "telecom", "10.100.0.1:862", Outcome.LOST)
    TraceWriter(tmp_path).append([known, unknown], moment())
    (path,) = tmp_path.iterdir()
    assert list(trace.read(path)) == [moment(), known, unknown]
    rows = [json.loads(row) for row in gzip.decompress(path.read_bytes()).splitlines()[1:]]
    assert [row[5:] for row in rows] == [[None, "back"], [None]], "older readers know six fields"


@pytest.mark.parametrize("more", [[], ["out"], [None], ["sideways"], [7], [["out"]], ["out", "and more"]])
def test_a_row_of_another_length_is_read_as_far_as_it_is_understood(tmp_path: Path, more: list[object]) -> None:
    head = {"boot_id": "boot", "boottime": 812.5, "wall_ms": NOON_MS}
    rows = [head, ["p", 801.0, "telecom", "10.100.0.1:862", "lost", None, *more]]
    path = tmp_path / "day.jsonl.gz"
    path.write_bytes(gzip.compress("".join(f"{json.dumps(row)}\n" for row in rows).encode()))
    way = Direction.OUT if more[:1] == ["out"] else None
    assert list(trace.read(path))[1:] == [
        Sample(801.0, "telecom", "10.100.0.1:862", Outcome.LOST, direction=way)
    ]  # fmt: skip


def test_a_torn_end_costs_the_last_batch_and_nothing_else(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path)
    for n in range(3):
        writer.append([sample(n)], moment())
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    ends = [end for end, _ in trace._members(path)]
    assert ends[-1] == len(whole)
    for cut in range(ends[1] + 1, len(whole)):
        path.write_bytes(whole[:cut])
        assert [e for e in trace.read(path) if isinstance(e, Sample)] == [sample(0), sample(1)]
    path.write_bytes(whole[:-9] + bytes(4096))  # a power cut: the length is there, the content is not
    after = TraceWriter(tmp_path)
    after.append([sample(3)], moment())
    assert [e for e in trace.read(path) if isinstance(e, Sample)] == [sample(0), sample(1), sample(3)]


@settings(deadline=None, max_examples=50)  # each example waits for the disk
@given(st.binary(max_size=300))
def test_no_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("trace") / "2026-01-01.jsonl.gz"
    path.write_bytes(content)
    assert list(trace.read(path)) == []
    assert trace.mend(path) == len(content)


@settings(deadline=None, max_examples=50)  # each example waits for the disk
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists, max_leaves=8))
def test_no_line_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    import gzip
    import json

    path = tmp_path_factory.mktemp("trace") / "2026-01-01.jsonl.gz"
    lines = [json.dumps(row) for row in (value, ["p", value, value], ["l", value, "x", value], {"boottime": value})]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert all(not isinstance(entry, Moment) for entry in trace.read(path))


def test_old_days_go_and_today_stays(tmp_path: Path) -> None:
    for day in range(20):
        TraceWriter(tmp_path).append([sample(1)], moment(NOON_MS + day * DAY_MS))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == trace.KEEP_DAYS and names[-1] == "2026-12-07.jsonl.gz"


def test_the_oldest_go_while_all_together_is_too_much(tmp_path: Path) -> None:
    for day in range(5):
        writer = TraceWriter(tmp_path, largest_bytes=350)
        writer.append([sample(1)], moment(NOON_MS + day * DAY_MS))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[-1] == "2026-11-22.jsonl.gz" and 1 < len(names) < 5


def test_a_day_that_fills_the_room_keeps_its_beginning(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path, largest_bytes=350)
    for n in range(20):
        writer.append([sample(n)], moment())
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size <= 350
    assert next(e for e in trace.read(path) if isinstance(e, Sample)) == sample(0)


def test_a_folder_that_cannot_be_written_is_an_error_to_its_caller(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file where the folder should be")
    with pytest.raises(OSError):
        TraceWriter(tmp_path / "traces").append([sample(1)], moment())
