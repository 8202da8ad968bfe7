"""What root makes for a node belongs to the user of its services."""

from __future__ import annotations

import os
from pathlib import Path


def hand_over(state_dir: Path, replica_local: Path, config_path: Path) -> None:
    """Give what root has made here to the owner of the state folder, who runs the services and reads the file.

    Does nothing for another caller, and where root owns the folder itself.
    """
    owner = state_dir.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for folder in (state_dir, replica_local):
        for path in (folder, *folder.rglob("*")):
            if path.lstat().st_uid == 0:
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    if not config_path.is_relative_to(state_dir):
        os.chown(config_path, -1, owner.st_gid)
