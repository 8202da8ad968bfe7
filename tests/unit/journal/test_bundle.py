"""A bundle of evidence: what was changed in it is named."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from edge_node.base.errors import StoreError
from edge_node.journal import bundle

FILES = {"README.txt": b"read", "incident.json": b'{"a": 1}', "samples.csv": bytes(range(256)) * 40}


def packed() -> bundle.Packed:
    return bundle.pack(FILES, incident="1.4", node="clinic-0042", previous=bundle.NO_PREVIOUS, at_ms=1_795_000_000_000)


def changed(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as before:
        found = {name: before.read(name) for name in before.namelist()}
    change(found)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as after:
        for name, what in found.items():
            after.writestr(name, what)
    return out.getvalue()


CHANGES: list[Any] = [
    pytest.param(lambda f: f.update({"samples.csv": f["samples.csv"] + b"x"}), "samples.csv differs", id="a-sample"),
    pytest.param(lambda f: f.pop("README.txt"), "README.txt is missing", id="left-out"),
    pytest.param(lambda f: f.update({"b.txt": b""}), "b.txt does not belong", id="put-in"),
    pytest.param(
        lambda f: f.update({"manifest.json": f["manifest.json"].replace(b'"1.4"', b'"1.5"')}),
        "manifest.json differs",
        id="the-manifest",
    ),
    pytest.param(
        lambda f: f.update({"incident.json": b"{}", "samples.csv": b""}), "incident.json differs", id="the-first-of-two"
    ),
]


@pytest.mark.parametrize("change, what", CHANGES)
def test_what_was_changed_is_named(change: Callable[[dict[str, bytes]], None], what: str) -> None:
    with pytest.raises(StoreError) as caught:
        bundle.unpack(changed(packed().content, change), name="x.zip")
    assert caught.value.code == "evidence-altered" and what in caught.value.message


def test_every_byte_counts() -> None:
    """A bit is turned at every place: it is noticed, or the archive says the same as before."""
    content, digest, noticed = packed().content, packed().digest, 0
    for place in range(len(content)):
        turned = bytearray(content)
        turned[place] ^= 1
        try:
            opened = bundle.unpack(bytes(turned), name="x.zip")
        except StoreError as error:
            assert error.code in ("evidence-altered", "evidence-unreadable")
            noticed += 1
        else:
            assert opened.files == FILES and opened.digest == digest, f"byte {place}"
    assert noticed > len(content) // 2


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip", b"\x00" * 1000])
def test_what_is_no_bundle(content: bytes) -> None:
    with pytest.raises(StoreError) as caught:
        bundle.unpack(content, name="x.zip")
    assert caught.value.code == "evidence-unreadable"


def test_the_same_is_the_same_to_the_byte_and_comes_back() -> None:
    assert packed() == packed()
    opened = bundle.unpack(packed().content, name="x.zip")
    assert opened.files == FILES
    assert (opened.incident, opened.node, opened.previous) == ("1.4", "clinic-0042", bundle.NO_PREVIOUS)
    assert opened.digest == packed().digest


def test_the_digest_covers_the_one_before() -> None:
    other = bundle.pack(FILES, incident="1.4", node="clinic-0042", previous="1" * 64, at_ms=1_795_000_000_000)
    assert other.digest != packed().digest
