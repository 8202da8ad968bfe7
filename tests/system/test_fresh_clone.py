"""The README's first command on a fresh clone, as an ordinary user with Debian's own Python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.node import free_port, processes_of
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
INSTALLS_WITHIN_S = 240.0
DEBIAN_PYTHON = Path("/usr/bin/python3")

needs = pytest.mark.skipif(
    os.geteuid() != 0 or not DEBIAN_PYTHON.exists() or shutil.which("setpriv") is None or not (ROOT / ".git").exists(),
    reason="needs root (to become an ordinary user), git and Debian's python3-venv: make test-deps",
)


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that an ordinary user can reach; pytest's own are closed to others, again with every session."""
    with tempfile.TemporaryDirectory(prefix="edge-node-clone-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs
@pytest.mark.timeout(300)
def test_make_run_on_a_fresh_clone(base: Path) -> None:
    clone, log_path, port = base / "edge-node", base / "run.log", free_port()
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(base)], check=True)
    env = {
        key: value for key, value in os.environ.items() if key.startswith("PIP_") or key in ("LANG", "SSL_CERT_FILE")
    }
    env |= {"HOME": str(base), "PATH": "/usr/bin:/bin", "PORT": str(port), "PYTHON": str(DEBIAN_PYTHON)}
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    home = clone / "var"
    with log_path.open("wb") as log:
        run = subprocess.Popen(
            [*as_nobody, "make", "run"], cwd=clone, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: "ready; Ctrl-C" in log_path.read_text() or run.poll() is not None, within_s=INSTALLS_WITHIN_S)
        assert run.poll() is None, log_path.read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5) as answer:
            assert answer.status == 200
        until(lambda: list((home / "cloud").rglob("*.ltx.age")), within_s=15)
        status = subprocess.run(
            [*as_nobody, str(clone / ".venv/bin/edge-node"), "status", "--home", str(home)],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert status.returncode == 0, status.stdout
        run.send_signal(signal.SIGTERM)
        until(lambda: run.poll() is not None, within_s=12)
        until(lambda: not processes_of(home), within_s=12)
    finally:
        for pid in processes_of(home):
            os.kill(pid, signal.SIGKILL)
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
