"""The part of the doctor's form that is a sheet: names begin with `rx-`. Nothing typed is refused here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_node.his.forms import whole_number
from edge_node.his.prescriptions.body import LINE_FIELDS, SHEET_FIELDS, Body, BodyLine

_REASON = "reason-"
# Words for people, which are printed: they keep their own signs.
_PROSE = frozenset({"decoction", "until_reason", "hint"})


class Fields(Protocol):
    """A posted form, such as werkzeug's."""

    def get(self, key: str, default: str) -> str: ...

    def getlist(self, key: str) -> Sequence[str]: ...

    def keys(self) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """The sheet that the form showed: its id, empty while there is none; what was typed; the revision it began with."""

    sheet_id: str
    body: Body
    based_on: int
    wanted: str


def parse(form: Fields) -> Posted:
    """Raises ValueError when the form is not one of ours."""
    lines = tuple(
        BodyLine(drug_id=drug_id, **{name: _typed(form, name, f"rx-{name}-{number}") for name in LINE_FIELDS})
        for number, drug_id in enumerate(form.getlist("rx-drug"), start=1)
    )
    reasons = {
        key.removeprefix(_REASON): reason
        for key in form.keys()  # noqa: SIM118 (werkzeug's form iterates over keys too, our protocol says so)
        if key.startswith(_REASON) and (reason := form.get(key, "").strip())
    }
    return Posted(
        sheet_id=form.get("rx-id", ""),
        body=Body(lines=lines, reasons=reasons, **{name: _typed(form, name, f"rx-{name}") for name in SHEET_FIELDS}),
        based_on=whole_number(form.get("rx-revision", "0")),
        wanted=form.get("rx-q", "").strip(),
    )


def _typed(form: Fields, name: str, control: str) -> str:
    """One value; full-width digits and signs of a Chinese keyboard mean the same as the plain ones."""
    typed = form.get(control, "").strip()
    return typed if name in _PROSE else unicodedata.normalize("NFKC", typed).strip()
