"""The folder of the program: releases side by side, and the links that say which one is in use.

/opt/edge-node/
├── releases/0.1.0/     an environment, made in its place; `.whole` is written into it last, `.proven` when it was
│                       found well on this machine
├── releases/0.2.0/
├── current             -> releases/0.2.0, what the units start
├── previous            -> releases/0.1.0, what an upgrade goes back to
├── fallback            -> releases/0.1.0, only while an upgrade is under way: what a start of the machine leads to
├── lock                held by whoever installs or upgrades
└── upgrades.jsonl      what was done here, one line a step
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from edge_node.base.files import atomic_write
from edge_node.release.bundle import SUMS, digest, version_key
from edge_node.release.history import FALLBACK, HISTORY, ROOT
from edge_node.store.copies import sync


class Releases:
    """The releases of a machine."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.lock, self.history = root / "lock", root / HISTORY

    def current(self) -> str | None:
        """The version that the units start; None where nothing is installed."""
        return self._named("current")

    def previous(self) -> str | None:
        """The version to go back to: the one that was in use before, else the newest other that was found well here."""
        current, before = self.current(), self._named("previous")
        if before is not None and before != current:
            return before
        older = [one for one in self.proven() & self.whole().keys() if one != current]
        return max(older, key=_key, default=None)

    def fallback(self) -> str | None:
        """The version that a start of the machine leads to; None where no upgrade is under way."""
        return self._named(FALLBACK)

    def folder(self, version: str) -> Path:
        return self.root / "releases" / version

    def program(self, version: str) -> Path:
        """The `edge-node` of a release; its first line names the release's own Python, and not `current`."""
        return self.folder(version) / "bin" / "edge-node"

    def whole(self) -> dict[str, str]:
        """The releases that are complete, each with the digest of its bundle's list of digests."""
        found = {}
        for mark in (self.root / "releases").glob("*/.whole"):
            with contextlib.suppress(OSError):
                found[mark.parent.name] = mark.read_text(encoding="ascii").strip()
        return found

    def proven(self) -> frozenset[str]:
        """The releases that were found well here."""
        return frozenset(mark.parent.name for mark in (self.root / "releases").glob("*/.proven"))

    def prove(self, version: str) -> None:
        atomic_write(self.folder(version) / ".proven", b"", mode=0o644)

    def switch(self, version: str) -> None:
        """Make a release the one that the units start from now on. What runs keeps the one that it was started from."""
        before = self.current()
        if before == version:
            return
        # In this order: whoever finds `current` changed finds what to go back to.
        if before is not None and self._named("previous") != before:
            self._link("previous", before)
        self._link("current", version)

    def switch_back(self, version: str) -> None:
        """The same for the way back, which leaves `previous` as it is: what failed is nothing to go back to."""
        self._link("current", version)

    def fall_back_to(self, version: str) -> None:
        """Have a start of the machine lead to this release, until `close`."""
        if self.fallback() != version:
            self._link(FALLBACK, version)

    def close(self) -> None:
        """No upgrade is under way any more."""
        (self.root / FALLBACK).unlink(missing_ok=True)
        sync(self.root)

    def spare(self) -> list[str]:
        """What need not be kept, oldest first: what is older than the release in use, but for one to go back to."""
        current = self.current()
        if current is None:
            return []
        names = [path.name for path in (self.root / "releases").glob("*") if version_key(path.name)]
        older = sorted((one for one in names if _key(one) < _key(current)), key=_key)
        whole = [one for one in older if one in self.whole()]
        before = self.previous()
        kept = before if before in older else next(reversed(whole), None)
        return [one for one in older if one != kept]

    def remove(self, version: str) -> None:
        """Take a release away; killed in between, what is left of it is no whole one."""
        (self.folder(version) / ".whole").unlink(missing_ok=True)
        shutil.rmtree(self.folder(version), ignore_errors=True)

    def _named(self, link: str) -> str | None:
        try:
            version = (self.root / link).readlink().name
        except OSError:
            return None
        return version if self.folder(version).is_dir() else None

    def _link(self, name: str, version: str) -> None:
        beside = self.root / f".{name}.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(Path("releases") / version)
        beside.replace(self.root / name)
        sync(self.root)


def _key(version: str) -> tuple[int, ...]:
    return version_key(version) or ()


def mark_of(bundle: Path) -> str:
    """What `.whole` of the release says that an unpacked bundle makes."""
    return digest(bundle / SUMS)
