"""Values to text: the complete example, the effective configuration, and the file of a new node.

All three are made from the schema and its descriptions; they cannot tell of keys that do not exist.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from edge_node.base.units import format_duration, format_rate, format_size
from edge_node.config.keys import Key, Place, keys, path_text
from edge_node.config.load import parse
from edge_node.config.schema import Config
from edge_node.config.section import Section
from edge_node.config.values import Endpoint

DEFAULT_LISTEN = Endpoint("127.0.0.1", 8080)

_WIDTH = 118
# Comments of a table begin in one column, unless a line is longer than this.
_COMMENT_COLUMN = 44
# The unit in an attribute's name says how its value is written.
_WRITTEN = {"_s": format_duration, "_bytes": format_size, "_bits": format_rate}

_HEAD = """\
# Configuration of an edge node: every key there is, with an example or its default.
# Keys marked * must be given where their table is present; any other may be left out.
# Secrets do not belong here: a credential is the name of a file under credentials/, or of systemd's.
# edge-node config check says what is wrong with this file; config show, what is in force.
"""
_FIRST_HEAD = """\
# Configuration of this node. edge-node config init --stdout prints every key there is, with its meaning.
"""


class Origin(StrEnum):
    FILE = "file"
    DEFAULT = "default"


class Setting(NamedTuple):
    """One value in force: its place in the file, the value as TOML has it (None: not set), and where it is from."""

    path: str
    value: Any
    origin: Origin


def example(*, home: Path | None = None) -> str:
    """A complete, commented configuration, which itself loads; its default folders are those under `home`."""
    defaults = parse('[node]\nid = "clinic-0042"\n', home=home)
    return "\n\n".join([_HEAD.rstrip(), *_example_tables(Config, (), defaults, {})]) + "\n"


def effective(config: Config) -> list[Setting]:
    """Every value in force, in the order of the schema."""
    return list(_settings(config, ()))


def first_config(
    *,
    node_id: str,
    name: str,
    encrypt_to: Sequence[str],
    cloud_url: str,
    listen: Endpoint = DEFAULT_LISTEN,
    contact: str | None = None,
    metrics_listen: str = "127.0.0.1:9108",
    line_interface: str | None = None,
) -> str:
    """The small commented file that `init` writes. Raises ConfigError when a value cannot stand in it.

    Pages that other machines reach are served over TLS, by the node's own authority.
    `line_interface` becomes the one line, without targets: it is judged by carrier and route, and sends no packet.
    """
    tls = {} if listen.is_loopback else {"tls": {"issue": True}}
    chosen: list[tuple[Place, dict[str, Any]]] = [
        (("node",), {"id": node_id, "name": name, **({"contact": contact} if contact else {})}),
        (("his",), {"listen": str(listen), **tls, "language": "zh_Hans_CN", "idle_lock": "15min"}),
        (("replica",), {"encrypt_to": list(encrypt_to)}),
        (("replica", "destination"), {"name": "cloud", "url": cloud_url, "rpo_limit": "5min"}),
        (("monitor",), {"listen": metrics_listen}),
    ]
    if line_interface is not None:
        chosen.append((("line",), {"name": "line-1", "preferred": 1, "interface": line_interface}))
    tables = []
    for place, values in chosen:
        key = _key_at(place)
        assert key.section is not None
        known = keys(key.section)
        lines = [(_assigned(each, value), _description(known[each])) for each, value in values.items()]
        tables.append("\n".join([f"# {key.section.__doc__}", _header(place, key), *_commented(lines)]))
    text = "\n\n".join([_FIRST_HEAD.rstrip(), *tables]) + "\n"
    parse(text, source="the configuration of the new node")
    return text


def toml(value: Any) -> str:
    """A value in TOML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # JSON's escapes are TOML's; JSON leaves DEL as it is, TOML does not allow it.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case float():
            return repr(int(value)) if value.is_integer() else repr(value)
        case list():
            return f"[{', '.join(toml(each) for each in value)}]"
        case dict():
            return "{ " + ", ".join(f"{name} = {toml(each)}" for name, each in value.items()) + " }"
        case _:
            return str(value)


