"""README.txt of a bundle: what an engineer of the carrier has to know, in the languages of the clinic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edge_node.i18n import CHINESE, ENGLISH, Text, duration, text, translate

_STATES = {"down": text("down"), "degraded": text("degraded"), "up": text("up"), "unknown": text("unknown")}
_HELD = {"whole": text("complete"), "in part": text("in part"), "missing": text("missing")}
_AROUND = {"start": text("the start"), "end": text("the end"), "start and end": text("start and end")}
_RULES = {
    "no answer from any target": text("no answer from any target"),
    "no answer from any target, on every line alike": text("no answer from any target, on every line alike"),
    "share of lost probes over the window": text("share of lost probes over the window"),
    "95 in 100 answers over the window": text("95 in 100 answers over the window"),
    "the interface has no carrier (kernel)": text("the interface has no carrier (kernel)"),
    "the interface is gone (kernel)": text("the interface is gone (kernel)"),
    "the address is gone from the interface (kernel)": text("the address is gone from the interface (kernel)"),
    "large packets vanish, small ones pass": text("large packets vanish, small ones pass"),
    "the line's own route is gone (kernel)": text("the line's own route is gone (kernel)"),
}
LANGUAGES = (CHINESE, ENGLISH)


def readme(document: Mapping[str, Any]) -> bytes:
    """The incident in words, Chinese first; for a Windows machine as well."""
    parts = [
        "\n".join("" if line is None else translate(line, language) for line in _lines(document, language))
        for language in LANGUAGES
    ]
    return "\n\n----------------------------------------\n\n".join(parts).replace("\n", "\r\n").encode("utf-8-sig")


def _lines(told: Mapping[str, Any], language: str) -> Iterator[Text | None]:
    """None is an empty line: the catalogs' own head is what they have for an empty sentence."""
    line, signal = told["line"], told["signal"]
    yield text("Evidence of an incident on a dedicated line")
    yield None
    yield text(
        "Site: %(name)s (%(id)s). Line: %(line)s, carrier %(carrier)s, circuit %(circuit)s.",
        name=told["node"]["name"], id=told["node"]["id"], line=line["name"], carrier=line["carrier"] or "-",
        circuit=line["circuit"] or "-",
    )  # fmt: skip
    yield text("Incident %(id)s: the line was %(state)s.", id=told["incident"], state=_STATES[told["state"]])
    yield text("Start: %(local)s (%(zone)s), %(utc)s UTC.", **_moment(told["start"]))
    if told["end"] is None:
        yield text("End: none yet; it went on at %(utc)s UTC.", utc=told["made_at"])
    else:
        yield text("End: %(local)s (%(zone)s), %(utc)s UTC.", **_moment(told["end"]))
    yield text("Duration: %(for_)s (%(seconds)s s).", for_=duration(told["duration_s"]), seconds=told["duration_s"])
    if told["maintenance"]:
        yield text("Part of this time was announced as maintenance; see incident.json.")
    yield None
    yield text("How it was detected: %(sentence)s.", sentence=signal["sentence"][language])
    if signal["rule"]:
        limits = ", ".join(f"{name} = {value}" for name, value in signal["limits"].items())
        yield text("Rule: %(rule)s (%(limits)s).", rule=_RULES[signal["rule"]], limits=limits or "-")
    yield _directions(told["directions"])
    yield _last_hop(told["last_hop"])
    yield _link(told["link"])
    for other in told["other_lines"]:
        yield text(
            "At the same time line %(line)s was %(state)s; %(answered)s of %(asked)s probes were answered.",
            line=other["name"], state=_STATES.get(other["at_start"]["verdict"], other["at_start"]["verdict"]),
            answered=other["probes_during"]["answered"], asked=other["probes_during"]["asked"],
        )  # fmt: skip
    yield None
    yield from _clock(told["clock"])
    yield text(
        "Raw samples: %(count)s, from %(radius)s s before to %(radius)s s after; of a long incident, around its start "
        "and its end.",
        count=told["samples"]["count"], radius=f"{told['samples']['radius_s']:g}",
    )  # fmt: skip
    yield from _parts(told["samples"])
    yield None
    yield text("incident.json has all of this for machines; samples.csv and samples.jsonl have each probe.")
    yield text(
        "manifest.json has the SHA-256 of each file and the digest of the evidence before it: no part and no incident "
        "can be changed or left out unnoticed. To check: sha256sum, or edge-node line evidence --verify FILE"
    )
    yield text(
        "Columns: when it was asked (UTC, local, seconds since boot), line, target, outcome, round trip in ms, and "
        "where it is known whether it was lost on the way out or back."
    )
    yield text(
        "Outcomes: answered, late (after it was given up), lost, refused, unreachable, and blind: this machine itself "
        "was held up, which proves nothing."
    )


def _moment(moment: Mapping[str, Any]) -> dict[str, str]:
    return {
        "local": str(moment["local"]).replace("T", " ")[:19],
        "zone": str(moment["zone"]),
        "utc": str(moment["utc"]).replace("T", " ").rstrip("Z"),
    }


def _directions(told: Mapping[str, Any]) -> Text:
    samples = told["samples"]
    if not (samples["out"] or samples["back"]):
        return text("Direction of loss: not known (%(n)s probes lost in the samples).", n=samples["unknown"])
    return text(
        "Lost on the way out (site to cloud): %(out)s; on the way back: %(back)s; not known: %(n)s.",
        out=samples["out"], back=samples["back"], n=samples["unknown"],
    )  # fmt: skip


def _last_hop(told: Mapping[str, Any]) -> Text:
    targets = ", ".join(told["targets"])
    match told["answered"]:
        case True:
            return text(
                "The carrier's gateway (%(targets)s) went on answering: the fault lies behind it.", targets=targets
            )
        case False:
            return text("The carrier's gateway (%(targets)s) did not answer either.", targets=targets)
        case _:
            return text("The carrier's gateway was not asked.")


def _link(told: Mapping[str, Any]) -> Text:
    start, changes = told["at_start"], told["changes"]
    if any(change["carrier"] is False for change in changes) or (start or {}).get("carrier") is False:
        return text("The interface lost its carrier (cable, port or converter).")
    if start is None or start["carrier"] is None:
        return text("Whether the interface had its carrier is not known.")
    return text("The interface kept its carrier all the time.")


def _clock(told: Mapping[str, Any]) -> Iterator[Text]:
    if told["synchronised"] is None:
        yield text("Clock of this machine: not known whether it is synchronised.")
    elif not told["synchronised"]:
        yield text("Clock of this machine: NOT synchronised; the times may be off.")
    elif told["offset_s"] is None:
        yield text("Clock of this machine: synchronised, offset not known.")
    else:
        yield text("Clock of this machine: synchronised, off by %(ms)s ms.", ms=f"{told['offset_s'] * 1000:+.3f}")
    for step in told["set_meanwhile"]:
        yield text(
            "The clock was set by %(by)s s at %(at)s UTC; durations are by boot time.", by=f"{step['by_s']:+g}",
            at=step["at"],
        )  # fmt: skip


def _parts(told: Mapping[str, Any]) -> Iterable[Text]:
    for part in told["parts"]:
        if part["state"] != "whole":
            yield text(
                "Samples around %(edge)s: %(state)s.", edge=_AROUND[part["around"]], state=_HELD[part["state"]]
            )  # fmt: skip
    if told["days_without_file"]:
        yield text("There is no record any more of: %(days)s.", days=", ".join(told["days_without_file"]))
    if told["is_cut"]:
        yield text("There were more samples than fit; those of other lines were left out first.")
