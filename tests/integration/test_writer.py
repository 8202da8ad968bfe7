"""The writing thread on a real database: what is answered is kept, what fails fails alone, and the thread lives."""

from __future__ import annotations

import contextlib
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_node.base.errors import StoreError
from edge_node.base.instruments import Histogram
from edge_node.store.connection import (
    Connection,
    IntegrityError,
    OperationalError,
    connect,
    connect_reader,
    create,
    transaction,
)
from edge_node.store.inspect import wal_bytes
from edge_node.store.writer import BATCH_PIECES, Writer
from tests.support.clock import FakeClock
from tests.support.waiting import until

SCHEMA = """
CREATE TABLE entry (body TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE hub (id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE spoke (hub INTEGER NOT NULL REFERENCES hub(id) DEFERRABLE INITIALLY DEFERRED) STRICT;
CREATE TRIGGER entry_ends BEFORE INSERT ON entry WHEN NEW.body = 'rollback'
BEGIN SELECT RAISE(ROLLBACK, 'all gone'); END;
"""


class Bench:
    """A database with its writer, and a way to make pieces of work meet in one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with contextlib.closing(create(path)) as conn:
            conn.executescript(SCHEMA)
        self.batches = Histogram([1, 2, 4, 8])
        self.commits = Histogram([0.01])
        self.writer = Writer(
            path,
            commit_seconds=self.commits,
            batch_size=self.batches,
            wal_limit_bytes=1 << 30,
            litestream_alive=lambda: True,
        )

    def rows(self) -> list[str]:
        """What somebody else sees now."""
        with contextlib.closing(connect_reader(self.path)) as conn:
            return [row[0] for row in conn.execute("SELECT body FROM entry ORDER BY rowid")]

    def _waits(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.writer._waiting) == count

    def together(self, *works: Callable[[Connection], Any], on_error: Callable[[], None] = lambda: None) -> list[Any]:
        """Submit all in this order while the writer is held up, so that they share a transaction; results or errors.
        `on_error` is called at once by whoever gets an error."""
        answers: list[Any] = [None] * len(works)
        held, go_on = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            held.set()
            go_on.wait(20)
            # What is queued now begins with a transaction of its own, in which none of this is.
            raise _HeldUp

        def ask(n: int) -> None:
            try:
                answers[n] = self.writer.submit(works[n])
            except BaseException as error:
                answers[n] = error
                on_error()

        def hold_up() -> None:
            with contextlib.suppress(_HeldUp):
                self.writer.submit(hold)

        threads = [threading.Thread(target=hold_up)]
        threads[0].start()
        held.wait(20)
        for n in range(len(works)):
            threads.append(threading.Thread(target=ask, args=(n,)))
            threads[-1].start()
            until(self._waits(n + 1))
        go_on.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "somebody was never answered"
        return answers


class _HeldUp(Exception):
    pass


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "his.db")
    bench.writer.start()
    yield bench
    bench.writer.close()


def put(body: str) -> Callable[[Connection], str]:
    def work(conn: Connection) -> str:
        conn.execute("INSERT INTO entry VALUES (?)", (body,))
        return body

    return work


def put_and_fail(body: str, error: BaseException) -> Callable[[Connection], None]:
    def work(conn: Connection) -> None:
        put(body)(conn)
        raise error

    return work


def test_an_answer_means_that_others_see_it(bench: Bench) -> None:
    for body in ("a", "b", "c"):
        assert bench.writer.submit(put(body)) == body
        assert bench.rows()[-1] == body


def test_what_waits_shares_one_commit_in_the_order_of_asking(bench: Bench) -> None:
    assert bench.together(*(put(f"{n}") for n in range(6))) == [f"{n}" for n in range(6)]
    assert bench.rows() == [f"{n}" for n in range(6)]
    (sample,) = bench.batches.samples()
    assert (sample["sum"], sum(sample["counts"])) == (6, 1), "six pieces of work, one COMMIT"
    assert sum(bench.commits.samples()[0]["counts"]) == 1


@pytest.mark.parametrize("place", [0, 1, 3], ids=["first", "in the middle", "last"])
def test_what_a_piece_raises_undoes_it_alone(bench: Bench, place: int) -> None:
    refusal = ValueError("no such department")
    works: list[Callable[[Connection], Any]] = [put("a"), put("b"), put("c")]
    works.insert(place, put_and_fail("half done", refusal))
    answers = bench.together(*works)
    assert answers[place] is refusal
    assert bench.rows() == ["a", "b", "c"]
    assert bench.writer.last_error is None, "a refusal by the work says nothing about the disk"


def test_an_error_is_told_when_others_see_what_it_came_from(bench: Bench) -> None:
    """Who is refused because of a row looks for that row next, and must find it."""
    told, seen = threading.Event(), list[list[str]]()

    def refused(conn: Connection) -> None:
        raise LookupError(conn.execute("SELECT body FROM entry").fetchone()[0])

    def look() -> None:
        seen.append(bench.rows())
        told.set()

    # The last piece gives whoever was told too early the time to look.
    bench.together(put("first"), refused, lambda _: told.wait(0.3), on_error=look)
    assert seen == [["first"]]


def test_a_broken_constraint_reaches_its_caller_as_it_is(bench: Bench) -> None:
    first, second, third = bench.together(put("same"), put("same"), put("other"))
    assert (first, third) == ("same", "other")
    assert isinstance(second, IntegrityError)


def test_transactions_nest_inside_a_piece(bench: Bench) -> None:
    def work(conn: Connection) -> None:
        put("outer")(conn)
        with contextlib.suppress(ValueError), transaction(conn):
            put_and_fail("inner", ValueError())(conn)

    bench.together(put("before"), work, put("after"))
    assert bench.rows() == ["before", "outer", "after"]


@pytest.mark.parametrize("company", [(), (put("other"),)], ids=["alone", "in company"])
def test_a_piece_that_submits_is_refused_instead_of_waiting_for_itself(
    bench: Bench, company: tuple[Callable[[Connection], str], ...]
) -> None:
    answers = bench.together(*company, lambda _: bench.writer.submit(put("nested")))
    assert isinstance(answers[-1], RuntimeError)
    assert "connection at hand" in str(answers[-1])
    assert bench.writer.submit(put("next")) == "next"


def test_a_piece_that_commits_does_not_pass_for_one_that_worked(bench: Bench) -> None:
    def work(conn: Connection) -> None:
        conn.execute("COMMIT")

    before, culprit, after = bench.together(put("before"), work, put("after"))
    assert "ended the transaction" in str(culprit)
    assert isinstance(before, RuntimeError), "whether it was kept is not known, so it is not promised"
    assert after == "after"
    assert bench.writer.submit(put("next")) == "next"


def test_a_rollback_by_sqlite_takes_all_that_shared_the_transaction(bench: Bench) -> None:
    before, culprit, after = bench.together(put("before"), put("rollback"), put("after"))
    assert isinstance(before, RuntimeError) and isinstance(culprit, RuntimeError)
    assert before is not culprit, "each caller gets an error of its own"
    assert after == "after"
    assert bench.rows() == ["after"]


def test_a_failed_commit_fails_everybody_in_it_and_nobody_after(bench: Bench) -> None:
    def orphan(conn: Connection) -> None:
        conn.execute("INSERT INTO spoke VALUES (7)")

    answers = bench.together(put("before"), orphan, put("after"))
    assert all(isinstance(answer, RuntimeError) and "FOREIGN KEY" in str(answer) for answer in answers)
    assert bench.rows() == []
    assert bench.writer.last_error is not None
    assert bench.writer.submit(put("next")) == "next"
    assert bench.writer.last_error is None


@contextlib.contextmanager
def no_file_over(size_bytes: int) -> Iterator[None]:
    """The kernel refuses this process to make any file larger: a disk that fails in the middle of a COMMIT."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_refuses_loses_nothing_that_was_answered(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    wal = bench.path.with_name("his.db-wal")
    bench.writer.submit(put("kept"))
    with no_file_over(wal.stat().st_size + 10_000):
        answers = bench.together(put("a"), put("b" * 100_000), put("c"))
        assert [getattr(answer, "code", answer) for answer in answers] == ["disk-failed"] * 3
        assert bench.writer.last_error is not None and bench.writer.last_error.startswith("disk-failed: ")
        assert bench.rows() == ["kept"]
    assert bench.writer.submit(put("again")) == "again"
    assert bench.writer.last_error is None
    assert bench.rows() == ["kept", "again"]
    talk = capfd.readouterr().err
    assert talk.count("write_failed") == 1, "one line for one lost transaction, however many shared it"
    assert "write_recovered" in talk and "kept" not in talk


