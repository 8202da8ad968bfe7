"""Which databases a node has, and where they lie; without their schemas, so that a small service stays small."""

from __future__ import annotations

from pathlib import Path

# his: clinical. node: operations, in a file of its own so that its chatter adds nothing to the traffic of the former.
NAMES = ("his", "node")


def db_path(state_dir: Path, name: str) -> Path:
    """The file of the database called `name`."""
    return state_dir / "data" / f"{name}.db"


def copies_dir(state_dir: Path) -> Path:
    """Where the copies from before a migration lie."""
    return state_dir / "copies"
