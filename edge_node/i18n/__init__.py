"""Sentences of the program in the languages of the clinic, from the gettext catalogs.

A message id is the English sentence itself; `translations/zh_Hans_CN` holds the Chinese. Pure parts return a Text (what
to say, and with which figures); whoever shows it translates it. `reasons` holds the sentence of every reason code.
"""

from edge_node.i18n.reasons import REASONS, reason_text
from edge_node.i18n.texts import CHINESE, ENGLISH, LANGUAGES, TRANSLATIONS, Text, catalog, duration, text, translate

__all__ = [
    "CHINESE",
    "ENGLISH",
    "LANGUAGES",
    "REASONS",
    "TRANSLATIONS",
    "Text",
    "catalog",
    "duration",
    "reason_text",
    "text",
    "translate",
]
