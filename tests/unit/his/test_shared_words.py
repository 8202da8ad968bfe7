"""A short word that both the clinic's pages and the operator's say means the same on both.

The catalog has one Chinese for one English. `Note` is a record of a visit here and a remark there, `stale` is a service
that says nothing or a drug that is too old: whoever uses a word on a second page gets the first one's Chinese unasked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from edge_node.i18n import CHINESE
from tests.support import catalogs

# Longer ones say themselves what they are about.
WORDS = 3
# What an operator reads: the console, its reasons, charts, reports and the paper kit.
OPERATORS = (
    "cli/", "i18n/", "journal/", "services/", "his/console/", "his/copies.py", "his/line_history.py",
    "his/templates/console/", "his/templates/_macros/chart.html",
)  # fmt: skip
# Each was read in every place that says it, and its one Chinese fits all of them.
FITS_BOTH: Mapping[str, str] = {
    ", ": "、", ": ": "：", "; ": "；",
    "Console": "控制台", "Copies": "副本", "Day": "日期", "End it": "结束", "Fingerprint, SHA-256": "指纹（SHA-256）",
    "Lines": "线路", "Reason": "原因", "Result": "结果", "Time": "时间", "Unknown": "未知", "catching up": "追平中",
    "holdover": "守时", "last delivered %(clock)s": "最近送达 %(clock)s", "no": "否", "now": "现在",
    "since %(time)s": "%(time)s 起", "suspect": "存疑", "synced": "已校时", "unknown": "未知", "yes": "是",
}  # fmt: skip


def is_short(sentence: str) -> bool:
    return len(re.findall(r"\S+", sentence)) <= WORDS


def is_operators(place: str) -> bool:
    return place.startswith(OPERATORS)


def test_a_short_word_of_both_was_read_in_both() -> None:
    shared = {
        sentence: sorted(places)
        for sentence, places in catalogs.places().items()
        if is_short(sentence) and len({is_operators(place) for place in places}) == 2
    }
    unread = {sentence: places for sentence, places in shared.items() if sentence not in FITS_BOTH}
    assert not unread, "say it in other words on one of the two, or read it in both places and add it to FITS_BOTH"
    assert not set(FITS_BOTH) - set(shared), "no longer said by both"


def test_its_chinese_is_the_one_that_was_read() -> None:
    known = {str(m.id): m.string for m in catalogs.read(CHINESE) if isinstance(m.id, str)}
    assert {sentence: known.get(sentence) for sentence in FITS_BOTH} == FITS_BOTH


def test_every_place_is_one_of_the_program() -> None:
    """The two sides are told apart by paths, which move: each of them still names something."""
    places = {place for found in catalogs.places().values() for place in found}
    assert [side for side in OPERATORS if not any(place.startswith(side) for place in places)] == []
