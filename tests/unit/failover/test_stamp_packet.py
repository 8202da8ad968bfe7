"""STAMP packets: the layouts of RFC 8762, and that nothing malformed is read as anything."""

from __future__ import annotations

import hashlib
import hmac
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.probes.stamp_packet import (
    BASE_BYTES,
    MAX_BYTES,
    SIGNED_BYTES,
    ErrorEstimate,
    Malformed,
    ReflectorPacket,
    SenderPacket,
    ntp_of,
    read_reflector,
    read_sender,
    reflector_bytes,
    sender_bytes,
    unix_ns_of,
)

KEY = bytes(range(32))
U16, U32, U64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
KEYS = st.sampled_from([None, KEY, b"another key of 26 bytes ..."])
ERRORS = st.builds(
    ErrorEstimate, is_synchronised=st.booleans(), scale=st.integers(0, 63), multiplier=st.integers(1, 255)
)
QUESTIONS = st.builds(SenderPacket, sequence=U32, timestamp=U64, error=ERRORS, ssid=U16)
ANSWERS = st.builds(
    ReflectorPacket, sequence=U32, timestamp=U64, received=U64, sender_sequence=U32, sender_timestamp=U64,
    sender_ttl=st.integers(0, 255), error=ERRORS, sender_error=ERRORS, ssid=U16,
)  # fmt: skip

QUESTION = SenderPacket(
    sequence=0x01020304, timestamp=0x1112131415161718, ssid=0x3132,
    error=ErrorEstimate(is_synchronised=True, scale=0x21, multiplier=0x22),
)  # fmt: skip
ANSWER = ReflectorPacket(
    sequence=0x41424344, timestamp=0x5152535455565758, received=0x6162636465666768, sender_sequence=0x01020304,
    sender_timestamp=0x1112131415161718, sender_ttl=0x77, ssid=0x3132, error=ErrorEstimate(scale=1, multiplier=2),
    sender_error=ErrorEstimate(is_synchronised=True, scale=0x21, multiplier=0x22),
)  # fmt: skip


def laid_out(size: int, fields: dict[int, str]) -> bytes:
    """A packet from its fields by offset, zeros between them."""
    packet = bytearray(size)
    for offset, text in fields.items():
        value = bytes.fromhex(text)
        packet[offset : offset + len(value)] = value
    return bytes(packet)


# RFC 8762, figures 2 and 5 (4 and 6 with authentication), with the SSID of RFC 8972.
BARE_QUESTION = {0: "01020304", 4: "1112131415161718", 12: "a122", 14: "3132"}
SIGNED_QUESTION = {0: "01020304", 16: "1112131415161718", 24: "a122", 26: "3132"}
BARE_ANSWER = {
    0: "41424344", 4: "5152535455565758", 12: "0102", 14: "3132", 16: "6162636465666768", 24: "01020304",
    28: "1112131415161718", 36: "a122", 40: "77",
}  # fmt: skip
SIGNED_ANSWER = {
    0: "41424344", 16: "5152535455565758", 24: "0102", 26: "3132", 32: "6162636465666768", 48: "01020304",
    64: "1112131415161718", 72: "a122", 80: "77",
}  # fmt: skip


def signed(fields: dict[int, str]) -> bytes:
    body = laid_out(96, fields)
    return body + hmac.new(KEY, body, hashlib.sha256).digest()[:16]


def test_the_layouts_are_those_of_the_rfc() -> None:
    assert sender_bytes(QUESTION) == laid_out(44, BARE_QUESTION)
    assert sender_bytes(QUESTION, key=KEY) == signed(SIGNED_QUESTION)
    assert reflector_bytes(ANSWER) == laid_out(44, BARE_ANSWER)
    assert reflector_bytes(ANSWER, key=KEY) == signed(SIGNED_ANSWER)
    assert len(signed(SIGNED_ANSWER)) == SIGNED_BYTES == 112


def test_packets_of_another_implementation_are_read() -> None:
    """Made by scapy's STAMP layers, which know no authentication."""
    question = bytes.fromhex("00000063ed003780800000008305004d").ljust(44, b"\0")
    answer = bytes.fromhex("00000005ed003780800000000109004ded0037804000000000000063ed00378020000000830500003d000000")
    sent_ns = 1_767_225_600_500_000_000
    error = ErrorEstimate(is_synchronised=True, scale=3, multiplier=5)
    assert read_sender(question) == SenderPacket(sequence=99, timestamp=ntp_of(sent_ns), error=error, ssid=77)
    assert read_reflector(answer) == ReflectorPacket(
        sequence=5, timestamp=ntp_of(sent_ns), received=ntp_of(sent_ns - 250_000_000), sender_sequence=99,
        sender_timestamp=ntp_of(sent_ns - 375_000_000), sender_ttl=61, error=ErrorEstimate(scale=1, multiplier=9),
        sender_error=error, ssid=77,
    )  # fmt: skip


@given(QUESTIONS, KEYS, st.integers(0, 1500))
def test_a_question_comes_back_as_it_was(question: SenderPacket, key: bytes | None, size_bytes: int) -> None:
    data = sender_bytes(question, key=key, size_bytes=size_bytes)
    assert len(data) == max(size_bytes, BASE_BYTES if key is None else SIGNED_BYTES)
    assert read_sender(data, key=key) == question


@given(ANSWERS, KEYS, st.binary(max_size=100))
def test_an_answer_comes_back_as_it_was(answer: ReflectorPacket, key: bytes | None, rest: bytes) -> None:
    data = reflector_bytes(answer, key=key, rest=rest)
    assert read_reflector(data, key=key) == answer
    assert data.endswith(rest)


