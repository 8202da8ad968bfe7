"""Root promotes where the services run as another user: all that is made belongs to that user, and to nobody else.

As on a machine where `units install` has made the folders: the state folder is the user's, the configuration root's.
"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.owners import made_clinic, promote_argv, shipping

# Numbers that no user of this machine has: a file's owner needs no account.
OWNER, GROUP, SHARE = 47110, 47111, 47112


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root: files are given to another user")
def test_everything_belongs_to_the_owner_of_the_state_folder(tmp_path: Path) -> None:
    clinic = made_clinic(tmp_path / "a")
    with shipping(clinic):
        pass
    state = tmp_path / "b"
    state.mkdir(mode=0o750)
    os.chown(state, OWNER, SHARE)
    for name in ("data", "credentials", "shipping", "reports", "copies"):
        (state / name).mkdir(mode=0o700)
        os.chown(state / name, OWNER, GROUP)
    (state / "orders").mkdir()
    os.chown(state / "orders", OWNER, SHARE)
    (state / "orders").chmod(0o2750)

    done = subprocess.run(promote_argv(clinic, state), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = {path.relative_to(state): path.lstat() for path in state.rglob("*")}
    strangers = [str(path) for path, status in found.items() if status.st_uid != OWNER]
    assert strangers == []
    assert {status.st_gid for status in found.values()} <= {GROUP, SHARE}
    # Contract, section 6.
    modes = {str(path): stat.S_IMODE(status.st_mode) for path, status in found.items()}
    assert stat.S_IMODE(state.stat().st_mode) == 0o750
    assert modes["orders"] == 0o2750
    private = ("data", "credentials", "shipping", "reports", "copies", "litestream", "replica", "replica/e0002")
    assert {name: modes[name] for name in private} == dict.fromkeys(private, 0o700)
    assert {modes[name] for name in modes if name.startswith("credentials/")} == {0o600}
    world = [name for name, mode in modes.items() if mode & 0o007]
    assert world == []
    # And its owner, in no group but its own, can read and write every one.
    who = ("setpriv", f"--reuid={OWNER}", f"--regid={GROUP}", "--clear-groups")
    looked = subprocess.run(
        (*who, "find", ".", "(", "!", "-readable", "-o", "!", "-writable", ")"),
        cwd=state, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert looked.stdout == ""