def test_a_full_database_is_a_full_disk(bench: Bench) -> None:
    def fill(conn: Connection) -> None:
        (pages,) = conn.execute("PRAGMA page_count").fetchone()
        conn.execute(f"PRAGMA max_page_count={pages}")

    bench.writer.submit(fill)
    with pytest.raises(StoreError) as caught:
        bench.writer.submit(put("x" * 100_000))
    assert caught.value.code == "disk-full"
    assert bench.writer.last_error is not None and bench.writer.last_error.startswith("disk-full: ")
    assert bench.writer.submit(lambda conn: conn.execute("PRAGMA max_page_count=1000000").fetchone()[0]) == 1000000
    assert bench.writer.submit(put("x" * 100_000))


def test_another_program_that_holds_the_database_makes_it_busy(bench: Bench) -> None:
    bench.writer._conn.execute("PRAGMA busy_timeout=20")  # ten seconds in earnest
    with contextlib.closing(connect(bench.path)) as other, transaction(other):
        with pytest.raises(StoreError) as caught:
            bench.writer.submit(put("a"))
        assert (caught.value.code, caught.value.exit_code) == ("db-busy", 75)
        assert isinstance(caught.value.__cause__, OperationalError)
    assert bench.writer.submit(put("b")) == "b"
    assert bench.rows() == ["b"]


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_file_that_was_taken_away_is_noticed_before_the_answer(bench: Bench, tmp_path: Path, replaced: bool) -> None:
    """SQLite itself would go on writing into the deleted file, and every answer would be a lie."""
    bench.writer.submit(put("a"))
    bench.path.rename(tmp_path / "aside.db")
    if replaced:
        bench.path.touch()
    with pytest.raises(StoreError) as caught:
        bench.writer.submit(put("b"))
    assert caught.value.code == "db-missing"
    assert "restart" in (caught.value.hint or "")


