"""From the file to values: every problem at once, each with its place in the file.

A file with problems is still checked as far as it can be: each wrong value is replaced by a valid one and then blanked,
so that the rules between fields (rules.py) speak about everything else, and never about a value nobody wrote.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from edge_node.base.errors import ConfigError, Problem
from edge_node.config import rules, sentences
from edge_node.config.keys import Place, keys, path_text, table_at
from edge_node.config.schema import Config
from edge_node.config.section import Section

S = TypeVar("S", bound=Section)

_SYNTAX_PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)
# The commonest slip: idle_lock = 15min
_BARE_TEXT = re.compile(r"=\s*(?!true\b|false\b)[\w.]*[A-Za-z][\w.]*\s*(#.*)?$")
_HINT = "edge-node config init --stdout prints a complete, commented example"
# Defaults that are made from another key of their table: when that one is wrong, nothing can be said about these.
_DERIVED: dict[str, tuple[str, ...]] = {"preferred": ("table", "mark"), "kind": ("port",)}


def load(path: Path, *, home: Path | None = None) -> Config:
    """The configuration in a file; `home` moves the default folders under it.

    Raises ConfigError: config-missing where there is no file, config-invalid with every problem of it.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            "config-missing",
            f"there is no configuration at {path}",
            context=None,
            hint="where is the node? --home DIR or --config PATH says it (EDGE_NODE_CONFIG for a whole shell); "
            "edge-node init --home DIR makes a new one",
        ) from None
    except UnicodeDecodeError as error:
        raise _invalid(
            str(path), [Problem(path=f"byte {error.start}", text="not UTF-8; save the file as UTF-8")]
        ) from None
    except OSError as error:
        raise ConfigError(
            "config-missing",
            f"the configuration at {path} cannot be read",
            context=f"{type(error).__name__}: {error.strerror}",
            hint="it must be a file that the user of the services may read",
        ) from error
    return parse(text, source=str(path), home=home)


def parse(text: str, *, source: str = "edge-node.toml", home: Path | None = None) -> Config:
    """The configuration in a text; `source` names it in errors. Raises ConfigError: config-invalid."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(source, str(error), text) from None
    config, problems = examine(data, home=home)
    if problems:
        raise _invalid(source, _in_file_order(problems, data))
    return config


def _invalid(source: str, problems: list[Problem], *, context: str | None = None) -> ConfigError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigError("config-invalid", f"{count} in {source}", context=context, hint=_HINT, problems=problems)


def examine(data: dict[str, Any], *, home: Path | None = None) -> tuple[Config, list[Problem]]:
    """What can be read of parsed TOML, and everything that is wrong with it.

    With problems, the values that are wrong are absent from the models: such a Config is for rules, not for services.
    """
    try:
        config = _settle(Config.model_validate(data), home)
    except ValidationError as error:
        mended = copy.deepcopy(data)
        for details in error.errors():
            _mend(mended, _key_place(details["loc"]))
        partial = _settle(Config.model_validate(mended), home)
        for details in error.errors():
            is_unknown = details["type"] == "extra_forbidden"
            place = sentences.meant(details["loc"]) if is_unknown else _key_place(details["loc"])
            if place is not None:
                _blank(partial, place)
        return partial, [*sentences.problems(error), *rules.broken(partial, is_partial=True)]
    return config, rules.broken(config)


def _changed(model: S, **changes: Any) -> S:
    """A copy with other values that still count as defaults; model_copy(update=…) would count them as written."""
    changed = model.model_copy()
    vars(changed).update(changes)
    return changed


def _settle(config: Config, home: Path | None) -> Config:
    """Fill in the defaults that depend on the home folder or on another table."""
    folders = {}
    if home is not None:
        folders = {"state_dir": home, "run_dir": home / "run", "links_dir": home / "links"}
    written = config.node.model_fields_set
    node = _changed(config.node, **{name: path for name, path in folders.items() if name not in written})
    replica = config.replica
    if "local" not in replica.model_fields_set:
        replica = _changed(replica, local=node.state_dir / "replica")
    common = config.lines.detect
    lines = []
    for line in config.line:
        own = {name: getattr(line.detect, name) for name in line.detect.model_fields_set}
        detect = common.model_copy(update=own)
        lines.append(_changed(line, detect=detect))
    return _changed(config, node=node, replica=replica, line=tuple(lines))


def _key_place(place: Place) -> Place:
    """The place of the key whose value holds `place`: a list with a wrong entry is wrong as a whole."""
    while place and isinstance(place[-1], int):
        place = place[:-1]
    return place


def _mend(data: Any, place: Place) -> None:
    """Take a wrong value out of the data, or put a valid one where one must stand."""
    *parents, name = place
    for step in parents:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return  # a table around it was taken out already
    table = table_at(parents)
    key = keys(table).get(str(name)) if table is not None else None
    if key is not None and key.info.is_required():
        data[name] = key.placeholder
    elif isinstance(data, dict):
        data.pop(name, None)


def _blank(config: Config, place: Place) -> None:
    """Remove a value from the models, and those made from it: a rule that needs it cannot be judged."""
    *parents, name = place
    model: Any = config
    for step in parents:
        try:
            model = model[step] if isinstance(step, int) else getattr(model, _attribute(model, step))
        except (AttributeError, IndexError):
            return  # blanked with a table around it
    attribute = _attribute(model, str(name))
    vars(model).pop(attribute, None)
    for derived in _DERIVED.get(attribute, ()):
        _blank_default(model, derived)
    if attribute == "state_dir":
        _blank_default(vars(config).get("replica"), "local")
    for line in vars(config).get("line", ()):
        if place in (("lines",), ("lines", "detect")):
            vars(line).pop("detect", None)
        elif place[:2] == ("lines", "detect") and "detect" in vars(line):
            _blank_default(line.detect, attribute)


def _blank_default(model: Section | None, attribute: str) -> None:
    if model is not None and attribute not in model.model_fields_set:
        vars(model).pop(attribute, None)


def _attribute(model: Section, name: str) -> str:
    return keys(type(model))[name].attribute


def _unreadable(source: str, said: str, text: str) -> ConfigError:
    """The error for a text that is no TOML, with the row and a mark below the column."""
    match, rows = _SYNTAX_PLACE.fullmatch(said), text.splitlines()
    if match is None or int(match[2]) > len(rows):
        return _invalid(source, [Problem(path="the file", text=f"not TOML: {said}")])
    row = rows[int(match[2]) - 1].expandtabs(1)
    reason = match[1] + ("; text and quantities stand in quotes" if _BARE_TEXT.search(row) else "")
    return _invalid(
        source,
        [Problem(path=f"row {match[2]}, column {match[3]}", text=f"not TOML: {reason}")],
        context=f"{row}\n{' ' * (int(match[3]) - 1)}^",
    )


def _in_file_order(problems: list[Problem], data: dict[str, Any]) -> list[Problem]:
    """Problems as a reader of the file meets them; what is missing comes where its table begins."""
    order = {path_text(place): number for number, place in enumerate(_places(data))}

    def position(problem: Problem) -> int:
        path = problem.path
        while path and path not in order:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return order.get(path, -1)

    return sorted(problems, key=position)


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    yield place
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in entries:
        yield from _places(inner, (*place, step))
