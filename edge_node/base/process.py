"""Other programs: argv in, a result or a live child out; every child is reaped.

"Not found", "killed by a signal", "took too long" and "returned 1" are four different outcomes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# How much of a failed program's talk travels in the error.
TAIL_LINES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that ended. `returncode` is negative for a signal, as in subprocess."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def tail(self) -> str:
        """The last lines that it said."""
        return "\n".join(self.stderr.splitlines()[-TAIL_LINES:])

    def sentence(self) -> str:
        """How it ended, in words."""
        return ended(self.returncode)


class ProgramMissing(Exception):
    """There is no such program."""


class ProgramTimedOut(Exception):
    """It was still running at the deadline, and was killed."""


def ended(returncode: int) -> str:
    """How a program ended, in words: "killed by SIGKILL", "returned 1"."""
    if returncode >= 0:
        return f"returned {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment that is built, not inherited: no AWS_* and no *_proxy reaches a child (AWS_CA_BUNDLE kills it)."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **(extra or {})}


def run(argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None, umask: int = -1) -> Completed:
    """Run a program to its end. Raises ProgramMissing or ProgramTimedOut; a non-zero exit is the caller's to judge."""
    try:
        done = subprocess.run(
            tuple(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=dict(clean_environment() if env is None else env),
            umask=umask,
            check=False,
        )
    except FileNotFoundError as error:
        raise ProgramMissing(argv[0]) from error
    except subprocess.TimeoutExpired as error:
        raise ProgramTimedOut(f"{argv[0]} was still running after {timeout_s:g} s") from error
    return Completed(argv=tuple(argv), returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


@contextlib.contextmanager
def spawn(
    argv: Sequence[str],
    *,
    grace_s: float,
    env: Mapping[str, str] | None = None,
    stderr: int | IO[bytes] | None = None,
    umask: int = -1,
    pass_fds: Sequence[int] = (),
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running child in a process group of its own; on the way out its group is ended and the child reaped.

    SIGTERM first, SIGKILL after `grace_s`. Raises ProgramMissing.
    """
    try:
        child = subprocess.Popen(
            tuple(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stderr is not None else None,
            stderr=stderr,
            env=dict(clean_environment() if env is None else env),
            process_group=0,
            umask=umask,
            pass_fds=tuple(pass_fds),
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise ProgramMissing(argv[0]) from error
    try:
        yield child
    finally:
        stop(child, grace_s=grace_s)


def stop(child: subprocess.Popen[bytes], *, grace_s: float) -> int:
    """End a child that leads its own process group, and whatever it started there; returns its return code."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


# prctl(2): the signal that this process gets when the thread that started it ends.
_PR_SET_PDEATHSIG = 1
PARENT_VARIABLE = "EDGE_NODE_PARENT"


def die_with_parent() -> None:
    """Where a parent of ours announced itself, ask the kernel for SIGTERM at its death, so that nothing is left behind.

    The parent sets PARENT_VARIABLE to its pid; if it is gone already, this process ends at once.
    """
    expected = os.environ.get(PARENT_VARIABLE)
    if expected is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(expected):
        raise SystemExit(0)
