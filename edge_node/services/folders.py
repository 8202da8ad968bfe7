"""The folders of a node: what a service needs of them before it starts, and what others must not be able to do."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_node.base.errors import ExitCode, ServiceError
from edge_node.base.users import user_name
from edge_node.config.schema import Config

# The modes of contract section 6 (and systemd/edge-node.tmpfiles.conf). A folder may be closed further, never wider.
MODES: Mapping[str, int] = {
    ".": 0o750, "data": 0o700, "credentials": 0o700, "shipping": 0o700, "reports": 0o700, "copies": 0o700,
    "litestream": 0o700, "orders": 0o2750,
}  # fmt: skip
LOCAL_REPLICA_MODE = 0o700
# Without these no service of the state folder can do its work.
NEEDED = (".", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """A folder that others may do more in than is meant."""

    path: Path
    mode: int
    meant: int


def need_folders(config: Config) -> None:
    """Raises ServiceError privilege-missing where this user may not read and write the folders of the state.

    One that is missing is not looked at: whoever needs what lies there says so.
    """
    for name in NEEDED:
        folder = (config.node.state_dir / name).resolve()
        try:
            found = folder.stat()
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise ServiceError(
                "privilege-missing",
                f"{folder} cannot be reached by user {user_name(os.geteuid())}",
                context="a folder above it is closed",
                hint=f"namei -l {folder} shows which; others need its x right (chmod o+x)",
                exit_code=ExitCode.NETWORK,
            ) from error
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            raise ServiceError(
                "privilege-missing",
                f"{folder} may not be used by user {user_name(os.geteuid())}",
                context=f"it belongs to {user_name(found.st_uid)}, mode {stat.S_IMODE(found.st_mode):04o}",
                hint=f"sudo chown -R {user_name(os.geteuid())} {folder} && sudo chmod u+rwx {folder}",
                exit_code=ExitCode.NETWORK,
            )


def too_wide(config: Config) -> Iterator[Wide]:
    """Folders whose modes allow others more than the contract says."""
    places = [(config.node.state_dir / name, mode) for name, mode in MODES.items()]
    for path, meant in (*places, (config.replica.local, LOCAL_REPLICA_MODE)):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o777 & ~meant:
            yield Wide(path=path.resolve(), mode=mode, meant=meant)
