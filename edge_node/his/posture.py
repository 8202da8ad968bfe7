"""What staff are told of the node's state: the line on every page, and the page of what works now.

A posture is never a guess: what is not known is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from flask import Blueprint, g, render_template

from edge_node.base.clock import parse_utc, utc_text
from edge_node.his.context import context
from edge_node.his.language import duration, local
from edge_node.his.security import public
from edge_node.i18n import Text, reason_text, text
from edge_node.status import NodeStatus, Posture, Reason, ServiceState

blueprint = Blueprint("posture", __name__)

# A copy that is this little behind is as good as current; the line does not flicker between the two.
CURRENT_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing in the line; with a shape when it asks for attention."""

    text: Text
    shape: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Part of the second row: what goes on, what is limited, whom to call."""

    head: Text | None = None
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    sent: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Everything that the line shows."""

    name: Posture
    title: Text
    shape: str
    facts: tuple[Fact, ...] = ()
    rows: tuple[Row, ...] = ()
    progress: Progress | None = None
    exercise: bool = False


TITLES: Mapping[Posture, tuple[Text, str]] = {
    Posture.ONLINE: (text("Online"), "up"),
    Posture.BACKUP: (text("Backup line"), "swap"),
    Posture.OFFLINE: (text("Offline"), "off"),
    Posture.RECOVERING: (text("Recovering"), "rec"),
    Posture.UNKNOWN: (text("Unknown"), "unk"),
}
COPY_NAMES: Mapping[str, Text] = {"cloud": text("Cloud copy"), "local": text("Local copy")}


def line(status: NodeStatus, now_ms: int, *, why: Text | None = None) -> Line:
    """The line for a node's status; pure. `now_ms` is wall time, for how long something has lasted.

    `why` stands in for the sentence of the mode's reason.
    """
    why = why or reason_text(status.mode_reason.code, status.mode_reason.args)
    title, shape = TITLES[status.posture]
    return Line(
        name=status.posture,
        title=title,
        shape=shape,
        exercise=status.exercise,
        facts=(*_mode(status, now_ms, why), *_alarms(status), *_outbox(status, now_ms), *copy_facts(status)),
        rows=_rows(status),
        progress=_progress(status),
    )


def _mode(status: NodeStatus, now_ms: int, why: Text) -> list[Fact]:
    if status.posture is Posture.ONLINE:
        return [Fact(text=why)] if status.mode_reason.code == "no-lines" else _line_figures(status)
    facts = []
    if status.mode_since:
        since = parse_utc(status.mode_since)
        clock = f"{local(since):%H:%M}"
        lasted = duration((now_ms - since) / 1000)
        if status.posture is Posture.UNKNOWN:
            facts.append(
                Fact(
                    text=text(
                        "the lines have not been heard of for %(lasted)s, since %(clock)s", lasted=lasted, clock=clock
                    )
                )
            )
        else:
            facts.append(Fact(text=text("since %(clock)s (%(lasted)s)", clock=clock, lasted=lasted)))
    facts.append(Fact(text=why))
    if status.posture is Posture.BACKUP:
        facts.append(Fact(text=text("everything works")))
    return facts


def _line_figures(status: NodeStatus) -> list[Fact]:
    return [
        Fact(text=text("%(line)s %(ms)d ms", line=row["name"], ms=round(row["rtt_s"] * 1000)))
        for row in status.lines
        if row.get("active") and row.get("rtt_s") is not None
    ]


def _alarms(status: NodeStatus) -> list[Fact]:
    """What concerns everybody, whoever mends it."""
    told = ("his-cannot-write", "clock-suspect", "disk-low")
    words = {
        "his-cannot-write": text("Nothing can be saved at the moment"),
        "clock-suspect": text("The clock of the node cannot be right"),
        "disk-low": text("The disk is nearly full"),
    }
    return [Fact(text=words[problem.code], shape="deg") for problem in status.problems if problem.code in told]


def _outbox(status: NodeStatus, now_ms: int) -> list[Fact]:
    if "outbox" not in status.services:
        return []
    counts = status.outbox
    facts = [Fact(text=text("To send %(n)d", n=counts["queued"] + counts["waiting"]))]
    if counts["oldest_queued_at"] and status.posture is not Posture.ONLINE:
        age = duration((now_ms - parse_utc(counts["oldest_queued_at"])) / 1000)
        facts[0] = Fact(text=text("To send %(n)d, oldest %(age)s", n=counts["queued"] + counts["waiting"], age=age))
    return [*facts, Fact(text=text("To handle %(n)d", n=counts["dead"]))]


def copy_facts(status: NodeStatus) -> list[Fact]:
    """How far the copies outside the clinic are; the local one where there is no other."""
    if status.services.get("replica") is not ServiceState.OK or not status.replica["destinations"]:
        return [Fact(text=text("how far the copies are is not known"), shape="unk")]
    away = [row for row in status.replica["destinations"] if row["name"] != "local"]
    # Offline explains why a copy cannot be reached: then only how far it is behind is news.
    cut_off = status.posture is Posture.OFFLINE
    return [copy_fact(row, cut_off=cut_off) for row in away or status.replica["destinations"]]


