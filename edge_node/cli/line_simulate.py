"""`edge-node line simulate`: what the watcher recorded, played through the present policy and through another one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import click

from edge_node.base.clock import utc_text
from edge_node.base.errors import ConfigError, Problem, UsageError
from edge_node.base.units import spoken_duration
from edge_node.cli.main import Where, where_options
from edge_node.cli.node_file import parse_moment
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.config.load import examine, load
from edge_node.config.schema import Config
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.journal.words import machine_time
from edge_node.services.line_settings import setup_of
from failover import trace
from failover.core.model import Mode, Reason, Verdict, args_of
from failover.replay import batches, between
from failover.simulate import Begun, Moved, Simulation, Told, Totals
from failover.trace import Entry, Moment
from monitoring.figures import clock

PRESENT = "present"
_HINT = (
    "edge-node line simulate --trace FILE, a day's file of the watcher: DAY.jsonl.gz in the folder traces of links_dir"
)
Batches = Iterator[tuple[Moment, list[Entry]]]


@dataclass
class _Played:
    """A policy and what it would have done."""

    name: str
    simulation: Simulation
    told: list[Told] = field(default_factory=list)

    @property
    def moves(self) -> list[Moved]:
        return [told for told in self.told if isinstance(told, Moved)]

    @property
    def totals(self) -> Totals:
        return self.simulation.totals


@click.command("simulate")
@click.option(
    "--trace",
    "traces",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A day's file of the watcher (repeatable); by default all that this node has.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="A configuration file; its [lines] and [[line]] are tried beside the present ones.",
)
@click.option("--from", "start", help="Only from then on: '2026-10-03 08:00' (local) or with a zone.")
@click.option("--to", "end", help="Only until then.")
@click.option("--json", "as_json", is_flag=True)
@where_options
@click.pass_obj
def simulate(
    where: Where, traces: tuple[Path, ...], policy: Path | None, start: str | None, end: str | None, as_json: bool
) -> None:
    """Play what was recorded through the present policy, and through another one: what would have happened?

    Not replayed, since it is not recorded: orders, large packets, and questions that were not asked then.
    """
    config = where.load()
    configs = {PRESENT: config}
    if policy is not None:
        configs[policy.name] = _other_policy(policy, where, config)
    start_ms = None if start is None else parse_moment(start, option="--from")
    end_ms = None if end is None else parse_moment(end, option="--to")
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        raise UsageError("usage", "--to is not after --from", context=None, hint=_HINT)
    setups = {name: setup_of(one) for name, one in configs.items()}
    played = [_Played(name, Simulation(setup.policy, setup.targets, minute=_minute)) for name, setup in setups.items()]
    span = _play(between(_read(_files(traces, config, start_ms, end_ms)), start_ms=start_ms, end_ms=end_ms), played)
    if span is None:
        raise UsageError("trace-empty", "nothing was recorded in this time", context=None, hint=_HINT)
    _refuse_strangers(played[0].totals, config)
    if as_json:
        answer_json(_document(span, played))
    else:
        _show(span, played)


def _play(told: Batches, played: Sequence[_Played]) -> tuple[int, int] | None:
    """Play everything through every policy at once; the time that was recorded, or None for none."""
    last_ms = None
    for moment, batch in told:
        last_ms = moment.wall_ms
        for one in played:
            one.told += one.simulation.play(moment, batch)
    for one in played:
        one.told += one.simulation.finish()
    begun = next((one.at_ms for one in played[0].told if isinstance(one, Begun)), last_ms)
    return None if begun is None or last_ms is None else (begun, last_ms)


def _minute(at_ms: int) -> int:
    local = machine_time(at_ms)
    return local.hour * 60 + local.minute


# ---- the traces


def _files(traces: Sequence[Path], config: Config, start_ms: int | None, end_ms: int | None) -> list[Path]:
    """The files, oldest first. All problems with them at once."""
    folder = config.node.links_dir / "traces"
    try:
        paths = list(traces) or _days(folder, start_ms, end_ms)
    except OSError as error:
        raise _unreadable(folder, error) from error
    if not paths:
        raise UsageError(
            "trace-empty",
            "the watcher has recorded nothing here",
            context=f"looked in {folder}",
            hint="is it running? edge-node status; another node's files can be given with --trace FILE",
        )
    begins, problems = {}, []
    for path in paths:
        try:
            first = next((told for told in trace.read(path) if isinstance(told, Moment)), None)
        except OSError as error:
            problems.append(f"{path}: cannot be read ({error.strerror})")
            continue
        if first is not None:
            begins[path] = first.wall_ms
        elif path.stat().st_size == 0:
            problems.append(f"{path}: is empty")
        else:
            problems.append(f"{path}: is no trace of a watcher, or nothing of it is whole")
    if problems:
        raise UsageError(
            "trace-unreadable",
            "not every trace can be played" if len(problems) > 1 else "the trace cannot be played",
            context="\n".join(problems),
            hint=_HINT,
        )
    return sorted(begins, key=lambda path: begins[path])


def _days(folder: Path, start_ms: int | None, end_ms: int | None) -> list[Path]:
    """The files of the days in question (UTC); what was asked at midnight may stand in the next one."""
    days = sorted(folder.glob(f"????-??-??{trace.SUFFIX}"))
    first = "" if start_ms is None else utc_text(start_ms)[:10]
    last = "9999" if end_ms is None else utc_text(end_ms + 60_000)[:10]
    return [path for path in days if first <= path.name[:10] <= last and path.stat().st_size]


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        "trace-unreadable",
        f"{path} cannot be read",
        context=f"{type(error).__name__}: {error.strerror}",
        hint=f"sudo edge-node line simulate, or join the group of {path}",
    )


def _read(paths: Sequence[Path]) -> Batches:
    def entries(path: Path) -> Iterator[Moment | Entry]:
        talk(f"playing {path.name}")
        try:
            yield from trace.read(path)
        except OSError as error:
            raise _unreadable(path, error) from error

    yield from batches(chain.from_iterable(entries(path) for path in paths))


def _refuse_strangers(totals: Totals, config: Config) -> None:
    """A trace of which this node knows not one line is another node's."""
    if totals.unknown_lines and not totals.watched_s:
        raise UsageError(
            "line-unknown",
            f"the trace tells of {', '.join(sorted(totals.unknown_lines))}, and of no line that is configured",
            context=f"configured are: {', '.join(line.name for line in config.line) or 'none'}",
            hint="give the configuration of the node that recorded it: edge-node --config FILE line simulate …",
        )


