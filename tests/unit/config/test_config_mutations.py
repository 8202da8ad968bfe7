"""Each key of the schema, broken in every way there is: the mistake is named, at its place, and nothing else is."""

from __future__ import annotations

import copy
import datetime
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_node.base.errors import ConfigError, ExitCode, Problem
from edge_node.config import render
from edge_node.config.keys import Key, Place, keys, path_text, tables
from edge_node.config.load import parse

# A type that TOML has and no key wants.
A_DATE = datetime.date(2026, 11, 22)


def _whole_example() -> dict[str, Any]:
    data = tomllib.loads(render.example())
    data["line"][0]["detect"] = dict(data["lines"]["detect"])
    return data


EXAMPLE = _whole_example()


def _places() -> Iterator[tuple[Place, Key]]:
    """Every key of the schema, at its place in the example: the first entry of each list."""
    for table, section in tables():
        place: Place = ()
        for step in table:
            place = (*place, step)
            if isinstance(_at(EXAMPLE, place), list):
                place = (*place, 0)
        for key in keys(section).values():
            yield (*place, key.name), key


def _at(data: Any, place: Place) -> Any:
    for step in place:
        data = data[step]
    return data


KEYS = list(_places())
# The machine may be busy; the data is what is tried here, not the time.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
EVERY_KEY = pytest.mark.parametrize(("place", "key"), [pytest.param(p, k, id=path_text(p)) for p, k in KEYS])


def _problems(data: dict[str, Any]) -> tuple[Problem, ...]:
    text = "\n".join(f"{name} = {render.toml(value)}" for name, value in data.items())
    with pytest.raises(ConfigError) as raised:
        parse(text)
    assert raised.value.code == "config-invalid"
    assert raised.value.exit_code is ExitCode.CONFIG
    return raised.value.problems


def _changed(place: Place, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(EXAMPLE)
    _at(data, place[:-1])[place[-1]] = value
    return data


def _bad_value(good: Any) -> Any:
    """Of the right type, and outside of what the key allows."""
    match good:
        case bool():
            return str(good).lower()
        case str():
            return ""
        case list():
            return [""]
    return -1


def test_the_example_has_every_key() -> None:
    assert [path_text(place) for place, key in KEYS if key.name not in _at(EXAMPLE, place[:-1])] == []


@EVERY_KEY
def test_another_type(place: Place, key: Key) -> None:
    (problem,) = _problems(_changed(place, A_DATE))

    assert problem.path == path_text(place)
    assert problem.text.startswith("2026-11-22: ")


@pytest.mark.parametrize("place", [pytest.param(p, id=path_text(p)) for p, key in KEYS if key.section is None])
def test_a_bad_value(place: Place) -> None:
    bad = _bad_value(_at(EXAMPLE, place))

    (problem,) = _problems(_changed(place, bad))

    inside = "[0]" if isinstance(bad, list) else ""
    assert problem.path == path_text(place) + inside
    assert problem.text.startswith(render.toml(bad[0] if isinstance(bad, list) else bad))


@EVERY_KEY
def test_a_misspelt_name(place: Place, key: Key) -> None:
    data = copy.deepcopy(EXAMPLE)
    table = _at(data, place[:-1])
    table[f"{key.name}{key.name[-1]}"] = table.pop(key.name)

    wrong = (*place[:-1], f"{key.name}{key.name[-1]}")
    assert _problems(data) == (Problem(path=path_text(wrong), text=f'unknown key; did you mean "{key.name}"?'),)


@pytest.mark.parametrize(
    ("place", "key"), [pytest.param(p, k, id=path_text(p)) for p, k in KEYS if k.info.is_required()]
)
def test_a_required_key_that_is_missing(place: Place, key: Key) -> None:
    data = copy.deepcopy(EXAMPLE)
    del _at(data, place[:-1])[key.name]

    (problem,) = _problems(data)

    assert problem.path == path_text(place)
    assert problem.text.startswith("must be given")
    assert key.name in problem.text


@UNHURRIED
@given(st.sets(st.sampled_from([place for place, key in KEYS if key.section is None]), min_size=1, max_size=12))
def test_any_number_of_mistakes_are_all_named(places: set[Place]) -> None:
    data = copy.deepcopy(EXAMPLE)
    for place in places:
        _at(data, place[:-1])[place[-1]] = A_DATE

    assert sorted(problem.path for problem in _problems(data)) == sorted(map(path_text, places))


_SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
_NAMES = st.sampled_from(sorted({key.name for _, key in KEYS}))


@UNHURRIED
@given(
    st.recursive(
        _SCALARS.filter(lambda value: value is not None),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
        max_leaves=12,
    ).filter(lambda value: isinstance(value, dict))
)
def test_whatever_stands_there_the_answer_is_a_sentence(data: dict[str, Any]) -> None:
    """Known words in any arrangement: it loads, or it is refused with problems, and nothing else happens."""
    text = "\n".join(f"{name} = {render.toml(value)}" for name, value in data.items())
    try:
        parse(text)
    except ConfigError as error:
        assert error.problems
