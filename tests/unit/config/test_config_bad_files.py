"""Every kind of mistake has a file in bad/, whose first lines are the whole message. A new rule means a new file."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_node.base.errors import ConfigError, ExitCode, Problem
from edge_node.config import rules
from edge_node.config.load import examine, parse

BAD = sorted((Path(__file__).parent / "bad").glob("*.toml"))


def _expected(text: str) -> str:
    head = itertools.takewhile(lambda row: row.startswith("#"), text.splitlines())
    return "\n".join(row.removeprefix("#").removeprefix(" ") for row in head)


def _error(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        parse(path.read_text(encoding="utf-8"), source=path.name)
    return raised.value


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in BAD])
def test_the_message_is_the_one_in_the_file(path: Path) -> None:
    error = _error(path)

    assert error.render() == _expected(path.read_text(encoding="utf-8"))
    assert error.exit_code is ExitCode.CONFIG


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in BAD])
def test_a_secret_in_the_wrong_place_is_not_repeated(path: Path) -> None:
    assert "donotrepeatme" not in _error(path).render().lower().replace("-", "")


@pytest.mark.parametrize(
    "rule",
    [pytest.param(rule, id=rule.__name__) for rule in (*rules.RULES, *rules.DESTINATION_RULES, *rules.LINE_RULES)],
)
def test_every_rule_between_fields_has_a_file(rule: Callable[..., Iterator[Problem]]) -> None:
    said = [problem for path in BAD for problem in _said_by(rule, path)]

    assert said, f"no file in {BAD[0].parent} breaks this rule"


def _said_by(rule: Callable[..., Iterator[Problem]], path: Path) -> list[Problem]:
    try:
        config, _ = examine(tomllib.loads(path.read_text(encoding="utf-8")))
        if rule in rules.RULES:
            return list(rule(config))
        entries = config.line if rule in rules.LINE_RULES else config.replica.destination
        return [problem for entry in entries for problem in rule(config, path.stem, entry)]
    except (tomllib.TOMLDecodeError, AttributeError):
        return []  # not TOML at all, or without a value that the rule needs


def test_five_mistakes_are_named_at_once() -> None:
    """One of each kind, the rule between two fields included, in the order of the file."""
    with pytest.raises(ConfigError) as raised:
        parse(
            '[node]\nid = "clinic-0042"\nnmae = "a"\n'
            '[his]\nidle_lock = "15"\n'
            '[lines.detect]\nhold = "40min"\n'
            '[[line]]\nname = "telecom"\npreferred = true\ninterface = "enp2s0"\n'
            '[[upstream]]\nname = "platform"\n'
        )

    assert [problem.path for problem in raised.value.problems] == [
        "node.nmae",
        "his.idle_lock",
        "lines.detect.hold",
        "line[0].preferred",
        "upstream[0].url",
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param('[lines.detect]\nhold = "2h"\nhold_max = "1"\n', "lines.detect.hold_max", id="hold-max"),
        pytest.param('[his]\nlisten = "0.0.0.0:443"\ntls = { certificate = "a" }\n', "his.tls.key", id="tls"),
        pytest.param("[replica]\nencrypt_to = [7]\n", "replica.encrypt_to[0]", id="encrypt-to"),
        pytest.param(
            '[replica]\nplain = true\nlocal = "/var/lib/edge-node/data"\n[node]\nid = "a1"\nstate_dir = 7\n',
            "node.state_dir",
            id="state-dir",
        ),
        pytest.param(
            '[[line]]\nname = "a"\npreferred = 0\ninterface = "x"\n[[line]]\nname = "b"\npreferred = 1\n'
            'interface = "y"\n',
            "line[0].preferred",
            id="preferred-and-its-table",
        ),
        pytest.param(
            '[lines]\ndetect = 5\n[[line]]\nname = "a"\npreferred = 1\ninterface = "x"\n'
            '[[line.target]]\naddress = "10.0.0.1"\nevery = "1s"\n',
            "lines.detect",
            id="detect-whole",
        ),
    ],
)
def test_no_rule_speaks_of_a_value_that_is_wrong_itself(text: str, path: str) -> None:
    """Whoever mends the one mistake would not find the second."""
    with pytest.raises(ConfigError) as raised:
        parse(text if "[node]" in text else f'{text}[node]\nid = "clinic-0042"\n')

    assert [problem.path for problem in raised.value.problems] == [path]
