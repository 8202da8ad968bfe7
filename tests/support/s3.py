"""S3 servers on loopback: rclone over a folder, which ignores conditional puts, and moto, which honours them.

Each dies with the test's process, however that ends.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

from edge_node.base.process import clean_environment
from edge_node.replication.s3_access import S3Access
from tests.support.waiting import until

BUCKET = "clinic-copies"
KEY = ("EDGEACCESSKEY01", "edge-secret-key-0123456789")
PROGRAMS = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_key(path: Path, key: tuple[str, str] = KEY) -> Path:
    """A credential as the configuration names it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'access_key_id = "{key[0]}"\nsecret_access_key = "{key[1]}"\n')
    path.chmod(0o600)
    return path


@dataclass
class S3Server:
    """A server on a port of its own, which it keeps over `stop` and `start`. `root` holds its log, and its objects."""

    root: Path
    kind: str
    tls: tuple[Path, Path] | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def bucket(self) -> Path:
        """Where rclone keeps the objects of the bucket, each as a file below its key."""
        return self.root / "objects" / BUCKET

    def access(self, *, key: tuple[str, str] = KEY) -> S3Access:
        credential = write_key(self.root / f"key-{key[0]}", key)
        return S3Access(endpoint=self.endpoint, region="us-east-1", credential=credential)

    def start(self, key: tuple[str, str] = KEY) -> None:
        assert self.process is None
        self.bucket.mkdir(parents=True, exist_ok=True)
        with (self.root / f"{self.kind}.log").open("ab") as log:
            self.process = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", *self._argv(key)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment({"HOME": str(self.root)}),
            )
        until(self._answers, within_s=30)
        if self.kind == "moto":
            urlopen(Request(f"{self.endpoint}/{BUCKET}", method="PUT"), timeout=10).close()

    def _argv(self, key: tuple[str, str]) -> tuple[str, ...]:
        if self.kind == "moto":
            return (str(PROGRAMS / "moto_server"), "-H", "127.0.0.1", "-p", str(self.port))
        tls = ("--cert", str(self.tls[0]), "--key", str(self.tls[1])) if self.tls else ()
        return (
            *(str(PROGRAMS / "rclone"), "serve", "s3", "--config", "/dev/null", "--auth-key", ",".join(key)),
            *("--addr", f"127.0.0.1:{self.port}", "--vfs-cache-mode", "off", *tls, str(self.bucket.parent)),
        )

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the server has ended: see its log"
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Gone: what connects is refused."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """It still accepts connections, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        # Threads on other processors stop a moment later; until then an answer may still come.
        stat = Path(f"/proc/{self.process.pid}/stat")
        until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def s3_server(root: Path, kind: str, *, tls: tuple[Path, Path] | None = None) -> Iterator[S3Server]:
    """A running server of this kind (rclone, moto); killed on the way out."""
    root.mkdir(parents=True, exist_ok=True)
    server = S3Server(root, kind, tls)
    try:
        server.start()
        yield server
    finally:
        server.stop()
