"""STAMP over a real line, with the real reflector: which direction loses is named, and what is no answer is counted."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from failover.probes.directions import DirectionSummary
from failover.probes.outcome import Outcome
from failover.probes.pin import Pin
from failover.probes.stamp import Ignored, StampProbe
from failover.probes.stamp_packet import (
    ErrorEstimate,
    ReflectorPacket,
    SenderPacket,
    ntp_of,
    read_sender,
    reflector_bytes,
)
from tests.lab.namespace import Namespace
from tests.lab.reflecting import reflector
from tests.lab.topology import CLOUD_PREFIX, LINES, ROOT, TARGETS, TELECOM, UNICOM, LabLine, Laboratory
from tests.support.waiting import until

TARGET, PORT = TARGETS[0], 862
KEY = bytes(range(32))
EVERY_S = 0.006
# Expedited forwarding, as a carrier sells it for voice.
DSCP = 46


def clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.fixture
def lines(lab: Laboratory) -> Laboratory:
    """A clinic as a node sets it up; the traffic itself goes by unicom, so that telecom's probes must be pinned."""
    for line in LINES:
        table = 100 + line.number
        lab.clinic.configure(
            f"route add default via {line.gateway} dev {line.name} table {table}\n"
            f"route add unreachable default metric 4294967295 table {table}\n"
            f"rule add pref {300 + line.number} fwmark {line.number} lookup {table}\n"
            f"rule add pref {400 + line.number} from {line.address} lookup {table}\n"
        )
    lab.clinic.configure(f"route replace {CLOUD_PREFIX} via {UNICOM.gateway} dev {UNICOM.name}\n")
    return lab


class Asking:
    """A probe in the clinic, and what it heard."""

    def __init__(self, clinic: Namespace, line: LabLine = TELECOM, *, key: bytes | None = None, dscp: int = 0) -> None:
        self.answered: dict[float, float] = {}
        pin = Pin(interface=line.name, address=line.address, mark=line.number, dscp=dscp)
        self.probe = clinic.within(
            lambda: StampProbe(pin, TARGET, self.answered.__setitem__, clock=clock, port=PORT, key=key, keep_s=600)
        )
        assert self.probe.is_pinned

    def ask(self, count: int, *, every_s: float = EVERY_S) -> None:
        begin = time.monotonic()
        for n in range(count):
            until(lambda n=n: time.monotonic() >= begin + n * every_s, every_s=0.001)  # type: ignore[misc]
            self.probe.ask(clock())
            self.probe.listen()

    def settle(self) -> None:
        """Ask until the newest question has its answer: then nothing is under way, and what is lost is lost."""
        for _ in range(3):
            asked_at = clock()
            assert self.probe.ask(asked_at) is None
            until(lambda asked_at=asked_at: self._listened(asked_at), every_s=0.002)  # type: ignore[misc]

    def _listened(self, asked_at: float) -> bool:
        self.probe.listen()
        return asked_at in self.answered

    def seen(self, *, since: float = 0.0) -> DirectionSummary:
        self.probe.listen()
        return self.probe.directions.summary(clock(), since=since, lost_after_s=1.0)

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.probe.close()


def lose_back(lab: Laboratory, percent: int) -> None:
    """Drop this share of what the carrier forwards to the clinic."""
    lab.carrier(TELECOM.name).nft(
        "table ip loss_back {\n chain forward {\n type filter hook forward priority 0\n"
        f'iifname "wan" numgen random mod 100 < {percent} drop\n}}\n}}\n'
    )


@pytest.mark.parametrize("key", [None, KEY], ids=["bare", "signed"])
@pytest.mark.parametrize("way", ["out", "back"])
def test_loss_in_one_direction_is_named(lines: Laboratory, tmp_path: Path, way: str, key: bytes | None) -> None:
    options = []
    if key is not None:
        (tmp_path / "key").write_text(key.hex())
        (tmp_path / "key").chmod(0o600)
        options = ["--key-file", str(tmp_path / "key")]
    with reflector(lines.cloud, tmp_path / "log", *options), Asking(lines.clinic, key=key) as asking:
        asking.settle()
        clean = asking.seen()
        assert clean.lost_out == clean.lost_back == 0
        if way == "out":
            lines.fault(TELECOM.name, "loss=20%")
        else:
            lose_back(lines, 20)
        begin = clock()
        asking.ask(200)
        lines.fault(TELECOM.name, "heal")
        asking.settle()
        seen = asking.seen(since=begin)
        print(f"{way}: out {seen.lost_out}, back {seen.lost_back} of {seen.asked}")
        lost, other = (seen.lost_out, seen.lost_back) if way == "out" else (seen.lost_back, seen.lost_out)
        # Five standard deviations of 200 draws are 28.
        assert 12 <= lost <= 68 and other == 0 and seen.lost_unknown == 0
        assert not asking.probe.ignored and not asking.probe.refusals
    assert lines.leaked() == 0