# ---- the other policy


def _other_policy(path: Path, where: Where, config: Config) -> Config:
    """The present configuration with another file's [lines] and [[line]]. Raises ConfigError, all problems at once."""
    try:
        other = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        load(path)  # says what is wrong with the file, and where
        raise
    present = tomllib.loads(where.path().read_bytes().decode("utf-8-sig"))
    data = {name: other.get(name, present.get(name)) for name in ("lines", "line")}
    data = {"node": {"id": config.node.id}, **{name: value for name, value in data.items() if value is not None}}
    found, problems = examine(data)
    if not {"lines", "line"} & other.keys():
        problems = [Problem(path="the file", text="neither [lines] nor [[line]] stands in it"), *problems]
    problems += _other_names(other, config)
    if problems:
        raise ConfigError(
            "config-invalid",
            f"{'1 problem' if len(problems) == 1 else f'{len(problems)} problems'} in {path}",
            context=None,
            hint="only its [lines] and [[line]] are read; edge-node config init --stdout prints a commented example",
            problems=problems,
        )
    return found


def _other_names(other: dict[str, Any], config: Config) -> Iterator[Problem]:
    """Lines are told apart by their names: a policy for other ones says nothing about these."""
    if not isinstance(lines := other.get("line"), list):
        return
    names = [line.get("name") if isinstance(line, dict) else None for line in lines]
    known = [line.name for line in config.line]
    for number, name in enumerate(names):
        if isinstance(name, str) and name not in known:
            yield Problem(path=f"line[{number}].name", text=f'there is no line "{name}" now, only {", ".join(known)}')
    for name in known:
        if name not in names:
            yield Problem(
                path="line", text=f'line "{name}" is missing; one that is not to be used can be preferred last'
            )


# ---- the answer


def _show(span: tuple[int, int], played: Sequence[_Played]) -> None:
    totals = played[0].totals
    answer(
        f"{_local(span[0])} to {_local(span[1])}: {totals.samples:,} samples, watched for "
        f"{spoken_duration(totals.watched_s)} in {totals.runs} {'run' if totals.runs == 1 else 'runs'}, "
        f"blind for {spoken_duration(totals.blind_s)}"
    )
    for one in played:
        answer(f"\nunder the {PRESENT} policy" if one.name == PRESENT else f"\nunder {one.name}")
        answer(table(("  TIME", "FROM", "TO", "WHY"), [_row(move) for move in one.moves]) if one.moves else "  no move")
    rows = []
    for name in totals.lines:
        for n, one in enumerate(played):
            line = one.totals.lines[name]
            rows.append(
                ("" if n else name, one.name, _clock(line.in_use_s), _clock(line.by_verdict[Verdict.DOWN]),
                 _clock(line.by_verdict[Verdict.DEGRADED]), _clock(line.by_verdict[Verdict.UNKNOWN]), str(line.downs))
            )  # fmt: skip
    answer("\n" + table(("LINE", "POLICY", "IN USE", "DOWN", "DEGRADED", "UNKNOWN", "TIMES DOWN"), rows))
    sums = [(one.name, str(one.totals.moves), _clock(one.totals.offline_s)) for one in played]
    answer("\n" + table(("POLICY", "MOVES", "OFFLINE"), sums))
    if len(played) == 2:
        answer("\n" + difference(*played))
    for sentence in _left_out(played):
        talk(sentence)


