"""What works now: the functions that staff have, in each posture. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge_node.i18n import Text, text
from edge_node.status import NodeStatus, Posture


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How one function does in one posture: a badge when it is the present one, and words."""

    kind: str
    shape: str
    state: Text
    words: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """Something that staff do, in the three situations; `saves` when it is worth nothing unless it is kept.

    `who` acts when it is limited.
    """

    name: Text
    online: Cell
    offline: Cell
    recovering: Cell
    saves: bool = True
    who: Text | None = None


_USUAL = Cell(kind="ok", shape="up", state=text("as usual"))
_AT_ONCE = Cell(kind="ok", shape="up", state=text("at once"))
FUNCTIONS = (
    Function(name=text("Reception, queue, finding patients"), online=_USUAL, offline=_USUAL, recovering=_USUAL),
    Function(name=text("Notes, diagnoses, signing"), online=_USUAL, offline=_USUAL, recovering=_USUAL),
    Function(name=text("Signing in, changing the password"), online=_USUAL, offline=_USUAL, recovering=_USUAL),
    Function(
        name=text("Copy in the clinic"),
        online=_USUAL,
        recovering=_USUAL,
        saves=False,
        offline=Cell(kind="ok", shape="up", state=text("as usual"), words=text("within a second of saving")),
    ),
    Function(
        name=text("Messages to other systems"),
        online=_AT_ONCE,
        offline=Cell(
            kind="warn", shape="wait", state=text("waits"), words=text("leaves by itself, in order for each patient")
        ),
        recovering=Cell(kind="accent", shape="rec", state=text("being sent")),
        saves=False,
        who=text("nobody; the administrator for what is to be handled"),
    ),
    Function(
        name=text("Copies outside the clinic"),
        online=_AT_ONCE,
        offline=Cell(kind="warn", shape="wait", state=text("waits"), words=text("is caught up by itself")),
        recovering=Cell(kind="accent", shape="rec", state=text("catching up")),
        saves=False,
        who=text("nobody; the administrator if it takes long"),
    ),
)
_NOT_SAVED = Cell(
    kind="badq", shape="stop", state=text("reading only"), words=text("nothing can be saved; write on paper")
)
COLUMNS: Mapping[Posture, str] = {
    Posture.ONLINE: "online",
    Posture.BACKUP: "online",
    Posture.OFFLINE: "offline",
    Posture.RECOVERING: "recovering",
}


def functions(status: NodeStatus) -> list[Function]:
    """What works now: the table, with what a node that cannot write cannot do."""
    now = COLUMNS.get(status.posture)
    if now is None or all(problem.code not in ("his-cannot-write", "superseded") for problem in status.problems):
        return list(FUNCTIONS)
    broken: dict[str, Any] = {now: _NOT_SAVED, "who": text("the administrator, at once")}
    return [replace(function, **broken) if function.saves else function for function in FUNCTIONS]
