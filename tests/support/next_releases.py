"""The releases that could come after this tree, and a machine on which they wait beside the one in use; made once.

0.2.0  adds a column to the clinical schema
0.3.0  adds a table to it
0.4.0  changes nothing that is kept
0.5.0  adds another table, and its HIS does not start
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from edge_node import __version__
from tests.support.bundles import STORE, bundle, locked, make_room
from tests.support.installed import BUNDLES, INSTALLS_WITHIN_S, Installed, installed, serve_over_tls
from tests.support.machine import Machine, booted

GOOD, BROKEN = ("0.2.0", "0.3.0", "0.4.0"), "0.5.0"
_HIS = "edge_node/store/his_migrations.py"
_MIGRATIONS = {
    "0.2.0": '''

@MIGRATIONS()
def m9001_hint(db: Database) -> None:
    """A word for whoever sends people there."""
    db.execute("ALTER TABLE department ADD COLUMN hint TEXT NOT NULL DEFAULT ''")
''',
    "0.3.0": '''

@MIGRATIONS()
def m9002_room(db: Database) -> None:
    """Rooms."""
    db.execute("CREATE TABLE room (id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT")
''',
    "0.5.0": '''

@MIGRATIONS()
def m9003_bed(db: Database) -> None:
    """Beds."""
    db.execute("CREATE TABLE bed (id TEXT PRIMARY KEY, room_id TEXT NOT NULL REFERENCES room(id)) STRICT")
''',
}
_DOES_NOT_START = "\n\nraise RuntimeError('the HIS of this release does not start')\n"


def next_release(version: str) -> Path:
    """The archive of one of them."""
    migrations = "".join(text for since, text in _MIGRATIONS.items() if since <= version)
    changes = {_HIS: migrations}
    if version == BROKEN:
        changes["edge_node/services/his.py"] = _DOES_NOT_START
    return bundle(version, changes)


def archive(version: str) -> str:
    """Where its archive lies in a machine of `upgradable`."""
    return f"{BUNDLES}/{version}/{next_release(version).name}"


@contextlib.contextmanager
def upgradable(folder: Path) -> Iterator[tuple[Machine, Installed]]:
    """A training clinic on this tree's release, which serves its pages over TLS on port 443.

    The next releases are put beside it already (half a minute each).
    """
    base = installed(__version__)
    binds = {f"{BUNDLES}/{version}": next_release(version).parent for version in (*GOOD, BROKEN)}
    place = STORE / f"upgradable-tls-{'-'.join(path.name for path in (base.disk.parent, *binds.values()))}"[:200]
    with locked("upgradable.lock"):
        if not place.is_dir():
            make_room("upgradable-*")
            beside = STORE / "staging"
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            with booted(beside, layers=[base.disk], binds=binds, keep_disk=True) as machine:
                for version in (*GOOD, BROKEN):
                    _stage(machine, version)
                serve_over_tls(machine)
                machine.off()
            beside.rename(place)
        os.utime(place)
    with booted(folder, layers=[place / "disk", base.disk], binds=binds) as machine:
        yield machine, base


def _stage(machine: Machine, version: str) -> None:
    machine.run("mkdir", "/root/staged")
    machine.run("tar", "--extract", "--file", archive(version), "--directory", "/root/staged", "--strip-components=1")
    machine.run("/root/staged/install.sh", "--release-only", timeout_s=INSTALLS_WITHIN_S)
    machine.run("rm", "-r", "/root/staged")
