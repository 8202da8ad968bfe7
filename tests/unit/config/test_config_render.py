"""Configuration as text: the example, a new node's file, and what is in force."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.base.errors import ConfigError
from edge_node.config import render
from edge_node.config.keys import keys, tables
from edge_node.config.load import parse
from edge_node.config.render import Origin, Setting
from edge_node.config.schema import EXAMPLE_RECIPIENTS

NODE = '[node]\nid = "clinic-0042"\n'


def _dump(settings_in_force: list[Setting]) -> str:
    """The settings as a file again: each key under its whole path is what TOML calls a dotted key."""
    document: dict[str, Any] = {}
    for path, value, _ in settings_in_force:
        if value is None:
            continue
        table: Any = document
        *parents, name = path.replace("[", ".[").split(".")
        for step, following in zip(parents, [*parents[1:], name], strict=True):
            empty: Any = [] if following.startswith("[") else {}
            if step.startswith("["):
                number = int(step[1:-1])
                if number == len(table):
                    table.append(empty)
                table = table[number]
            else:
                table = table.setdefault(step, empty)
        table[name] = value
    return "\n".join(f"{name} = {render.toml(value)}" for name, value in document.items())


def test_the_example_loads_and_needs_no_second_look_but_at_its_recipients() -> None:
    config = parse(render.example())

    assert config.node.id == "clinic-0042"
    assert config.replica.encrypt_to == EXAMPLE_RECIPIENTS
    assert len(config.line) == len(config.replica.destination) == len(config.upstream) == 1


def test_the_example_explains_every_key() -> None:
    text = render.example()
    for place, section in tables():
        for key in keys(section).values():
            if key.section is None:
                assert key.info.description, (place, key.name)
                assert key.info.description in text, (place, key.name)


def test_the_example_marks_what_must_be_given() -> None:
    required = [
        key.name
        for _, section in tables()
        for key in keys(section).values()
        if key.info.is_required() and key.section is None
    ]
    marked = [row.split(" = ")[0] for row in render.example().splitlines() if "# * " in row]
    assert sorted(marked) == sorted(required)


def test_the_example_of_a_home_speaks_of_its_folders() -> None:
    text = render.example(home=Path("/srv/clinic"))

    assert "/var/lib" not in text
    assert 'run_dir = "/srv/clinic/run"' in text
    assert parse(text).replica.local == Path("/srv/clinic/replica")


def test_what_is_in_force_is_told_with_its_origin() -> None:
    found = {
        path: (value, origin)
        for path, value, origin in render.effective(
            parse(
                NODE + '[his]\nidle_lock = "30min"\n[lines.detect]\nhold = "90s"\n'
                '[[line]]\nname = "telecom"\npreferred = 2\ninterface = "enp2s0"\n[line.detect]\nwindow = "1min"\n',
                home=Path("/srv/clinic"),
            )
        )
    }

    assert found["node.id"] == ("clinic-0042", Origin.FILE)
    assert found["node.code"] == ("0042", Origin.DEFAULT)
    assert found["node.state_dir"] == ("/srv/clinic", Origin.DEFAULT)
    assert found["his.listen"] == ("127.0.0.1:8080", Origin.DEFAULT)
    assert found["his.idle_lock"] == ("30min", Origin.FILE)
    assert found["his.tls"] == (None, Origin.DEFAULT)
    assert found["replica.local"] == ("/srv/clinic/replica", Origin.DEFAULT)
    assert found["line[0].table"] == (102, Origin.DEFAULT)
    assert found["line[0].detect.window"] == ("1min", Origin.FILE)
    assert found["line[0].detect.hold"] == ("90s", Origin.FILE), "from [lines.detect]"
    assert found["line[0].detect.confirm"] == ("5s", Origin.DEFAULT)
    assert found["lines.detect.window"] == ("30s", Origin.DEFAULT)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(NODE + "[replica]\nplain = true\n", id="defaults"),
        pytest.param(render.example(), id="example"),
        pytest.param((Path(__file__).parent / "contract_section_3.toml").read_text(encoding="utf-8"), id="contract"),
    ],
)
def test_what_is_in_force_is_a_configuration_that_says_the_same(text: str) -> None:
    """No unit, address or closed set is lost on the way out and in."""
    shown = render.effective(parse(text))

    again = render.effective(parse(_dump(shown)))

    assert [(each.path, each.value) for each in again] == [(each.path, each.value) for each in shown]


def test_a_new_node_s_file_loads_as_it_was_asked_for() -> None:
    text = render.first_config(
        node_id="clinic-0042",
        name='诊所 "West" \\ 7',
        encrypt_to=EXAMPLE_RECIPIENTS,
        cloud_url="file:///srv/诊所 #7/100%/cloud",
    )

    config = parse(text)

    assert config.node.name == '诊所 "West" \\ 7'
    assert config.replica.encrypt_to == EXAMPLE_RECIPIENTS
    (cloud,) = config.replica.destination
    assert (cloud.name, cloud.folder) == ("cloud", Path("/srv/诊所 #7/100%/cloud"))
    assert (str(config.his.listen), str(config.monitor.listen)) == ("127.0.0.1:8080", "127.0.0.1:9108")
    assert "# names this node in every copy of its data; never change it" in text


def test_a_new_node_s_file_is_refused_before_it_is_written() -> None:
    with pytest.raises(ConfigError) as raised:
        render.first_config(node_id="Clinic 42", name="", encrypt_to=EXAMPLE_RECIPIENTS, cloud_url="file:///srv/cloud")

    assert [problem.path for problem in raised.value.problems] == ["node.id", "node.name"]


_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(_VALUES)
def test_any_value_is_read_back_from_its_toml(value: Any) -> None:
    assert tomllib.loads(f"key = {render.toml(value)}\n") == {"key": value}


def test_settings_are_tuples_of_three() -> None:
    """They go into JSON by their names."""
    assert Setting("node.id", "a1", Origin.FILE)._asdict() == {"path": "node.id", "value": "a1", "origin": "file"}
    assert not dataclasses.is_dataclass(Setting)
