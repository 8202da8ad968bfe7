"""A stick as it is bought, exFAT, which knows no links, no owners and no modes: a destination like another."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from edge_node.replication.destination import Destination
from edge_node.replication.restore import restore
from edge_node.replication.sealing import Sealer
from edge_node.replication.source import find_source
from edge_node.store.connection import transaction
from edge_node.store.copies import copy_database
from tests.support.disks import MISSING, ran, sparse
from tests.support.replicated import Replicated, make_replicated, replicating, rows, write_row, writing
from tests.support.waiting import until

HAS_EXFAT = shutil.which("mount.exfat-fuse") and shutil.which("mkfs.exfat") and Path("/dev/fuse").exists()
WITHOUT = MISSING or (None if HAS_EXFAT else "needs exfat-fuse, exfatprogs and /dev/fuse: make test-deps")
pytestmark = pytest.mark.skipif(WITHOUT is not None, reason=WITHOUT or "")


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    image, place = tmp_path / "stick.img", tmp_path / "stick"
    place.mkdir()
    sparse(image, 64 << 20)
    ran("mkfs.exfat", str(image))
    # The loop device goes with the mount.
    ran("mount", "-o", "loop", "-t", "exfat-fuse", str(image), str(place))
    try:
        yield place
    finally:
        ran("umount", "-l", str(place))


def test_a_stick_gets_everything_and_gives_it_back(stick: Path, tmp_path: Path) -> None:
    chance = random.Random(5)
    node = make_replicated(
        tmp_path / "home", f'[[replica.destination]]\nname = "cloud"\nurl = "file://{stick}/clinic"\n'
    )
    with pytest.raises(OSError, match="Operation not permitted"):  # Else this test would show nothing.
        (stick / "link").hardlink_to(_a_file(stick))
    with writing(node) as conn:
        for _ in range(2):  # And once more with what lies there.
            with replicating(node):
                before = node.local_head()
                with transaction(conn):
                    for _ in range(20):
                        write_row(conn, chance)
                node.wait_until_captured(beyond=before)
                node.wait_until_shipped(within_s=60)
                until(lambda: node.destination()["state"] == "current")
    assert not list(stick.rglob("*.part"))
    for to in (tmp_path / "back.db", stick / "back.db"):
        asyncio.run(_bring_back(node, stick, to))
        assert rows(to) == rows(node.his)
    copy_database(node.his, stick / "copy.db")
    assert rows(stick / "copy.db") == rows(node.his)


def _a_file(folder: Path) -> Path:
    path = folder / "file"
    path.write_bytes(b"1")
    return path


async def _bring_back(node: Replicated, stick: Path, to: Path) -> None:
    there = Destination("stick", f"file://{stick}/clinic", Sealer(()))
    identity = pyrage.x25519.Identity.from_str(node.identity or "")
    source = await find_source(there, database="his", node_id="clinic-0042", identity=identity)
    assert (await restore(source, to)).is_whole
    await source.close()
