"""The form by which an administrator gives an order about a copy: what was posted, or what is wrong with it; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edge_node.his.copies import LOCAL
from edge_node.his.forms import FieldProblem
from edge_node.i18n import Text, text
from edge_node.proof_orders import LARGEST_TEXT, ProofOrderKind

HOUR_S = 3600.0
# How long a pause may be: a day, since a copy that is sent nothing is a copy that is not made.
PAUSES: Mapping[str, Text] = {"1": text("1 h"), "4": text("4 h"), "12": text("12 h"), "24": text("24 h")}
# A drill that waits for others is begun within this, or never.
BEGUN_WITHIN_S = 6 * HOUR_S
KINDS = (ProofOrderKind.DRILL, ProofOrderKind.VERIFY, ProofOrderKind.PAUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An order as it was asked for."""

    kind: ProofOrderKind
    destination: str
    why: str
    for_s: float


def parse(form: Mapping[str, str], *, names: Collection[str]) -> Wanted | list[FieldProblem]:
    """Raises ValueError for what no form of ours posts."""
    kind, destination = ProofOrderKind(form.get("kind", "")), form.get("destination", "")
    hours = form.get("hours", "1")
    if kind not in KINDS or destination not in names or hours not in PAUSES:
        raise ValueError("not a form of ours")
    why = " ".join(form.get("why", "").split())
    found = []
    if kind is ProofOrderKind.PAUSE and destination == LOCAL:
        sentence = text("The local copy is Litestream's; only a destination outside can be paused")
        found.append(FieldProblem(field="destination", text=sentence))
    if not why:
        found.append(FieldProblem(field="why", text=text("Write why, in a few words")))
    elif len(why) > LARGEST_TEXT:
        found.append(FieldProblem(field="why", text=text("Too long; 200 characters at most")))
    if found:
        return found
    for_s = float(hours) * HOUR_S if kind is ProofOrderKind.PAUSE else BEGUN_WITHIN_S
    return Wanted(kind=kind, destination=destination, why=why, for_s=for_s)