@given(st.binary(max_size=200), KEYS)
def test_noise_is_read_or_refused_and_never_fails(data: bytes, key: bytes | None) -> None:
    for found in (read_sender(data, key=key), read_reflector(data, key=key)):
        if len(data) < (BASE_BYTES if key is None else SIGNED_BYTES):
            assert found is Malformed.SHORT
        elif key is not None:
            assert found is Malformed.UNSIGNED


@given(ANSWERS, st.integers(0, SIGNED_BYTES * 8 - 1))
def test_one_changed_bit_is_no_answer(answer: ReflectorPacket, bit: int) -> None:
    data = bytearray(reflector_bytes(answer, key=KEY))
    data[bit // 8] ^= 1 << bit % 8
    assert read_reflector(bytes(data), key=KEY) is Malformed.UNSIGNED


@given(QUESTIONS, st.integers(0, SIGNED_BYTES * 8 - 1))
def test_one_changed_bit_is_no_question(question: SenderPacket, bit: int) -> None:
    data = bytearray(sender_bytes(question, key=KEY))
    data[bit // 8] ^= 1 << bit % 8
    assert read_sender(bytes(data), key=KEY) is Malformed.UNSIGNED


@given(st.binary(max_size=200), st.integers(0, 30))
def test_what_follows_a_signed_packet_may_change_and_is_not_read(rest: bytes, more: int) -> None:
    """The signature covers the base packet alone (RFC 8762, 4.4); what a middle box adds is padding to us."""
    data = reflector_bytes(ANSWER, key=KEY, rest=rest)
    assert read_reflector(data + bytes(more), key=KEY) == ANSWER


@given(QUESTIONS, ANSWERS, KEYS, KEYS)
def test_a_packet_of_another_key_is_none(
    question: SenderPacket, answer: ReflectorPacket, ours: bytes | None, theirs: bytes | None
) -> None:
    """Nor one without a key, where there should be one: whatever it says."""
    if ours is None or ours == theirs:
        return
    for found in (
        read_sender(sender_bytes(question, key=theirs, size_bytes=SIGNED_BYTES), key=ours),
        read_reflector(reflector_bytes(answer, key=theirs).ljust(SIGNED_BYTES, b"\0"), key=ours),
    ):
        assert found is Malformed.UNSIGNED


@given(st.integers(0, SIGNED_BYTES - 1))
def test_half_a_packet_is_none(size: int) -> None:
    assert read_sender(sender_bytes(QUESTION, key=KEY)[:size], key=KEY) is Malformed.SHORT
    assert read_reflector(reflector_bytes(ANSWER, key=KEY)[:size], key=KEY) is Malformed.SHORT


def test_what_is_wrong_is_named() -> None:
    assert read_sender(bytes(MAX_BYTES + 1)) is Malformed.LONG
    assert read_sender(bytes(44)) is Malformed.ERROR_ESTIMATE, "a multiplier of zero"
    assert read_reflector(laid_out(44, {**BARE_ANSWER, 36: "a100"})) is Malformed.ERROR_ESTIMATE
    assert read_sender(sender_bytes(QUESTION, key=b"x" * 16), key=KEY) is Malformed.UNSIGNED
    assert read_sender(sender_bytes(QUESTION, size_bytes=112), key=KEY) is Malformed.UNSIGNED
    ptp = {**BARE_ANSWER, 12: "4102", 4: "00000001" + "3b9aca00"}
    assert read_reflector(laid_out(44, ptp)) is Malformed.TIMESTAMP, "a second of nanoseconds"


def test_what_must_be_zero_is_not_looked_at() -> None:
    full = laid_out(44, {**BARE_QUESTION, 16: "ff" * 28})
    assert read_sender(full) == QUESTION
    assert read_reflector(laid_out(44, {**BARE_ANSWER, 38: "ffff", 41: "ffffff"})) == ANSWER


@given(st.integers(0, 2**34), st.integers(0, 999_999_999))
def test_ntp_is_exact_to_the_nanosecond_in_every_era(second: int, ns: int) -> None:
    at = second * 10**9 + ns
    for near in (at, at + 30 * 365 * 86_400 * 10**9, at - 30 * 365 * 86_400 * 10**9):
        assert unix_ns_of(ntp_of(at), is_ptp=False, near_ns=near) == at


def test_ntp_begins_anew_in_2036() -> None:
    ends_ns = 2_085_978_496 * 10**9  # 2036-02-07T06:28:16Z
    assert ntp_of(ends_ns) == 0
    assert ntp_of(ends_ns - 1) >> 32 == 2**32 - 1
    assert unix_ns_of(0, is_ptp=False, near_ns=1_767_225_600 * 10**9) == ends_ns
    assert (
        unix_ns_of(struct.unpack("!Q", bytes.fromhex("0000000a1dcd6500"))[0], is_ptp=True, near_ns=0) == 10_500_000_000
    )
    assert unix_ns_of(10**9, is_ptp=True, near_ns=0) is None


@given(st.floats(0, 16), st.booleans())
def test_an_error_estimate_is_never_too_small_and_hardly_too_large(error_s: float, is_synchronised: bool) -> None:
    found = ErrorEstimate.of(error_s, is_synchronised=is_synchronised)
    assert error_s <= found.error_s <= max(error_s * 1.01, error_s + 2**-32), (
        "a hundredth, or the unit that it counts in"
    )
    assert ErrorEstimate.unpack(found.pack()) == found


@pytest.mark.parametrize("error_s", [1e300, 2.0**31 * 255, 1e-300])
def test_an_absurd_error_still_fits(error_s: float) -> None:
    assert 0 <= ErrorEstimate.of(error_s, is_synchronised=False).pack() < 2**16
