"""The machine as an upgrade sees and moves it: systemd's services, what they say, and the HIS behind its socket."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_node.base.errors import ExitCode, ServiceError
from edge_node.base.process import Completed, ProgramMissing, ProgramTimedOut, clean_environment, run
from edge_node.config.values import Endpoint
from edge_node.release.health import Seen, Unit
from edge_node.release.plan import SERVICES
from edge_node.status.model import NodeStatus

# Programs of the system, where a login of root's would find them.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEMCTL_WITHIN_S = 60.0
READY_WITHIN_S = 5.0


class Machine:
    """`root`: where the releases lie; `status` reads the status files; `listen`: where the HIS is asked."""

    def __init__(self, root: Path, *, status: Callable[[], NodeStatus], listen: Endpoint, tls: bool) -> None:
        self._status, self._listen, self._tls = status, listen, tls
        self._of_release = re.compile(rf"{re.escape(str(root))}/releases/([^/]+)/")

    def look(self) -> Seen:
        """How everything is now."""
        status = self._status()
        return Seen(
            units=self.units(),
            heard={name: str(state) for name, state in status.services.items()},
            not_ready=self._not_ready(),
        )

    def units(self) -> dict[str, Unit]:
        """The services as systemd has them, in the order in which they are restarted."""
        wanted = ("MainPID", "ActiveState", "NRestarts")
        units = [f"edge-{name}.service" for name in SERVICES]
        said = call(("systemctl", "show", f"--property={','.join(wanted)}", *units), timeout_s=SYSTEMCTL_WITHIN_S)
        found = {}
        for name, block in zip(SERVICES, said.stdout.strip().split("\n\n"), strict=True):
            values = dict(line.partition("=")[::2] for line in block.splitlines())
            pid = int(values["MainPID"])
            found[name] = Unit(
                active=values["ActiveState"],
                release=self._release_of(pid) if pid else None,
                pid=pid,
                restarts=int(values["NRestarts"]),
            )
        return found

    def restart(self, service: str) -> None:
        """Order it; whether it comes is to be seen. Never waits: a service may take its time over a restore."""
        # Also how often it ended by itself so far, which is to be counted anew.
        call(("systemctl", "reset-failed", f"edge-{service}.service"), timeout_s=SYSTEMCTL_WITHIN_S, check=False)
        call(("systemctl", "restart", "--no-block", f"edge-{service}.service"), timeout_s=SYSTEMCTL_WITHIN_S)

    def _release_of(self, pid: int) -> str | None:
        """The release whose Python the process runs; its first argument, since the program's first line names it."""
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return None
        found = self._of_release.search(argv)
        return found[1] if found else None

    def _not_ready(self) -> str | None:
        """Why the HIS cannot write, as /readyz has it; None when it can."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._listen.host, self._listen.host)
        connection = http.client.HTTPConnection(host, self._listen.port, timeout=READY_WITHIN_S)
        if self._tls:
            # The question is whether it works, and is put on this machine; who it is the certificate tells others.
            anybody = ssl.create_default_context()
            anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection(host, self._listen.port, timeout=READY_WITHIN_S, context=anybody)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            return f"the HIS does not answer: {error or type(error).__name__}"
        finally:
            connection.close()
        return None if answer.status == 200 else f"the HIS cannot write: {body[:200] or answer.status}"


def call(argv: Sequence[str], *, timeout_s: float, check: bool = True) -> Completed:
    """Run a program of the system or of a release.

    Raises ServiceError step-failed, with the exit code of a program of ours, where it fails and `check` is asked for.
    """
    try:
        done = run(argv, timeout_s=timeout_s, env=clean_environment({"PATH": PATH}))
    except (ProgramMissing, ProgramTimedOut) as error:
        raise _failed(argv, str(error), ExitCode.BUG) from error
    if check and done.returncode:
        code = ExitCode(done.returncode) if done.returncode in set(ExitCode) else ExitCode.BUG
        raise _failed(argv, f"{done.sentence()}\n{done.tail}".strip(), code)
    return done


def _failed(argv: Sequence[str], said: str, exit_code: ExitCode) -> ServiceError:
    return ServiceError(
        "step-failed",
        f"{' '.join(argv)} did not do its work",
        context=said,
        hint="mend this and give the same edge-node upgrade again: it goes on where it stopped",
        exit_code=exit_code,
    )
