"""A number as a Code 128 bar code (ISO/IEC 15417), drawn as one path of an SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# Widths of bars and gaps of the symbols 0 to 105, each beginning with a bar; then the stop.
_SYMBOLS = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232"
)
_STOP = "2331112"
_TO_C, _TO_B, _START_B, _START_C = 99, 100, 104, 105
# As many digits in a row are shorter in pairs, with the symbol that switches to them.
_PAIRS_FROM = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """How many modules wide it is, without the quiet zones of ten on both sides, and the bars as an SVG path of
    height 1."""

    width: int
    path: str


def bars(number: str) -> Bars:
    """The bar code of a number of printable ASCII characters. Raises ValueError for others, or for nothing."""
    if not number or not all(" " <= char <= "~" for char in number):
        raise ValueError("only printable ASCII has a bar code")
    values = list(_values(number))
    check = (values[0] + sum(place * value for place, value in enumerate(values[1:], start=1))) % 103
    widths = "".join(_SYMBOLS[7 * value : 7 * value + 6] for value in (*values, check)) + _STOP
    path, at = [], 0
    for place, width in enumerate(map(int, widths)):
        if place % 2 == 0:
            path.append(f"M{at} 0h{width}v1h-{width}z")
        at += width
    return Bars(width=at, path="".join(path))


def _values(number: str) -> Iterator[int]:
    """Start symbol and characters: pairs of digits where they save room, else one by one."""
    at, in_pairs = 0, _digits(number, 0) >= _PAIRS_FROM
    yield _START_C if in_pairs else _START_B
    while at < len(number):
        run = _digits(number, at)
        if in_pairs and run >= 2:
            yield int(number[at : at + 2])
            at += 2
        elif in_pairs:
            in_pairs = False
            yield _TO_B
        elif run >= _PAIRS_FROM and run % 2 == 0:
            in_pairs = True
            yield _TO_C
        else:
            yield ord(number[at]) - 32
            at += 1


def _digits(number: str, at: int) -> int:
    """How many digits stand in a row from here."""
    return len(number) - at - len(number[at:].lstrip("0123456789"))
