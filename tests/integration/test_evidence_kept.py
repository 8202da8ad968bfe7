"""Evidence that is kept: chained, each incident once, also when the power goes between any two steps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from edge_node.journal import bundle
from edge_node.journal.freeze import folder_of, frozen
from edge_node.journal.raw import Stopped
from edge_node.store.connection import Connection
from tests.support.evidence import BEFORE_MIDNIGHT, Story
from tests.support.journal import node_database


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with node_database(tmp_path) as conn:
        yield Story(tmp_path, conn)


def test_bundles_are_chained(story: Story) -> None:
    story.an_outage()
    story.falls()
    story.passes(60, telecom=False)
    story.watcher.tells("verdict", "telecom", "down", "up", "clean", for_s=10.0)
    story.passes(90)
    story.watcher.is_recorded(story.conn)
    first, second = story.freeze(), story.freeze()
    assert first is not None and second is not None and story.freeze() is None
    assert (first.previous, second.previous) == (bundle.NO_PREVIOUS, first.digest)
    assert [story.opened(row).previous for row in (first, second)] == [bundle.NO_PREVIOUS, first.digest]
    assert (first.incident, second.incident) == ("1.4", "1.7")


class _Cut(BaseException):
    """The power goes."""


def _cutting(after: int) -> tuple[Callable[[], None], list[int]]:
    left = [after]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise _Cut

    return step, left


def test_cut_at_every_step_it_ends_in_the_same_evidence(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes before each call that touches the disk or the database; afterwards there is one file, one row."""
    story.an_outage()
    before_cut = os.fsync, os.fdopen, Path.replace
    steps = 0
    while True:
        step, left = _cutting(steps)

        def cut(real: Callable[..., Any], step: Callable[[], None] = step) -> Callable[..., Any]:
            def called(*arguments: Any, **further: Any) -> Any:
                step()
                return real(*arguments, **further)

            return called

        class Knife:
            def __init__(self, step: Callable[[], None] = step) -> None:
                self._step = step

            def execute(self, *arguments: Any) -> Any:
                self._step()
                return story.conn.execute(*arguments)

            @property
            def in_transaction(self) -> bool:
                return bool(story.conn.in_transaction)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", cut(before_cut[0]))
            patched.setattr(os, "fdopen", cut(before_cut[1]))
            patched.setattr(Path, "replace", cut(before_cut[2]))
            with contextlib.suppress(_Cut):
                story.freezer(cast(Connection, Knife())).freeze_one(story.conn)
        was_cut = left[0] < 0
        # As after a power cut: what SQLite did not commit is gone, and a temporary file may lie about.
        (folder_of(story.folder) / ".00001-telecom-1.4.zip.torn").write_bytes(b"half")
        row = story.freeze()
        kept = frozen(story.conn)
        assert len(kept) == 1, f"cut before step {steps}"
        if was_cut:
            assert row == kept[0] or row is None
        assert story.opened(kept[0]).digest == kept[0].digest
        assert bundle.sha256((folder_of(story.folder) / kept[0].file).read_bytes()) == kept[0].sha256
        names = sorted(path.name for path in folder_of(story.folder).iterdir())
        if row is not None:
            assert names == ["00001-telecom-1.4.zip"]
        if not was_cut:
            break
        story.conn.execute("DELETE FROM evidence")
        for path in folder_of(story.folder).iterdir():
            path.unlink()
        steps += 1
    assert steps >= 5


def test_a_file_without_its_row_is_taken_as_it_is(story: Story) -> None:
    story.an_outage()
    first = story.freeze()
    assert first is not None
    content = (folder_of(story.folder) / first.file).read_bytes()
    story.conn.execute("DELETE FROM evidence")
    for path in story.watcher.traces.iterdir():
        path.unlink()
    story.watcher.clock.advance(3600)
    again = story.freeze()
    assert again == first and (folder_of(story.folder) / first.file).read_bytes() == content


def test_a_torn_file_without_its_row_is_made_again(story: Story) -> None:
    story.an_outage()
    first = story.freeze()
    assert first is not None
    path = folder_of(story.folder) / first.file
    path.write_bytes(path.read_bytes()[:-100])
    story.conn.execute("DELETE FROM evidence")
    again = story.freeze()
    assert again is not None and story.opened(again).digest == again.digest


def test_a_file_of_another_chain_is_put_aside(story: Story) -> None:
    """node.db came back from a copy that knew nothing of it: what is there is not overwritten."""
    story.an_outage()
    first = story.freeze()
    assert first is not None
    path = folder_of(story.folder) / first.file
    other = bundle.pack({"incident.json": b"{}"}, incident="1.4", node="x", previous="1" * 64, at_ms=BEFORE_MIDNIGHT)
    path.write_bytes(other.content)
    story.conn.execute("DELETE FROM evidence")
    again = story.freeze()
    assert again is not None and path.with_suffix(".zip.other").read_bytes() == other.content


def test_the_oldest_go_when_there_is_too_much_and_their_digests_stay(story: Story) -> None:
    story.an_outage()
    story.falls()
    story.passes(60, telecom=False)
    story.watcher.tells("verdict", "telecom", "down", "up", "clean", for_s=10.0)
    story.passes(90)
    story.watcher.is_recorded(story.conn)
    freezer = story.freezer(kept_bytes=1000)
    assert freezer.freeze_one(story.conn) is not None and freezer.freeze_one(story.conn) is not None
    assert [path.name for path in folder_of(story.folder).iterdir()] == ["00002-telecom-1.7.zip"]
    assert len(frozen(story.conn)) == 2 and story.freeze() is None


def test_a_stop_ends_the_reading_and_nothing_is_half_done(story: Story) -> None:
    story.an_outage()

    def check() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        story.freeze(check=check)
    assert frozen(story.conn) == () and list(folder_of(story.folder).iterdir()) == []
    assert story.freeze() is not None
