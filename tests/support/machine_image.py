"""The disk of a bare Debian 12 mini PC, built once by mmdebstrap and then only read.

It lies in the environment that runs the tests, outside of what is kept in version control; another list of packages is
another image. Everything that an installation needs must be on it: the machines that boot from it have no internet.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_node.base.process import clean_environment

SUITE = "bookworm"
# Debian's standard system, as far as an installation or a test of it looks at it.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "procps", "iproute2", "iputils-ping", "nftables", "kmod", "ca-certificates"),
    # What installing the node asks for.
    *("python3", "python3-venv", "chrony"),
    *("openssl", "sqlite3", "strace"),
)
NEEDED = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}
HOSTNAME = "clinic"
# Debian's mirrors as this machine reaches them, where it is a Debian itself.
_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
_BUILT_WITHIN_S = 900.0


def missing() -> str | None:
    """What this machine lacks to boot another one, as a sentence; None when it has all."""
    if os.geteuid() != 0:
        return "booting a machine needs root: sudo make test"
    packages = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if packages:
        return f"booting a machine needs {', '.join(packages)}: make test-deps"
    return None


def image() -> Path:
    """The root folder of the image; builds it the first time, which takes a minute. Nobody may write into it.

    Raises AssertionError with what mmdebstrap said.
    """
    store = Path(sys.prefix, "machine")
    store.mkdir(parents=True, exist_ok=True)
    done = store / f"image-{hashlib.sha256(' '.join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]}"
    with _locked(store / "lock"):
        if not done.is_dir():
            for old in store.glob("image-*"):
                shutil.rmtree(old)
            _build(done)
    return done


def _build(place: Path) -> None:
    beside = place.with_name(f"{place.name}.new")
    sources = [str(path) for path in _SOURCES if path.is_file() and SUITE in path.read_text()]
    argv = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        SUITE,
        str(beside),
        *sources,
    ]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_BUILT_WITHIN_S,
        env=clean_environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stderr[-2000:]}"
    (beside / "etc/hostname").write_text(f"{HOSTNAME}\n")
    # mmdebstrap leaves the builder's: a machine without internet asks nobody for names.
    (beside / "etc/resolv.conf").write_text("")
    beside.replace(place)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Several test processes want the image at once: one builds, the others wait."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
