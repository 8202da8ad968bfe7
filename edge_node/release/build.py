"""Make a bundle of the source tree in the working folder.

    python -m edge_node.release.build --to dist [--key KEY.pem ...] [--also NEXT.pem ...]

Packages come by the ordinary pip, wheels only, each with a digest of requirements.lock. What the target is stands here,
and does not depend on the machine that builds. The same commit gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_node import __version__
from edge_node.release.bundle import INSTALLER, LOCK, MANIFEST, SUMS, WHEELS, Manifest, digest, own_schemas
from edge_node.release.signature import public_of, sign, write_makers

# Debian 12: its Python, and its C library, which takes what was built for any older one (manylinux2014 is 2.17).
PYTHON = "3.11"
GLIBC = range(17, 37)
# 2020-02-02, as hatchling has it: for a tree without a history.
NO_HISTORY = 1580601600
README = Path(__file__).with_name("BUNDLE.md")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m edge_node.release.build", description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("dist"), help="where the archive goes")
    parser.add_argument("--arch", default=platform.machine(), help="the target's processor, such as x86_64")
    parser.add_argument("--wheels", type=Path, help="a folder with the packages of requirements.lock; none is fetched")
    key_help = "sign with this Ed25519 key (PEM), and have the release take the next bundle by it alone; also twice"
    parser.add_argument("--key", type=Path, action="append", default=[], help=key_help)
    parser.add_argument(
        "--also", type=Path, action="append", default=[], help="a public key (PEM) by which it takes the next one, too"
    )
    given = parser.parse_args()
    try:
        archive = build(Path.cwd(), given.to, arch=given.arch, wheels=given.wheels, keys=given.key, also=given.also)
    except (OSError, ValueError) as error:
        sys.exit(f"error: no bundle was made: {error}\nhint: openssl genpkey -algorithm ed25519 -out maker.pem")
    except subprocess.CalledProcessError:
        # pip has said above what it did not get.
        sys.exit(
            f"error: no bundle was made: not every package of {LOCK} is there as a wheel for {given.arch}.\n"
            "hint: each of them has one for x86_64; pysqlite3 0.6.1 has none for other processors."
        )
    print(f"{archive}  {archive.stat().st_size / 1e6:.0f} MB\nSHA-256  {digest(archive)}")


def build(
    source: Path,
    to: Path,
    *,
    arch: str,
    wheels: Path | None = None,
    keys: Sequence[Path] = (),
    also: Sequence[Path] = (),
) -> Path:
    """Make the bundle of `source` below `to`; the archive.

    Raises subprocess.CalledProcessError where pip fails, ValueError or OSError where a key is none.
    """
    # Named by their files, before anything that takes long.
    makers = [(public_of(path.read_bytes()), path.stem) for path in (*keys, *also)]
    private = [path.read_bytes() for path in keys]
    released = _released(source)
    manifest = Manifest(version=__version__, arch=arch, python=PYTHON, released=released, schemas=own_schemas())
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edge-node-bundle-") as name:
        folder = Path(name) / manifest.name
        folder.mkdir()
        if wheels is None:
            fetch(source / LOCK, folder / WHEELS, arch=arch)
        else:
            shutil.copytree(wheels, folder / WHEELS)
        ours = _own_wheel(source, folder / WHEELS, released)
        lock = (source / LOCK).read_text(encoding="utf-8")
        own = f"edge-node=={__version__} --hash=sha256:{digest(ours)}\n"
        (folder / LOCK).write_text(lock + own, encoding="utf-8")
        (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
        shutil.copyfile(source / INSTALLER, folder / INSTALLER)
        shutil.copyfile(README, folder / "README.md")
        if makers:
            write_makers(folder, makers)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        sums = "".join(f"{digest(path)}  {path.relative_to(folder)}\n" for path in files)
        (folder / SUMS).write_text(sums, encoding="utf-8")
        if private:
            sign(folder, private)
        # Beside, then renamed: an archive under its name is a whole one.
        beside = to / f".{manifest.name}.part"
        _pack(folder, beside, released)
        return beside.replace(to / f"{manifest.name}.tar.gz")


def fetch(lock: Path, into: Path, *, arch: str) -> None:
    """The packages of a lock file for the target, wheels only, into a folder."""
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in GLIBC] + [f"manylinux2014_{arch}", f"linux_{arch}"]
    target = ["--implementation", "cp", "--python-version", PYTHON]
    _pip(
        "download", "--only-binary=:all:", *target, *(f"--platform={one}" for one in platforms),
        "--require-hashes", "--requirement", str(lock), "--dest", str(into),
    )  # fmt: skip


def _own_wheel(source: Path, into: Path, released: int) -> Path:
    _pip("wheel", "--no-deps", "--wheel-dir", str(into), str(source), env={"SOURCE_DATE_EPOCH": str(released)})
    return next(into.glob(f"edge_node-{__version__}-*.whl"))


def _pip(*arguments: str, env: dict[str, str] | None = None) -> None:
    argv = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})


def _released(source: Path) -> int:
    """When the source was committed, in seconds since 1970; SOURCE_DATE_EPOCH says otherwise."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    git = subprocess.run(
        ["git", "-C", str(source), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    return int(git.stdout) if git.returncode == 0 else NO_HISTORY


def _pack(folder: Path, archive: Path, released: int) -> None:
    """The same files give the same bytes: sorted, nobody's, with the time of the release."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = released
        entry.mode = 0o755 if entry.isdir() or entry.name.endswith(INSTALLER) else 0o644
        return entry

    # gzip and not zstd, which a bare Debian 12 does not have; wheels are packed already.
    with archive.open("wb") as file:
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            tar.add(folder, folder.name, recursive=False, filter=plain)
            for path in sorted(folder.rglob("*")):
                tar.add(path, f"{folder.name}/{path.relative_to(folder)}", recursive=False, filter=plain)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
