"""Sentences of the program in the languages of the clinic, from the gettext catalogs.

A message id is the English sentence itself; `translations/zh_Hans_CN` holds the Chinese. Pure parts return a Text (what
to say, and with which figures); whoever shows it translates it. A reason code has its sentence here.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TRANSLATIONS = Path(__file__).parent / "his" / "translations"
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
    """The sentence in a language; the English one where the catalog lacks it."""
    message = catalog(language).gettext(sentence.message)
    return message % sentence.values if sentence.values else message


# A code of a decision or a problem, and its sentence. Codes never change; sentences may.
REASONS: Mapping[str, Text] = {
    "no-lines": text("this node has no line to watch"),
    "service-stale": text("service %(service)s has not written its state for too long"),
    "service-stopped": text("service %(service)s is not running"),
    "clock-suspect": text("the clock of this machine cannot be right"),
    "disk-low": text("the disk of the data has %(free_bytes)s bytes left"),
    "his-cannot-write": text("the HIS cannot write: %(why)s"),
    "litestream-down": text("Litestream is %(state)s: nothing is copied at the moment"),
    "destination-unreachable": text("destination %(destination)s does not answer"),
    "destination-refused": text("destination %(destination)s refuses us"),
    "rpo-exceeded": text("destination %(destination)s lacks what is older than %(rpo_s)s s"),
    "replica-set-back": text(
        "the local replica is older than what destination %(destination)s holds; nothing is shipped"
    ),
    "epoch-taken": text(
        "destination %(destination)s belongs to machine %(machine)s since epoch %(epoch)s; nothing is shipped"
    ),
}


def reason_text(code: str, values: Mapping[str, Any]) -> Text:
    """The sentence of a reason; an unknown code (of a newer service) is shown as it is."""
    known = REASONS.get(code)
    return Text(known.message, values) if known else Text("%(code)s", {"code": code})
