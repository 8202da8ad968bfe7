"""The schema as data: which keys a table has, what stands behind each, and how a place in the file is written."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from edge_node.config.schema import Config
from edge_node.config.section import Section

# A place in the file: keys, and the numbers of list entries from 0.
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a table: `attribute` is its name in the model, `section` the table behind it, if it is one."""

    name: str
    attribute: str
    info: FieldInfo
    section: type[Section] | None
    is_list: bool

    @property
    def placeholder(self) -> Any:
        """A value that is valid here; a table has those of its required keys."""
        if self.section is None:
            return (self.info.examples or [None])[0]
        table = {key.name: key.placeholder for key in keys(self.section).values() if key.info.is_required()}
        return [table] if self.is_list else table


@cache
def keys(section: type[Section]) -> Mapping[str, Key]:
    """The keys of a table by their names in the file, in the order of the schema."""
    hints = get_type_hints(section)
    found = (_key(attribute, info, hints[attribute]) for attribute, info in section.model_fields.items())
    return {key.name: key for key in found}


def _key(attribute: str, info: FieldInfo, hint: Any) -> Key:
    is_list = get_origin(hint) is tuple
    candidates = get_args(hint) if get_origin(hint) in (tuple, Union, types.UnionType) else (hint,)
    sections = [each for each in candidates if isinstance(each, type) and issubclass(each, Section)]
    return Key(
        name=info.alias or attribute,
        attribute=attribute,
        info=info,
        section=sections[0] if sections else None,
        is_list=is_list,
    )


def tables(section: type[Section] = Config, place: Place = ()) -> Iterator[tuple[Place, type[Section]]]:
    """Every table of the schema with its place; lists without their numbers."""
    yield place, section
    for key in keys(section).values():
        if key.section is not None:
            yield from tables(key.section, (*place, key.name))


def table_at(place: Sequence[str | int]) -> type[Section] | None:
    """The table that stands at a place; None where something else does."""
    section: type[Section] | None = Config
    for step in place:
        if isinstance(step, str):
            key = keys(section).get(step) if section is not None else None
            section = key.section if key is not None else None
    return section


def path_text(place: Sequence[str | int]) -> str:
    """A place as it is shown: `line[1].target[0].every`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
