"""The rules that the watcher puts a line under, in words: what was found, what is allowed; pure.

The watcher writes each rule with its figures. A rule or a figure that this program does not know (a newer watcher's) is
shown as the watcher wrote it, in English.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.i18n import Text, duration, text
from edge_node.status import shapes

_YES, _NO, _UNKNOWN = text("yes"), text("no"), text("not known")
_ORDERS = {"pin": text("pin"), "hold": text("hold"), "rehearse": text("rehearse")}
_NOTHING = text("—")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """A rule: whether it is met, and its two figures. Strings are the watcher's own words, in English."""

    name: Text | str
    value: Text | str
    limit: Text | str
    is_met: bool


_Said = tuple[Text, Text, Text]


def rules_of(raw: Mapping[str, Any]) -> list[RuleRow]:
    """The rows of a line of the watcher's status file, in its order."""
    return [_row(row) for row in shapes.objects(raw.get("explain")) if shapes.words(row.get("rule"))]


def _row(raw: Mapping[str, Any]) -> RuleRow:
    rule, say = raw["rule"], _RULES.get(raw["rule"])
    said: tuple[Text | str, Text | str, Text | str] | None = None
    if say is not None:
        try:
            said = say(shapes.mapping(raw["args"]))
        except (KeyError, TypeError, ValueError):
            said = None
    if said is None:
        said = (rule, shapes.words(raw.get("value")) or "—", shapes.words(raw.get("limit")) or "—")
    return RuleRow(name=said[0], value=said[1], limit=said[2], is_met=raw.get("holds") is True)


def _three(value: object) -> Text:
    return _UNKNOWN if value is None else _YES if value else _NO


def _seconds(value: float) -> Text:
    """Short times to a hundredth: whether a second of silence has passed is decided there."""
    return text("%(seconds)s s", seconds=f"{value:.2f}") if value < 60 else duration(value)


def _link(args: Mapping[str, Any]) -> _Said:
    found = {name: _three(args[name]) for name in ("present", "carrier", "address", "route")}
    parts = text("interface %(present)s, carrier %(carrier)s, address %(address)s, route %(route)s", **found)
    return text("Link"), parts, text("all there")


def _silence(args: Mapping[str, Any]) -> _Said:
    if not args["targets"]:
        return text("Silence"), text("no target to ask"), _NOTHING
    silent_s = args["silent_s"]
    limit = text(
        "below %(limit)s on %(targets)d of %(targets)d targets",
        limit=_seconds(args["limit_s"]),
        targets=args["targets"],
    )
    return text("Silence"), text("never asked") if silent_s is None else _seconds(silent_s), limit


def _loss(args: Mapping[str, Any]) -> _Said:
    ratio = args["loss_ratio"]
    value = _NOTHING if ratio is None else text("%(share)s", share=f"{ratio:.1%}")
    return text("Loss"), value, text("up to %(most)s", most=f"{args['limit']:.1%}")


def _delay(args: Mapping[str, Any]) -> _Said:
    rtt = args["rtt_p95_s"]
    value = _NOTHING if rtt is None else text("%(ms)s ms", ms=f"{rtt * 1000:.1f}")
    return text("RTT p95"), value, text("up to %(most)s", most=text("%(ms)s ms", ms=f"{args['limit_s'] * 1000:.0f}"))


def _clean(args: Mapping[str, Any]) -> _Said:
    return text("Clean"), text("yet to prove itself"), text("good for %(time)s", time=duration(args["clean_s"]))


def _mtu(args: Mapping[str, Any]) -> _Said:
    passes = text("%(bytes)d bytes pass", bytes=args["mtu"])
    value = text("%(passes)s, set on its routes", passes=passes) if args["is_set"] else passes
    return text("Large packets (MTU)"), value, text("%(bytes)d bytes", bytes=args["expected"])


def _application(args: Mapping[str, Any]) -> _Said:
    quiet = args["is_quiet"]
    heard = text("too early to tell") if quiet is None else text("silent") if quiet else text("heard")
    value = text("%(target)s: %(heard)s", target=args["target"], heard=heard)
    return text("Application"), value, text("heard where another line hears it")


def _hold(args: Mapping[str, Any]) -> _Said:
    good = text("good for %(time)s", time=duration(args["good_s"]))
    return text("Hold"), good, text("at least %(least)s", least=duration(args["hold_s"]))


def _penalty(args: Mapping[str, Any]) -> _Said:
    below = args["below"]
    limit = text("switched off") if below is None else text("below %(limit)s", limit=f"{below:,.0f}")
    return text("Flap penalty"), text("%(share)s", share=f"{args['points']:,.0f}"), limit


def _order(args: Mapping[str, Any]) -> _Said:
    kind = _ORDERS[args["kind"]]
    value = text("%(order)s, by %(who)s", order=kind, who=args["by"]) if args["by"] else kind
    return text("Order"), value, text("%(time)s left", time=duration(args["left_s"]))


def _preference(args: Mapping[str, Any]) -> _Said:
    place = text("preferred %(n)d", n=args["preferred"])
    value = text("%(place)s, metered", place=place) if args["metered"] else place
    before = args["after"]
    limit = text("after %(lines)s", lines=" · ".join(before)) if before else text("no living line comes before it")
    return text("Preference"), value, limit


_RULES: Mapping[str, Callable[[Mapping[str, Any]], _Said]] = {
    "link": _link,
    "silence": _silence,
    "loss": _loss,
    "delay (p95)": _delay,
    "clean": _clean,
    "mtu": _mtu,
    "application": _application,
    "hold": _hold,
    "penalty": _penalty,
    "order": _order,
    "preference": _preference,
}
