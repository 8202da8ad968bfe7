"""The folders of a replica and of Litestream's own records: patient data, and what a kill leaves in them."""

from __future__ import annotations

from pathlib import Path

from edge_node.replication.commands import ReplicatedDb


def sweep(database: ReplicatedDb) -> int:
    """Remove what a killed Litestream left half written (781 MB was seen); returns how many bytes.

    Only for the holder of the database's lock: what a live Litestream is writing looks the same.
    """
    swept_bytes = 0
    for folder in (database.replica_path, database.meta_path):
        for leftover in folder.glob("ltx/*/*.tmp"):
            swept_bytes += leftover.stat().st_size
            leftover.unlink()
    return swept_bytes


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may open, and those above it that are missing."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