def _row(move: Moved) -> tuple[str, str, str, str]:
    def of(mode: Mode, line: str | None) -> str:
        return line or ("-" if mode is Mode.STARTING else mode.value)

    before, after = move.before, move.after
    return f"  {_local(move.at_ms)}", of(before.mode, before.line), of(after.mode, after.line), _sentence(move.reason)


def difference(present: _Played, other: _Played) -> str:
    """What the other policy changes, in one sentence."""
    was, would = present.totals, other.totals
    parts = []
    if was.moves != would.moves:
        parts.append(f"{_moves(would.moves)} instead of {was.moves}")
    if round(was.offline_s) != round(would.offline_s):
        parts.append(f"offline for {_more(would.offline_s - was.offline_s)}")
    changed = [name for name in was.lines if _is_other(was.lines[name].in_use_s, would.lines[name].in_use_s)]
    if changed:
        name = max(changed, key=lambda line: abs(was.lines[line].in_use_s - would.lines[line].in_use_s))
        parts.append(f"{name} in use for {_more(would.lines[name].in_use_s - was.lines[name].in_use_s)}")
    if parts:
        return f"{other.name}: {', '.join(parts)}."
    if [(m.after.mode, m.after.line) for m in present.moves] == [(m.after.mode, m.after.line) for m in other.moves]:
        return f"{other.name}: the same moves, within a second."
    return f"{other.name}: other moves, as many and to the same effect."


def _is_other(was_s: float, would_s: float) -> bool:
    return abs(was_s - would_s) > 1.5


def _more(seconds: float) -> str:
    return f"{spoken_duration(abs(seconds))} {'more' if seconds > 0 else 'less'}"


def _moves(count: int) -> str:
    return "1 move" if count == 1 else f"{count} moves"


def _left_out(played: Sequence[_Played]) -> Iterator[str]:
    lines = sorted({name for one in played for name in one.totals.unknown_lines})
    if lines:
        yield f"left out, since the configuration does not know them: {', '.join(lines)}"
    for one in played:
        for line, target in sorted(one.totals.unknown_targets):
            yield f"{one.name}: {target} was asked through {line}, and is no target of it; left out"
        for line, told in one.totals.lines.items():
            if one.totals.watched_s and told.by_verdict[Verdict.UNKNOWN] >= one.totals.watched_s:
                yield f"{one.name}: nothing that the trace holds says how {line} is; it stays unknown"


def _document(span: tuple[int, int], played: Sequence[_Played]) -> dict[str, Any]:
    return {
        "schema": 1,
        "from": utc_text(span[0]),
        "until": utc_text(span[1]),
        "policies": [
            {
                "name": one.name,
                "moves": [_move_document(move) for move in one.moves],
                "lines": [
                    {"name": name, "in_use_s": round(line.in_use_s, 1), "times_down": line.downs,
                     **{f"{verdict}_s": round(line.by_verdict[verdict], 1) for verdict in Verdict}}
                    for name, line in one.totals.lines.items()
                ],
                "switches": one.totals.moves,
                "offline_s": round(one.totals.offline_s, 1),
                "watched_s": round(one.totals.watched_s, 1),
                "blind_s": round(one.totals.blind_s, 1),
                "runs": one.totals.runs,
                "samples": one.totals.samples,
                "left_out": {
                    "lines": sorted(one.totals.unknown_lines),
                    "targets": [{"line": at, "target": target} for at, target in sorted(one.totals.unknown_targets)],
                },
            }
            for one in played
        ],
        "difference": difference(*played) if len(played) == 2 else None,
    }  # fmt: skip


def _move_document(move: Moved) -> dict[str, Any]:
    return {
        "at": utc_text(move.at_ms),
        "from": {"mode": move.before.mode, "line": move.before.line},
        "to": {"mode": move.after.mode, "line": move.after.line},
        "reason": {"code": move.reason.code, "args": dict(args_of(move.reason))},
    }


def _sentence(reason: Reason) -> str:
    return translate(reason_text(reason.code.value, dict(args_of(reason))), ENGLISH)


def _local(at_ms: int) -> str:
    return f"{machine_time(at_ms):%Y-%m-%d %H:%M:%S}"


def _clock(seconds: float) -> str:
    return clock(round(seconds) * 1000)
