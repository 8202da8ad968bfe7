from __future__ import annotations

import contextlib
import stat
from pathlib import Path

import pytest

from edge_node.base.errors import StoreError
from edge_node.store.connection import connect, connect_reader, create, transaction
from edge_node.store.copies import copy_database, new_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "it's his?.db"
    with contextlib.closing(create(path)) as conn:
        conn.execute("CREATE TABLE entry (body TEXT) STRICT")
        conn.execute("INSERT INTO entry VALUES ('in the file')")
    return path


def bodies(path: Path) -> list[str]:
    with contextlib.closing(connect_reader(path)) as conn:
        return [row[0] for row in conn.execute("SELECT body FROM entry")]


def test_a_copy_holds_what_was_committed_and_nothing_else(path: Path, tmp_path: Path) -> None:
    with contextlib.closing(connect(path)) as conn:
        conn.execute("INSERT INTO entry VALUES ('in the WAL')")
        with transaction(conn):
            conn.execute("INSERT INTO entry VALUES ('not committed')")
            copy_database(path, tmp_path / "copy.db")
    assert bodies(tmp_path / "copy.db") == ["in the file", "in the WAL"]
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


def test_a_copy_never_overwrites(path: Path, tmp_path: Path) -> None:
    there = tmp_path / "copy.db"
    there.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        copy_database(path, there)
    assert there.read_bytes() == b"precious"


def test_a_copy_that_fails_leaves_nothing(path: Path, tmp_path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(StoreError) as caught:
        copy_database(path, tmp_path / "copy.db")
    assert caught.value.code == "db-corrupt"
    assert not [file for file in tmp_path.iterdir() if "copy" in file.name]


def test_what_came_there_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with pytest.raises(FileExistsError), new_file(target) as part:
        part.write_bytes(b"mine")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]
