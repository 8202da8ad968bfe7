"""Probes on real sockets in the clinic: pinned to their line, and honest about what happens to them."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from failover.netlink.links import Hints
from failover.probes.icmp import IcmpProbe
from failover.probes.opening import boot_time
from failover.probes.outcome import Outcome
from failover.probes.pin import Pin
from failover.probes.tcp import TcpProbe
from tests.lab.topology import TARGETS, TELECOM, UNICOM, LabLine, Laboratory
from tests.support.waiting import until

TARGET = TARGETS[0]
CLOSED_PORT, OPEN_PORT = 4444, 4443


def plumb(lab: Laboratory, *, guarded: bool = True) -> None:
    """The lines' own tables, and cloud traffic by unicom."""
    for line in (TELECOM, UNICOM):
        table, mark = 100 + line.number, line.number
        commands = f"route replace default via {line.gateway} dev {line.name} table {table}\n"
        commands += f"route replace unreachable default metric 4294967295 table {table}\n" if guarded else ""
        commands += f"rule add pref {300 + mark} fwmark {mark} lookup {table}\n"
        commands += f"rule add pref {400 + mark} from {line.address} lookup {table}\n"
        lab.clinic.configure(commands)
    lab.clinic.configure(f"route replace 10.100.0.0/24 via {UNICOM.gateway}\n")


@dataclass
class Asked:
    """One probe in the clinic, and the answers that came."""

    lab: Laboratory
    pin: Pin
    answers: list[float] = field(default_factory=list)
    probe: IcmpProbe = field(init=False)

    def __post_init__(self) -> None:
        self.probe = self.lab.clinic.within(self._open)

    def _open(self) -> IcmpProbe:
        return IcmpProbe(self.pin, TARGET, self._heard, clock=boot_time, wall=time.time)

    def _heard(self, asked_at: float, rtt_s: float) -> None:
        self.answers.append(rtt_s)

    def ask(self, within_s: float = 0.3) -> str:
        """ "answered", "lost", or why it could not leave."""
        before, outcome = len(self.answers), self.probe.ask(boot_time())
        if outcome is not None:
            return outcome.value
        with contextlib.suppress(AssertionError):
            until(lambda: self.probe.listen() or len(self.answers) > before, within_s=within_s, every_s=0.005)  # type: ignore[func-returns-value]
        return "answered" if len(self.answers) > before else "lost"


def pin_of(line: LabLine) -> Pin:
    return Pin(interface=line.name, address=line.address, mark=line.number)


@contextlib.contextmanager
def asked(lab: Laboratory, pin: Pin) -> Iterator[Asked]:
    probe = Asked(lab, pin)
    try:
        yield probe
    finally:
        probe.probe.close()


@pytest.mark.parametrize("guarded", [True, False], ids=["guard", "no-guard"])
def test_a_line_whose_table_is_empty_is_never_up_through_the_other(lab: Laboratory, guarded: bool) -> None:
    plumb(lab, guarded=guarded)
    with asked(lab, pin_of(TELECOM)) as telecom, asked(lab, pin_of(UNICOM)) as unicom:
        assert (telecom.ask(), unicom.ask()) == ("answered", "answered"), "either is asked whichever is in use"
        lab.clinic.configure(f"route del default via {TELECOM.gateway} table 101\n")
        assert {telecom.ask() for _ in range(3)} <= {"lost", "unreachable"}
        assert unicom.ask() == "answered"
    # What pinning is for: by mark alone the same question is answered through the other line.
    if not guarded:
        leaking = lab.clinic.within(lambda: by_mark_alone(TELECOM.number))
        assert leaking, "this laboratory could not have shown the mistake"


