"""Each fault of the table does to traffic what its row says, and healing undoes it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import pytest

from tests.lab import faults
from tests.lab.faults import FAULTS, UnknownFault
from tests.lab.measure import ping, pour, sink
from tests.lab.topology import SERVICE_IP, TARGETS, TELECOM, Laboratory, laboratory
from tests.support.waiting import until

FAR = TARGETS[0]


@pytest.fixture(scope="module")
def shared(can_build: None) -> Iterator[Laboratory]:
    with laboratory() as built:
        yield built


@pytest.fixture
def leading(shared: Laboratory) -> Laboratory:
    """A laboratory without a fault, whose clinic reaches the cloud by telecom; one for all tests of this file."""
    shared.fault("telecom", "heal")
    shared.clinic.configure(f"route replace 10.100.0.0/24 via {TELECOM.gateway} dev {TELECOM.name}\n")
    return shared


def loss(lab: Laboratory, *, count: int = 5, size_bytes: int = 56) -> float:
    return ping(lab.clinic, FAR, count=count, size_bytes=size_bytes, wait_s=0.1).loss_ratio


def carrier_packets(lab: Laboratory, device: str, way: str) -> int:
    return int(lab.cloud.run("cat", f"/sys/class/net/{device}/statistics/{way}_packets").stdout)


def is_black(lab: Laboratory) -> None:
    assert loss(lab) == 1
    assert ping(lab.clinic, TELECOM.gateway, count=2).loss_ratio == 0, "the carrier itself still answers"


def is_black_outwards(lab: Laboratory) -> None:
    before = carrier_packets(lab, "telecom", "rx")
    assert loss(lab) == 1
    assert carrier_packets(lab, "telecom", "rx") == before


def is_black_backwards(lab: Laboratory) -> None:
    before = carrier_packets(lab, "telecom", "rx")
    assert loss(lab) == 1
    assert carrier_packets(lab, "telecom", "rx") >= before + 5, "the questions arrive, and the answers do not"


def loses_a_third(lab: Laboratory) -> None:
    seen = ping(lab.clinic, FAR, count=1000, interval_s=0.001).loss_ratio
    # Five standard deviations of 1,000 draws.
    assert 0.23 < seen < 0.37, seen


def delays(lab: Laboratory) -> None:
    echoes = ping(lab.clinic, FAR, count=100, interval_s=0.005)
    assert echoes.loss_ratio == 0
    rtts_ms = [rtt_s * 1000 for rtt_s in echoes.rtts_s]
    assert min(rtts_ms) >= 60
    assert 72 < statistics.median(rtts_ms) < 95, rtts_ms
    assert statistics.quantiles(rtts_ms, n=10)[0] < 75, "it varies"


def is_slow(lab: Laboratory) -> None:
    with sink(lab.cloud, FAR):
        arrived, seconds = pour(lab.clinic, FAR, size_bytes=300_000, within_s=10)
    assert arrived == 300_000
    rate = arrived * 8 / seconds
    assert 1.2e6 < rate < 2.3e6, rate


def eats_large_packets(lab: Laboratory) -> None:
    assert loss(lab, size_bytes=1372) == 0
    assert loss(lab, size_bytes=1472) == 1
    with sink(lab.cloud, FAR):
        arrived, _ = pour(lab.clinic, FAR, size_bytes=100_000, within_s=1.5)
    assert arrived == 0, "TCP is not told, and never gets through"


def has_no_carrier(lab: Laboratory) -> None:
    def state() -> str:
        return lab.clinic.run("ip", "-br", "link", "show", TELECOM.name).stdout

    until(lambda: "NO-CARRIER" in state())
    assert loss(lab, count=2) == 1


CASES: dict[str, Callable[[Laboratory], None]] = {
    "blackhole": is_black,
    "blackhole-out": is_black_outwards,
    "blackhole-back": is_black_backwards,
    "loss=30%": loses_a_third,
    "loss-back=30%": loses_a_third,
    "delay=80±20": delays,
    "rate=2mbit": is_slow,
    "mtu=1400": eats_large_packets,
    "cut": has_no_carrier,
}


@pytest.mark.parametrize("spec", CASES)
def test_fault(leading: Laboratory, spec: str) -> None:
    leading.fault("telecom", spec)
    CASES[spec](leading)
    leading.fault("telecom", "heal")
    until(lambda: loss(leading, count=2) == 0)
    assert loss(leading, count=20, size_bytes=1472) == 0
    assert leading.telecom.pids() == []
    assert ping(leading.clinic, FAR, count=5).rtts_s[-1] < 0.05


def test_every_fault_of_the_table_is_tried() -> None:
    assert set(CASES) | {"heal"} == {fault.example for fault in FAULTS}


def test_faults_of_different_kinds_add_up(leading: Laboratory) -> None:
    leading.fault("telecom", "delay=30")
    leading.fault("telecom", "loss=50%")
    leading.fault("telecom", "loss=20%")
    echoes = ping(leading.clinic, FAR, count=400, interval_s=0.002)
    assert 0.1 < echoes.loss_ratio < 0.3, "the newer share replaces the older"
    assert min(echoes.rtts_s) >= 0.03


def test_healing_a_healthy_line_is_no_mistake(leading: Laboratory) -> None:
    leading.fault("telecom", "heal")
    leading.fault("telecom", "heal")
    assert loss(leading) == 0


def test_a_line_that_was_cut_carries_the_service_ip_again(leading: Laboratory) -> None:
    """The carrier's own route to the clinic goes with the device, and has to come back with it."""
    leading.clinic.configure(f"addr replace {SERVICE_IP}/32 dev lo\n")
    leading.fault("telecom", "cut")
    leading.fault("telecom", "heal")
    by = f"via {TELECOM.gateway} dev {TELECOM.name} src {SERVICE_IP}"
    leading.clinic.configure(f"route replace 10.100.0.0/24 {by}\n")
    until(lambda: loss(leading, count=2) == 0)


