"""A real Debian 12 with a real systemd, booted by systemd-nspawn for one test.

    with booted(tmp_path, binds={"/opt/src": ROOT}) as machine:
        machine.put("/etc/motd", b"hello")
        assert machine.run("systemctl", "is-system-running").stdout == "running\\n"

Its disk is a layer over the image: what a test writes is its own, survives `off` or `kill` and a second `boot`, and may
be the layer under other machines. Nothing is left afterwards, also when the test is killed: the machine lives in a
PID and a mount namespace whose first process the kernel ends together with the test's.

It has no network but its own loopback, or lives in a network namespace of a laboratory (tests/lab). It may do all
that root may except set the clock, which is that of the machine that runs the tests. Limits of memory and tasks are
not in force where the kernel's controllers belong to cgroup v1; ask `systemctl show` for them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge_node.base.process import clean_environment
from tests.lab import namespace
from tests.support.machine_image import image
from tests.support.waiting import until

# A quiet machine needs 1.5 s to boot and 2 s to stop.
BOOTS_WITHIN_S, STOPS_WITHIN_S = 90.0, 60.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CGROUP = re.compile(r"edgelab-(\d+)-(\d+)-[0-9a-f]{4}")
_POWER_OFF = signal.SIGRTMIN + 3


class Machine:
    """One machine. Files under `folder`: `disk`, the layer that it writes; `console.log`, what it said."""

    def __init__(self, folder: Path, *, layers: Sequence[Path], binds: Mapping[str, Path], network: str | None) -> None:
        self.name = namespace.new_name()
        self.disk, self.console = folder / "disk", folder / "console.log"
        self._folder, self._layers, self._binds, self._network = folder, (*layers, image()), binds, network
        self._process: subprocess.Popen[bytes] | None = None
        self._leader: int | None = None
        for each in (self.disk, folder / "work", folder / "root"):
            each.mkdir(parents=True, exist_ok=True)

    @property
    def leader(self) -> int:
        """The pid of its systemd, as the test's machine knows it. AssertionError while it is off."""
        assert self._leader is not None, f"{self.name} is off"
        return self._leader

    def boot(self, goal: str | None = None) -> None:
        """Start it, and wait until systemd says that everything is running: up to the unit `goal`, if one is given."""
        assert self._process is None, f"{self.name} runs already"
        with self.console.open("ab") as console:
            # The kernel's order to end is given to this program when the thread that started it ends, and by it to all
            # that it started.
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL"),
                    *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "--propagation=private"),
                    *("sh", "-euc", self._script(goal)),
                ],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env=clean_environment(
                    {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
                ),
            )  # fmt: skip
        self._leader = until(self._find_leader, within_s=BOOTS_WITHIN_S)
        state = until(self._settled, within_s=BOOTS_WITHIN_S)
        assert state == "running", f"{state}: {self.systemctl('--failed', check=False).stdout}"
        # systemd-nspawn lays a boot id of its own over the kernel's, but not for services with a /proc of theirs.
        while self.run("umount", "/proc/sys/kernel/random/boot_id", check=False).returncode == 0:
            pass

    def _script(self, goal: str | None) -> str:
        """What is done in the new namespaces before the machine starts; its own first process then ends with it."""
        over = ":".join(str(layer) for layer in self._layers)
        # Cgroups of two machines would be one and the same, were they not under names of their own.
        lines = [f"mkdir -p {place}; echo 0 >{place}/cgroup.procs" for place in self._cgroups()]
        lines += [
            "mkdir -p /run/systemd/nspawn; mount -t tmpfs none /run/systemd/nspawn",
            f"cd {self._folder}; mount -t overlay none -o lowerdir={over},upperdir={self.disk},workdir=work root",
        ]
        argv = [
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={self._folder}/root", f"--machine={self.name}"),
            # Without systemd and D-Bus where the tests run.
            *("--register=no", "--keep-unit", "--console=pipe", "--link-journal=no", "--resolv-conf=off"),
            # All of this is needed for IPAddressDeny= to be in force.
            *("--capability=all", "--drop-capability=CAP_SYS_TIME", "--system-call-filter=bpf"),
            f"--network-namespace-path={namespace.NETNS / self._network}" if self._network else "--private-network",
            *(f"--bind-ro={source}:{place}" for place, source in self._binds.items()),
            *([f"systemd.unit={goal}"] if goal else []),
        ]
        return "\n".join([*lines, f"exec {shlex.join(argv)}"])

    def _cgroups(self) -> list[Path]:
        return [place / self.name for place in _cgroup_roots()]

    def _find_leader(self) -> int | None:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} did not start: {self.console.read_text(errors='replace')}"
        pid = self._process.pid
        # unshare, then systemd-nspawn as the first of its namespace, then the machine's systemd; others come and go.
        with contextlib.suppress(OSError, IndexError):
            for _ in range(2):
                pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
            return pid if Path(f"/proc/{pid}/comm").read_text() == "systemd\n" else None
        return None

    def _settled(self) -> str | None:
        state = self.systemctl("is-system-running", check=False).stdout.strip()
        return state if state in ("running", "degraded") else None

    def run(
        self,
        *argv: str,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str | bytes | None = None,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end, as root or as a user with their groups and no capability.

        With `check`, a failure is an AssertionError that says what it said.
        """
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            self.argv(*argv, user=user), input=given, stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True, timeout=timeout_s, env=_environment(env), check=False,
        )  # fmt: skip
        said = subprocess.CompletedProcess(
            argv, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if check:
            assert said.returncode == 0, f"{shlex.join(argv)}: {said.returncode}\n{said.stdout}{said.stderr}"
        return said

    def popen(self, *argv: str, user: str | None = None, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a program in it, its output in `log`; it ends with the machine at the latest, the caller reaps it."""
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("ab")) if log else subprocess.DEVNULL
            return subprocess.Popen(
                self.argv(*argv, user=user), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=_environment(None), start_new_session=True,
            )  # fmt: skip

    def argv(self, *argv: str, user: str | None = None) -> tuple[str, ...]:
        """The command that runs another one in it."""
        become = ("runuser", "-u", user, "--") if user else ()
        return ("nsenter", "-t", str(self.leader), "-a", "--", *become, *argv)

    def put(self, path: str, content: str | bytes, *, mode: int = 0o644, owner: str = "root:root") -> None:
        """Write a file in it, whole, with its folders."""
        user, _, group = owner.partition(":")
        self.run("install", "-D", "-m", f"{mode:o}", "-o", user, "-g", group, "/dev/stdin", path, stdin=content)

    def read(self, path: str) -> str:
        """What a file in it holds. AssertionError where it cannot be read."""
        return self.run("cat", path).stdout

    def fetch(self, path: str, to: Path) -> None:
        """Copy a file out of it, with the folders that it needs here."""
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("wb") as file:
            subprocess.run(self.argv("cat", path), stdout=file, timeout=60, env=_environment(None), check=True)

    def systemctl(
        self, *arguments: str, check: bool = True, timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", "--no-pager", *arguments, check=check, timeout_s=timeout_s)

    def show(self, unit: str, name: str) -> str:
        """One property of a unit, such as `MainPID`; empty where it is not set."""
        return self.systemctl("show", "--value", f"--property={name}", unit).stdout.strip()

    def journal(self, unit: str | None = None) -> str:
        """What a unit, or everything, has said since the machine was started, one message a line."""
        return self.run("journalctl", "--no-pager", "-o", "cat", *(("-u", unit) if unit else ())).stdout

    def off(self) -> float:
        """Shut it down in order; how many seconds that took."""
        began = os.times().elapsed
        os.kill(self.leader, _POWER_OFF)
        self._ended(STOPS_WITHIN_S)
        return os.times().elapsed - began

    def kill(self) -> None:
        """End everything that runs in it at once; its disk stays as it is."""
        if self._process is not None:
            self._process.kill()
            self._ended(STOPS_WITHIN_S)

    def _ended(self, within_s: float) -> None:
        assert self._process is not None
        leader, self._leader = self._leader, None
        self._process.wait(timeout=within_s)
        self._process = None
        if leader is not None:
            until(lambda: namespace.start_ticks(leader) is None, within_s=within_s)
        until(lambda: all(_removed(place) for place in self._cgroups()), within_s=within_s)


@contextlib.contextmanager
def booted(
    folder: Path,
    *,
    binds: Mapping[str, Path] | None = None,
    network: str | None = None,
    layers: Sequence[Path] = (),
    keep_disk: bool = False,
    goal: str | None = None,
) -> Iterator[Machine]:
    """A machine that runs; it does not afterwards, and its disk is gone unless it is to be kept.

    binds:   where in it to see folders or files of this machine, read-only
    network: the name of a network namespace to live in, such as `lab.clinic.name`
    goal:    the unit to start instead of all that the machine starts, such as `basic.target`; see Machine.boot
    layers:  disks of other machines, topmost first, over the image: `machine.disk` of one that is off and was kept
    """
    _sweep()
    machine = Machine(folder, layers=layers, binds=binds or {}, network=network)
    try:
        machine.boot(goal)
        yield machine
    finally:
        machine.kill()
        # Not the console: it is what is left to read of a machine that did not start.
        for each in (folder / "work", folder / "root", *(() if keep_disk else (machine.disk,))):
            shutil.rmtree(each, ignore_errors=True)


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """What a program in the machine is given: nothing of the machine that runs the tests."""
    return {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/root", **(more or {})}


def _cgroup_roots() -> list[Path]:
    """Where the kernel shows its cgroups: the unified ones, and systemd's own where the others are of version 1."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(where) for _, where, kind, options, *_ in mounts
            if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(","))]  # fmt: skip


def _sweep() -> None:
    """Empty cgroups are all that a killed test leaves; take away those of the dead."""
    for root in _cgroup_roots():
        for place in root.iterdir():
            owner = _CGROUP.fullmatch(place.name)
            if owner and namespace.start_ticks(int(owner[1])) != int(owner[2]):
                _removed(place)


def _removed(place: Path) -> bool:
    """Remove a cgroup with those below; False while something still ends in them."""
    for folder, _, _ in os.walk(place, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not place.exists()
