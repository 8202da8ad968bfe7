"""The reflector answers whom it knows, no more than it was asked, and counts each session's answers."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.probes.reflector import Bucket, Question, Reflector, Unanswered
from failover.probes.stamp_packet import (
    MAX_BYTES,
    ErrorEstimate,
    ReflectorPacket,
    SenderPacket,
    ntp_of,
    read_reflector,
    sender_bytes,
)

CLINIC = (IPv4Network("10.1.1.0/30"), IPv4Network("10.2.1.0/30"))
TELECOM, UNICOM = ("10.1.1.2", 40001), ("10.2.1.2", 40001)
KEY = bytes(range(32))
RECEIVED_NS, ANSWERED_NS = 1_767_225_600_000_000_000, 1_767_225_600_000_050_000
OUR_ERROR = ErrorEstimate(is_synchronised=True, scale=10, multiplier=7)


def ask(
    reflector: Reflector,
    data: bytes | None = None,
    *,
    source: tuple[str, int] = TELECOM,
    now: float = 100.0,
    sequence: int = 0,
    ssid: int = 0,
    key: bytes | None = None,
) -> bytes | Unanswered:
    if data is None:
        data = sender_bytes(SenderPacket(sequence=sequence, timestamp=77, ssid=ssid), key=key)
    question = Question(data=data, source=source, received_ns=RECEIVED_NS, ttl=253)
    return reflector.answer(question, now=now, wall_ns=lambda: ANSWERED_NS, error=OUR_ERROR)


def number(answer: bytes | Unanswered, *, key: bytes | None = None) -> int:
    assert isinstance(answer, bytes)
    packet = read_reflector(answer, key=key)
    assert isinstance(packet, ReflectorPacket)
    return packet.sequence


@pytest.mark.parametrize("key", [None, KEY], ids=["bare", "signed"])
def test_an_answer_says_what_was_asked_and_when(key: bytes | None) -> None:
    asked = SenderPacket(sequence=9, timestamp=77, error=ErrorEstimate(scale=3, multiplier=4), ssid=5)
    answer = ask(Reflector(CLINIC, key=key), sender_bytes(asked, key=key))
    assert isinstance(answer, bytes)
    assert read_reflector(answer, key=key) == ReflectorPacket(
        sequence=0, timestamp=ntp_of(ANSWERED_NS), received=ntp_of(RECEIVED_NS), sender_sequence=9,
        sender_timestamp=77, sender_ttl=253, error=OUR_ERROR, sender_error=asked.error, ssid=5,
    )  # fmt: skip


def test_each_session_is_counted_by_itself() -> None:
    reflector = Reflector(CLINIC)
    assert [number(ask(reflector, sequence=n)) for n in (0, 1, 5)] == [0, 1, 2], "what did not arrive is not counted"
    assert number(ask(reflector, source=UNICOM)) == 0
    assert number(ask(reflector, source=("10.1.1.2", 40002))) == 0
    assert number(ask(reflector, ssid=7)) == 0, "another session may get the port of an old one"
    assert number(ask(reflector)) == 3
    assert (reflector.sessions, reflector.answered) == (4, 7)


def test_a_session_that_is_silent_is_forgotten() -> None:
    reflector = Reflector(CLINIC, kept_s=60)
    ask(reflector, now=100)
    assert number(ask(reflector, now=159)) == 1
    assert number(ask(reflector, now=220)) == 0
    assert reflector.sessions == 1


def test_nobody_else_is_answered() -> None:
    reflector = Reflector(CLINIC)
    for source in ("10.1.1.4", "10.100.0.1", "127.0.0.1", "255.255.255.255"):
        assert ask(reflector, source=(source, 862)) is Unanswered.SOURCE
    assert reflector.sessions == 0
    assert reflector.unanswered == {Unanswered.SOURCE: 4}


@pytest.mark.parametrize(
    "data, why",
    [
        (b"", Unanswered.SHORT),
        (sender_bytes(SenderPacket(sequence=0, timestamp=1))[:43], Unanswered.SHORT),
        (bytes(44), Unanswered.ERROR_ESTIMATE),
        (b"\1" * (MAX_BYTES + 1), Unanswered.LONG),
    ],
)
def test_what_is_malformed_gets_no_answer_and_no_session(data: bytes, why: Unanswered) -> None:
    reflector = Reflector(CLINIC)
    assert ask(reflector, data) is why
    assert (reflector.sessions, reflector.answered) == (0, 0)


def test_with_a_key_only_what_it_signed_is_answered() -> None:
    reflector = Reflector(CLINIC, key=KEY)
    assert number(ask(reflector, key=KEY), key=KEY) == 0
    assert ask(reflector, key=b"another key, of 24 bytes") is Unanswered.UNSIGNED
    assert ask(reflector) is Unanswered.SHORT
    assert ask(reflector, bytes(112)) is Unanswered.UNSIGNED
    forged = bytearray(sender_bytes(SenderPacket(sequence=0, timestamp=1), key=KEY))
    forged[0] ^= 1
    assert ask(reflector, bytes(forged)) is Unanswered.UNSIGNED
    assert number(ask(reflector, key=KEY), key=KEY) == 1, "none of them was counted"
    assert reflector.sessions == 1


@given(st.binary(max_size=300), st.sampled_from([None, KEY]), st.booleans())
def test_no_answer_is_longer_than_its_question(data: bytes, key: bytes | None, is_question: bool) -> None:
    if is_question:
        data = sender_bytes(SenderPacket(sequence=1, timestamp=2), key=key) + data
    answer = ask(Reflector(CLINIC, key=key), data)
    assert isinstance(answer, bytes) or not is_question
    if isinstance(answer, bytes):
        assert len(answer) == len(data)
        assert answer[112 if key else 44 :] == data[112 if key else 44 :], "padding goes back as it came"


def test_one_address_gets_its_rate_and_no_more() -> None:
    reflector = Reflector(CLINIC, rate_per_source=10)
    answers = [ask(reflector, now=100 + n / 100) for n in range(100)]
    assert sum(isinstance(answer, bytes) for answer in answers) in (19, 20)
    assert isinstance(ask(reflector, source=UNICOM, now=101), bytes), "the other line does not suffer"
    assert reflector.unanswered[Unanswered.RATE] in (80, 81)
    assert number(ask(reflector, now=110)) in (19, 20), "what was not answered was not counted"


def test_all_together_get_theirs() -> None:
    reflector = Reflector((IPv4Network("10.0.0.0/8"),), rate_of_all=50)
    answers = [ask(reflector, source=(f"10.0.{n}.1", 862)) for n in range(100)]
    assert sum(isinstance(answer, bytes) for answer in answers) == 50


def test_memory_is_bounded_and_no_address_pushes_out_another() -> None:
    reflector = Reflector(
        (IPv4Network("10.0.0.0/8"),), sessions_per_source=4, max_sources=8, rate_per_source=1e6, rate_of_all=1e6
    )
    ask(reflector, source=UNICOM)
    for port in range(1000, 2000):
        ask(reflector, source=("10.1.1.2", port))
        assert reflector.sessions <= 5
    assert number(ask(reflector, source=UNICOM)) == 1
    for n in range(1000):
        ask(reflector, source=(f"10.3.{n // 250}.{n % 250}", 862))
    assert reflector.sessions <= 8 * 4


def test_a_bucket_holds_a_seconds_worth_whatever_the_clock_does() -> None:
    bucket = Bucket(3)
    assert [bucket.take(10) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(5), "back in time gives nothing"
    assert [bucket.take(1e9) for _ in range(4)] == [True, True, True, False]
