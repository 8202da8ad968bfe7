"""What becomes of Litestream's talk."""

from __future__ import annotations

import json

import pytest

from edge_node.replication.litestream_log import LineSplitter, LogRelay, Said, parse_line


def a_line(level: str, msg: str, **fields: object) -> str:
    return json.dumps({"time": "2026-11-22T19:49:17.9Z", "level": level, "msg": msg, **fields})


SYNC_ERROR = a_line("ERROR", "sync error", db="his.db", error="database or disk is full", consecutive_errors=4)
MONITOR_ERROR = a_line("ERROR", "monitor error", db="his.db", replica="file", error="read-only file system")


@pytest.mark.parametrize(
    "line, said",
    [
        pytest.param(
            SYNC_ERROR,
            Said(level="ERROR", message="sync error", database="his.db", error="database or disk is full"),
            id="error-of-a-database",
        ),
        pytest.param(
            a_line("INFO", "litestream", version="0.5.17"),
            Said(level="INFO", message="litestream", database=None, error=None),
            id="greeting",
        ),
        pytest.param(
            "panic: runtime error",
            Said(level="ERROR", message="", database=None, error="panic: runtime error"),
            id="panic",
        ),
        pytest.param(
            '{"level":"ERROR","msg":"compaction failed","db":"his.db","level":1,"error":"short read"}',
            Said(level="ERROR", message="compaction failed", database="his.db", error="short read"),
            id="level-of-the-line-and-not-of-the-files",
        ),
        pytest.param("[1]", Said(level="ERROR", message="", database=None, error="[1]"), id="json-but-no-line"),
    ],
)
def test_parse_line(line: str, said: Said) -> None:
    assert parse_line(line) == said


def test_lines_come_whole_from_torn_pieces() -> None:
    lines = LineSplitter()
    assert list(lines.feed("a\nbc西".encode()[:-1])) == ["a"]
    assert list(lines.feed("西".encode()[-1:] + b"d\n\ne")) == ["bc西d"]
    assert list(lines.end()) == ["e"]
    assert list(lines.end()) == []


def test_an_endless_line_is_cut_once_and_the_next_one_is_whole() -> None:
    lines = LineSplitter()
    heard = [line for _ in range(10) for line in lines.feed(b"x" * 10_000)]
    heard += lines.feed(b"tail of it\nnext\n")
    assert [len(heard[0]), heard[1:]] == [16 * 1024, ["next"]]


def test_steady_state_logs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    relay = LogRelay()
    for msg in ("litestream", "initialized db", "snapshot complete", "compaction complete", "litestream shut down"):
        relay.hear(a_line("INFO", msg, db="his.db"))
    assert capsys.readouterr().err == ""
    assert relay.trouble is None


def test_repeated_error_is_logged_first_then_at_powers_of_ten_then_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    relay = LogRelay()
    for _ in range(150):
        relay.hear(SYNC_ERROR)
    relay.hear(a_line("INFO", "sync recovered", db="his.db", previous_errors=150))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("times=")[2] for line in lines] == ["1", "10", "100", "150"]
    assert lines[0].startswith('error litestream_error message="sync error" db=his.db error="database or disk is full"')
    assert lines[3].startswith("info litestream_recovered")


@pytest.mark.parametrize(
    "lines, trouble",
    [
        pytest.param([SYNC_ERROR], "sync error: database or disk is full", id="cannot-capture"),
        pytest.param([SYNC_ERROR, a_line("INFO", "sync recovered", db="his.db")], None, id="captures-again"),
        pytest.param(
            [MONITOR_ERROR, a_line("INFO", "sync recovered", db="his.db")],
            "monitor error: read-only file system",
            id="captures-but-still-cannot-write-the-replica",
        ),
        pytest.param([MONITOR_ERROR, a_line("INFO", "replica sync recovered", db="his.db")], None, id="replica-again"),
        pytest.param(
            [SYNC_ERROR, a_line("INFO", "sync recovered", db="node.db")],
            "sync error: database or disk is full",
            id="another-database-recovered",
        ),
        pytest.param([a_line("ERROR", "compaction failed", db="his.db", error="x")], None, id="capture-goes-on"),
    ],
)
def test_trouble_is_what_keeps_it_from_capturing(lines: list[str], trouble: str | None) -> None:
    relay = LogRelay()
    for line in lines:
        relay.hear(line)
    assert relay.trouble == trouble


def test_a_new_litestream_begins_without_the_troubles_of_the_last() -> None:
    relay = LogRelay()
    relay.hear(SYNC_ERROR)
    relay.begin()
    assert relay.trouble is None
    assert relay.tail == (SYNC_ERROR,)


def test_an_exchanged_database_is_told_although_litestream_thinks_it_is_information(
    capsys: pytest.CaptureFixture[str],
) -> None:
    LogRelay().hear(a_line("INFO", "detected database behind replica", db="his.db"))
    assert capsys.readouterr().err.startswith('warning litestream_warning message="detected database behind replica"')


def test_only_the_last_lines_are_kept() -> None:
    relay = LogRelay()
    for number in range(100):
        relay.hear(a_line("INFO", f"line {number}"))
    assert [json.loads(line)["msg"] for line in relay.tail] == [f"line {number}" for number in range(75, 100)]
