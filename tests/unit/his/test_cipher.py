"""Sealed ID numbers open with the right key and purpose only, and are found by their digest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.base.errors import StoreError
from edge_node.his.cipher import Cipher

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
NUMBER = "320502198003142024"


# Of a machine shared with other tests no deadline says anything.
@settings(deadline=None)
@given(st.text())
def test_opens_what_it_sealed(text: str) -> None:
    cipher = Cipher(KEY)
    assert cipher.open(cipher.seal(text, purpose="id-number"), purpose="id-number") == text


def test_the_same_text_is_sealed_differently_each_time_and_never_shows() -> None:
    cipher = Cipher(KEY)
    first, second = (cipher.seal(NUMBER, purpose="id-number") for _ in range(2))
    assert first != second
    assert NUMBER.encode() not in first


def _flipped(sealed: bytes, at: int) -> bytes:
    return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


@pytest.mark.parametrize(
    "key, purpose, damage",
    [
        pytest.param(OTHER_KEY, "id-number", lambda sealed: sealed, id="another-key"),
        pytest.param(KEY, "phone", lambda sealed: sealed, id="another-purpose"),
        pytest.param(KEY, "id-number", lambda sealed: _flipped(sealed, 0), id="another-format"),
        pytest.param(KEY, "id-number", lambda sealed: _flipped(sealed, 5), id="damaged-nonce"),
        pytest.param(KEY, "id-number", lambda sealed: _flipped(sealed, len(sealed) - 1), id="damaged-text"),
        pytest.param(KEY, "id-number", lambda sealed: sealed[:9], id="cut-short"),
        pytest.param(KEY, "id-number", lambda _: b"", id="empty"),
    ],
)
def test_whatever_is_wrong_is_refused(key: bytes, purpose: str, damage: object) -> None:
    sealed = damage(Cipher(KEY).seal(NUMBER, purpose="id-number"))  # type: ignore[operator]
    with pytest.raises(StoreError) as caught:
        Cipher(key).open(sealed, purpose=purpose)
    assert caught.value.code == "sealed-unreadable"
    assert NUMBER not in caught.value.render()


def test_digests_are_equal_for_equal_texts_under_one_key_only() -> None:
    digest = Cipher(KEY).digest(NUMBER)
    assert digest == Cipher(KEY).digest(NUMBER)
    assert digest != Cipher(KEY).digest(NUMBER[:-1] + "5")
    assert digest != Cipher(OTHER_KEY).digest(NUMBER)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length_is_no_key(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes"):
        Cipher(bytes(size))
