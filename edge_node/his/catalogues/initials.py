"""The initials by which a medical term is typed: jxzqgy for 急性支气管炎."""

from __future__ import annotations

import re
from functools import cache

from pypinyin import Style, lazy_pinyin, load_phrases_dict

# Read zhui in every medical term; pypinyin knows the hammer, chui.
_VERTEBRA = "椎"


def initials(name: str) -> str:
    """Pinyin initials of a term; digits and Latin letters stay, brackets and spaces do not.

    The common reading of a phrase is right for medical terms, but for the vertebra; surnames, with their rare readings,
    are another matter.
    """
    _load_phrases()
    plain = re.sub(r"[^\w]", "", name)
    parts = (lazy_pinyin(part, style=Style.FIRST_LETTER) for part in plain.split(_VERTEBRA))
    return "z".join("".join(letters) for letters in parts).lower()


@cache
def _load_phrases() -> None:
    """Only for an import of a catalogue: a HIS that runs does without their 42 MB (edge_node/his/__init__.py)."""
    from pypinyin.phrases_dict import phrases_dict

    load_phrases_dict(phrases_dict)