def test_many_writers_are_all_served_and_served_alike(bench: Bench) -> None:
    each, writers = 100, 16

    def loop(n: int) -> None:
        for i in range(each):
            bench.writer.submit(put(f"{n}-{i}"))

    threads = [threading.Thread(target=loop, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    rows = bench.rows()
    assert sorted(rows) == sorted(f"{n}-{i}" for n in range(writers) for i in range(each))
    for n in range(writers):
        own = [row for row in rows if row.startswith(f"{n}-")]
        assert own == [f"{n}-{i}" for i in range(each)], "a caller's second write came after its first"
    (sample,) = bench.batches.samples()
    assert sample["sum"] == each * writers
    assert sum(sample["counts"]) < each * writers, "nothing was ever shared"


def test_a_batch_has_an_end(bench: Bench) -> None:
    extra = 5
    assert len(bench.together(*(put(f"{n}") for n in range(BATCH_PIECES + extra)))) == BATCH_PIECES + extra
    (sample,) = bench.batches.samples()
    assert sum(sample["counts"]) >= 2
    assert sample["sum"] == BATCH_PIECES + extra


def test_closing_answers_what_waits_and_refuses_what_comes(bench: Bench) -> None:
    held, go_on = threading.Event(), threading.Event()

    def slow(conn: Connection) -> None:
        held.set()
        go_on.wait(20)
        put("slow")(conn)

    def submit(work: Callable[[Connection], Any]) -> threading.Thread:
        thread = threading.Thread(target=bench.writer.submit, args=(work,))
        thread.start()
        return thread

    threads = [submit(slow)]
    held.wait(20)
    threads.append(submit(put("waited")))
    until(lambda: len(bench.writer._waiting) == 1)
    closing = threading.Thread(target=bench.writer.close)
    closing.start()
    until(lambda: not bench.writer._is_open)
    with pytest.raises(StoreError) as caught:
        bench.writer.submit(put("late"))
    assert (caught.value.code, caught.value.exit_code) == ("db-busy", 75)
    go_on.set()
    for thread in (*threads, closing):
        thread.join(20)
    assert bench.rows() == ["slow", "waited"]
    bench.writer.close()  # once more is nothing


def test_the_close_leaves_the_wal_to_litestream(bench: Bench) -> None:
    bench.writer.submit(put("a"))
    wal = bench.path.with_name("his.db-wal")
    size = wal.stat().st_size
    bench.writer.close()
    assert wal.stat().st_size == size > 0
    assert bench.rows() == ["a"]
    assert wal.stat().st_size == size, "a reader that comes last leaves it too"


@pytest.mark.parametrize("is_alive", [False, True], ids=["Litestream dead", "Litestream alive"])
def test_it_makes_checkpoints_only_while_litestream_is_dead(tmp_path: Path, is_alive: bool) -> None:
    path, clock, limit_bytes = tmp_path / "his.db", FakeClock(), 100_000
    with contextlib.closing(create(path)) as conn:
        conn.executescript(SCHEMA)
    writer = Writer(
        path,
        commit_seconds=Histogram([1]),
        batch_size=Histogram([1]),
        wal_limit_bytes=limit_bytes,
        litestream_alive=lambda: is_alive,
        clock=clock,
    )
    writer.start()
    with contextlib.closing(writer):
        sizes = []
        for n in range(30):
            writer.submit(put(f"{n}" + "x" * 20_000))
            clock.advance(1)
            sizes.append(wal_bytes(path))
    assert (max(sizes) < 2 * limit_bytes) is not is_alive


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    writer = Writer(
        tmp_path / "his.db",
        commit_seconds=Histogram([1]),
        batch_size=Histogram([1]),
        wal_limit_bytes=1,
        litestream_alive=lambda: True,
    )
    with pytest.raises(StoreError) as caught:
        writer.start()
    assert caught.value.code == "db-missing"
    with pytest.raises(StoreError):
        writer.submit(put("a"))
    writer.close()
    assert list(tmp_path.iterdir()) == []
