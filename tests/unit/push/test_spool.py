"""The file of samples that wait: what it keeps, how it ends them, and what becomes of a file that cannot be used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.base.errors import StoreError
from edge_node.push.policy import Outcome, Span
from edge_node.push.spool import Backlog, Spool, join_spool, open_spool
from monitoring.remote_write import STALE, Step, is_stale, sampled
from tests.support.push import a_two_line_snapshot
from tests.support.remote_write import a_step

AT, EVERY_MS = 1_795_000_000_000, 30_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "push" / "samples.db"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    with contextlib.closing(open_spool(path)) as spool:
        yield spool


def fill(spool: Spool, steps: int, **values: float) -> None:
    for number in range(steps):
        assert spool.record(a_step(AT + number * EVERY_MS, **(values or {"edge_a": float(number)})))


def ended(spool: Spool) -> dict[str, int]:
    return {outcome.value: count for outcome, count in spool.ended().items() if count}


def test_what_is_kept_comes_back_with_its_time(spool: Spool) -> None:
    spool.record(a_step(AT, edge_a=0.1, edge_b=float("inf")))
    spool.record(a_step(AT + EVERY_MS, edge_a=1e-300, edge_b=2.0))
    assert spool.steps(Span(first=1, last=2)) == [
        a_step(AT, edge_a=0.1, edge_b=float("inf")),
        a_step(AT + EVERY_MS, edge_a=1e-300, edge_b=2.0),
    ]
    assert spool.backlog() == Backlog(span=Span(first=1, last=2), samples=4, oldest_ms=AT)


def test_an_empty_one_has_nothing_to_send(spool: Spool) -> None:
    assert spool.backlog() == Backlog(span=None, samples=0, oldest_ms=None)
    assert spool.newest() is None
    assert spool.end_before(AT, Outcome.EXPIRED) == 0


def test_what_was_sent_is_gone_but_for_the_newest(spool: Spool) -> None:
    fill(spool, 5)
    assert spool.done(3, Outcome.SENT) == 3
    assert spool.backlog().span == Span(first=4, last=5)
    assert spool.done(5, Outcome.SENT) == 2
    assert spool.backlog() == Backlog(span=None, samples=0, oldest_ms=None)
    assert spool.newest() == a_step(AT + 4 * EVERY_MS, edge_a=4.0)
    assert spool.steps(Span(first=1, last=5)) == [spool.newest()]
    assert ended(spool) == {"sent": 5}


def test_what_has_ended_ends_once(spool: Spool) -> None:
    fill(spool, 5)
    spool.done(3, Outcome.SENT)
    assert spool.done(2, Outcome.REFUSED) == 0
    assert spool.backlog().span == Span(first=4, last=5)
    assert spool.done(4, Outcome.REFUSED) == 1
    assert ended(spool) == {"sent": 3, "refused": 1}


def test_a_series_that_is_no_more_ends_with_one_marker(spool: Spool) -> None:
    spool.record(a_step(AT, edge_a=1.0, edge_b=2.0))
    spool.record(a_step(AT + EVERY_MS, edge_a=1.0))
    spool.record(a_step(AT + 2 * EVERY_MS, edge_a=1.0))
    _, ends, after = spool.steps(Span(first=1, last=3))
    assert is_stale(ends.values[(("__name__", "edge_b"),)])
    assert after == a_step(AT + 2 * EVERY_MS, edge_a=1.0)


def test_a_series_ends_also_when_everything_before_was_sent_and_the_monitor_began_anew(path: Path) -> None:
    with contextlib.closing(open_spool(path)) as spool:
        spool.record(a_step(AT, edge_a=1.0, edge_b=2.0))
        spool.done(1, Outcome.SENT)
    with contextlib.closing(open_spool(path)) as spool:
        spool.record(a_step(AT + EVERY_MS, edge_a=1.0))
        (step,) = spool.steps(Span(first=2, last=2))
        assert is_stale(step.values[(("__name__", "edge_b"),)])


def test_a_series_that_returns_goes_on(spool: Spool) -> None:
    for number, values in enumerate(({"edge_b": 2.0}, {"edge_a": 1.0}, {"edge_b": 3.0, "edge_a": 1.0})):
        spool.record(a_step(AT + number * EVERY_MS, **values))
    assert spool.steps(Span(first=3, last=3)) == [a_step(AT + 2 * EVERY_MS, edge_a=1.0, edge_b=3.0)]


def test_a_time_is_kept_once(spool: Spool) -> None:
    """The wall clock was set back by an hour: the same moments come again, with other values."""
    fill(spool, 3)
    assert not spool.record(a_step(AT + EVERY_MS, edge_a=99.0))
    assert spool.backlog().samples == 3
    assert spool.record(a_step(AT - EVERY_MS, edge_a=9.0)), "an earlier moment that is new"


def test_what_is_too_old_ends_at_the_front(spool: Spool) -> None:
    fill(spool, 6)
    assert spool.end_before(AT + 2 * EVERY_MS, Outcome.EXPIRED) == 2
    assert spool.backlog().oldest_ms == AT + 2 * EVERY_MS
    assert spool.end_before(AT + 2 * EVERY_MS, Outcome.EXPIRED) == 0
    assert spool.end_before(AT + 99 * EVERY_MS, Outcome.EXPIRED) == 4
    assert ended(spool) == {"expired": 6}


def test_what_a_wrong_clock_took_ends_at_the_front(spool: Spool) -> None:
    spool.record(a_step(AT + 10**9, edge_a=1.0))
    fill(spool, 3)
    assert spool.end_after(AT + 10**8, Outcome.AHEAD) == 1
    assert spool.backlog() == Backlog(span=Span(first=2, last=4), samples=3, oldest_ms=AT)


def test_where_there_is_no_room_the_oldest_go(spool: Spool) -> None:
    values = {f"edge_{number}": number / 7 for number in range(200)}
    for number in range(400):
        step = a_step(AT + number * EVERY_MS, **{name: value * (number + 1) for name, value in values.items()})
        assert spool.record(step, limit_bytes=300_000)
    backlog = spool.backlog()
    assert backlog.span is not None
    assert backlog.span.last == 400
    assert 100 < backlog.span.steps < 400
    assert ended(spool) == {"dropped": 200 * (400 - backlog.span.steps)}


def test_another_connection_never_reads_new_values_under_old_names(path: Path) -> None:
    """It remembers lists of series by number, and a list that is not used any more goes: its number must not return."""
    with contextlib.closing(open_spool(path)) as sampler, contextlib.closing(join_spool(path)) as sender:
        for number, values in enumerate(({"edge_a": 1.0}, {"edge_a": 2.0, "edge_b": 2.0}, {"edge_a": 3.0})):
            sampler.record(a_step(AT + number * EVERY_MS, **values))
        sampler.record(a_step(AT + 3 * EVERY_MS, edge_a=4.0))
        assert len(sender.steps(Span(first=1, last=4))) == 4
        sender.done(3, Outcome.SENT)
        new = a_step(AT + 4 * EVERY_MS, edge_a=5.0, edge_c=5.0)
        sampler.record(new)
        assert sender.steps(Span(first=5, last=5)) == [new]


def test_a_week_of_a_node_with_two_lines_is_small(spool: Spool, path: Path) -> None:
    """Here an hour; some 840 bytes a step are 17 MB in a week."""
    whole = sampled(a_two_line_snapshot())
    for number in range(120):
        moved = {s: v + number * 7 if v > 1 else v for s, v in whole.items()}
        spool.record(Step(at_ms=AT + number * EVERY_MS, values=moved))
    spool.close()
    assert path.stat().st_size < 120 * 1000 + 60_000


@pytest.mark.parametrize("content", [b"", b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_spool_is_put_aside(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with contextlib.closing(open_spool(path)) as spool:
        fill(spool, 2)
    assert path.with_suffix(".aside").exists() == bool(content)
    with contextlib.closing(open_spool(path)) as spool:
        assert spool.backlog().samples == 2, "the new one stays"


def test_a_file_of_another_version_is_put_aside(path: Path) -> None:
    with contextlib.closing(open_spool(path)) as spool:
        fill(spool, 2)
        spool._conn.execute("PRAGMA user_version=99")
    with contextlib.closing(open_spool(path)) as spool:
        assert spool.backlog().samples == 0
    assert path.with_suffix(".aside").exists()


def test_a_start_that_was_killed_before_its_tables_begins_anew(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with contextlib.closing(open_spool(path)) as spool:
        fill(spool, 1)


def test_without_a_file_nobody_joins(path: Path) -> None:
    with pytest.raises(StoreError) as failed:
        join_spool(path)
    assert failed.value.code == "db-missing"


def test_a_marker_is_kept_to_the_bit(spool: Spool) -> None:
    spool.record(a_step(AT, edge_a=STALE))
    (step,) = spool.steps(Span(first=1, last=1))
    assert is_stale(step.values[(("__name__", "edge_a"),)])