def copy_fact(row: Mapping[str, Any], *, cut_off: bool = False) -> Fact:
    """How far one destination is, in words."""
    copy = COPY_NAMES.get(row["name"]) or text("Copy %(name)s", name=row["name"])
    rpo_s = row.get("rpo_s") or 0.0
    match row["state"]:
        case "current" | "behind" if rpo_s < CURRENT_WITHIN_S:
            return Fact(text=text("%(copy)s is up to date", copy=copy))
        case "unreachable" | "refused" if not cut_off:
            return Fact(
                text=text("%(copy)s cannot be reached, %(behind)s behind", copy=copy, behind=duration(rpo_s)),
                shape="deg",
            )
        case "paused":
            return Fact(text=text("%(copy)s is paused, %(behind)s behind", copy=copy, behind=duration(rpo_s)))
        case _:
            return Fact(text=text("%(copy)s %(behind)s behind", copy=copy, behind=duration(rpo_s)))


def _rows(status: NodeStatus) -> tuple[Row, ...]:
    if status.posture is Posture.OFFLINE:
        return (
            Row(head=text("As usual:"), text=text("reception, encounters, patients, signing")),
            Row(head=text("Later:"), text=text("copies outside the clinic; they catch up by themselves")),
        )
    if status.posture is Posture.UNKNOWN:
        return (Row(text=text("Work goes on as usual; tell the administrator")),)
    return ()


def _progress(status: NodeStatus) -> Progress | None:
    counts = status.outbox
    if status.posture is not Posture.RECOVERING or not counts.get("since_outage"):
        return None
    total = int(counts["since_outage"])
    return Progress(sent=max(0, total - counts["queued"] - counts["waiting"]), total=total)


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
        name=text("Copies outside the clinic"),
        online=Cell(kind="ok", shape="up", state=text("at once")),
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
    if now is None or all(problem.code != "his-cannot-write" for problem in status.problems):
        return list(FUNCTIONS)
    broken: dict[str, Any] = {now: _NOT_SAVED, "who": text("the administrator, at once")}
    return [replace(function, **broken) if function.saves else function for function in FUNCTIONS]


def node_status() -> NodeStatus:
    """The node's status, read once for this request."""
    if "node_status" not in g:
        g.node_status = context().node_status()
    return cast(NodeStatus, g.node_status)


def current_line() -> Line:
    """The line for this request."""
    return line(node_status(), context().clock.wall_ms())


@blueprint.get("/posture/line", endpoint="line")
@public
def line_alone() -> str:
    """The line alone; the script asks for it every few seconds."""
    return render_template("posture/line.html", posture_line=current_line())


@blueprint.get("/posture")
@public
def index() -> str:
    """What works now."""
    status = node_status()
    return render_template(
        "posture/index.html", functions=functions(status), now=COLUMNS.get(status.posture), samples=samples(status)
    )


def samples(status: NodeStatus) -> list[tuple[Text, Line]]:
    """What the line looks like in each posture, so that nobody sees one for the first time in a bad moment."""
    begun, now = 1_795_396_860_000, 1_795_399_140_000
    healthy = {**status.replica, "destinations": [{"name": "cloud", "state": "current", "rpo_s": 0.0}]}
    cut_off = {**status.replica, "destinations": [{"name": "cloud", "state": "unreachable", "rpo_s": 2280.0}]}
    base = replace(
        status,
        posture=Posture.ONLINE,
        exercise=False,
        problems=(),
        mode_since=utc_text(begun),
        replica=healthy,
        services={"replica": ServiceState.OK},
        mode_reason=Reason(code="no-lines"),
    )

    def sample(why: Text, **changes: Any) -> Line:
        return line(replace(base, **changes), now, why=why)

    return [
        (text("Online: quiet, one row"), line(base, now)),
        (
            text("Backup line: everything works, you are only told"),
            sample(text("telecom is silent, unicom is used"), posture=Posture.BACKUP),
        ),
        (
            text("Offline: dark, with a second row on what goes on and what waits"),
            sample(text("both lines are down"), posture=Posture.OFFLINE, replica=cut_off),
        ),
        (
            text("Recovering: a line is back; green only when everything has left"),
            sample(
                text("telecom is back"),
                posture=Posture.RECOVERING,
                outbox={**status.outbox, "queued": 144, "since_outage": 412},
            ),
        ),
        (
            text("Unknown: stripes; nobody knows, which does not mean that it is broken"),
            sample(text("the last word was: online"), posture=Posture.UNKNOWN),
        ),
        (text("Exercise: a flag before the name, a frame round the page"), line(replace(base, exercise=True), now)),
    ]
