"""A text as a QR code for the camera of a telephone (ISO/IEC 18004): the lowest correction, as small as it goes.

A screen has no stains, and few large modules are read from further away than many small ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import segno

# Without so many light modules around it no reader finds it.
QUIET = 4
# 97 modules, 858 bytes. On the 300 px of the page the modules of a larger one are too small for a camera.
MOST_VERSION = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What an SVG draws: `path` has the dark modules in units of one, within a square of `side` of them."""

    side: int
    path: str


def picture(words: str) -> Picture | None:
    """The code of a text that is not empty; None for one that would be too fine to be read from a screen."""
    try:
        code = segno.make_qr(words, error="l", encoding="utf-8", mode="byte", boost_error=False)
    except segno.DataOverflowError:
        return None
    if int(code.version) > MOST_VERSION:
        return None
    return Picture(side=len(code.matrix) + 2 * QUIET, path="".join(_strokes(code.matrix)))


def _strokes(modules: Iterable[Iterable[int]]) -> Iterator[str]:
    """Each run of dark modules of a row as a rectangle."""
    for y, row in enumerate(modules):
        for run in re.finditer("1+", "".join(map(str, row))):
            width = run.end() - run.start()
            yield f"M{run.start() + QUIET} {y + QUIET}h{width}v1h-{width}z"
