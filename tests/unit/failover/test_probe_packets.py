"""Packets and clocks of the probes, without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.probes.icmp import Stamp, checksum, echo_request, reply_sequence, round_trip_s, without_ip_header

NONCE = b"12345678"


def reply(sequence: int, nonce: bytes = NONCE, kind: int = 0) -> bytes:
    asked = echo_request(7, sequence, nonce + bytes(24))
    return bytes([kind]) + asked[1:]


def test_a_packet_with_its_checksum_sums_to_nothing() -> None:
    packet = echo_request(0xBEEF, 0xFFFF, NONCE + bytes(range(24)))
    assert checksum(packet) == 0


@pytest.mark.parametrize(
    "packet, sequence",
    [
        pytest.param(reply(9), 9, id="ours"),
        pytest.param(reply(9, nonce=b"87654321"), None, id="of-another-process"),
        pytest.param(reply(9, kind=8), None, id="a-question-not-an-answer"),
        pytest.param(reply(9, kind=3), None, id="a-router-s-word"),
        pytest.param(reply(9)[:12], None, id="cut-off"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_only_an_answer_to_our_question_counts(packet: bytes, sequence: int | None) -> None:
    assert reply_sequence(packet, NONCE) == sequence


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_no_packet_breaks_the_reader(packet: bytes) -> None:
    assert reply_sequence(without_ip_header(packet), NONCE) is None


def test_a_raw_socket_s_header_is_taken_off() -> None:
    assert without_ip_header(bytes([0x46]) + bytes(23) + b"payload") == b"payload"


ASKED = Stamp(boot=100.0, wall=5000.0)


@pytest.mark.parametrize(
    "arrived, read, rtt_s",
    [
        pytest.param(5000.012, Stamp(100.2, 5000.2), 0.012, id="read-long-after-it-arrived"),
        pytest.param(5000.012, Stamp(102.0, 5002.0), 0.012, id="read-after-the-process-was-stopped"),
        pytest.param(5060.012, Stamp(100.013, 5060.013), 0.013, id="the-wall-clock-was-set-forward"),
        pytest.param(4940.012, Stamp(100.013, 4940.013), 0.013, id="or-back"),
        pytest.param(None, Stamp(100.013, 5000.013), 0.013, id="no-stamp-from-the-kernel"),
        pytest.param(4999.9999, Stamp(100.001, 5000.001), 0.0, id="never-negative"),
        pytest.param(5000.3, Stamp(100.2, 5000.2), 0.2, id="never-longer-than-it-can-have-been"),
    ],
)
def test_the_kernel_s_time_is_believed_while_the_clock_is_not_set(
    arrived: float | None, read: Stamp, rtt_s: float
) -> None:
    assert round_trip_s(ASKED, arrived, read) == pytest.approx(rtt_s, abs=1e-9)
