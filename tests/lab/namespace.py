"""Network namespaces of laboratories: their names, what runs in them, and their end.

A name says which process the laboratory belongs to and when that process started, so that what a dead one left behind
can be told from what a living one works with.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

from edge_node.base.process import clean_environment

T = TypeVar("T")

_ROOT = Path(__file__).resolve().parents[2]
NETNS = Path("/run/netns")
_NAME = re.compile(r"(edgelab-(\d+)-(\d+)-[0-9a-f]{4})-[a-z]+")
_GONE_WITHIN_S = 5.0
_LIBC, _CLONE_NEWNET = ctypes.CDLL(None, use_errno=True), 0x40000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """One network namespace. `started` collects what popen started, so that its owner can reap it."""

    name: str
    started: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False, compare=False)

    def run(
        self, *argv: str, check: bool = True, timeout_s: float = 10.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end. With `check`, a failure is an AssertionError that says what it said."""
        done = subprocess.run(
            self.argv(*argv), input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True,
            text=True, timeout=timeout_s, env=_environment(), check=False,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, f"{' '.join(argv)} in {self.name}: {done.returncode}\n{done.stderr.strip()}"
        return done

    def popen(
        self,
        *argv: str,
        stdout: int | IO[bytes] | None = subprocess.DEVNULL,
        stderr: int | IO[bytes] | None = None,
        stdin: int = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program in it, in a session of its own; it ends with the laboratory at the latest."""
        child = subprocess.Popen(
            self.argv(*argv), stdin=stdin, stdout=stdout, stderr=stderr, env={**_environment(), **(env or {})},
            cwd=cwd, start_new_session=True,
        )  # fmt: skip
        self.started.append(child)
        return child

    def argv(self, *argv: str) -> tuple[str, ...]:
        """The command that runs another one in this namespace; `ip` is replaced by it, so the pid is the program's."""
        return ("ip", "netns", "exec", self.name, *argv)

    def configure(self, commands: str) -> None:
        """Several `ip` commands, one a line, the word `ip` left out."""
        batch(commands, "-n", self.name)

    def nft(self, ruleset: str) -> None:
        """Apply an nftables file, wholly or not at all."""
        self.run("nft", "-f", "-", stdin=ruleset)

    def socket(self, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
        """An IPv4 socket of this namespace, to be used from here: where it was made is where it stays."""
        return self.within(lambda: socket.socket(socket.AF_INET, kind, protocol))

    def sysctl(self, settings: Mapping[str, str]) -> None:
        """Set what the kernel keeps for each namespace, such as `net.ipv4.ip_forward`."""

        def write() -> None:
            for name, value in settings.items():
                Path("/proc/sys", name.replace(".", "/")).write_text(value)

        self.within(write)

    def within(self, work: Callable[[], T]) -> T:
        """Do something in this namespace without a process for it: in a thread that enters it, and ends with it.

        Nothing that hands its work to older threads, such as a client of S3: those live outside.
        """
        done: list[T] = []
        failed: list[BaseException] = []

        def enter() -> None:
            try:
                with (NETNS / self.name).open() as handle:
                    # Of this thread only. os.setns came with Python 3.12.
                    if _LIBC.setns(handle.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")
                done.append(work())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    def pids(self) -> list[int]:
        """Every process that lives in it."""
        return pids_in(self.name)


def batch(commands: str, *options: str) -> None:
    """Several `ip` commands in one process; AssertionError with the first that fails."""
    argv = ["ip", *options, "-batch", "-"]
    done = subprocess.run(argv, input=commands, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0, f"{done.stderr.strip()}\n{commands}"


@contextlib.contextmanager
def guarded(roles: Iterable[str]) -> Iterator[dict[str, Namespace]]:
    """Names for namespaces of a new laboratory, by role; whatever is made under them is gone afterwards.

    Also when this process is killed: a guardian in a session of its own waits for that. Their processes are killed at
    the end: who wants an orderly stop does it before.
    """
    name = new_name()
    guardian = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.guardian", name], cwd=_ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert guardian.stdout is not None
        assert guardian.stdout.readline() == b"ready\n", "the guardian did not start"
        spaces = {role: Namespace(name=f"{name}-{role}") for role in roles}
        try:
            yield spaces
        finally:
            remove(name)
            reap(iter(spaces.values()))
    finally:
        guardian.kill()
        guardian.communicate()


def new_name() -> str:
    """A name for a laboratory of this process that no other has."""
    pid = os.getpid()
    return f"edgelab-{pid}-{start_ticks(pid)}-{secrets.token_hex(2)}"


def start_ticks(pid: int) -> int | None:
    """When a process started, in the kernel's ticks; None when there is no such process, or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


def names(laboratory: str = "") -> list[str]:
    """The namespaces of one laboratory, or of all."""
    with contextlib.suppress(FileNotFoundError):
        found = (match for entry in NETNS.iterdir() if (match := _NAME.fullmatch(entry.name)))
        return sorted(match[0] for match in found if not laboratory or match[1] == laboratory)
    return []


def abandoned() -> set[str]:
    """Laboratories whose process is dead."""
    found = (_NAME.fullmatch(name) for name in names())
    return {match[1] for match in found if match and start_ticks(int(match[2])) != int(match[3])}


def pids_in(name: str) -> list[int]:
    """Every process that lives in the namespace of this name, or is about to; none where it is gone."""
    try:
        sought = (NETNS / name).stat()
    except OSError:
        return []
    # Between opening the namespace and entering it, `ip` lives elsewhere still: were its name deleted now, it would
    # enter all the same, and live on where nobody finds it.
    entering = b"\0".join((b"ip", b"netns", b"exec", name.encode(), b""))
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                theirs = (entry / "ns/net").stat()
                lives_there = (theirs.st_dev, theirs.st_ino) == (sought.st_dev, sought.st_ino)
                if lives_there or (entry / "cmdline").read_bytes().startswith(entering):
                    found.append(int(entry.name))
    return found


def remove(laboratory: str) -> None:
    """Kill what lives in a laboratory's namespaces, and delete them. What is gone already is no mistake."""
    for name in names(laboratory):
        _empty(lambda name=name: pids_in(name))  # type: ignore[misc]
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=10, check=False)


def _empty(pids: Callable[[], list[int]]) -> None:
    """Kill until nobody is left: one that is killed may have forked the moment before."""
    deadline = time.monotonic() + _GONE_WITHIN_S
    while (found := [pid for pid in pids() if pid != os.getpid()]) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _environment() -> dict[str, str]:
    """No proxy and no cloud variable of the machine reaches a program of the laboratory."""
    return clean_environment()


def reap(namespaces: Iterator[Namespace]) -> None:
    """Collect the ends of what was started in these namespaces, once they are empty."""
    for namespace in namespaces:
        for child in namespace.started:
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()
            child.wait(timeout=_GONE_WITHIN_S)
