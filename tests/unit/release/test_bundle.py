"""What a bundle says of itself, and how a change of it is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_node.base.errors import UsageError
from edge_node.release.bundle import (
    INSTALLER,
    LOCK,
    MANIFEST,
    SUMS,
    Manifest,
    digest,
    own_schemas,
    read_manifest,
    unpack,
    unsound,
    version_key,
)
from edge_node.store.databases import DATABASES

TEXT = Manifest(version="0.2.0", arch="x86_64", python="3.11", released=1000, schemas=own_schemas()).text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {MANIFEST: TEXT, LOCK: "a==1\n", INSTALLER: "#!/bin/sh\n", "wheels/a.whl": "a"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / SUMS).write_text("".join(f"{digest(tmp_path / name)}  {name}\n" for name in files))
    return tmp_path


def test_a_manifest_is_read_as_it_was_written(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest.name == "edge-node-0.2.0-x86_64"
    assert manifest.text() == TEXT
    assert set(manifest.schemas) == set(DATABASES)


def test_a_field_of_a_later_release_is_no_fault(folder: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps({**json.loads(TEXT), "signed_by": "somebody"}))
    assert read_manifest(folder).version == "0.2.0"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": "0.2.0"}', TEXT.replace("1000", '"soon"')])
def test_a_manifest_that_says_nothing(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(UsageError) as caught:
        read_manifest(folder)
    assert caught.value.code == "bundle-unsound"


def test_a_bundle_that_is_as_it_was_made(folder: Path) -> None:
    assert unsound(folder) == []


def test_one_byte_changed_is_told_with_the_name_of_the_file(folder: Path) -> None:
    (folder / "wheels/a.whl").write_text("b")
    (folder / LOCK).unlink()
    assert [problem.path for problem in unsound(folder)] == [LOCK, "wheels/a.whl"]


def test_a_list_that_leaves_out_what_is_run(folder: Path) -> None:
    lines = [line for line in (folder / SUMS).read_text().splitlines() if not line.endswith(INSTALLER)]
    (folder / SUMS).write_text("\n".join(lines))
    assert [problem.path for problem in unsound(folder)] == [INSTALLER]


def test_no_list_at_all(folder: Path) -> None:
    (folder / SUMS).unlink()
    assert [problem.path for problem in unsound(folder)] == [SUMS]


def test_a_folder_is_a_bundle_that_is_unpacked(folder: Path, tmp_path: Path) -> None:
    assert unpack(folder, tmp_path / "incoming") == folder


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "half.tar.gz").write_bytes(b"\x1f\x8b half")
    with pytest.raises(UsageError) as caught:
        unpack(tmp_path / "half.tar.gz", tmp_path / "incoming")
    assert caught.value.code == "bundle-unsound"


@pytest.mark.parametrize(
    "version, key", [("0.2.0", (0, 2, 0)), ("0.10.1", (0, 10, 1)), ("0.2", None), ("1.0.0rc1", None)]
)
def test_versions(version: str, key: tuple[int, ...] | None) -> None:
    assert version_key(version) == key
