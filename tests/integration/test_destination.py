"""A folder as a destination: whole objects, never replaced, and failures that are told apart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pyrage
import pytest

from edge_node.replication import destination as subject
from edge_node.replication.bandwidth import Lane
from edge_node.replication.destination import CopyState, Destination, DestinationFailed, offload
from edge_node.replication.lanes import Bandwidth
from edge_node.replication.sealing import SMALL_BYTES, Sealer
from tests.support.handles import open_files
from tests.support.ltx_files import ltx_bytes, write_ltx

T = TypeVar("T")
TIME_MS = 1_800_000_000_123


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "nas"


def opened(folder: Path, use: Callable[[Destination], Coroutine[Any, Any, T]], *recipients: str) -> T:
    async def run() -> T:
        destination = Destination("nas", f"file://{folder}", Sealer(recipients))
        await destination.open(known=False)
        return await use(destination)

    return asyncio.run(run())


def test_an_object_is_never_replaced(folder: Path) -> None:
    async def use(nas: Destination) -> list[bool]:
        return [await nas.put_new("a/claim.json", b"first"), await nas.put_new("a/claim.json", b"second")]

    assert opened(folder, use) == [True, False]
    assert [path.name for path in (folder / "a").iterdir()] == ["claim.json"]
    assert (folder / "a" / "claim.json").read_bytes() == b"first"


def test_of_twenty_creators_one_wins(folder: Path) -> None:
    async def use(nas: Destination) -> list[bool]:
        return await asyncio.gather(*(nas.put_new("claim", f"{n}".encode()) for n in range(20)))

    assert sorted(opened(folder, use)) == [False] * 19 + [True]
    assert [path.name for path in folder.iterdir()] == ["claim"]


def test_listing_leaves_out_what_is_staged(folder: Path) -> None:
    async def use(nas: Destination) -> tuple[list[str], list[str]]:
        for key in ("c/0000/2", "c/0000/1", "c/0001/1"):
            await nas.put_new(key, b"x", time_ms=TIME_MS)
        (folder / "c" / "0000" / "3.part").write_bytes(b"torn")
        found = [await nas.list("c"), await nas.list("other")]
        assert found[0][0].time_ms == TIME_MS
        return tuple([item.key for item in listed] for listed in found)  # type: ignore[return-value]

    assert opened(folder, use) == (["c/0000/1", "c/0000/2", "c/0001/1"], [])


def test_the_folders_below_a_name_are_those_with_something_finished_in_them(folder: Path) -> None:
    async def use(nas: Destination) -> tuple[set[str], set[str], set[str]]:
        for key in ("c/e0001/his/0000/1", "c/e0001/node/0000/1", "c/claims/e0001.json"):
            await nas.put_new(key, b"x")
        (folder / "c/e0002/his/0000").mkdir(parents=True)
        (folder / "c/e0002/his/0000/1.part").write_bytes(b"torn")
        return tuple([set(await nas.folders(name)) for name in ("", "c", "other")])  # type: ignore[return-value]

    assert opened(folder, use) == ({"c"}, {"e0001", "claims"}, set())


@pytest.mark.parametrize("size_bytes", [100, SMALL_BYTES + 1, 5_000_000], ids=["small", "just-large", "large"])
@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "plain"])
def test_a_file_comes_back_as_it_was(folder: Path, tmp_path: Path, size_bytes: int, is_sealed: bool) -> None:
    identity = pyrage.x25519.Identity.generate()
    sealed_to = (str(identity.to_public()), str(pyrage.x25519.Identity.generate().to_public()))
    content = os.urandom(size_bytes)
    path = write_ltx(tmp_path / "replica", 9, 1, 7, time_ms=TIME_MS, content=content)
    key = "c/0009/file.ltx"

    async def use(nas: Destination) -> tuple[bool, bool]:
        first, second = await nas.send(key + nas.sealer.suffix, path), await nas.send(key + nas.sealer.suffix, path)
        (item,) = await nas.list("c")
        assert item.time_ms == first.header.timestamp_ms == TIME_MS
        await nas.fetch(item, tmp_path / "back", identity)
        return first.created, second.created

    assert opened(folder, use, *(sealed_to if is_sealed else ())) == (True, False)
    assert (tmp_path / "back").read_bytes() == ltx_bytes(1, 7, time_ms=TIME_MS, content=content)
    stored = (folder / (f"{key}.age" if is_sealed else key)).read_bytes()
    assert (content[:50] in stored) is not is_sealed
    assert len(list((folder / "c" / "0009").iterdir())) == 1


def test_a_file_that_is_not_what_its_name_says_is_not_sent(folder: Path, tmp_path: Path) -> None:
    path = write_ltx(tmp_path, 0, 3, 3)
    path.write_bytes(ltx_bytes(4, 4, time_ms=TIME_MS))
    with pytest.raises(ValueError, match="holds TXIDs 4 to 4"):
        opened(folder, lambda nas: nas.send("c/0000/x", path))
    with pytest.raises(FileNotFoundError):
        opened(folder, lambda nas: nas.send("c/0000/x", tmp_path / "compacted-away.ltx"))
    assert list(folder.iterdir()) == []


def test_a_disk_that_is_not_mounted_is_not_filled(folder: Path) -> None:
    async def use(nas: Destination) -> DestinationFailed:
        await nas.put_new("claim", b"x")
        folder.rename(folder.with_name("unmounted"))
        with pytest.raises(DestinationFailed) as gone:
            await nas.put_new("more", b"x")
        folder.mkdir()  # the mount point, empty
        with pytest.raises(DestinationFailed):
            await nas.put_new("more", b"x")
        with pytest.raises(DestinationFailed, match="is empty, but copies were shipped to it before"):
            await nas.open(known=True)
        assert list(folder.iterdir()) == []
        return gone.value

    assert opened(folder, use).state is CopyState.UNREACHABLE


def test_a_file_whose_sending_never_began_is_not_held_open(folder: Path, tmp_path: Path) -> None:
    """A failure is remembered until the destination answers, and with it whatever it was about."""
    path = write_ltx(tmp_path / "replica", 9, 1, 7, content=os.urandom(SMALL_BYTES + 1))

    async def use(nas: Destination) -> tuple[DestinationFailed, list[Path]]:
        folder.rename(folder.with_name("unmounted"))
        with pytest.raises(DestinationFailed) as gone:
            await nas.send("c/0009/x", path, Lane.SNAPSHOT)
        return gone.value, open_files()

    failure, held = opened(folder, use)
    assert failure.state is CopyState.UNREACHABLE
    assert path not in held


@pytest.mark.parametrize("name", ["西城 #1", "100%25", "a?b", "a b", "%41"])
def test_a_folder_is_the_one_that_its_name_says(tmp_path: Path, name: str) -> None:
    """Copies in another folder than the one that was written down may lie on another disk."""

    async def use(nas: Destination) -> tuple[list[str], bytes | None]:
        await nas.put_new("clinic/claims/e0001.json", b"x")
        return [item.key for item in await nas.list("clinic")], await nas.read("clinic/claims/e0001.json")

    assert opened(tmp_path / name, use) == (["clinic/claims/e0001.json"], b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "clinic/claims/e0001.json").read_bytes() == b"x"


def test_a_folder_that_was_never_used_is_made_but_not_its_parents(tmp_path: Path) -> None:
    async def open_below(path: Path, *, known: bool) -> None:
        await Destination("nas", f"file://{path}", Sealer(())).open(known=known)

    asyncio.run(open_below(tmp_path / "new", known=False))
    assert (tmp_path / "new").is_dir()
    for path, known in ((tmp_path / "not" / "mounted", False), (tmp_path / "gone", True)):
        with pytest.raises(DestinationFailed):
            asyncio.run(open_below(path, known=known))
        assert not path.exists()


def test_a_refusal_is_not_an_absence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(nas: Destination) -> CopyState:
        await nas.put_new("c", b"a file where a folder is wanted")
        refusal = nas._store.failure(PermissionError(13, "Permission denied"))
        full = nas._store.failure(OSError("Unable to copy data to file: No space left on device (os error 28)"))
        assert refusal.state is full.state is CopyState.REFUSED
        with pytest.raises(DestinationFailed) as failed:
            await nas.put_new("c/x", b"")
        return failed.value.state

    assert opened(folder, use) is CopyState.UNREACHABLE


@pytest.mark.parametrize("url", ["gs://bucket/prefix", "az://bucket/prefix"])
def test_an_address_that_this_version_cannot_use_is_refused(url: str) -> None:
    with pytest.raises(DestinationFailed, match="ships to s3:// and file:// only") as refused:
        Destination("cloud", url, Sealer(()))
    assert (refused.value.state, refused.value.code) == (CopyState.REFUSED, "replica-refused")


def test_a_hanging_store_holds_nobody_up(folder: Path) -> None:
    release = os.pipe()

    async def hang() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await offload(lambda: os.read(release[0], 1))

    try:
        asyncio.run(hang())  # returns although the thread still hangs
    finally:
        for end in reversed(release):
            os.close(end)
    assert subject.SMALL_TIMEOUT_S == 5.0


def test_a_part_of_the_rate_is_kept_and_given_back() -> None:
    async def took_s(part: float) -> float:
        bandwidth = Bandwidth(100_000.0)
        bandwidth.restrain(part)
        await bandwidth.take(100_000, Lane.FRONTIER)  # what a second's silence saved up, and what is owed beyond it
        return await bandwidth.take(1, Lane.FRONTIER)

    whole_s, part_s = asyncio.run(took_s(1.0)), asyncio.run(took_s(0.8))
    assert whole_s == 0.0 and 0.1 < part_s < 2
