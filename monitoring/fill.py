"""How a NodeSnapshot becomes the samples of a family. Pure; what is not known gives none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from monitoring.family import Sample
from monitoring.snapshot import Destination, Line, NodeSnapshot, Target, Value

# Closed sets: every member is exported as 0 or 1, so that a change of state changes a value and never makes a series.
MODES = ("starting", "online", "backup", "offline")
DESTINATION_STATES = ("current", "behind", "unreachable", "refused", "paused")
VERDICTS = ("unknown", "up", "degraded", "down")
ORDERS = ("pin", "hold", "rehearse")
LITESTREAM_STATES = ("running", "stopped", "failing")
MESSAGE_STATES = ("queued", "waiting", "dead")
# A probe that only comes back or does not says nothing of the direction in which it was lost: it has only "both".
DIRECTIONS: Mapping[str, Callable[[Target], float | None]] = {
    "out": lambda target: target.lost_out_ratio,
    "back": lambda target: target.lost_back_ratio,
    "both": lambda target: target.loss_ratio,
}


def one_of(members: tuple[str, ...], present: str, *labels: str) -> Iterator[Value]:
    """1 for the member that is present, 0 for the others."""
    for member in members:
        yield Value(labels=(*labels, member), value=float(member == present))


def known(value: float | None) -> Iterator[Value]:
    """A number without labels, or nothing while it is not known; True and False count as 1 and 0."""
    if value is not None:
        yield Value(value=float(value))


def each(values: Mapping[str, float]) -> Iterator[Value]:
    for label, value in values.items():
        yield Value(labels=(label,), value=float(value))


def mode(node: NodeSnapshot) -> Iterable[Sample]:
    return () if node.mode is None else one_of(MODES, node.mode)


def service_timestamps(node: NodeSnapshot) -> Iterable[Sample]:
    # 0 for a service that never wrote: an alert on the age must fire for it too, and cannot on a missing series.
    return each({service: at or 0.0 for service, at in node.service_written_at.items()})


def litestream(node: NodeSnapshot) -> Iterable[Sample]:
    return () if node.litestream is None else one_of(LITESTREAM_STATES, node.litestream)


def destination_states(node: NodeSnapshot) -> Iterable[Sample]:
    for destination in node.destinations:
        yield from one_of(DESTINATION_STATES, destination.state, destination.name)


def per_destination(pick: Callable[[Destination], float | None]) -> Callable[[NodeSnapshot], Iterable[Sample]]:
    def samples(node: NodeSnapshot) -> Iterable[Sample]:
        return each({d.name: value for d in node.destinations if (value := pick(d)) is not None})

    return samples


def per_line(pick: Callable[[Line], float | None]) -> Callable[[NodeSnapshot], Iterable[Sample]]:
    def samples(node: NodeSnapshot) -> Iterable[Sample]:
        return each({line.name: value for line in node.lines if (value := pick(line)) is not None})

    return samples


def per_target(pick: Callable[[Target], float | None], *more: str) -> Callable[[NodeSnapshot], Iterable[Sample]]:
    def samples(node: NodeSnapshot) -> Iterable[Sample]:
        # An address may be asked in two ways through one line; a series there is only one, of the worse.
        worst: dict[tuple[str, ...], float] = {}
        for line in node.lines:
            for target in line.targets:
                if (value := pick(target)) is not None:
                    labels = (line.name, target.address, *more)
                    worst[labels] = max(value, worst.get(labels, value))
        return (Value(labels=labels, value=value) for labels, value in worst.items())

    return samples


def losses(node: NodeSnapshot) -> Iterable[Sample]:
    for direction, pick in DIRECTIONS.items():
        yield from per_target(pick, direction)(node)


def verdicts(node: NodeSnapshot) -> Iterable[Sample]:
    for line in node.lines:
        yield from one_of(VERDICTS, line.verdict, line.name)


def line_infos(node: NodeSnapshot) -> Iterable[Sample]:
    return (Value(labels=(line.name, line.carrier or "unknown"), value=1.0) for line in node.lines)


def orders(node: NodeSnapshot) -> Iterable[Sample]:
    for line in node.lines:
        yield from one_of(ORDERS, line.order or "none", line.name)


def messages(node: NodeSnapshot) -> Iterable[Sample]:
    for upstream in node.upstreams:
        for state, count in zip(MESSAGE_STATES, (upstream.queued, upstream.waiting, upstream.dead), strict=True):
            yield Value(labels=(upstream.name, state), value=float(count))


def oldest(node: NodeSnapshot) -> Iterable[Sample]:
    return each({up.name: up.oldest_queued_at for up in node.upstreams if up.oldest_queued_at is not None})


def build(node: NodeSnapshot) -> Iterable[Sample]:
    build = node.build
    yield Value(labels=(build.version, build.litestream or "unknown", build.sqlite), value=1.0)
