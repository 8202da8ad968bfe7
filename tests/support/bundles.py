"""Bundles of the tree as it is, and of what its next releases could be; made once for each content, and then only read.

They lie in the environment that runs the tests, outside of what is kept in version control.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_node import __version__
from edge_node.base.process import clean_environment
from edge_node.release import build
from edge_node.release.bundle import LOCK
from tests.support.makers import MAKER

ROOT = Path(__file__).resolve().parents[2]
STORE = Path(sys.prefix, "bundles")
# What a bundle is made of.
SOURCES = (
    *("edge_node", "failover", "monitoring", "systemd"),
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", LOCK, "install.sh"),
)
# What other trees have left: a test that uses one of them has ended by then.
OLD_AFTER_S = 2 * 3600.0
BUILT_WITHIN_S = 300.0


def bundle(version: str, changes: Mapping[str, str] | None = None) -> Path:
    """The archive of a release called `version`: this tree with `changes`, a file's path to what is put at its end."""
    changes = changes or {}
    key = hashlib.sha256(f"{_tree_digest()}{version}{sorted(changes.items())}".encode()).hexdigest()[:16]
    with locked("bundles.lock"):
        place = STORE / key
        if not place.is_dir():
            make_room("[0-9a-f]" * 16)
            with tempfile.TemporaryDirectory(dir=STORE) as name:
                copy_tree(Path(name) / "tree", version, changes)
                build_tree(Path(name) / "tree", Path(name) / "made").parent.rename(place)
        os.utime(place)
        return next(place.glob("*.tar.gz"))


def wheels() -> Path:
    """The packages of the lock file, fetched once."""
    place = STORE / f"wheels-{hashlib.sha256((ROOT / LOCK).read_bytes()).hexdigest()[:16]}"
    if not place.is_dir():
        beside = place.with_name(f"{place.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        build.fetch(ROOT / LOCK, beside, arch=os.uname().machine)
        beside.rename(place)
    return place


def copy_tree(tree: Path, version: str, changes: Mapping[str, str] | None = None) -> None:
    """Make `tree` what a bundle of this tree is built from."""
    tree.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, tree / name)
    about = tree / "edge_node/__init__.py"
    about.write_text(about.read_text().replace(f'"{__version__}"', f'"{version}"'), encoding="utf-8")
    for name, text in (changes or {}).items():
        with (tree / name).open("a", encoding="utf-8") as file:
            file.write(text)


def build_tree(tree: Path, to: Path) -> Path:
    """What `make bundle` does, with the packages that have been fetched already; the archive, in `to`."""
    to.mkdir(parents=True, exist_ok=True)
    key = to.with_name(f"{to.name}-key") / "maker.pem"
    key.parent.mkdir(exist_ok=True)
    key.write_bytes(MAKER)
    argv = [sys.executable, "-m", "edge_node.release.build", "--to", str(to), "--wheels", str(wheels())]
    argv += ["--key", str(key)]
    pip = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    made = subprocess.run(
        argv, cwd=tree, capture_output=True, text=True, timeout=BUILT_WITHIN_S,
        env=clean_environment({"SOURCE_DATE_EPOCH": str(build.NO_HISTORY), **pip}), check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return next(to.glob("*.tar.gz"))


@functools.cache
def _tree_digest() -> str:
    whole = hashlib.sha256()
    for name in SOURCES:
        top = ROOT / name
        paths = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        for path in paths:
            if "__pycache__" not in path.parts:
                whole.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def make_room(pattern: str) -> None:
    """Remove what is called so and was not used for long: another tree has others."""
    for path in STORE.glob(pattern):
        if path.is_dir() and time.time() - path.stat().st_mtime > OLD_AFTER_S:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Several test processes want the same thing at once: one makes it, the others wait."""
    STORE.mkdir(parents=True, exist_ok=True)
    with (STORE / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
