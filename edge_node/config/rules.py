"""Rules between fields, which no field can judge alone. Each is a function of the configuration that yields problems.

In a file with other problems some values are blank; a rule that meets one (AttributeError) stays silent.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

from edge_node.base.errors import Problem
from edge_node.base.units import format_duration
from edge_node.config.schema import Config, Detect, Existing, Line, ProbeKind, Target, TargetRole
from edge_node.config.values import shown

Rule = Callable[[Config], Iterator[Problem]]

# Fewer lost answers than this in a row are weather, not silence.
PROBES_OF_SILENCE = 3
# A line that is condemned sooner wants two targets: one silent host must not cost the line.
FAST_DEAD_AFTER_S = 1.0


def broken(config: Config, *, is_partial: bool = False) -> list[Problem]:
    """Every rule that the configuration breaks. In a partial one, rules about blank values are skipped."""
    found: list[Problem] = []
    for rule in RULES:
        try:
            for problem in rule(config):
                found.append(problem)
        except AttributeError:
            if not is_partial:
                raise
    return found


def _tls_off_loopback(config: Config) -> Iterator[Problem]:
    if config.his.tls is None and not config.his.listen.is_loopback:
        yield Problem(
            path="his.listen",
            text=f'"{config.his.listen}": without his.tls only a loopback address, such as "127.0.0.1:8080"',
        )


def _listeners_apart(config: Config) -> Iterator[Problem]:
    his, monitor = config.his.listen, config.monitor.listen
    everywhere = {"0.0.0.0", "::"}  # noqa: S104
    if his.port == monitor.port and (his.host == monitor.host or everywhere & {his.host, monitor.host}):
        yield Problem(path="monitor.listen", text=f'"{monitor}": his.listen has that port; choose another')


def _folders_apart(config: Config) -> Iterator[Problem]:
    node = config.node
    seen = {node.state_dir: "state_dir"}
    for name, path in (("run_dir", node.run_dir), ("links_dir", node.links_dir)):
        if path in seen:
            yield Problem(path=f"node.{name}", text=f'"{path}": is {seen[path]} too; give each its own folder')
        seen[path] = name


def _local_replica_apart(config: Config) -> Iterator[Problem]:
    local, state = config.replica.local, config.node.state_dir
    if local == state or local in state.parents:
        yield Problem(path="replica.local", text=f'"{local}": holds state_dir; give the replica a folder of its own')
    for name in ("data", "litestream", "shipping", "credentials", "orders", "copies"):
        if _overlap(local, state / name):
            yield Problem(path="replica.local", text=f'"{local}": state_dir/{name} is used otherwise; choose another')


def _encryption_decided(config: Config) -> Iterator[Problem]:
    if "replica" not in config.model_fields_set:
        return
    replica = config.replica
    if replica.plain and replica.encrypt_to:
        yield Problem(path="replica.plain", text="true beside encrypt_to; keep one of the two")
    if not replica.plain and not replica.encrypt_to:
        yield Problem(
            path="replica.encrypt_to",
            text='must be given, such as ["age1…", "age1…"]; or plain = true to ship unencrypted',
        )


def _destination_names(config: Config) -> Iterator[Problem]:
    for i, destination in enumerate(config.replica.destination):
        if getattr(destination, "name", None) == "local":
            yield Problem(path=f"replica.destination[{i}].name", text='"local": is the local replica; choose another')


def _files_need_no_network(config: Config) -> Iterator[Problem]:
    for i, destination in enumerate(config.replica.destination):
        if getattr(destination, "url", "").startswith("file://"):
            for name in ("endpoint", "addresses", "region", "credential"):
                if getattr(destination, name, None):
                    yield Problem(path=f"replica.destination[{i}].{name}", text="a file:// destination has none")


def _file_destinations_apart(config: Config) -> Iterator[Problem]:
    local, state = config.replica.local, config.node.state_dir
    for i, destination in enumerate(config.replica.destination):
        url = getattr(destination, "url", "")
        if not url.startswith("file://"):
            continue
        path = Path(url.removeprefix("file://"))
        if _overlap(path, local) or _overlap(path, state / "data"):
            yield Problem(
                path=f"replica.destination[{i}].url",
                text=f"{shown(url)}: overlaps the local replica or the databases; choose a folder of its own",
            )


def _rpo_limit_can_be_met(config: Config) -> Iterator[Problem]:
    for i, destination in enumerate(config.replica.destination):
        limit_s = getattr(destination, "rpo_limit_s", None)
        if limit_s is not None and limit_s <= config.replica.sync_every_s:
            yield _longer(
                f"replica.destination[{i}].rpo_limit", limit_s, "must be longer than", "replica.sync_every",
                config.replica.sync_every_s,
            )  # fmt: skip


def _longer(path: str, value_s: float, relation: str, other: str, other_s: float) -> Problem:
    text = f'"{format_duration(value_s)}" {relation} {other} ("{format_duration(other_s)}")'
    return Problem(path=path, text=text)


def _detect(config: Config) -> Iterator[Problem]:
    common = config.lines.detect
    yield from _limits("lines.detect", common, None)
    for i, line in enumerate(config.line):
        if "detect" in vars(line):
            yield from _limits(f"line[{i}].detect", line.detect, common)


def _limits(path: str, detect: Detect, common: Detect | None) -> Iterator[Problem]:
    """Limits that contradict each other; not again for a line that takes both from [lines.detect]."""

    def pair(first: str, second: str) -> tuple[Any, Any] | None:
        values = getattr(detect, first, None), getattr(detect, second, None)
        inherited = common is not None and values == (getattr(common, first, None), getattr(common, second, None))
        return None if None in values or inherited else values

    for key, other, relation, holds in (
        ("hold", "hold_max", "is longer than", lambda a, b: a <= b),
        ("dead_after", "window", "is longer than", lambda a, b: a <= b),
        ("confirm", "window", "is longer than", lambda a, b: a <= b),
        ("rtt_ok", "rtt_bad", "is longer than", lambda a, b: a <= b),
    ):
        values = pair(f"{key}_s", f"{other}_s")
        if values and not holds(*values):
            yield _longer(f"{path}.{key}", values[0], relation, other, values[1])
    values = pair("dead_after_s", "interval_s")
    if values and values[0] < PROBES_OF_SILENCE * values[1] - 1e-9:
        yield _longer(f"{path}.dead_after", values[0], "is shorter than three times", "interval", values[1])
    values = pair("loss_ok", "loss_bad")
    if values and values[0] > values[1]:
        yield Problem(path=f"{path}.loss_ok", text=f"{values[0]:g} is more than loss_bad ({values[1]:g})")
    values = pair("reuse", "suppress")
    if values and values[1] and values[0] >= values[1]:
        yield Problem(path=f"{path}.reuse", text=f"{values[0]} must be less than suppress ({values[1]})")


def _lines(config: Config) -> Iterator[Problem]:
    for i, line in enumerate(config.line):
        yield from _gateway(f"line[{i}]", line)
        yield from _targets(f"line[{i}]", line)


def _service_ip(config: Config) -> Iterator[Problem]:
    if config.lines.service_ip is not None:
        return
    for i, line in enumerate(config.line):
        if getattr(line, "existing", None) is Existing.SERVICE_IP:
            yield Problem(path=f"line[{i}].existing", text='"service-ip": needs lines.service_ip')


def _line_tables_apart(config: Config) -> Iterator[Problem]:
    for i, line in enumerate(config.line):
        if getattr(line, "table", None) == config.lines.table:
            yield Problem(path=f"line[{i}].table", text=f"{config.lines.table}: is lines.table; choose another")


def _gateway(path: str, line: Line) -> Iterator[Problem]:
    address, gateway = getattr(line, "address", None), getattr(line, "gateway", None)
    if address is None or gateway is None:
        return
    if gateway == address.ip:
        yield Problem(path=f"{path}.gateway", text=f'"{gateway}": is our own address')
    elif gateway not in address.network:
        yield Problem(path=f"{path}.gateway", text=f'"{gateway}": lies outside {address.network}, the line\'s network')


def _targets(path: str, line: Line) -> Iterator[Problem]:
    targets: tuple[Target, ...] = getattr(line, "target", ())
    for i, target in enumerate(targets):
        if getattr(target, "kind", None) is ProbeKind.ICMP and getattr(target, "port", None) is not None:
            yield Problem(path=f"{path}.target[{i}].port", text="an icmp target has none")
    dead_after_s = getattr(getattr(line, "detect", None), "dead_after_s", None)
    if dead_after_s is None:
        return
    for i, target in enumerate(targets):
        every_s = getattr(target, "every_s", None)
        judges = getattr(target, "role", None) is TargetRole.CLOUD
        if judges and every_s is not None and PROBES_OF_SILENCE * every_s > dead_after_s + 1e-9:
            yield _longer(f"{path}.target[{i}].every", every_s, "is longer than a third of", "dead_after", dead_after_s)
    judging = sum(getattr(target, "role", TargetRole.CLOUD) is TargetRole.CLOUD for target in targets)
    if judging == 1 and dead_after_s < FAST_DEAD_AFTER_S:
        yield Problem(
            path=f"{path}.target",
            text=f'one cloud target; dead_after below 1s ("{format_duration(dead_after_s)}") needs two',
        )


def _unique(items: Iterable[tuple[str, Hashable]], text: str) -> Iterator[Problem]:
    """A problem for every (path, value) whose value stood before; None is no value."""
    first: dict[Hashable, str] = {}
    for path, value in items:
        if value is None:
            continue
        if value in first:
            yield Problem(path=path, text=text.format(value=shown(value), first=first[value]))
        first.setdefault(value, path)


_TAKEN = "{value}: {first} has it already; choose another"


def _unique_names(config: Config) -> Iterator[Problem]:
    for table, entries in (("line", config.line), ("upstream", config.upstream)):
        yield from _unique(((f"{table}[{i}].name", getattr(e, "name", None)) for i, e in enumerate(entries)), _TAKEN)


def _unique_on_lines(config: Config) -> Iterator[Problem]:
    for name in ("preferred", "interface", "table", "mark"):
        found = ((f"line[{i}].{name}", getattr(line, name, None)) for i, line in enumerate(config.line))
        # Of two lines that are preferred alike, the defaults made from it need no sentence of their own.
        written = (
            (path, value if name in line.model_fields_set or name == "preferred" else None)
            for (path, value), line in zip(found, config.line, strict=True)
        )
        yield from _unique(written, _TAKEN)


def _unique_targets(config: Config) -> Iterator[Problem]:
    for i, line in enumerate(config.line):
        found = (
            (f"line[{i}].target[{j}].address", (target.kind, target.address, target.port))
            for j, target in enumerate(getattr(line, "target", ()))
            if {"kind", "address", "port"} <= vars(target).keys()
        )
        yield from _unique(found, "the same target as {first}")


def _unique_destinations(config: Config) -> Iterator[Problem]:
    destinations = config.replica.destination
    for name in ("name", "url"):
        found = (
            (f"replica.destination[{i}].{name}", getattr(d, name, "").rstrip("/") or None)
            for i, d in enumerate(destinations)
        )
        yield from _unique(found, _TAKEN)


def _unique_recipients(config: Config) -> Iterator[Problem]:
    found = ((f"replica.encrypt_to[{i}]", each) for i, each in enumerate(config.replica.encrypt_to))
    yield from _unique(found, "the same recipient as {first}")


def _overlap(first: Path, second: Path) -> bool:
    return first == second or first in second.parents or second in first.parents


RULES: tuple[Rule, ...] = (
    _tls_off_loopback,
    _listeners_apart,
    _folders_apart,
    _local_replica_apart,
    _encryption_decided,
    _destination_names,
    _files_need_no_network,
    _file_destinations_apart,
    _rpo_limit_can_be_met,
    _detect,
    _service_ip,
    _line_tables_apart,
    _lines,
    _unique_names,
    _unique_on_lines,
    _unique_targets,
    _unique_destinations,
    _unique_recipients,
)
