"""What the kernel's refusals mean, for the kernels that are not at hand; and which addresses are none of a line."""

from __future__ import annotations

import errno

import pytest

from failover.netlink.sockets import WhyNot, _attributes, _why_not, end_connections, forget_translations


@pytest.mark.parametrize(
    "number, why, word",
    [
        (errno.EPERM, WhyNot.NOT_PERMITTED, "CAP_NET_ADMIN"),
        (errno.EACCES, WhyNot.NOT_PERMITTED, "CAP_NET_ADMIN"),
        (errno.EOPNOTSUPP, WhyNot.NOT_SUPPORTED, "INET_DIAG_DESTROY"),
        (errno.ENOBUFS, WhyNot.FAILED, "refused"),
    ],
)
def test_a_refusal_in_words(number: int, why: WhyNot, word: str) -> None:
    assert _why_not(number) == (why, errno.errorcode[number])
    assert word in why.sentence


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "::1", "telecom", ""])
@pytest.mark.parametrize("act", [end_connections, forget_translations])
def test_what_is_no_lines_address_is_refused(act: object, address: str) -> None:
    assert callable(act)
    with pytest.raises(ValueError):
        act(address, ["10.100.0.0/24"])


def test_attributes_that_are_cut_off_end_the_reading() -> None:
    whole = b"\x08\x00\x01\x00\x0a\x01\x01\x02"
    assert list(_attributes(whole)) == [(1, b"\x0a\x01\x01\x02")]
    assert list(_attributes(whole + b"\x02\x00\x01\x00")) == [(1, b"\x0a\x01\x01\x02")]
    assert list(_attributes(b"\x08")) == []