@pytest.mark.parametrize(
    "spec, says",
    [
        ("", "is no fault; there are blackhole, "),
        ("rain", "'rain' is no fault; there are blackhole, "),
        ("loss", "loss is written loss=30%"),
        ("loss=30", "loss is written loss=30%"),
        ("loss=-3%", "loss is written loss=30%"),
        ("loss=0%", "between 1 and 100 %"),
        ("loss=101%", "between 1 and 100 %"),
        ("loss=30% ", "loss is written loss=30%"),
        ("delay=80±20ms", "delay is written delay=80±20"),
        ("delay=20±80", "negative"),
        ("delay=0", "between 1 and 10000 ms"),
        ("delay=99999", "between 1 and 10000 ms"),
        ("rate=2", "rate is written rate=2mbit"),
        ("rate=0mbit", "blackhole"),
        ("mtu=1500", "between 128 and 1499"),
        ("mtu=١٤٠٠", "mtu is written mtu=1400"),
        ("blackhole=1", "blackhole is written blackhole"),
        ("heal now", "is no fault"),
    ],
)
def test_a_wrong_specification_is_answered_with_a_sentence(spec: str, says: str) -> None:
    with pytest.raises(UnknownFault) as raised:
        faults.parse(spec)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "spec, name, figures",
    [
        ("loss=100%", "loss", {"percent": "100"}),
        ("delay=80", "delay", {"delay_ms": "80", "jitter_ms": None}),
        ("delay=80+-20", "delay", {"delay_ms": "80", "jitter_ms": "20"}),
        ("rate=512kbit", "rate", {"rate": "512", "unit": "kbit"}),
        ("blackhole-out", "blackhole-out", {}),
    ],
)
def test_a_specification_is_read(spec: str, name: str, figures: dict[str, str | None]) -> None:
    fault, found = faults.parse(spec)
    assert (fault.name, found.groupdict()) == (name, figures)
