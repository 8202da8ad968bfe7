"""`edge-node reflector` as a process on loopback: it answers, it refuses in words, it ends when told."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from failover.probes.stamp_packet import ReflectorPacket, SenderPacket, ntp_of, read_reflector, sender_bytes
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
REFLECTOR = (sys.executable, "-m", "edge_node", "reflector")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(*options: str) -> tuple[int, str]:
    done = subprocess.run((*REFLECTOR, *options), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_on_each_address_until_it_is_told(stop: signal.Signals) -> None:
    """Both addresses at once, from the one that was asked; needs no configuration, and is there when it says so."""
    port = free_port()
    addresses = ("127.0.0.1", "127.0.0.2")
    listening = [word for address in addresses for word in ("--listen", f"{address}:{port}")]
    argv = (*REFLECTOR, *listening, "--allow", "127.0.0.0/8")
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr is not None
            assert "reflecting" in child.stderr.readline()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(5)
                for number, address in enumerate(addresses * 2):
                    sent = SenderPacket(sequence=number, timestamp=ntp_of(time.time_ns()))
                    asking.sendto(sender_bytes(sent, size_bytes=100), (address, port))
                    data, source = asking.recvfrom(2048)
                    answer = read_reflector(data)
                    assert source == (address, port) and len(data) == 100
                    assert isinstance(answer, ReflectorPacket)
                    assert (answer.sequence, answer.sender_sequence) == (number, number)
                    assert sent.timestamp <= answer.received <= answer.timestamp <= ntp_of(time.time_ns())
            began = time.monotonic()
            child.send_signal(stop)
            assert child.wait(timeout=10) == 0
            assert time.monotonic() - began < 2
            assert "reflector_stopped answered=4" in child.stderr.read()
        finally:
            child.kill()


def test_a_flood_is_answered_in_part_and_memory_stays(tmp_path: Path) -> None:
    """Thousands of datagrams from hundreds of ports: the rate holds, and the process does not grow."""
    port = free_port()
    argv = (*REFLECTOR, "--listen", f"127.0.0.1:{port}", "--allow", "127.0.0.1", "--rate", "100")
    with (tmp_path / "log").open("w") as said, subprocess.Popen(argv, cwd=ROOT, stderr=said) as child:
        try:
            until(lambda: "reflecting" in (tmp_path / "log").read_text())

            def resident_kib() -> int:
                status = Path(f"/proc/{child.pid}/status").read_text()
                return int(status.partition("VmRSS:")[2].split()[0])

            before = resident_kib()
            began = time.monotonic()
            data = sender_bytes(SenderPacket(sequence=0, timestamp=1))
            for _ in range(300):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                    for _ in range(20):
                        asking.sendto(data, ("127.0.0.1", port))
            until(lambda: "reason=rate" in (tmp_path / "log").read_text())
            took_s = time.monotonic() - began
            assert resident_kib() - before < 4096
            child.terminate()
            assert child.wait(timeout=10) == 0
        finally:
            child.kill()
    said_at_the_end = (tmp_path / "log").read_text()
    assert "not_answered reason=rate source=127.0.0.1" in said_at_the_end
    answered = int(said_at_the_end.rpartition("answered=")[2].split()[0])
    assert 100 <= answered <= 100 + 100 * (took_s + 0.5)


@pytest.mark.parametrize(
    "options, code, words",
    [
        (("--listen", "localhost:862", "--allow", "10.0.0.0/8"), 2, "--listen"),
        (("--listen", "[::1]:862", "--allow", "10.0.0.0/8"), 2, "IPv4"),
        (("--listen", "127.0.0.1:1862", "--allow", "10.1.1.2/30"), 2, "is no IPv4 network"),
        (("--listen", "127.0.0.1:1862"), 2, "--allow"),
        (("--listen", "127.0.0.1:1862", "--allow", "10.0.0.0/8", "--key-file", "/none"), 3, "config-missing"),
        (("--listen", "192.0.2.1:1862", "--allow", "10.0.0.0/8"), 6, "address-missing"),
    ],
)
def test_what_cannot_work_is_said(options: tuple[str, ...], code: int, words: str) -> None:
    found, said = refused(*options)
    assert found == code
    assert words in said


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        found, said = refused("--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--allow", "10.0.0.0/8")
    assert found == 6
    assert "already-running" in said and "ss -ulpn" in said
