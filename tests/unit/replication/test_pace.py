"""How long until a destination is current: the rate, and what a long upload tells of it."""

from __future__ import annotations

import pytest

from edge_node.replication.pace import Pace, Upload

LINE_BYTES_PER_S = 250_000.0  # 2 Mbit/s


def test_nothing_is_promised_before_a_transfer_has_told() -> None:
    pace = Pace()
    assert pace.left_s(1_000_000, None, now_s=0.0) is None
    pace.sent(3_000, 0.040)  # A capture: a round trip, and no rate.
    assert pace.left_s(1_000_000, None, now_s=0.0) is None
    pace.sent(500_000, 2.0)
    assert pace.left_s(1_000_000, None, now_s=0.0) == 4.0


def test_a_line_that_slows_down_is_believed_little_by_little() -> None:
    pace = Pace(bytes_per_s=1_000_000.0)
    rates = []
    for _ in range(12):
        pace.sent(500_000, 2.0)
        rates.append(pace.bytes_per_s or 0.0)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(LINE_BYTES_PER_S, rel=0.05)


def test_after_an_outage_the_first_transfer_counts_alone() -> None:
    """The old rate is what there is while the line is away; the line that comes back may be a thin one."""
    pace = Pace(bytes_per_s=20_000_000.0)
    pace.broke_off()
    assert pace.left_s(10_000_000, None, now_s=0.0) == 0.5
    assert pace.left_s(10_000_000, Upload(began_s=0.0), now_s=1.0) is None
    pace.sent(500_000, 2.0)
    assert pace.bytes_per_s == LINE_BYTES_PER_S


PART_BYTES, MEGABYTE = 5 << 20, 1 << 20


def upload_at(seconds: float, *, size_bytes: int, apart_s: float = 0.0) -> Upload:
    """One that began at 100.0, as the client takes it: two parts and three chunks, then two whenever two left.

    The second of the two is taken `apart_s` after the first.
    """
    upload, taken, may_take, left_at = Upload(began_s=100.0), 0, 2 * PART_BYTES + 3 * MEGABYTE, 0.0
    while left_at <= seconds and taken < size_bytes:
        second = may_take - PART_BYTES
        while taken < min(may_take, size_bytes):
            size = min(MEGABYTE, size_bytes - taken)
            taken_at = left_at + (apart_s if taken >= second and left_at else 0.0)
            if taken_at <= seconds:
                upload.took(size, now_s=100.0 + taken_at)
            taken += size
        may_take += 2 * PART_BYTES
        left_at += 2 * PART_BYTES / LINE_BYTES_PER_S
    return upload


@pytest.mark.parametrize("apart_s", [0.0, 1.0])
@pytest.mark.parametrize("size_bytes", [23_000_000, 43_000_000, 1_700_000_000])
def test_a_long_upload_counts_down_by_what_has_left(size_bytes: int, apart_s: float) -> None:
    """A snapshot of 1.7 GB at 2 Mbit/s: nothing of it is confirmed for two hours, and still one wants to know."""
    pace, all_s = Pace(), size_bytes / LINE_BYTES_PER_S
    for part in (0.1, 0.3, 0.6, 0.9, 0.99):
        upload = upload_at(part * all_s, size_bytes=size_bytes, apart_s=apart_s)
        left_s = pace.left_s(size_bytes, upload, now_s=100.0 + part * all_s)
        if left_s is None:
            assert part * all_s < 2 * PART_BYTES / LINE_BYTES_PER_S, "known when the first parts have left"
        else:
            assert left_s == pytest.approx((1 - part) * all_s, rel=0.01, abs=1)


def test_what_a_client_takes_at_once_tells_nothing() -> None:
    upload = Upload(began_s=100.0)
    for _ in range(16):
        upload.took(MEGABYTE, now_s=100.1)
    assert Pace().left_s(1_700_000_000, upload, now_s=103.0) is None


def test_more_than_the_file_is_never_gone() -> None:
    upload = upload_at(400.0, size_bytes=43_000_000)
    assert Pace().left_s(43_000_000, upload, now_s=500.0) == 0.0
