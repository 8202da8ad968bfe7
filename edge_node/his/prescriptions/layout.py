"""What goes on which sheet of A5: estimated rather too high than too low, for what does not fit is cut off. Pure.

Widths are in em of the paper's type, heights in its rows. A test in a browser holds the estimate against the paper.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

# Between a head with one row of diagnoses and the foot.
ROWS = 17.0
# A row of the paper, what is indented beneath a drug, a drug's name beside its quantity, a herb of three in a row.
PAGE_EM, INDENTED_EM, NAME_EM, HERB_EM = 33.0, 30.0, 25.0, 9.5
# The small type of the foot; it begins with one row of how long the sheet is valid.
FOOT_EM, FOOT_ROW = 41.0, 0.8
# What stands between two drugs, two herbs, two rows of the head and two words of the doctor.
DRUG_GAP, HERB_GAP, HEAD_GAP, NOTE_GAP = 0.45, 0.3, 0.25, 0.35


def width(words: str) -> float:
    """How wide words are: Chinese characters one em, others a good half."""
    return sum(1.0 if unicodedata.east_asian_width(char) in "WFA" else 0.58 for char in words)


def rows(words: str, em: float) -> int:
    """How many rows of this width words take; one at least."""
    return max(1, math.ceil(width(words) / em))


def paged(heights: Sequence[float], *, room: float, most: int, counted: int) -> list[int]:
    """How many pieces stand on each page, in their order. At most `most` of the first `counted` pieces share a page,
    whatever room there is; a piece that is higher than a page has one of its own."""
    pages, held, used = [], 0, 0.0
    for place, height in enumerate(heights):
        is_full = held == most and place < counted
        if held and (is_full or used + height > room):
            pages.append(held)
            held, used = 0, 0.0
        held, used = held + 1, used + height
    return [*pages, held]
