"""The laboratory for people: `python -m tests.lab up`, and from another shell `fault`, `status`, `down`."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab import namespace
from tests.lab.clinic import LabNode
from tests.lab.cloud import BUCKET
from tests.lab.faults import FAULTS, UnknownFault
from tests.lab.load import staff_at_work
from tests.lab.receiver import URL
from tests.lab.staff import DOCTORS, REGISTRAR
from tests.lab.topology import LINES, Laboratory, missing, standing
from tests.lab.whole import Whole, whole_path

STATES = Path("/run/edgelab")
LOOK_EVERY_S = 0.5
PROGRAM = Path(sys.executable).with_name("edge-node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What another shell has to know of a laboratory."""

    name: str
    folder: str
    is_temporary: bool

    @property
    def path(self) -> Path:
        return STATES / f"{self.name}.json"


def up(asked: argparse.Namespace) -> int:
    """Build everything, say how to use it, and stay until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        folder = Path(asked.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="edgelab-"))).resolve()
        print("building the laboratory and starting the node in it ...", flush=True)
        try:
            whole = stack.enter_context(whole_path(folder))
        except KeyboardInterrupt:
            return 0
        with contextlib.suppress(KeyboardInterrupt):
            stack.enter_context(
                _known(Standing(name=whole.lab.name, folder=str(folder), is_temporary=not asked.folder))
            )
            if asked.staff:
                stack.enter_context(staff_at_work(whole.node, folder / "staff"))
            print(_introduction(whole), flush=True)
            _tell_what_happens(whole.node)
        print("\nstopping the node and clearing away the laboratory ...", flush=True)
        if whole.node.pids():
            whole.node.stop()
    return 0


@contextlib.contextmanager
def _known(state: Standing) -> Iterator[None]:
    STATES.mkdir(mode=0o700, exist_ok=True)
    state.path.write_text(json.dumps(asdict(state)))
    try:
        yield
    finally:
        state.path.unlink(missing_ok=True)


def _introduction(whole: Whole) -> str:
    node, lab = whole.node, whole.lab
    desk = f"ip netns exec {lab.desk.name}"
    people = [f"  {code:<12}{node.passwords[code]}" for code in (REGISTRAR, *DOCTORS)]
    faults = [f"  python -m tests.lab fault telecom {fault.example:<16}{fault.does}" for fault in FAULTS]
    return "\n".join(
        [
            "",
            f"pages      {node.url}   (from the LAN only)",
            f"store      {whole.store.endpoint}/{BUCKET}   access key {whole.store.key.access_key_id}",
            f"receiver   {URL}   keeps what it got in {whole.receiver.path}",
            f"files      {whole.folder}",
            "",
            "sign in as",
            *people,
            "",
            "from a desk on the clinic's LAN",
            f"  {desk} curl --cacert {node.authority} {node.url}/healthz",
            f"  {desk} chromium --no-sandbox --user-data-dir={whole.folder}/browser {node.url}",
            f"  (the certificate's authority is {node.authority})",
            "in the clinic",
            f"  ip netns exec {lab.clinic.name} {PROGRAM} status --home {node.home}",
            "",
            "break a line, and mend it, from another shell (as root)",
            *faults,
            "  python -m tests.lab status          modes, routes, packets that left",
            "",
            "Ctrl-C ends it.",
            "",
        ]
    )  # fmt: skip


def _tell_what_happens(node: LabNode) -> None:
    """Each change of mode or line, until Ctrl-C."""
    before = ""
    while True:
        state = node.state_of("links")
        mode = state.get("mode", {})
        now = f"{mode.get('name', 'unknown')}, by {state.get('routed') or 'no line'}"
        if now != before:
            why = mode.get("reason", {}).get("code", "")
            print(f"{time.strftime('%H:%M:%S')}  {now}   {why}", flush=True)
        before = now
        time.sleep(LOOK_EVERY_S)


def fault(asked: argparse.Namespace) -> int:
    """Break a line of the laboratory that stands, or heal it."""
    lab = standing(_the_one(asked.lab).name)
    lab.fault(asked.line, asked.fault)
    return 0


def status(asked: argparse.Namespace) -> int:
    """What an operator would see, and what the laboratory knows."""
    state = _the_one(asked.lab)
    lab = standing(state.name)
    home = Path(state.folder) / "node"
    said = lab.clinic.run(sys.executable, "-m", "edge_node", "status", "--home", str(home), check=False, timeout_s=30)
    print(said.stdout or said.stderr)
    print(
        f"packets that left the laboratory: {lab.leaked()}; its own addresses sought on the internet: {lab.strayed()}"
    )
    _print_faults(lab)
    return 0


def _print_faults(lab: Laboratory) -> None:
    for line in LINES:
        carrier = lab.carrier(line.name)
        found = [row.split()[2] for row in carrier.run("nft", "list", "tables").stdout.splitlines()]
        found += ["rate"] if "tbf" in carrier.run("tc", "qdisc", "show").stdout else []
        found += ["delay"] if carrier.pids() else []
        if "state DOWN" in carrier.run("ip", "link", "show", "cust").stdout:
            found.append("cut")
        print(f"{line.name:<10}{', '.join(found) or 'healthy'}")


def down(asked: argparse.Namespace) -> int:
    """Clear away what dead laboratories left; living ones are ended by Ctrl-C, where they were started."""
    for name in sorted(namespace.abandoned()):
        namespace.remove(name)
        print(f"{name}: removed")
    living = {name.rpartition("-")[0] for name in namespace.names()}
    for state in _states():
        if state.name not in living:
            if state.is_temporary:
                shutil.rmtree(state.folder, ignore_errors=True)
            state.path.unlink(missing_ok=True)
    for name in sorted(living):
        print(f"{name}: lives, in process {name.split('-')[1]}; Ctrl-C there ends it")
    return 0


def _states() -> list[Standing]:
    return [Standing(**json.loads(path.read_text())) for path in sorted(STATES.glob("*.json"))]


def _the_one(name: str | None) -> Standing:
    living = set(namespace.names()) and {each.rpartition("-")[0] for each in namespace.names()}
    found = [state for state in _states() if state.name in living and name in (None, state.name)]
    if len(found) != 1:
        names = ", ".join(state.name for state in found)
        sys.exit(f"several laboratories stand; add --lab with one of {names}" if found else
                 "no laboratory stands: python -m tests.lab up, as root")  # fmt: skip
    return found[0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("up", help=up.__doc__)
    build.add_argument("--folder", help="keep its files here instead of in a temporary folder")
    build.add_argument("--staff", action="store_true", help="staff do visits all the time")
    build.set_defaults(run=up)
    broken = commands.add_parser("fault", help=fault.__doc__)
    broken.add_argument("line", choices=[line.name for line in LINES])
    broken.add_argument("fault", help=", ".join(each.example for each in FAULTS))
    broken.set_defaults(run=fault)
    look = commands.add_parser("status", help=status.__doc__)
    look.set_defaults(run=status)
    for command in (broken, look):
        command.add_argument("--lab", help="which one, when several stand")
    clear = commands.add_parser("down", help=down.__doc__)
    clear.set_defaults(run=down)
    asked = parser.parse_args()
    if sentence := missing():
        print(f"error: {sentence}", file=sys.stderr)
        return 6
    try:
        return int(asked.run(asked))
    except UnknownFault as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