@pytest.mark.parametrize("way", ["out", "back"])
def test_a_black_hole_of_one_direction_is_told_to_the_packet(lines: Laboratory, tmp_path: Path, way: str) -> None:
    with reflector(lines.cloud, tmp_path / "log"), Asking(lines.clinic) as asking:
        asking.settle()
        lines.fault(TELECOM.name, f"blackhole-{way}")
        begin = clock()
        asking.ask(30)
        dark = asking.seen(since=begin)
        assert (dark.answered, dark.lost_out, dark.lost_back) == (0, 0, 0), "while it lasts, nobody knows"
        lines.fault(TELECOM.name, "heal")
        asking.settle()
        seen = asking.seen(since=begin)
        assert (seen.lost_out, seen.lost_back, seen.lost_unknown) == ((30, 0, 0) if way == "out" else (0, 30, 0))


def test_a_probe_stays_on_its_line(lines: Laboratory, tmp_path: Path) -> None:
    """Traffic goes by unicom; telecom's probe goes by telecom, and dies with it."""
    with (
        reflector(lines.cloud, tmp_path / "log"),
        Asking(lines.clinic) as telecom,
        Asking(lines.clinic, UNICOM) as unicom,
    ):
        telecom.settle()
        unicom.settle()
        assert (telecom.probe.hops_out, telecom.probe.hops_back) == (1, 1)
        lines.fault(TELECOM.name, "blackhole")
        heard = len(telecom.answered)
        telecom.ask(20)
        unicom.settle()
        assert len(telecom.answered) == heard
        lines.fault(TELECOM.name, "heal")
        lines.clinic.configure(f"route del default via {TELECOM.gateway} dev {TELECOM.name} table 101\n")
        telecom.ask(20)
        unicom.settle()
        assert len(telecom.answered) == heard, "with its table emptied it is not reported alive through the other line"
        lines.clinic.configure(f"link set {TELECOM.name} down\n")
        assert telecom.probe.ask(clock()) is Outcome.UNREACHABLE
        numbered = 3 + 20 + 20
        assert telecom.probe.directions.asked_at(numbered - 1) is not None
        assert telecom.probe.directions.asked_at(numbered) is None, "what does not leave is no loss of a direction"


def test_the_class_of_service_comes_back(lines: Laboratory, tmp_path: Path) -> None:
    lines.clinic.nft(
        "table ip seen {\n counter marked { }\n chain arrival {\n type filter hook input priority 0\n"
        f"udp sport {PORT} ip dscp {DSCP} counter name marked\n}}\n}}\n"
    )
    with reflector(lines.cloud, tmp_path / "log"), Asking(lines.clinic, dscp=DSCP) as asking:
        asking.settle()
        answered = asking.seen().answered
    said = lines.clinic.run("nft", "list", "counter", "ip", "seen", "marked").stdout
    assert int(said.partition("packets")[2].split()[0]) >= answered >= 3


def test_without_a_reflector_its_host_says_so(lines: Laboratory) -> None:
    with Asking(lines.clinic) as asking:
        assert asking.probe.ask(clock()) is None

        def refused() -> bool:
            asking.probe.listen()
            return asking.probe.refusals["ECONNREFUSED"] == 1

        until(refused)
        assert asking.probe.ask(clock()) is None, "the word about the last question does not swallow the next one"
        assert asking.answered == {}


def test_a_reflector_that_is_killed_blames_nobody(lines: Laboratory, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "edge_node", "reflector", "--listen", f"{TARGET}:{PORT}"]
    argv += ["--allow", TELECOM.prefixes[0]]
    child = lines.cloud.popen(*argv, stderr=subprocess.DEVNULL, cwd=ROOT)
    until(lambda: f"{TARGET}:{PORT}" in lines.cloud.run("ss", "-Hlun").stdout)
    with Asking(lines.clinic) as asking:
        asking.settle()
        asking.ask(20)
        child.kill()
        child.wait()
        asking.ask(20)
        with reflector(lines.cloud, tmp_path / "log"):
            asking.settle()
            lines.fault(TELECOM.name, "blackhole-out")
            asking.ask(5)
            lines.fault(TELECOM.name, "heal")
            asking.settle()
        seen = asking.seen()
        assert asking.probe.directions.restarts == 1
        assert (seen.lost_out, seen.lost_back) == (5, 0)
        assert seen.lost_unknown >= 20


