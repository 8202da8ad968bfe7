"""A bundle: one archive with all that a machine without internet needs; what it is, and whether it is whole.

    edge-node-0.2.0-x86_64.tar.gz
    └── edge-node-0.2.0-x86_64/
        ├── install.sh  README.md
        ├── SHA256SUMS          of every other file
        ├── SHA256SUMS.sig      who stands for it, where somebody does (`signature.py`)
        ├── makers              whose signatures the release takes on the next bundle, where it asks for any
        ├── release.json        what it is (`Manifest`)
        ├── requirements.lock   every package with the digests it may have
        └── wheels/             the packages, ours among them

The release in use reads the bundle of the next one, whatever that is: these names, the fields of `Manifest` and
`install.sh --release-only` never change their meaning.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_node.base.errors import Problem, UsageError
from edge_node.base.process import ProgramMissing, ProgramTimedOut, run
from edge_node.store.databases import DATABASES
from edge_node.store.migrate import known_names

SUMS, MANIFEST, LOCK, WHEELS, INSTALLER = "SHA256SUMS", "release.json", "requirements.lock", "wheels", "install.sh"
SIGNATURES, MAKERS = "SHA256SUMS.sig", "makers"
# 40 MB on a slow disk of a mini PC.
UNPACKS_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSchema:
    """A database as a release knows it: its migrations in order, and the newest that whoever opens it must know."""

    migrations: tuple[str, ...]
    needed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle brings. `released` is in seconds since 1970: no clock that is right shows an earlier time."""

    version: str
    arch: str
    python: str
    released: int
    schemas: Mapping[str, KnownSchema]

    @property
    def name(self) -> str:
        return f"edge-node-{self.version}-{self.arch}"

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def version_key(version: str) -> tuple[int, ...] | None:
    """For comparing versions; None for what is no version of ours, which has three numbers."""
    return tuple(map(int, version.split("."))) if re.fullmatch(r"\d+\.\d+\.\d+", version) else None


def own_schemas() -> dict[str, KnownSchema]:
    """The databases as this program knows them."""
    return {
        name: KnownSchema(migrations=tuple(known_names(schema)), needed=schema.needed)
        for name, schema in DATABASES.items()
    }


def unpack(archive: Path, into: Path) -> Path:
    """Unpack an archive into the folder `into`, which is emptied before; the bundle's own folder in there.

    A folder is taken for a bundle that is unpacked already. Raises UsageError bundle-unsound.
    """
    if archive.is_dir():
        return archive
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(mode=0o700, parents=True)
    try:
        with tarfile.open(archive):
            pass
        # GNU tar drops what would leave the folder; Python's own filter came after Debian's 3.11.2.
        done = run(
            ("tar", "--extract", "--no-same-owner", "--file", str(archive.absolute()), "--directory", str(into)),
            timeout_s=UNPACKS_WITHIN_S,
        )
        said = done.tail if done.returncode else ""
    except (OSError, tarfile.TarError, EOFError, ProgramMissing, ProgramTimedOut) as error:
        said = str(error) or type(error).__name__
    folders = [path for path in into.iterdir() if path.is_dir()]
    if said or len(folders) != 1:
        raise UsageError(
            "bundle-unsound",
            f"{archive} cannot be unpacked as a bundle",
            context=said or "it does not hold one folder",
            hint="copy it again; sha256sum shows whether it is the file that was made",
        )
    return folders[0]


def read_manifest(folder: Path) -> Manifest:
    """What an unpacked bundle brings. Raises UsageError bundle-unsound."""
    try:
        raw = json.loads((folder / MANIFEST).read_bytes())
        return Manifest(
            version=str(raw["version"]),
            arch=str(raw["arch"]),
            python=str(raw["python"]),
            released=int(raw["released"]),
            schemas={
                str(name): KnownSchema(migrations=tuple(map(str, one["migrations"])), needed=str(one["needed"]))
                for name, one in raw["schemas"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            "bundle-unsound",
            f"{folder / MANIFEST} does not say what the bundle brings",
            context=f"{type(error).__name__}: {error}",
            hint="give an archive that make bundle has made, or the folder in it",
        ) from error


def unsound(folder: Path) -> list[Problem]:
    """Every file that is not as it was when the bundle was made, and every other; nothing where all are."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return [Problem(path=SUMS, text=f"cannot be read: {type(error).__name__}")]
    found = []
    for line in lines:
        wanted, _, name = line.partition("  ")
        try:
            if digest(folder / name) != wanted:
                found.append(Problem(path=name, text="is not as it was made: its SHA-256 differs"))
        except OSError as error:
            found.append(Problem(path=name or SUMS, text=f"cannot be read: {error.strerror}"))
    listed = {line.partition("  ")[2] for line in lines}
    # Beside what is listed pip would find another file, and a link leads out of what was looked at.
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_symlink() or path.is_file()}
    for name in sorted({MANIFEST, LOCK, INSTALLER, *there} - {SUMS, SIGNATURES}):
        if name in there and there[name].is_symlink():
            found.append(Problem(path=name, text="is a link, which no bundle has"))
        elif name not in listed:
            found.append(Problem(path=name, text=f"is not in {SUMS}"))
    return found


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
