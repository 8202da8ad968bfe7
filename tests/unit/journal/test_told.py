"""The watcher's file of transitions as it grows, is torn, is moved aside, or is written anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.journal.told import BATCH_BYTES, LONGEST_LINE_BYTES, TransitionTail, parse_line

RECORD = {
    "seq": 1, "at": "2026-11-22T01:14:02.000Z", "boottime": 812.4, "boot_id": "b", "kind": "verdict",
    "subject": "telecom", "from": "up", "to": "down", "from_line": None, "to_line": None,
    "reason": {"code": "silent", "args": {"silent_s": 1.0, "targets": 2}},
}  # fmt: skip


def line(seq: int) -> bytes:
    return json.dumps({**RECORD, "seq": seq}).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "transitions.jsonl"


def seqs(tail: TransitionTail) -> list[int]:
    told = tail.read()
    tail.advance()
    return [transition.seq for transition in told.transitions]


def test_a_line_as_the_watcher_writes_it() -> None:
    told = parse_line(line(7))
    assert told is not None
    assert (told.seq, told.at_ms, told.kind, told.subject) == (7, 1_795_310_042_000, "verdict", "telecom")
    assert (told.from_state, told.to_state, told.reason, told.args["targets"]) == ("up", "down", "silent", 2)


def test_each_line_is_told_once(path: Path) -> None:
    tail = TransitionTail(path)
    assert seqs(tail) == []
    path.write_bytes(line(1) + line(2))
    assert seqs(tail) == [1, 2]
    assert seqs(tail) == []
    with path.open("ab") as file:
        file.write(line(3))
    assert seqs(tail) == [3]


def test_what_was_not_recorded_is_told_again(path: Path) -> None:
    path.write_bytes(line(1))
    tail = TransitionTail(path)
    assert len(tail.read().transitions) == len(tail.read().transitions) == 1


def test_a_torn_line_waits_for_its_end(path: Path) -> None:
    whole = line(2)
    path.write_bytes(line(1) + whole[:30])
    tail = TransitionTail(path)
    assert seqs(tail) == [1]
    with path.open("ab") as file:
        file.write(whole[30:])
    assert seqs(tail) == [2]


def test_a_file_moved_aside_is_read_to_its_end(path: Path) -> None:
    path.write_bytes(line(1))
    tail = TransitionTail(path)
    assert seqs(tail) == [1]
    with path.open("ab") as file:
        file.write(line(2))
    path.rename(path.with_name("transitions.jsonl.1"))
    assert seqs(tail) == [1, 2], "told again from the beginning: the records know what they have"
    path.write_bytes(line(3))
    assert seqs(tail) == [1, 2, 3]
    assert seqs(tail) == []


@pytest.mark.parametrize("content", [line(9), line(9) + line(10), line(9) * 40])
def test_a_file_that_was_written_anew_is_noticed(path: Path, content: bytes) -> None:
    """Shorter, as long, or longer than what was read, and in the same inode."""
    path.write_bytes(line(1) + line(2))
    tail = TransitionTail(path)
    assert seqs(tail) == [1, 2]
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(content)
    assert seqs(tail) == [9] * content.count(b'"seq": 9') + [10] * content.count(b'"seq": 10')


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"{}", b"[]", b"null", b"nonsense", b'"text"', b"\xff\xfe", b"[" * 100_000,
        json.dumps({**RECORD, "at": "yesterday"}).encode(),
        json.dumps({**RECORD, "at": "2026-11-22T01:14:02"}).encode(),
        json.dumps({**RECORD, "reason": "silent"}).encode(),
        json.dumps({**RECORD, "reason": {"code": "silent", "args": [1]}}).encode(),
        json.dumps({**RECORD, "seq": 1e400}).encode(),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_counted_and_passed_over(path: Path, bad: bytes) -> None:
    path.write_bytes(line(1) + bad + b"\n" + line(2))
    told = TransitionTail(path).read()
    assert [t.seq for t in told.transitions] == [1, 2]
    assert told.unreadable == 1


def test_a_line_without_an_end_does_not_stop_the_journal(path: Path) -> None:
    path.write_bytes(line(1) + b"x" * (BATCH_BYTES + LONGEST_LINE_BYTES) + b"\n" + line(2))
    tail = TransitionTail(path)
    found = [seq for _ in range(5) for seq in seqs(tail)]
    assert found == [1, 2]


def test_a_long_file_is_read_in_parts(path: Path) -> None:
    count = 2 * BATCH_BYTES // len(line(10_000)) + 100
    path.write_bytes(b"".join(line(seq) for seq in range(1, count + 1)))
    tail = TransitionTail(path)
    found: list[int] = []
    for _ in range(10):
        told = tail.read()
        tail.advance()
        found += [t.seq for t in told.transitions]
        if not told.more:
            break
    assert found == list(range(1, count + 1))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_nothing_in_a_line_can_hurt(content: bytes) -> None:
    parse_line(content)