def _plain(key: Key, value: Any) -> Any:
    """A value of the model as the file has it: units, addresses and closed sets as text."""
    for unit, written in _WRITTEN.items():
        if key.attribute == key.name + unit and value is not None:
            return written(value)
    match value:
        case Section():
            inner = ((each.name, _plain(each, getattr(value, each.attribute))) for each in keys(type(value)).values())
            return {name: each for name, each in inner if each is not None}
        case None | bool() | int() | float():
            return value
        case StrEnum():
            return value.value
        case tuple():
            return [_plain(key, each) for each in value]
    return str(value)


def _settings(model: Section, place: Place) -> Iterator[Setting]:
    for key in keys(type(model)).values():
        value = getattr(model, key.attribute)
        here = (*place, key.name)
        if isinstance(value, Section):
            yield from _settings(value, here)
        elif key.section is not None and key.is_list:
            for i, entry in enumerate(value):
                yield from _settings(entry, (*here, i))
        else:
            origin = Origin.FILE if key.attribute in model.model_fields_set else Origin.DEFAULT
            yield Setting(path_text(here), _plain(key, value), origin)


def _example_tables(
    section: type[Section], place: Place, defaults: Section | None, shown: dict[type[Section], str]
) -> Iterator[str]:
    """The tables under `section`, each with its header and keys; one of a kind that was shown before only by name."""
    for key in keys(section).values():
        if key.section is None:
            continue
        here = (*place, key.name)
        if key.section in shown:
            yield f"# {_header(here, key)} has the keys of {shown[key.section]}, for this {place[-1]} alone"
            continue
        shown[key.section] = _header(here, key)
        inner = None if key.is_list or defaults is None else getattr(defaults, key.attribute)
        lines = [
            (_assigned(each.name, _example_value(each, inner)), _example_comment(each))
            for each in keys(key.section).values()
            if each.section is None
        ]
        meaning = " ".join(filter(None, (f"# {key.section.__doc__}", _description(key))))
        yield "\n".join([meaning, _header(here, key), *_commented(lines)])
        yield from _example_tables(key.section, here, inner, shown)


def _example_value(key: Key, defaults: Section | None) -> Any:
    if key.info.examples:
        return key.info.examples[0]
    return _plain(key, getattr(defaults, key.attribute) if defaults is not None else key.info.default)


def _example_comment(key: Key) -> str:
    if key.info.is_required():
        return f"* {_description(key)}"
    if not key.info.examples or key.info.default_factory is not None:
        return _description(key)
    default = _plain(key, key.info.default)
    if not default or default == key.info.examples[0]:
        return _description(key)
    return f"{_description(key)} (default: {toml(default)})"


def _key_at(place: Place) -> Key:
    section: type[Section] = Config
    for step in place[:-1]:
        inner = keys(section)[str(step)].section
        assert inner is not None
        section = inner
    return keys(section)[str(place[-1])]


def _header(place: Place, key: Key) -> str:
    return f"[[{path_text(place)}]]" if key.is_list else f"[{path_text(place)}]"


def _description(key: Key) -> str:
    return key.info.description or ""


def _assigned(name: str, value: Any) -> str:
    """`name = value`; a list that is too long for a line takes one for each entry."""
    line = f"{name} = {toml(value)}"
    if len(line) <= _WIDTH or not isinstance(value, list):
        return line
    return "\n".join([f"{name} = [", *(f"    {toml(each)}," for each in value), "]"])


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _commented(lines: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Each line with its comment: behind it, in one column, where there is room; else above it."""
    widths = [_columns(line) for line, _ in lines if "\n" not in line]
    column = max((width for width in widths if width <= _COMMENT_COLUMN), default=0)
    for line, comment in lines:
        beside = f"{line}{' ' * (column - _columns(line))}  # {comment}"
        if "\n" in line or _columns(beside) > _WIDTH:
            yield f"# {comment}"
            yield line
        else:
            yield beside
