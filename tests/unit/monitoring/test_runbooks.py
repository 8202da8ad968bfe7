"""Runbooks are for 2 a.m.: the same in both languages, whole, and no command in them that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from edge_node.cli.main import cli
from monitoring.runbooks import LANGUAGES, runbooks
from tests.support.alert_rules import ALERTS

PARTS = {
    "en": ["For the clinic", "Look", "Do", "Carrier", "Over"],
    "zh": ["对诊所", "查看", "处理", "运营商", "结束"],
}
COMMAND = re.compile(r"(?:^|`)\s*(?:\$ )?(edge-node [a-z][^`\n#]*)", re.MULTILINE)
EVERY = [(language, name) for language in LANGUAGES for name in runbooks(language)]


def commands(language: str) -> Iterator[tuple[str, str]]:
    for name, section in runbooks(language).items():
        for found in COMMAND.findall(section):
            yield name, " ".join(found.split())


@pytest.mark.parametrize("language, name", EVERY)
def test_a_runbook_has_all_its_parts_in_order(language: str, name: str) -> None:
    section = runbooks(language)[name]
    assert section.startswith("**"), "what it means, in one sentence"
    assert re.findall(r"^\* \*\*(.+?)[:：]\*\*", section, re.MULTILINE) == PARTS[language]
    assert section.count("```") % 2 == 0
    assert all(len(line) <= 125 for line in section.splitlines()), "it is read in a terminal"


def test_both_languages_say_the_same_commands() -> None:
    """In any order of a sentence: a step that only one of them has would be missed by half of the readers."""
    english, chinese = (sorted(set(commands(language))) for language in ("en", "zh"))
    assert english == chinese


def test_chinese_uses_the_words_of_the_pages() -> None:
    for name, section in runbooks("zh").items():
        prose = re.sub(r"`[^`]*`|```.*?```", "", section, flags=re.DOTALL)
        assert not re.search(r"备份|链路|异常|系统繁忙|抱歉|成功地", prose), name
        assert not re.search(r"[\u4e00-\u9fff] ?[,;:!?](?!\d)", prose), (name, "full-width punctuation")


@pytest.mark.parametrize("name, line", sorted(set(commands("en"))))
def test_a_command_of_a_runbook_exists_with_its_options(name: str, line: str) -> None:
    """Followed through the program's own commands: verb by verb, then every option."""
    words = line.split()[1:]
    found: click.Command = cli
    while isinstance(found, click.Group):
        found = found.get_command(click.Context(found), words.pop(0)) or pytest.fail(f"{name}: {line}")
    options = {option for parameter in found.params for option in parameter.opts} | {"--help"}
    used = {word for word in words if word.startswith("--")}
    assert used <= options, f"{name}: {line}"


def test_a_runbook_is_printed_on_the_node_whatever_else_is_broken() -> None:
    run = CliRunner().invoke
    one = run(cli, ["runbook", "edgedeadletters", "--language", "zh"], standalone_mode=False)
    assert one.output == f"EdgeDeadLetters\n\n{runbooks('zh')['EdgeDeadLetters']}\n"
    assert run(cli, ["runbook", "DeadLetters"]).output.startswith("EdgeDeadLetters\n")
    every = run(cli, ["runbook"]).output.splitlines()
    assert len(every) == len({alert["alert"] for alert in ALERTS})
    assert any(line.split() == ["EdgeCertificateExpired", "A", "certificate", "has", "ended."] for line in every)
    unknown = run(cli, ["runbook", "Nothing"])
    assert getattr(unknown.exception, "code", None) == "runbook-unknown"
