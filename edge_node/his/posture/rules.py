"""What staff are told of the node's state: the line on every page, made from a NodeStatus. Pure.

A posture is never a guess: what is not known is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.base.clock import parse_utc
from edge_node.his.language import duration, local
from edge_node.i18n import Text, reason_text, text
from edge_node.status import Mode, NodeStatus, Posture, ServiceState

# A copy that is this little behind is as good as current; the line does not flicker between the two.
CURRENT_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing in the line; with a shape when it asks for attention.

    A figure that moves by itself is `quiet`: seen when it changes, and not read aloud each time.
    """

    text: Text
    shape: str = ""
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Part of the second row: what goes on, what waits, whom to call. `words` are as somebody typed them."""

    head: Text | None = None
    text: Text | None = None
    words: str = ""


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
MODE_NAMES: Mapping[Mode, Text] = {
    Mode.ONLINE: text("Online"),
    Mode.BACKUP: text("Backup line"),
    Mode.OFFLINE: text("Offline"),
}
COPY_NAMES: Mapping[str, Text] = {"cloud": text("Cloud copy"), "local": text("Local copy")}
# What a page that is open shows by itself once the node answers it no more.
LOST = Line(
    name=Posture.UNKNOWN,
    title=TITLES[Posture.UNKNOWN][0],
    shape=TITLES[Posture.UNKNOWN][1],
    facts=(Fact(text=text("the node does not answer this page")),),
    rows=(Row(text=text("What is typed here stays; save when the node answers again. Tell the administrator")),),
)


def line(status: NodeStatus, now_ms: int) -> Line:
    """The line for a node's status. `now_ms` is wall time, for how long something has lasted."""
    title, shape = TITLES[status.posture]
    progress = _progress(status)
    return Line(
        name=status.posture,
        title=title,
        shape=shape,
        exercise=status.exercise,
        facts=(
            *_mode(status, now_ms),
            *_pace(status, progress, now_ms),
            *_alarms(status),
            *_outbox(status, progress, now_ms),
            *copy_facts(status),
        ),
        rows=_rows(status),
        progress=progress,
    )


def _mode(status: NodeStatus, now_ms: int) -> list[Fact]:
    reason = status.why()
    why = Fact(text=reason_text(reason.code, reason.args))
    match status.posture:
        case Posture.UNKNOWN:
            return [_unheard(status, now_ms)]
        case Posture.ONLINE:
            return [why] if reason.code == "no-lines" else _line_figures(status)
        case Posture.BACKUP:
            return [*_since(status, now_ms), why, Fact(text=text("everything works"))]
        case Posture.OFFLINE:
            return [*_since(status, now_ms), why]
        case Posture.RECOVERING:
            return _since(status, now_ms)


def _since(status: NodeStatus, now_ms: int) -> list[Fact]:
    if not status.mode_since:
        return []
    since = parse_utc(status.mode_since)
    values = {"clock": f"{local(since):%H:%M}", "lasted": duration((now_ms - since) / 1000)}
    if status.watch.line is None:
        return [Fact(text=text("since %(clock)s (%(lasted)s)", **values), quiet=True)]
    return [
        Fact(text=text("since %(clock)s (%(lasted)s) through %(line)s", **values, line=status.watch.line), quiet=True)
    ]


def _unheard(status: NodeStatus, now_ms: int) -> Fact:
    """How long nothing was heard of the lines, and what was heard last: never as if it were so now."""
    file = status.files.get("links")
    if status.services.get("links") is ServiceState.OK:
        return Fact(text=text("the lines are still being judged"))
    if file is None or status.mode not in MODE_NAMES:
        return Fact(text=reason_text("links-unheard", {}))
    heard = parse_utc(file.written_at)
    return Fact(
        text=text(
            "nothing was heard of the lines for %(lasted)s; the last word, at %(clock)s: %(mode)s",
            lasted=duration((now_ms - heard) / 1000),
            clock=f"{local(heard):%H:%M}",
            mode=MODE_NAMES[status.mode],
        ),
        quiet=True,
    )


def _line_figures(status: NodeStatus) -> list[Fact]:
    facts = []
    for row in status.lines:
        if row.get("active"):
            rtt_s = row.get("rtt_s")
            said = (
                text("%(line)s is in use", line=row["name"])
                if rtt_s is None
                else text("%(line)s %(ms)d ms", line=row["name"], ms=round(rtt_s * 1000))
            )
            facts.append(Fact(text=said, quiet=True))
    return facts


def _alarms(status: NodeStatus) -> list[Fact]:
    """What concerns everybody, whoever mends it."""
    told = ("superseded", "his-cannot-write", "clock-suspect", "disk-low")
    words = {
        "superseded": text("This machine was replaced: nothing can be saved here"),
        "his-cannot-write": text("Nothing can be saved at the moment"),
        "clock-suspect": text("The clock of the node cannot be right"),
        "disk-low": text("The disk is nearly full"),
    }
    return [Fact(text=words[problem.code], shape="deg") for problem in status.problems if problem.code in told]


