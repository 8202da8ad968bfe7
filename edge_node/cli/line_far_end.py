"""`edge-node line far-end`: what the cloud needs so that answers return on the line by which the question came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface

import click

from edge_node.base.errors import Problem, UsageError
from edge_node.cli.main import Where, where_options
from edge_node.cli.output import answer, answer_json
from edge_node.config.line_schema import Line, ProbeKind
from edge_node.config.schema import Config
from failover import far_end
from failover.far_end import FarEnd, FarLine
from failover.probes.stamp_packet import PORT

_LINE_HINT = "--line NAME=DEVICE,GATEWAY: the device by which the line reaches the cloud, and its next hop there"


@click.command("far-end")
@click.option("--print", "is_print", is_flag=True, help="Print the files; nothing is applied anywhere.")
@click.option(
    "--line", "lines", multiple=True, metavar="NAME=DEVICE,GATEWAY",
    help="How a line arrives in the cloud; once for each line.",
)  # fmt: skip
@click.option(
    "--reflector", "reflect_on", multiple=True, metavar="ADDRESS",
    help="Where the reflector answers; by default the addresses of the stamp targets.",
)  # fmt: skip
@click.option(
    "--clinic", "clinic_prefixes", multiple=True, metavar="NETWORK",
    help="A network behind the clinic whose own addresses the cloud sees; may be given several times.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The files as JSON.")
@where_options
@click.pass_obj
def far_end_command(
    where: Where,
    is_print: bool,
    lines: tuple[str, ...],
    reflect_on: tuple[str, ...],
    clinic_prefixes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print the rules, routes and the reflector's unit for the cloud's side of the lines."""
    config = where.load()
    far, problems = described(config, lines, reflect_on=reflect_on, clinic_prefixes=clinic_prefixes)
    if not is_print:
        problems.insert(0, Problem(path="--print", text="is missing: printing is all that there is"))
    if problems:
        raise UsageError("usage", "the far end cannot be described", context=None, hint=_LINE_HINT, problems=problems)
    if as_json:
        answer_json([{"path": file.path, "mode": f"{file.mode:04o}", "text": file.text} for file in far_end.files(far)])
        return
    answer(far_end.printed(far).rstrip("\n"))


def described(
    config: Config, lines: tuple[str, ...], *, reflect_on: tuple[str, ...], clinic_prefixes: tuple[str, ...]
) -> tuple[FarEnd, list[Problem]]:
    """The far end of a node's lines, by its configuration and by what that cannot know; with everything wrong."""
    ways, problems = _ways(config, lines)
    problems += _problems_of_the_configuration(config)
    targets = [target for line in config.line for target in line.target if target.kind is ProbeKind.STAMP]
    ports = sorted({target.port or PORT for target in targets}) or [PORT]
    found = FarEnd(
        lines=tuple(_line(line, *ways[line.name]) for line in config.line if line.name in ways and line.address),
        service_ip=None if config.lines.service_ip is None else str(config.lines.service_ip),
        clinic_prefixes=clinic_prefixes,
        reflect_on=reflect_on or tuple(dict.fromkeys(str(target.address) for target in targets)),
        reflector_port=ports[0],
        has_key=any(target.credential for target in targets),
    )
    # Without a line there are other problems, which say why.
    problems += [Problem(path="far end", text=text) for text in far_end.problems(found) if found.lines]
    return found, problems


def _ways(config: Config, given: tuple[str, ...]) -> tuple[Mapping[str, tuple[str, str]], list[Problem]]:
    """The device and the gateway of each line, as given."""
    known = [line.name for line in config.line]
    ways: dict[str, tuple[str, str]] = {}
    problems = []
    for text in given:
        name, _, way = text.partition("=")
        device, _, gateway = way.partition(",")
        where = f"--line {text}"
        if not (name and device and gateway):
            problems.append(Problem(path=where, text="is not understood; such as telecom=eth1,10.1.9.1"))
        elif name not in known:
            problems.append(Problem(path=where, text=f"there is no such line; there are {', '.join(known) or 'none'}"))
        elif name in ways:
            problems.append(Problem(path=where, text="this line was given before"))
        else:
            ways[name] = device, gateway
    for name in known:
        if name not in ways and not any(text.partition("=")[0] == name for text in given):
            problems.append(Problem(path=f"--line {name}=…", text="is missing: the configuration cannot know it"))
    return ways, problems


def _problems_of_the_configuration(config: Config) -> Iterator[Problem]:
    if not config.line:
        yield Problem(path="line", text="there is none: without a line there is no far end")
    for i, line in enumerate(config.line):
        if line.address is None:
            yield Problem(path=f"line[{i}].address", text="must be given: the cloud answers probes by their network")
        elif not isinstance(line.address, IPv4Interface):
            yield Problem(path=f"line[{i}].address", text=f'"{line.address}": probes have IPv4 addresses')
    stamps = [
        (f"line[{i}].target[{j}]", target)
        for i, line in enumerate(config.line)
        for j, target in enumerate(line.target)
        if target.kind is ProbeKind.STAMP
    ]
    for path, target in stamps[1:]:
        first_path, first = stamps[0]
        for key in ("port", "credential"):
            if getattr(target, key) != getattr(first, key):
                text = (
                    f"differs from {first_path}: one reflector has one {key}; print the others by another configuration"
                )
                yield Problem(path=f"{path}.{key}", text=text)


def _line(line: Line, device: str, gateway: str) -> FarLine:
    assert line.address is not None
    return FarLine(
        name=line.name, number=line.mark, device=device, gateway=gateway, prefix=str(line.address.network)
    )  # fmt: skip
