"""Durations, sizes and days as people read them; and the catalogs against what the program says."""

from __future__ import annotations

import re
from datetime import date

import pytest

from edge_node.his.language import duration, size, weekday
from edge_node.i18n import CHINESE, ENGLISH, LANGUAGES, translate
from tests.support import catalogs


@pytest.mark.parametrize(
    "seconds, english, chinese",
    [
        (0, "0 s", "0 秒"),
        (-3, "0 s", "0 秒"),
        (59.4, "59 s", "59 秒"),
        (60, "1 min", "1 分"),
        (38 * 60 + 59, "38 min", "38 分"),
        (3600, "1 h", "1 小时"),
        (85 * 60, "1 h 25 min", "1 小时 25 分"),
        (86_400, "1 d", "1 天"),
        (86_400 * 3 + 7200, "3 d 2 h", "3 天 2 小时"),
    ],
)
def test_durations_have_two_parts_at_most(seconds: float, english: str, chinese: str) -> None:
    assert translate(duration(seconds), ENGLISH) == english
    assert translate(duration(seconds), CHINESE) == chinese


@pytest.mark.parametrize(
    "size_bytes, words",
    [(0, "0 B"), (999, "999 B"), (4120, "4.12 KB"), (18_000_000, "18 MB"), (83_200_000_000, "83.2 GB")],
)
def test_sizes(size_bytes: int, words: str) -> None:
    assert size(size_bytes) == words


def test_weekdays() -> None:
    friday = date(2026, 11, 20)
    assert (translate(weekday(friday), CHINESE), translate(weekday(friday), ENGLISH)) == ("周五", "Fri")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalog_holds_exactly_what_the_program_says(language: str) -> None:
    said = {message.id for message in catalogs.extracted() if message.id}
    known = {message.id for message in catalogs.read(language) if message.id}
    assert (said - known, known - said) == (set(), set()), "run make translations"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_untranslated(language: str) -> None:
    assert catalogs.untranslated(catalogs.read(language)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalog_is_the_one_that_people_read(language: str) -> None:
    path = catalogs.po_path(language)
    assert path.with_suffix(".mo").read_bytes() == catalogs.compiled(catalogs.read(language)), "run make translations"


def _places(sentence: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[sd]|%%", sentence))


def test_a_translation_has_the_places_of_its_sentence() -> None:
    wrong = []
    for message in catalogs.read(CHINESE):
        if message.id:
            english = message.id[-1] if isinstance(message.id, tuple) else message.id
            chinese = message.string[-1] if isinstance(message.string, tuple) else message.string
            if _places(str(english)) != _places(str(chinese)):
                wrong.append((english, chinese))
    assert wrong == []


def test_chinese_is_written_with_its_own_punctuation() -> None:
    half_width = re.compile(r"[\u4e00-\u9fff][,;:?!]|[\u4e00-\u9fff]\.(?:\s|$)")
    found = [str(m.string) for m in catalogs.read(CHINESE) if m.id and half_width.search(str(m.string))]
    assert found == []


def test_english_is_written_with_straight_quotes() -> None:
    """A Chinese face draws the curly ones as wide as a character."""
    assert [str(m.id) for m in catalogs.read(ENGLISH) if re.search("[“”‘’]", str(m.id))] == []


def test_every_word_beside_another_means_one_thing() -> None:
    """The guide's pairs that are most easily mixed up."""
    known = {str(m.id): str(m.string) for m in catalogs.read(CHINESE) if m.id and isinstance(m.id, str)}
    pairs = {
        "Copies": "副本",
        "Lines": "线路",
        "Destination": "目的地",
        "stale": "过期",
        "holdover": "守时",
        "Offline": "离线",
    }
    assert {english: known[english] for english in pairs} == pairs
    forbidden = re.compile("备份|链路|异常|系统繁忙|抱歉|成功地")
    assert [words for words in known.values() if forbidden.search(words)] == []
