"""A sentence before it is in a language, the catalogs, and how durations are said."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TRANSLATIONS = Path(__file__).parents[1] / "his" / "translations"
CHINESE = "zh_Hans_CN"
ENGLISH = "en"
LANGUAGES = (CHINESE, ENGLISH)


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence not yet in a language: its message id, and the values of its `%(name)s` places."""

    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


def text(message: str, **values: Any) -> Text:
    """Mark a sentence for translation; its first argument must be a literal (the extraction looks for it)."""
    return Text(message, values)


@cache
def catalog(language: str) -> gettext.NullTranslations:
    """The sentences of a language; English ones are their own ids."""
    return gettext.translation("messages", TRANSLATIONS, [language], fallback=True)


def translate(sentence: Text, language: str) -> str:
    """The sentence in a language; the English one where the catalog lacks it. Values that are Texts are said first."""
    message = catalog(language).gettext(sentence.message)
    if not sentence.values:
        return message
    return message % {
        name: translate(value, language) if isinstance(value, Text) else value
        for name, value in sentence.values.items()
    }


def duration(seconds: float) -> Text:
    """A duration of two parts at most, as spoken: 4 s, 38 min, 1 h 25 min, 3 d 2 h."""
    whole = max(0, round(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return text("%(n)d s", n=whole)
    if minutes < 60:
        return text("%(n)d min", n=minutes)
    if hours < 24:
        rest = minutes % 60
        return text("%(n)d h %(m)d min", n=hours, m=rest) if rest else text("%(n)d h", n=hours)
    rest = hours % 24
    return text("%(n)d d %(m)d h", n=days, m=rest) if rest else text("%(n)d d", n=days)
