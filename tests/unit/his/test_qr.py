"""The picture of a second factor, read by another program's reader."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest

from edge_node.his.staff import qr
from edge_node.his.staff.second_factor import address
from tests.support.qr_reading import read_drawn

SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CLINIC = "西城门诊部"
# The most bytes with the lowest correction (table 7, version 20).
MOST_BYTES = 858


@pytest.mark.parametrize("clinic", ["N", CLINIC, CLINIC * 4])
def test_the_picture_says_the_address(clinic: str) -> None:
    words = address(SEED, code="gu", clinic=clinic)
    picture = qr.picture(words)
    assert picture is not None
    assert read_drawn(picture) == words


def test_characters_are_read_as_characters() -> None:
    picture = qr.picture("覃𬭎")
    assert picture is not None and read_drawn(picture) == "覃𬭎"


def test_what_a_telephone_learns_from_it() -> None:
    parts = urlsplit(address(SEED, code="gu", clinic=CLINIC))
    said = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc, unquote(parts.path)) == ("otpauth", "totp", f"/{CLINIC}:gu")
    assert (said["secret"], said["issuer"]) == ([SEED], [CLINIC])
    # What is left out is what every authenticator takes for granted.
    assert not set(said) & {"digits", "period", "algorithm"}
    parsed = pyotp.parse_uri(address(SEED, code="gu", clinic=CLINIC))
    assert isinstance(parsed, pyotp.TOTP)
    assert (parsed.digits, parsed.interval, parsed.name, parsed.issuer) == (6, 30, "gu", CLINIC)
    assert parsed.at(59) == pyotp.TOTP(SEED).at(59)


def test_one_that_no_camera_could_read_is_not_drawn() -> None:
    most = qr.picture("x" * MOST_BYTES)
    assert most is not None and read_drawn(most) == "x" * MOST_BYTES
    assert qr.picture("x" * (MOST_BYTES + 1)) is None
    assert qr.picture("x" * 4000) is None
