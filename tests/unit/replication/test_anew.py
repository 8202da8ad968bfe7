"""After which kills of a writer does Litestream begin anew, and for which database?"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.replication.anew import SETTLED_MS, Heeded, due, finished, heed, is_due, read_done
from edge_node.store.places import NAMES

AT = 1_800_000_000_000
LATER = AT + SETTLED_MS


@pytest.mark.parametrize(
    ("said", "begun_for", "done_for", "now_ms", "due"),
    [
        pytest.param(None, None, 0, LATER, False, id="no-kill"),
        pytest.param("soon", None, 0, LATER, False, id="another-version-says-something-else"),
        pytest.param(True, None, 0, LATER, False, id="a-truth-value-is-no-time"),
        pytest.param(AT, None, 0, LATER, True, id="a-kill"),
        pytest.param(AT, None, 0, LATER - 1, False, id="it-has-not-lived-long-enough"),
        pytest.param(AT, AT, 0, LATER, False, id="under-way"),
        pytest.param(AT, None, AT, LATER, False, id="done"),
        pytest.param(AT + 5000, None, AT, LATER + 5000, True, id="the-next-kill"),
        pytest.param(AT + 5000, AT, AT - 1, LATER + 5000, True, id="the-next-kill-while-one-is-under-way"),
        pytest.param(AT, AT + 5000, AT, LATER + 5000, True, id="what-is-under-way-counts-not-what-was-done"),
        pytest.param(AT, None, 0, AT - 60_000, False, id="the-clock-was-set-back"),
    ],
)
def test_is_due(said: object, begun_for: int | None, done_for: int, now_ms: int, due: bool) -> None:
    assert is_due(said, begun_for=begun_for, done_for=done_for, now_ms=now_ms) is due


def test_each_writer_has_its_own_kills() -> None:
    said = {"his": AT, "outbox": AT + 1, "monitor": None}
    assert due(said, begun_for={}, done_for={}, now_ms=LATER + 1) == {"his": AT, "outbox": AT + 1}
    assert due(said, begun_for={}, done_for={"his": AT}, now_ms=LATER + 1) == {"outbox": AT + 1}
    assert due(said, begun_for={"outbox": AT + 1}, done_for={"his": AT}, now_ms=LATER + 1) == {}
    # The outbox was started anew in good order and says nothing of kills: the kill of the HIS is not a new one.
    assert due({"his": AT, "outbox": None}, begun_for={}, done_for={"his": AT, "outbox": AT + 1}, now_ms=LATER) == {}


@pytest.mark.parametrize(
    ("said", "begun", "done", "names"),
    [
        pytest.param({}, {}, {}, (), id="nobody-says-anything"),
        pytest.param({"his": AT}, {}, {}, ("his",), id="the-his"),
        pytest.param({"outbox": AT}, {}, {}, ("his",), id="the-outbox-writes-the-same"),
        pytest.param({"monitor": AT}, {}, {}, ("node",), id="the-monitor"),
        pytest.param({"his": AT, "outbox": AT, "monitor": AT}, {}, {}, ("his", "node"), id="all-at-once"),
        pytest.param({"his": AT, "monitor": AT}, {}, {"his": AT}, ("node",), id="one-was-heeded-before"),
        pytest.param({"monitor": AT}, {"monitor": AT}, {}, (), id="under-way"),
        pytest.param({"monitor": AT}, {}, {"monitor": AT}, (), id="done"),
        pytest.param({"links": AT}, {}, {}, (), id="who-writes-no-database"),
    ],
)
def test_which_database_begins_anew(
    said: dict[str, object], begun: dict[str, int], done: dict[str, int], names: tuple[str, ...]
) -> None:
    before = Heeded(begun=begun, done=done)
    after, told = heed(said, before, now_ms=LATER)
    assert told == names
    assert heed(said, after, now_ms=LATER + 1000) == (after, ()), "once for each kill"
    assert finished(after, beginning=NAMES) == after, "not done while it is under way"
    over = finished(after, beginning=())
    assert over.begun == {} and over.done.items() >= after.begun.items()
    assert heed(said, over, now_ms=LATER + 1000)[1] == ()


def test_one_database_may_be_done_while_the_other_is_under_way() -> None:
    heeded, _ = heed({"his": AT, "monitor": AT + 7}, Heeded(done={"outbox": 3}), now_ms=LATER + 7)
    one = finished(heeded, beginning=["node"])
    assert one == Heeded(begun={"monitor": AT + 7}, done={"outbox": 3, "his": AT})
    assert heed({"his": AT + 9000, "monitor": AT + 7}, one, now_ms=LATER + 9000)[1] == ("his",)


@pytest.mark.parametrize(
    ("content", "done"),
    [
        pytest.param(b'{"his": 5, "outbox": 7}', {"his": 5, "outbox": 7}, id="as-written"),
        pytest.param(b"5", {"his": 5}, id="as-the-first-version-wrote-it"),
        pytest.param(b"[]", {}, id="something-else"),
        pytest.param(b"{", {}, id="torn"),
    ],
)
def test_what_was_done_is_read_back(tmp_path: Path, content: bytes, done: dict[str, int]) -> None:
    path = tmp_path / "begun"
    assert read_done(path) == {}
    path.write_bytes(content)
    assert read_done(path) == done
