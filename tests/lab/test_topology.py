"""The laboratory itself: it stands, it counts what leaves, and nothing of it is left, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import namespace
from tests.lab.measure import ping
from tests.lab.topology import (
    LAN_ADDRESS,
    LINES,
    RECEIVER_ADDRESS,
    ROOT,
    SERVICE_IP,
    STORE_ADDRESS,
    TARGETS,
    UNICOM,
    LabLine,
    Laboratory,
    laboratory,
)
from tests.support.waiting import until

OUTSIDE = "203.0.113.1"
# A laboratory in a process of its own, with somebody living in it.
LIVES = """
from tests.lab.topology import laboratory
with laboratory() as lab:
    lab.clinic.popen("sleep", "1000")
    lab.telecom.popen("sh", "-c", "sleep 1000 & sleep 1000")
    print(lab.name, flush=True)
    import time; time.sleep(1000)
"""


def lead(lab: Laboratory, line: LabLine, *, source: str = "") -> None:
    """What a node does: send the cloud's prefix through this line."""
    by = f" src {source}" if source else ""
    lab.clinic.configure(f"route replace 10.100.0.0/24 via {line.gateway} dev {line.name}{by}\n")


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_every_address_answers_by_either_line(lab: Laboratory, line: LabLine) -> None:
    lead(lab, line)
    for address in (*TARGETS, STORE_ADDRESS, RECEIVER_ADDRESS, line.gateway):
        assert ping(lab.clinic, address, count=2).loss_ratio == 0
    assert ping(lab.desk, LAN_ADDRESS, count=2).loss_ratio == 0
    assert lab.leaked() == lab.strayed() == 0


def test_the_answer_to_the_service_ip_comes_back_as_the_question_came(lab: Laboratory) -> None:
    """The cloud's fixed route to the service IP is by telecom; with that line dead, only the last hop can lead back."""
    lab.clinic.configure(f"addr add {SERVICE_IP}/32 dev lo\n")
    lead(lab, UNICOM, source=SERVICE_IP)
    lab.fault("telecom", "blackhole")
    assert ping(lab.clinic, TARGETS[0], count=3).loss_ratio == 0


def test_what_leaves_is_counted(lab: Laboratory) -> None:
    """The count of the other tests is zero: here it can be seen that it need not be."""
    assert ping(lab.clinic, OUTSIDE, count=3, wait_s=0.01).loss_ratio == 1
    assert lab.leaked() == 3
    assert lab.strayed() == 0
    ping(lab.clinic, TARGETS[0], count=2, wait_s=0.01)
    assert lab.strayed() == 2, "without a route of a line, the cloud's addresses are sought on the internet"
    received = lab.internet.run("cat", "/sys/class/net/clinic/statistics/rx_packets").stdout
    assert int(received) == 5, "what is counted was really sent"


def test_what_is_forwarded_for_others_is_counted_too(lab: Laboratory) -> None:
    lab.clinic.sysctl({"net.ipv4.ip_forward": "1"})
    lab.desk.configure(f"route add default via {LAN_ADDRESS}\n")
    ping(lab.desk, OUTSIDE, count=2, wait_s=0.01)
    assert lab.leaked() == 2


def test_two_laboratories_do_not_meet(lab: Laboratory) -> None:
    with laboratory() as other:
        lead(lab, UNICOM)
        lead(other, UNICOM)
        other.fault("unicom", "blackhole")
        assert ping(lab.clinic, TARGETS[0], count=2).loss_ratio == 0
        assert ping(other.clinic, TARGETS[0], count=2, wait_s=0.05).loss_ratio == 1
        name = other.name
    assert namespace.names(name) == []
    assert len(namespace.names(lab.name)) == len(lab.namespaces)


def test_a_test_that_fails_leaves_nothing(can_build: None) -> None:
    with pytest.raises(KeyError), laboratory() as built:
        child = built.clinic.popen("sleep", "1000")
        raise KeyError
    assert namespace.names(built.name) == []
    assert child.returncode == -signal.SIGKILL


def test_who_is_just_moving_in_is_not_forgotten(can_build: None) -> None:
    """A program that is started the moment before the end may not have entered its namespace yet."""
    children = []
    for _ in range(10):
        with laboratory() as built:
            children += [built.clinic.popen("sleep", "1000"), built.desk.popen("sleep", "1000")]
    assert all(child.returncode is not None for child in children)


def test_a_killed_laboratory_leaves_nothing(can_build: None) -> None:
    with living() as (process, name):
        inhabitants = until(lambda: all_four(name))
        process.kill()
        until(lambda: namespace.names(name) == [])
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in inhabitants))
        until(lambda: guardian_of(name) is None)


def test_what_even_the_guardian_left_is_found_by_its_name(lab: Laboratory) -> None:
    """Both killed at once, as by a machine out of memory: `python -m tests.lab down` clears that, and only that."""
    with living() as (process, name):
        assert name not in namespace.abandoned()
        guardian = guardian_of(name)
        assert guardian is not None
        os.kill(guardian, signal.SIGKILL)
        process.kill()
        process.wait()
        assert name in namespace.abandoned()
        assert lab.name not in namespace.abandoned()
        namespace.remove(name)
        assert namespace.names(name) == []


@contextmanager
def living() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A laboratory that belongs to another process, and its name."""
    argv = [sys.executable, "-c", LIVES]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        name = ""
        try:
            assert process.stdout is not None
            name = process.stdout.readline().strip()
            assert name
            yield process, name
        finally:
            process.kill()
            if name:
                namespace.remove(name)


def all_four(name: str) -> list[int]:
    """The pids of who lives in that laboratory, once all are there."""
    found = [pid for space in namespace.names(name) for pid in namespace.pids_in(space)]
    return found if len(found) == 4 else []


def guardian_of(name: str) -> int | None:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"tests.lab.guardian" in command and name.encode() in command:
                return int(entry.name)
    return None