def _outbox(status: NodeStatus, progress: Progress | None, now_ms: int) -> list[Fact]:
    if "outbox" not in status.services:
        return []
    if not status.outbox_is_known:
        return [Fact(text=text("what waits to be sent is not known"), shape="unk")]
    counts = status.outbox
    to_send = counts["queued"] + counts["waiting"]
    if not (counts["upstreams"] or to_send or counts["dead"]):
        return []  # nobody is told anything
    facts = []
    if progress is None:
        said = text("To send %(n)d", n=to_send)
        if counts["oldest_queued_at"] and status.posture is not Posture.ONLINE:
            age = duration((now_ms - parse_utc(counts["oldest_queued_at"])) / 1000)
            said = text("To send %(n)d, oldest %(age)s", n=to_send, age=age)
        facts.append(Fact(text=said, quiet=True))
    facts.append(Fact(text=text("To handle %(n)d", n=counts["dead"]), quiet=True))
    return facts


def copy_facts(status: NodeStatus) -> list[Fact]:
    """How far the copies outside the clinic are; the local one where there is no other, and while nothing goes out."""
    if status.services.get("replica") is not ServiceState.OK or not status.replica["destinations"]:
        return [Fact(text=text("how far the copies are is not known"), shape="unk")]
    away = [row for row in status.replica["destinations"] if row["name"] != "local"]
    # Offline explains why a copy cannot be reached: then only how far it is behind is news, and that one is here.
    cut_off = status.posture is Posture.OFFLINE
    here = [row for row in status.replica["destinations"] if row["name"] == "local"] if cut_off or not away else []
    return [copy_fact(row, cut_off=cut_off) for row in (*away, *here)]


def copy_fact(row: Mapping[str, Any], *, cut_off: bool = False) -> Fact:
    """How far one destination is, in words."""
    copy = COPY_NAMES.get(row["name"]) or text("Copy %(name)s", name=row["name"])
    rpo_s, state = row.get("rpo_s"), row["state"]
    if (
        state in ("current", "behind")
        and (rpo_s or 0.0) < CURRENT_WITHIN_S
        and (rpo_s is not None or state != "behind")
    ):
        return Fact(text=text("%(copy)s is up to date", copy=copy))
    if rpo_s is None:
        return Fact(text=text("how far %(copy)s is behind is not known", copy=copy), shape="unk")
    behind = duration(rpo_s)
    if state in ("unreachable", "refused") and not cut_off:
        return Fact(
            text=text("%(copy)s cannot be reached, %(behind)s behind", copy=copy, behind=behind),
            shape="deg",
            quiet=True,
        )
    if state == "paused":
        return Fact(text=text("%(copy)s is paused, %(behind)s behind", copy=copy, behind=behind), quiet=True)
    return Fact(text=text("%(copy)s %(behind)s behind", copy=copy, behind=behind), quiet=True)


def _rows(status: NodeStatus) -> tuple[Row, ...]:
    if status.posture is Posture.OFFLINE:
        return (
            Row(head=text("As usual:"), text=text("reception, encounters, patients, signing")),
            Row(head=text("Later:"), text=text("messages and copies; they leave by themselves")),
            *_whom_to_call(status),
        )
    if status.posture is Posture.UNKNOWN:
        return (Row(text=text("Work goes on as usual; tell the administrator")),)
    return ()


def _whom_to_call(status: NodeStatus) -> tuple[Row, ...]:
    """The carriers of the lines that are down."""
    down = [row.get("carrier") or row["name"] for row in status.lines if row["verdict"] == "down"]
    return (Row(head=text("Report to:"), words=" · ".join(dict.fromkeys(down))),) if down else ()


def _progress(status: NodeStatus) -> Progress | None:
    counts = status.outbox
    total = counts.get("since_outage") or 0
    left = counts["queued"] + counts["waiting"] - counts["held"]
    if status.posture is not Posture.RECOVERING or not status.outbox_is_known or not 0 < left <= total:
        return None
    return Progress(sent=total - left, total=total)


def _pace(status: NodeStatus, progress: Progress | None, now_ms: int) -> list[Fact]:
    """How a recovery goes: sent of all, how fast, how long it will take at that pace, and when something left last."""
    if status.posture is not Posture.RECOVERING:
        return []
    if progress is None:
        return [Fact(text=text("the copies catch up"))]
    facts = [Fact(text=text("sent %(n)d of %(total)d", n=progress.sent, total=progress.total), quiet=True)]
    elapsed_s = (now_ms - parse_utc(status.mode_since)) / 1000 if status.mode_since else 0.0
    if progress.sent and elapsed_s >= 1:
        pace = progress.sent / elapsed_s
        left = duration((progress.total - progress.sent) / pace)
        said = (
            text("%(n)d a second, about %(left)s left", n=round(pace), left=left)
            if pace >= 1
            else text("about %(left)s left", left=left)
        )
        facts.append(Fact(text=said, quiet=True))
    if status.outbox.get("last_delivered_at"):
        clock = f"{local(parse_utc(status.outbox['last_delivered_at'])):%H:%M:%S}"
        facts.append(Fact(text=text("last delivered %(clock)s", clock=clock), quiet=True))
    return facts