def by_mark_alone(mark: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        sock.settimeout(1)
        sock.connect((TARGET, 0))
        sock.send(b"\x08\x00\x00\x00\x00\x00\x00\x01" + bytes(16))
        return sock.recv(64)[0] == 0


def test_hints_that_were_too_many_are_one_hint(lab: Laboratory) -> None:
    hints = lab.clinic.within(lambda: Hints(buffer_bytes=2048))
    try:
        lab.clinic.configure("".join(f"route add 10.201.{n}.0/24 via {TELECOM.gateway}\n" for n in range(200)))
        hints.drain()
        assert hints.overruns >= 1
        heard = hints.overruns
        lab.clinic.configure(f"route add 10.202.0.0/16 via {TELECOM.gateway}\n")
        assert select.select([hints], [], [], 2)[0], "and it hears what comes afterwards"
        hints.drain()
        assert hints.overruns == heard
    finally:
        hints.close()


def test_a_cut_line_a_refused_question_and_a_vanished_interface(lab: Laboratory) -> None:
    plumb(lab)
    with asked(lab, pin_of(TELECOM)) as telecom, asked(lab, pin_of(UNICOM)) as unicom:
        lab.fault("telecom", "cut")
        assert telecom.ask() in ("lost", "unreachable") and unicom.ask() == "answered"
        lab.fault("telecom", "heal")
        until(lambda: telecom.ask() == "answered")
        lab.clinic.nft('table inet own { chain out { type filter hook output priority 0; oifname "telecom" drop; }; }')
        assert telecom.ask() == Outcome.REFUSED
        lab.clinic.run("nft", "delete", "table", "inet", "own")
        lab.clinic.configure("link set unicom down\n")
        assert unicom.ask() in ("unreachable", "lost")
        lab.clinic.configure("link del unicom\n")
        assert unicom.ask() in ("unreachable", "lost") and telecom.ask() == "answered"
    with pytest.raises(OSError, match="No such device"):
        asked(lab, pin_of(UNICOM)).__enter__()


@pytest.mark.parametrize("kind", ["datagram", "raw"])
def test_the_round_trip_is_the_line_s_and_not_this_process_s(lab: Laboratory, kind: str) -> None:
    plumb(lab)
    lab.clinic.sysctl({"net.ipv4.ping_group_range": "0 2147483647" if kind == "datagram" else "1 0"})
    lab.fault("telecom", "delay=40")
    with asked(lab, pin_of(TELECOM)) as telecom:
        assert telecom.probe._is_raw is (kind == "raw")
        until(lambda: telecom.ask() == "answered")
        telecom.answers.clear()
        for _ in range(5):
            telecom.probe.ask(boot_time())
            time.sleep(0.2)  # longer than the way: the answers wait in the kernel
        telecom.probe.listen()
        assert len(telecom.answers) == 5
        assert min(telecom.answers) >= 0.04 and sorted(telecom.answers)[2] < 0.15


class Handshakes:
    """TCP probes in the clinic's namespace, on a loop of this test's."""

    def __init__(self, lab: Laboratory, port: int) -> None:
        self.lab, self.port, self.answers = lab, port, list[float]()

    def ask(self, wait_s: float) -> tuple[Outcome | None, int]:
        return self.lab.clinic.within(lambda: asyncio.run(self._ask(wait_s)))

    async def _ask(self, wait_s: float) -> tuple[Outcome | None, int]:
        heard: Callable[[float, float], None] = lambda _, rtt_s: self.answers.append(rtt_s)  # noqa: E731
        probe = TcpProbe(pin_of(TELECOM), TARGET, self.port, heard, clock=boot_time, loop=asyncio.get_running_loop())
        before, outcome = len(self.answers), probe.ask(boot_time())
        end = boot_time() + wait_s
        while boot_time() < end and len(self.answers) == before:
            await asyncio.sleep(0.005)
        still_open = len(probe._open)
        probe.close()
        assert not probe._open
        return outcome, still_open


def test_a_handshake_is_an_answer_and_so_is_a_refusal(lab: Laboratory) -> None:
    plumb(lab)
    code = (
        f"import socket; s = socket.create_server(('{TARGET}', {OPEN_PORT})); print(1, flush=True)\nwhile 1: s.accept()"
    )
    server = lab.cloud.popen(sys.executable, "-c", code, stdout=-1)
    assert server.stdout is not None and server.stdout.readline() == b"1\n"
    server.stdout.close()
    for port in (OPEN_PORT, CLOSED_PORT):
        shakes = Handshakes(lab, port)
        assert shakes.ask(1.0) == (None, 0) and len(shakes.answers) == 1 and 0 < shakes.answers[0] < 0.5
    lab.fault("telecom", "delay=50")
    delayed = Handshakes(lab, OPEN_PORT)
    until(lambda: delayed.ask(1.0) and delayed.answers)
    assert delayed.answers[-1] >= 0.05
    lab.fault("telecom", "heal")
    lab.fault("telecom", "blackhole")
    silent = Handshakes(lab, OPEN_PORT)
    assert silent.ask(0.5) == (None, 1) and silent.answers == []
    assert silent.ask(1.2) == (None, 0), "it ends by itself before the kernel would ask a second time"
    lab.clinic.configure(f"route del default via {TELECOM.gateway} table 101\n")
    lab.fault("telecom", "heal")
    outcome, _ = silent.ask(0.5)
    assert outcome in (None, Outcome.UNREACHABLE) and silent.answers == [], "not through the other line"
