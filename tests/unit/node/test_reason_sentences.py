"""Every code that the line library can give has its sentence here, with the same arguments, in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from edge_node.i18n import CHINESE, ENGLISH, REASONS, Text, catalog, reason_text, translate
from edge_node.i18n.reasons import places
from edge_node.status import PROBLEM_EXITS
from failover.core.reasons import REASONS as SPECS
from failover.core.reasons import Code, Kind

EXAMPLES: dict[str, Any] = {
    "line": "telecom", "to": "unicom", "cause": "silent", "target": "10.100.0.1", "targets": 2, "lines": 2,
    "silent_s": 1.04, "loss": 0.1234, "limit": 0.1, "rtt_p95_s": 0.2519, "limit_s": 0.2, "for_s": 10.4,
    "good_s": 61.0, "alive_s": 10.0, "left_s": 0.4, "penalty": 2512.7, "reuse": 800,
    "mtu": 1400, "expected": 1500, "found": 3, "ended": 3, "translations": 0,
}  # fmt: skip


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_sentence_of_exactly_its_arguments(code: Code) -> None:
    assert places(REASONS[code][0]) == set(SPECS[code].args)


@pytest.mark.parametrize("code", [code for code in Code if SPECS[code].kind is Kind.VERDICT])
def test_a_verdict_can_be_named_as_a_cause_without_its_figures(code: Code) -> None:
    said = translate(reason_text(Code.LINE_DOWN, {"line": "telecom", "cause": code.value}), ENGLISH)
    assert said.startswith("telecom down: ")
    assert said != f"telecom down: {code}" or code is Code.SILENT, "the code instead of words"


@pytest.mark.parametrize("language", [CHINESE, ENGLISH])
@pytest.mark.parametrize("code", Code)
def test_a_sentence_is_whole_in_both_languages(code: Code, language: str) -> None:
    sentence = reason_text(code, {name: EXAMPLES[name] for name in SPECS[code].args})
    said = translate(sentence, language)
    assert "%(" not in said and "None" not in said
    if language == CHINESE:
        assert catalog(CHINESE).gettext(sentence.message) != sentence.message, "not translated"


FIGURES = [
    ("silent", {"silent_s": 1.04, "targets": 2}, "silent for 1.0 s on 2 of 2 targets", "静默 1.0 秒，2/2 个目标无应答"),
    ("loss", {"loss": 0.1234, "limit": 0.1}, "12% of the probes lost, limit 10%", "丢包 12%，上限 10%"),
    (
        "delay",
        {"rtt_p95_s": 0.2519, "limit_s": 0.2},
        "95 in 100 answers take up to 252 ms, limit 200 ms",
        "100 次应答中 95 次在 252 ms 以内，上限 200 ms",
    ),
    ("hold-runs", {"line": "telecom", "left_s": 61.0}, "telecom must be good for 2 min more", None),
    ("before-offline", {"left_s": 0.2}, "no line lives; offline in 1 s", None),
    (
        "line-down",
        {"line": "telecom", "cause": {"code": "silent", "args": {"silent_s": 1.0, "targets": 1}}},
        "telecom down: silent for 1.0 s on 1 of 1 targets",
        "telecom 中断：静默 1.0 秒，1/1 个目标无应答",
    ),
    ("line-down", {"line": "telecom", "cause": "silent"}, "telecom down: silent", "telecom 中断：静默"),
    ("line-down", {"line": "telecom"}, "telecom down", "telecom 中断"),
    ("suppressed", {"line": "a", "penalty": 2512.7, "reuse": 800},
     "a fell too often: penalty 2513, usable below 800", None),
    ("litestream-down", {"state": "failing", "why": "no space left on device"},
     "Litestream is failing: nothing is copied at the moment (no space left on device)",
     "Litestream 状态为 failing：现在没有在复制（no space left on device）"),
    ("litestream-down", {"state": "stopped"}, "Litestream is stopped: nothing is copied at the moment", None),
    ("rpo-exceeded", {"destination": "cloud", "rpo_s": 5100.0},
     "destination cloud lacks what is older than 1 h 25 min", None),
    ("of-a-newer-service", {"why": "EPERM"}, "of-a-newer-service: EPERM", "of-a-newer-service：EPERM"),
    ("of-a-newer-service", {"n": 3}, "of-a-newer-service", "of-a-newer-service"),
    ("silent", {"silent_s": "long", "targets": None}, "silent for long on None of None targets", None),
    ("loss", {"loss": float("nan"), "limit": 0.1}, "nan of the probes lost, limit 10%", None),
]  # fmt: skip


@pytest.mark.parametrize("code, args, english, chinese", FIGURES)
def test_figures_are_made_readable(code: str, args: dict[str, Any], english: str, chinese: str | None) -> None:
    sentence = reason_text(code, args)
    assert translate(sentence, ENGLISH) == english
    if chinese is not None:
        assert translate(sentence, CHINESE) == chinese


def test_every_problem_has_an_exit_code_and_a_sentence() -> None:
    assert set(PROBLEM_EXITS) <= set(REASONS)


def test_a_text_within_a_text_is_said_in_the_same_language() -> None:
    assert translate(Text("since %(clock)s (%(lasted)s)", {"clock": "09:14", "lasted": Text("%(n)d s", {"n": 4})}),
                     ENGLISH) == "since 09:14 (4 s)"  # fmt: skip
