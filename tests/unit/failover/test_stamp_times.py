"""What four stamps of two clocks say of a round trip, also while somebody sets one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.probes.stamp import Left, Times, times_of
from failover.probes.stamp_packet import ErrorEstimate, ReflectorPacket, ntp_of

WALL_NS = 1_767_225_600_000_000_000
BOOT = 5000.0
MS = 1_000_000


def answer(received_ns: int, answered_ns: int) -> ReflectorPacket:
    return ReflectorPacket(
        sequence=0, timestamp=ntp_of(answered_ns), received=ntp_of(received_ns), sender_sequence=0,
        sender_timestamp=ntp_of(WALL_NS), sender_ttl=255, error=ErrorEstimate(),
    )  # fmt: skip


def times(
    *,
    out_ms: int = 20,
    taken_ms: int = 3,
    back_ms: int = 10,
    read_after_ms: int = 0,
    ahead_ms: int = 0,
    set_ms: int = 0,
    far_set_ms: int = 0,
    stamped: bool = True,
) -> Times:
    """The path is `out`, the reflector's pause and `back`; our wall clock is set by `set_ms` while it is under way."""
    received = WALL_NS + (out_ms + ahead_ms) * MS
    answered = received + (taken_ms + far_set_ms) * MS
    arrived_ms = out_ms + taken_ms + back_ms
    read_ms = arrived_ms + read_after_ms
    return times_of(
        answer(received, answered),
        Left(BOOT, WALL_NS),
        WALL_NS + (arrived_ms + set_ms) * MS if stamped else None,
        BOOT + read_ms / 1000,
        WALL_NS + (read_ms + set_ms) * MS,
    )


def test_the_reflectors_pause_is_not_part_of_the_round_trip() -> None:
    assert times() == Times(rtt_s=0.030, out_s=0.020, back_s=0.010)


def test_a_reader_that_was_late_sees_what_the_kernel_saw() -> None:
    assert times(read_after_ms=700) == times()
    assert times(read_after_ms=700, stamped=False).rtt_s == pytest.approx(0.730), (
        "without its stamp, what is left to see"
    )


@given(st.integers(-(10**9), 10**9))
def test_the_far_clock_may_be_anywhere(ahead_ms: int) -> None:
    found = times(ahead_ms=ahead_ms)
    assert found.rtt_s == pytest.approx(0.030)
    assert found.out_s is not None and found.back_s is not None
    assert found.out_s + found.back_s == pytest.approx(0.030, abs=1e-6)


@pytest.mark.parametrize("set_ms", [-3_600_000, -30, 30, 5000])
def test_our_clock_is_set_under_way(set_ms: int) -> None:
    found = times(set_ms=set_ms)
    assert found.rtt_s == pytest.approx(0.030, abs=1e-6)
    assert (found.out_s, found.back_s) == (None, None)


@pytest.mark.parametrize("far_set_ms", [-5000, 5000])
def test_their_clock_is_set_between_its_stamps(far_set_ms: int) -> None:
    assert times(far_set_ms=far_set_ms) == Times(rtt_s=0.033), "the whole trip, since the pause is not known"


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.booleans(), st.none() | st.integers(0, 2**62))
def test_no_answer_makes_a_negative_or_longer_trip(
    received: int, answered: int, is_ptp: bool, arrived_ns: int | None
) -> None:
    packet = ReflectorPacket(
        sequence=0, timestamp=answered, received=received, sender_sequence=0, sender_timestamp=0, sender_ttl=0,
        error=ErrorEstimate(is_ptp=is_ptp),
    )  # fmt: skip
    found = times_of(packet, Left(BOOT, WALL_NS), arrived_ns, BOOT + 0.05, WALL_NS + 50 * MS)
    assert 0 <= found.rtt_s <= 0.050001
