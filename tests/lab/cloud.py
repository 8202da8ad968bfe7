"""The cloud's S3 server: `rclone serve s3` in the laboratory, which can be hung, killed and given another key."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.namespace import Namespace
from tests.lab.topology import STORE_ADDRESS
from tests.support.waiting import until

PORT, BUCKET = 9000, "clinic-copies"
RCLONE = Path(sys.executable).with_name("rclone")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKey:
    """What opens the store, as a node's credential writes it."""

    access_key_id: str = "clinic"
    secret_access_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def as_credential(self) -> str:
        return f'access_key_id = "{self.access_key_id}"\nsecret_access_key = "{self.secret_access_key}"\n'


@dataclass
class Store:
    """One S3 server over `folder`, whose top folders are buckets."""

    space: Namespace
    folder: Path
    key: StoreKey = field(default_factory=StoreKey)
    address: str = STORE_ADDRESS
    _process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}:{PORT}"

    def start(self, key: StoreKey | None = None) -> None:
        """Start it, with this key if one is given; it listens on return."""
        assert self._process is None
        self.key = key or self.key
        (self.folder / "objects" / BUCKET).mkdir(parents=True, exist_ok=True)
        with (self.folder / "store.log").open("ab") as log:
            self._process = self.space.popen(
                *(str(RCLONE), "serve", "s3", "--addr", f"{self.address}:{PORT}", "--config", ""),
                *("--auth-key", f"{self.key.access_key_id},{self.key.secret_access_key}"),
                *("--vfs-cache-mode", "off", "--cache-dir", str(self.folder / "cache"), str(self.folder / "objects")),
                stdout=log, stderr=log,
            )  # fmt: skip
        until(lambda: is_listening(self.space, self.address, PORT) or self._ended())
        assert not self._ended(), (self.folder / "store.log").read_text()

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def hang(self) -> None:
        """It keeps its connections, takes new ones, and says nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def vanish(self) -> None:
        """Killed: its connections are reset, and nobody listens."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(timeout=5)
        self._process = None

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


@contextlib.contextmanager
def store(space: Namespace, folder: Path) -> Iterator[Store]:
    """A store that answers; gone afterwards, also when it hangs."""
    made = Store(space, folder)
    try:
        made.start()
        yield made
    finally:
        with contextlib.suppress(AssertionError):
            made.vanish()


def is_listening(space: Namespace, address: str, port: int) -> bool:
    return f"{address}:{port} " in space.run("ss", "-Hltn").stdout
