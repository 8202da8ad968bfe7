"""The catalogs of sentences: what the program says and what is translated; `make translations` brings them together.

python -m tests.support.catalogs       extract, update, compile; prints what is not translated yet
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from edge_node.i18n import ENGLISH, LANGUAGES, TRANSLATIONS

PACKAGE = TRANSLATIONS.parents[1]
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2), "text": None}
# The catalogs are compared with the sources, never with a date: it would change every file on every run.
_DATE = datetime(2026, 11, 23, tzinfo=UTC)


def po_path(language: str) -> Path:
    return TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"


def _said() -> Iterator[tuple[str, Any]]:
    """Every sentence in the program and its templates, with the file that says it."""
    with (TRANSLATIONS / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    # By default Babel passes over folders such as _macros.
    for place, _, message, _, _ in extract_from_dir(
        PACKAGE, methods, options, KEYWORDS, directory_filter=lambda folder: Path(folder).name != "__pycache__"
    ):
        yield place, message


def extracted() -> Catalog:
    """Every sentence in the program and its templates."""
    found = Catalog()
    for _, message in _said():
        found.add(message)
    return found


def places() -> dict[str, set[str]]:
    """The files that say each sentence, by its singular; as paths within the package."""
    found: dict[str, set[str]] = {}
    for place, message in _said():
        found.setdefault(message[0] if isinstance(message, tuple) else message, set()).add(place)
    return found


def read(language: str) -> Catalog:
    with po_path(language).open("rb") as file:
        return read_po(file, locale=language)


def updated(language: str) -> Catalog:
    """The catalog with the sentences of today: translations kept, what is new empty, what is gone left out."""
    known = read(language) if po_path(language).exists() else Catalog(locale=language)
    catalog = Catalog(
        locale=language,
        project="edge-node",
        version="0.1.0",
        copyright_holder="the edge-node authors",
        last_translator="the edge-node authors",
        language_team="the edge-node authors",
        msgid_bugs_address="none",
        header_comment="# What the pages say, and how it is said here.",
        fuzzy=False,
        creation_date=_DATE,
        revision_date=_DATE,
    )
    for message in extracted():
        if message.id:
            kept = known.get(message.id)
            catalog.add(message.id, kept.string if kept else None, flags=message.flags)
    return catalog


def untranslated(catalog: Catalog) -> list[str]:
    """Sentences without a translation; English ones need none."""
    if str(catalog.locale) == ENGLISH:
        return []
    texts = [(m.id, m.string) for m in catalog if m.id]
    return [str(i) for i, s in texts if not (all(s) if isinstance(s, tuple | list) else s)]


def compiled(catalog: Catalog) -> bytes:
    """The .mo file of a catalog."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def main() -> int:
    missing = []
    for language in LANGUAGES:
        catalog = updated(language)
        path = po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalog, width=120, sort_output=True, ignore_obsolete=True)
        path.with_suffix(".mo").write_bytes(compiled(read(language)))
        missing += [f"{language}: {sentence}" for sentence in untranslated(catalog)]
    print("\n".join(["not translated yet:", *missing] if missing else ["every sentence is translated"]))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