def test_what_is_no_answer_is_ignored_and_counted(lines: Laboratory) -> None:
    """The far end is played here: it answers wrongly in every way, and then once rightly."""
    cloud = lines.cloud
    with (
        cloud.socket(socket.SOCK_DGRAM) as far,
        cloud.socket(socket.SOCK_DGRAM) as other,
        Asking(lines.clinic, key=KEY) as asking,
    ):
        far.settimeout(5)
        far.bind((TARGET, PORT))
        other.bind((TARGETS[1], PORT))

        def question() -> tuple[SenderPacket, tuple[str, int]]:
            assert asking.probe.ask(clock()) is None
            data, source = far.recvfrom(2048)
            packet = read_sender(data, key=KEY)
            assert isinstance(packet, SenderPacket)
            return packet, source

        def answer(
            packet: SenderPacket, counter: int = 0, *, key: bytes | None = KEY, timestamp: int | None = None
        ) -> bytes:
            now = ntp_of(time.time_ns())
            reflected = ReflectorPacket(
                sequence=0, timestamp=now, received=now, sender_sequence=packet.sequence, sender_ttl=254,
                sender_timestamp=packet.timestamp if timestamp is None else timestamp, ssid=packet.ssid,
                error=ErrorEstimate(), sender_error=packet.error,
            )  # fmt: skip
            return reflector_bytes(reflected, key=key)

        packet, source = question()
        right = answer(packet)
        broken = bytearray(right)
        broken[100] ^= 1
        for data, sender in (
            (right, other),  # from another address
            (right[:60], far),
            (answer(packet, key=None), far),
            (bytes(broken), far),
            (answer(SenderPacket(sequence=4711, timestamp=packet.timestamp, ssid=packet.ssid)), far),
            (answer(packet, timestamp=packet.timestamp + 1), far),  # who never saw our stamp
            (answer(SenderPacket(sequence=0, timestamp=packet.timestamp, ssid=packet.ssid ^ 1)), far),
            (b"\1" * 9100, far),
        ):
            sender.sendto(data, source)
        expected = {Ignored.SOURCE: 1, Ignored.SHORT: 2, Ignored.UNSIGNED: 1, Ignored.OLD: 3, Ignored.LONG: 1}

        def counted() -> bool:
            asking.probe.listen()
            return sum(asking.probe.ignored.values()) == sum(expected.values())

        until(counted)
        assert asking.probe.ignored == expected
        assert asking.answered == {}
        far.sendto(right, source)
        far.sendto(right, source)

        def doubled() -> bool:
            asking.probe.listen()
            return asking.probe.ignored[Ignored.DUPLICATE] == 1

        until(doubled)
        assert len(asking.answered) == 1


def test_who_is_not_allowed_gets_nothing_and_floods_are_bounded(lines: Laboratory, tmp_path: Path) -> None:
    """A stranger within the cloud, and an allowed address that asks far too often."""
    log = tmp_path / "log"
    with reflector(lines.cloud, log, "--rate", "50"), Asking(lines.clinic) as asking:
        with lines.cloud.socket(socket.SOCK_DGRAM) as stranger:
            stranger.bind((TARGETS[1], 0))
            stranger.settimeout(0.3)
            stranger.sendto(b"\0" * 12 + b"\0\1" + b"\0" * 30, (TARGET, PORT))
            with pytest.raises(TimeoutError):
                stranger.recvfrom(2048)
        begin = time.monotonic()
        asking.ask(300, every_s=0.001)
        took_s = time.monotonic() - begin
        until(lambda: "reason=rate" in log.read_text())
        asking.probe.listen()
        assert len(asking.answered) <= 50 + 50 * (took_s + 0.5)
    assert "reason=source" in log.read_text()
    assert "reflector_stopped" in log.read_text()


def test_a_line_without_interface_or_address_says_which(lines: Laboratory) -> None:
    for pin, number in (
        (Pin(interface="gone", address=TELECOM.address), errno.ENODEV),
        (Pin(interface=TELECOM.name, address="10.1.1.77"), errno.EADDRNOTAVAIL),
    ):
        with pytest.raises(OSError) as caught:
            lines.clinic.within(lambda pin=pin: StampProbe(pin, TARGET, lambda *_: None, clock=clock))  # type: ignore[misc]
        assert caught.value.errno == number
    with pytest.raises(ValueError, match="IPv4 addresses only"):
        StampProbe(Pin(interface="lo", address=None), "2001:db8::1", lambda *_: None, clock=clock)
