"""What the clinic calls its node, and for what its authority may speak."""

from __future__ import annotations

import pytest

from edge_node.tls.names import names_of, permitted_for, reached_by

FOUND = {"lo": ["127.0.0.1"], "enp1s0": ["192.168.1.10"], "enp2s0": ["10.1.1.2"]}


def reached(**changes: object) -> tuple[str, ...]:
    usual = {
        "node_id": "clinic-0042", "hostname": "Edge-PC", "listen_host": "0.0.0.0", "configured": [],
        "addresses": FOUND, "lines": ["enp2s0"],
    }  # fmt: skip
    return reached_by(**{**usual, **changes}).texts()  # type: ignore[arg-type]


STORIES = [
    pytest.param({}, ("clinic-0042", "edge-pc.local", "192.168.1.10"), id="the-clinics-side-and-no-line"),
    pytest.param(
        {"lines": ["enp1s0", "enp2s0"]},
        ("clinic-0042", "edge-pc.local", "10.1.1.2", "192.168.1.10"),
        id="a-machine-whose-only-way-is-its-line",
    ),
    pytest.param({"lines": []}, ("clinic-0042", "edge-pc.local", "10.1.1.2", "192.168.1.10"), id="without-lines"),
    pytest.param({"listen_host": "192.168.1.10"}, ("clinic-0042", "edge-pc.local", "192.168.1.10"), id="one-address"),
    pytest.param({"listen_host": "127.0.0.1"}, ("clinic-0042", "edge-pc.local"), id="loopback-is-nobodys-way-in"),
    pytest.param(
        {"configured": ["HIS.clinic.lan", "10.9.0.1"], "addresses": {}},
        ("clinic-0042", "edge-pc.local", "his.clinic.lan", "10.9.0.1"),
        id="what-is-configured-counts-always",
    ),
    pytest.param({"hostname": "门诊", "addresses": {}}, ("clinic-0042",), id="a-hostname-that-is-no-name"),
    pytest.param(
        {"hostname": "pc.old.example", "addresses": {}}, ("clinic-0042", "pc.local"), id="hostname-with-domain"
    ),
]


@pytest.mark.parametrize("changes, expected", STORIES)
def test_what_the_node_is_called(changes: dict[str, object], expected: tuple[str, ...]) -> None:
    assert reached(**changes) == expected


@pytest.mark.parametrize("name", ["www.bank.example", "local.example", "notlan", "8.8.8.8", "11.0.0.1", "2001:db8::1"])
def test_the_authority_speaks_for_nobody_else(name: str) -> None:
    permitted = permitted_for(names_of(["clinic-0042", "192.168.1.10"]))
    assert permitted.lacks(names_of([name])).texts() == (name,)


@pytest.mark.parametrize(
    "name", ["edge.local", "a.b.lan", "localhost", "clinic-0042", "10.1.2.3", "172.31.0.1", "fd00::1", "100.64.0.9"]
)
def test_the_authority_speaks_for_what_is_private(name: str) -> None:
    assert not permitted_for(names_of(["clinic-0042"])).lacks(names_of([name]))


def test_the_authority_speaks_for_what_the_clinic_uses() -> None:
    names = names_of(["his.clinic.example", "203.0.113.7"])
    permitted = permitted_for(names)
    assert not permitted.lacks(names)
    assert permitted.lacks(names_of(["www.clinic.example", "203.0.113.8"]))
