"""Rules between fields, which no field can judge alone: functions of the configuration, or of one entry, to problems.

In a file with other problems some values are blank, that is, absent from their model. A rule that needs one raises
AttributeError, and nothing is said: no one is told about a value that nobody wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_node.base.errors import Problem
from edge_node.base.units import format_duration
from edge_node.config.line_schema import APPLICATIONS, Detect, Existing, Line, ProbeKind, TargetRole
from edge_node.config.schema import Config, Destination
from edge_node.config.section import Section
from edge_node.config.values import shown

Problems = Iterator[Problem]

# Fewer lost answers than this in a row are weather, not silence.
PROBES_OF_SILENCE = 3
# A line that is condemned sooner wants two targets: one silent host must not cost the line.
FAST_DEAD_AFTER_S = 1.0
# Folders under state_dir that others write.
_USED_FOLDERS = ("data", "litestream", "shipping", "credentials", "orders", "copies", "push")
_EVERY_ADDRESS = {"0.0.0.0", "::"}
# Durations compare as floats.
_EPSILON_S = 1e-9
_TAKEN = "{value}: {first} has it already; choose another"


def broken(config: Config, *, is_partial: bool = False) -> list[Problem]:
    """Every rule that the configuration breaks. In a partial one, rules about blank values are silent."""
    found: list[Problem] = []

    def judge(rule: Callable[..., Problems], *arguments: Any) -> None:
        try:
            found.extend(rule(*arguments))
        except AttributeError:
            if not is_partial:
                raise

    def judge_entries(
        rules: Sequence[Callable[..., Problems]], path: str, list_of: Callable[[], Sequence[Any]]
    ) -> None:
        try:
            entries = list_of()
        except AttributeError:
            return
        for i, entry in enumerate(entries):
            for rule in rules:
                judge(rule, config, f"{path}[{i}]", entry)

    for rule in RULES:
        judge(rule, config)
    judge_entries(DESTINATION_RULES, "replica.destination", lambda: config.replica.destination)
    judge_entries(LINE_RULES, "line", lambda: config.line)
    return found


# --- rules of the whole


def _his_without_tls_stays_inside(config: Config) -> Problems:
    if config.his.tls is None and not config.his.listen.is_loopback:
        text = f'"{config.his.listen}": without his.tls only a loopback address, such as "127.0.0.1:8080"'
        yield Problem(path="his.listen", text=text)


def _certificate_is_one(config: Config) -> Problems:
    tls = config.his.tls
    if tls is None:
        return
    for name in ("certificate", "key"):
        path, value, is_given = f"his.tls.{name}", getattr(tls, name), name in tls.model_fields_set
        if tls.issue and is_given:
            yield Problem(path=path, text="beside issue = true, which makes its own; keep one of the two")
        elif not tls.issue and not is_given:
            text = f"must be given, such as {name} = {shown(value)}; or issue = true: the node then makes its own"
            yield Problem(path=path, text=text)


def _listeners_differ(config: Config) -> Problems:
    his, monitor = config.his.listen, config.monitor.listen
    if his.port == monitor.port and (his.host == monitor.host or _EVERY_ADDRESS & {his.host, monitor.host}):
        yield Problem(path="monitor.listen", text=f'"{monitor}": his.listen has that port; choose another')


def _folders_differ(config: Config) -> Problems:
    folders = [(f"node.{name}", getattr(config.node, name)) for name in ("state_dir", "run_dir", "links_dir")]
    yield from _unique(folders, _TAKEN)


def _local_replica_has_its_folder(config: Config) -> Problems:
    local, state = config.replica.local, config.node.state_dir
    if local == state or local in state.parents:
        yield Problem(path="replica.local", text=f'"{local}": holds state_dir; give the replica a folder of its own')
        return
    for name in _USED_FOLDERS:
        if _overlap(local, state / name):
            yield Problem(path="replica.local", text=f'"{local}": state_dir/{name} is used otherwise; choose another')


def _encryption_is_decided(config: Config) -> Problems:
    replica = config.replica
    if "replica" not in config.model_fields_set:
        return
    if replica.plain and replica.encrypt_to:
        yield Problem(path="replica.plain", text="true beside encrypt_to; keep one of the two")
    if not replica.plain and not replica.encrypt_to:
        text = 'must be given, such as ["age1…", "age1…"]; or plain = true to ship unencrypted'
        yield Problem(path="replica.encrypt_to", text=text)


def _recipients_differ(config: Config) -> Problems:
    found = ((f"replica.encrypt_to[{i}]", each) for i, each in enumerate(config.replica.encrypt_to))
    yield from _unique(found, "the same recipient as {first}")


def _destinations_differ(config: Config) -> Problems:
    entries = config.replica.destination
    yield from _unique(_column("replica.destination", entries, "name"), _TAKEN)
    yield from _unique(
        ((path, str(url).rstrip("/")) for path, url in _column("replica.destination", entries, "url")), _TAKEN
    )


def _lines_differ(config: Config) -> Problems:
    for name in ("name", "preferred", "interface"):
        yield from _unique(_column("line", config.line, name), _TAKEN)
    for name in ("table", "mark"):
        # Where two lines are preferred alike, the defaults made from it need no sentence of their own.
        yield from _unique(_column("line", config.line, name, unless_default=_preferred_twice(config.line)), _TAKEN)


def _upstreams_differ(config: Config) -> Problems:
    yield from _unique(_column("upstream", config.upstream, "name"), _TAKEN)


def _detection_agrees(config: Config) -> Problems:
    yield from _limits("lines.detect", config.lines.detect, None)


# --- rules of one destination


def _destination_is_not_the_local_replica(_: Config, path: str, destination: Destination) -> Problems:
    if destination.name == "local":
        yield Problem(path=f"{path}.name", text='"local": is the local replica\'s name; choose another')


def _folder_needs_no_network(_: Config, path: str, destination: Destination) -> Problems:
    if destination.scheme == "file":
        for name in ("endpoint", "addresses", "region", "credential"):
            if getattr(destination, name, None):
                yield Problem(path=f"{path}.{name}", text="a file:// destination has none")


def _bucket_has_a_key(_: Config, path: str, destination: Destination) -> Problems:
    # AWS_* of the environment and a cloud machine's own keys are not asked: no copy goes where nobody configured.
    if destination.scheme == "s3" and destination.credential is None:
        text = 'must be given, such as "cloud-key": the name of the file with the key of the bucket'
        yield Problem(path=f"{path}.credential", text=text)


def _folder_is_elsewhere(config: Config, path: str, destination: Destination) -> Problems:
    folder = destination.folder
    if folder is None:
        return
    if _overlap(folder, config.replica.local) or _overlap(folder, config.node.state_dir / "data"):
        text = f"{shown(destination.url)}: overlaps the local replica or the databases; choose a folder of its own"
        yield Problem(path=f"{path}.url", text=text)


def _rpo_limit_can_be_met(config: Config, path: str, destination: Destination) -> Problems:
    limit_s, every_s = destination.rpo_limit_s, config.replica.sync_every_s
    if limit_s <= every_s:
        yield _compared(f"{path}.rpo_limit", limit_s, "must be longer than", "replica.sync_every", every_s)


# --- rules of one line


def _gateway_is_on_the_line(_: Config, path: str, line: Line) -> Problems:
    if line.address is None or line.gateway is None:
        return
    if line.gateway == line.address.ip:
        yield Problem(path=f"{path}.gateway", text=f'"{line.gateway}": is our own address')
    elif line.gateway not in line.address.network:
        text = f'"{line.gateway}": lies outside {line.address.network}, the network of the line'
        yield Problem(path=f"{path}.gateway", text=text)


def _line_has_its_table(config: Config, path: str, line: Line) -> Problems:
    if line.table == config.lines.table:
        yield Problem(path=f"{path}.table", text=f"{line.table}: is lines.table; choose another")


def _service_ip_is_given(config: Config, path: str, line: Line) -> Problems:
    if line.existing is Existing.SERVICE_IP and config.lines.service_ip is None:
        yield Problem(path=f"{path}.existing", text='"service-ip": needs lines.service_ip')


def _line_detection_agrees(config: Config, path: str, line: Line) -> Problems:
    yield from _limits(f"{path}.detect", line.detect, config.lines.detect)


def _targets_differ(_: Config, path: str, line: Line) -> Problems:
    found = ((f"{path}.target[{i}].address", (t.kind, t.address, t.port)) for i, t in enumerate(line.target))
    yield from _unique(found, "the same target as {first}")


def _icmp_has_no_port(_: Config, path: str, line: Line) -> Problems:
    for i, target in enumerate(line.target):
        if target.kind is ProbeKind.ICMP and target.port is not None:
            yield Problem(path=f"{path}.target[{i}].port", text="an icmp target has none")


def _only_stamp_is_signed(_: Config, path: str, line: Line) -> Problems:
    for i, target in enumerate(line.target):
        if target.kind is not ProbeKind.STAMP and target.credential is not None:
            text = f'"{target.credential}": {target.kind} knows no signature; only a stamp target has a credential'
            yield Problem(path=f"{path}.target[{i}].credential", text=text)


def _applications_are_for_diagnosis(_: Config, path: str, line: Line) -> Problems:
    for i, target in enumerate(line.target):
        if target.kind in APPLICATIONS and target.role is not TargetRole.APP:
            text = f'"{target.role}": {target.kind} takes too long to tell whether a line lives; it is app, or left out'
            yield Problem(path=f"{path}.target[{i}].role", text=text)


def _targets_are_asked_often_enough(_: Config, path: str, line: Line) -> Problems:
    dead_after_s = line.detect.dead_after_s
    for i, target in enumerate(line.target):
        if target.role is not TargetRole.CLOUD or target.every_s is None:
            continue
        if PROBES_OF_SILENCE * target.every_s > dead_after_s + _EPSILON_S:
            where = f"{path}.target[{i}].every"
            yield _compared(where, target.every_s, "is longer than a third of", "dead_after", dead_after_s)


def _fast_detection_has_two_targets(_: Config, path: str, line: Line) -> Problems:
    dead_after_s = line.detect.dead_after_s
    judging = [target for target in line.target if target.role is TargetRole.CLOUD]
    if len(judging) == 1 and dead_after_s < FAST_DEAD_AFTER_S:
        text = f'one cloud target; dead_after below 1s ("{format_duration(dead_after_s)}") needs two'
        yield Problem(path=f"{path}.target", text=text)


# --- shared by the rules


def _limits(path: str, detect: Detect, common: Detect | None) -> Problems:
    """Limits that contradict each other; not again for a line that takes both from [lines.detect]."""

    def pair(first: str, second: str) -> tuple[float, float] | None:
        values = getattr(detect, first, None), getattr(detect, second, None)
        if common is not None and values == (getattr(common, first, None), getattr(common, second, None)):
            return None
        return None if values[0] is None or values[1] is None else (values[0], values[1])

    for key, other in (("hold", "hold_max"), ("dead_after", "window"), ("confirm", "window"), ("rtt_ok", "rtt_bad")):
        if (values := pair(f"{key}_s", f"{other}_s")) and values[0] > values[1]:
            yield _compared(f"{path}.{key}", values[0], "is longer than", other, values[1])
    if (values := pair("dead_after_s", "interval_s")) and values[0] < PROBES_OF_SILENCE * values[1] - _EPSILON_S:
        yield _compared(f"{path}.dead_after", values[0], "is shorter than three times", "interval", values[1])
    if (values := pair("loss_ok", "loss_bad")) and values[0] > values[1]:
        yield Problem(path=f"{path}.loss_ok", text=f"{values[0]:g} is more than loss_bad ({values[1]:g})")
    if (values := pair("reuse", "suppress")) and 0 < values[1] <= values[0]:
        yield Problem(path=f"{path}.reuse", text=f"{values[0]} must be less than suppress ({values[1]})")


def _compared(path: str, value_s: float, relation: str, other: str, other_s: float) -> Problem:
    return Problem(path=path, text=f'"{format_duration(value_s)}" {relation} {other} ("{format_duration(other_s)}")')


def _column(
    path: str, entries: Sequence[Section], name: str, *, unless_default: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Hashable]]:
    """One attribute of every entry that has it, with its place."""
    for i, entry in enumerate(entries):
        if name in vars(entry) and (name in entry.model_fields_set or i not in unless_default):
            yield f"{path}[{i}].{name}", getattr(entry, name)


def _preferred_twice(lines: Sequence[Line]) -> frozenset[int]:
    preferred = [getattr(line, "preferred", None) for line in lines]
    return frozenset(i for i, value in enumerate(preferred) if preferred.count(value) > 1)


def _unique(items: Iterable[tuple[str, Hashable]], text: str) -> Problems:
    """A problem for every value that stood before, which names the first."""
    first: dict[Hashable, str] = {}
    for path, value in items:
        if value in first:
            quoted = f'"{value}"' if isinstance(value, Path) else shown(value)
            yield Problem(path=path, text=text.format(value=quoted, first=first[value]))
        first.setdefault(value, path)


def _overlap(first: Path, second: Path) -> bool:
    return first == second or first in second.parents or second in first.parents


RULES: tuple[Callable[[Config], Problems], ...] = (
    _his_without_tls_stays_inside,
    _certificate_is_one,
    _listeners_differ,
    _folders_differ,
    _local_replica_has_its_folder,
    _encryption_is_decided,
    _recipients_differ,
    _destinations_differ,
    _lines_differ,
    _upstreams_differ,
    _detection_agrees,
)
DESTINATION_RULES: tuple[Callable[[Config, str, Destination], Problems], ...] = (
    _destination_is_not_the_local_replica,
    _folder_needs_no_network,
    _bucket_has_a_key,
    _folder_is_elsewhere,
    _rpo_limit_can_be_met,
)
LINE_RULES: tuple[Callable[[Config, str, Line], Problems], ...] = (
    _gateway_is_on_the_line,
    _line_has_its_table,
    _service_ip_is_given,
    _line_detection_agrees,
    _targets_differ,
    _icmp_has_no_port,
    _only_stamp_is_signed,
    _applications_are_for_diagnosis,
    _targets_are_asked_often_enough,
    _fast_detection_has_two_targets,
)
