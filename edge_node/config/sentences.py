"""The schema's own refusals as sentences: unknown keys with a suggestion, missing ones with an example."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from edge_node.base.errors import Problem
from edge_node.config.keys import Key, Place, keys, path_text, table_at, tables
from edge_node.config.values import did_you_mean, nearest, shown

# Names under which people write secrets. Their values are never repeated.
_SECRETS = {"password", "passwd", "secret", "secret_key", "secret_access_key", "access_key", "access_key_id"}
_SECRETS |= {"token", "api_key", "private_key", "identity"}


def problems(error: ValidationError) -> list[Problem]:
    """Each of pydantic's findings as one problem. A key that is missing because it is misspelt is one problem."""
    findings = error.errors()
    misspelt = {
        guess
        for place in (finding["loc"] for finding in findings if finding["type"] == "extra_forbidden")
        if (guess := meant(place)) is not None
    }
    return [
        Problem(path=path_text(finding["loc"]), text=_sentence(finding["type"], finding["loc"], finding))
        for finding in findings
        # A default that is made from a wrong value is not called; the wrong value has its own problem.
        if finding["type"] != "default_factory_not_called"
        and not (finding["type"] == "missing" and finding["loc"] in misspelt)
    ]


def meant(place: Place) -> Place | None:
    """The place that was probably meant by one that does not exist."""
    table = table_at(place[:-1])
    name = nearest(str(place[-1]), list(keys(table))) if table is not None else None
    return None if name is None else (*place[:-1], name)


def _sentence(kind: str, place: Place, finding: Any) -> str:
    match kind:
        case "value_error":
            return str(finding["ctx"]["error"])
        case "extra_forbidden":
            return _unknown(place)
        case "missing":
            return _missing(_key(place))
        case "model_type" | "model_attributes_type" | "tuple_type":
            return f"{shown(finding['input'])}: {_shape(place)}"
    return f"{shown(finding['input'])}: {finding['msg']}"


def _key(place: Place) -> Key | None:
    names = [step for step in place if isinstance(step, str)]
    table = table_at(names[:-1])
    return keys(table).get(names[-1]) if table is not None and names else None


def _unknown(place: Place) -> str:
    name = str(place[-1])
    if name in _SECRETS:
        return 'no secret belongs in this file; write credential = "NAME" and keep it under credentials/NAME'
    table = table_at(place[:-1])
    known = list(keys(table)) if table is not None else []
    if suggestion := did_you_mean(name, known):
        return f"unknown key{suggestion}"
    homes = [path_text(where) for where, section in tables() if where and name in keys(section)]
    if homes:
        return f"unknown key here; it belongs to {' or '.join(f'[{home}]' for home in homes)}"
    return f"unknown key; known are {', '.join(known)}"


def _missing(key: Key | None) -> str:
    if key is None:
        return "must be given"
    if key.section is not None:
        inner = ", ".join(f"{name} = {shown(value)}" for name, value in key.placeholder.items())
        return f"must be given: a table [{key.name}] with {inner}"
    return f"must be given, such as {key.name} = {shown(key.placeholder)}"


def _shape(place: Place) -> str:
    """What stands here: a table, a list of tables, a list."""
    key = _key(place)
    header = path_text([step for step in place if isinstance(step, str)])
    if key is None or (key.section is None and key.is_list):
        return "write a list in square brackets"
    if key.is_list:
        return f"write [[{header}]] in two brackets, once per {key.name}"
    return f"this is a table; write [{header}] and its keys below"
