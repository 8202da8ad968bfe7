"""`edge-node config`: a first file, what is wrong with one, and what is in force."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ConfigError, Problem, UsageError
from edge_node.base.files import atomic_write
from edge_node.cli.main import Noun, Where, where_options
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.config import render
from edge_node.config.advice import advice
from edge_node.config.schema import Config
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.services.certificates import look
from edge_node.services.line_interfaces import absent_interfaces
from edge_node.services.line_keys import setup_to_ask
from edge_node.services.line_settings import setup_of
from edge_node.tls.judged import problems


@click.group("config", cls=Noun)
@where_options
def config_group() -> None:
    """The configuration file: make, check, show."""


@config_group.command("init")
@click.option("--stdout", is_flag=True, help="Print it instead of writing a file.")
@where_options
@click.pass_obj
def init(where: Where, stdout: bool) -> None:
    """Write a complete, commented example; an existing file is never replaced."""
    text = render.example(home=where.home.resolve() if where.home and not where.config else None)
    if stdout:
        answer(text.rstrip("\n"))
        return
    path = where.path()
    if path.exists():
        raise UsageError(
            "usage",
            f"{path} exists; it is not replaced",
            context=None,
            hint="edge-node config init --stdout prints the example",
        )
    _write(path, text)
    talk(f"wrote {path}: change it, then run edge-node config check")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, text.encode())
    except OSError as error:
        raise UsageError(
            "usage",
            f"{path} cannot be written",
            context=f"{type(error).__name__}: {error.strerror}",
            hint="--config PATH or --home DIR names another place",
        ) from error


@config_group.command("check")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@where_options
@click.pass_obj
def check(where: Where, as_json: bool) -> None:
    """Do what a service does at its start, and name every problem. Exit 3 when there is one."""
    path = where.path()
    try:
        config = where.load()
        notes = [*advice(config), *absent_interfaces(config), *_watch(config), *_certificates(config)]
    except ConfigError as error:
        if as_json:
            found = [{"path": problem.path, "text": problem.text} for problem in error.problems]
            answer_json({"file": str(path), "ok": False, "code": error.code, "problems": found, "advice": []})
        raise
    if as_json:
        said = [{"path": note.path, "text": note.text} for note in notes]
        answer_json({"file": str(path), "ok": True, "code": None, "problems": [], "advice": said})
        return
    answer(f"{path}: ok")
    for note in notes:
        talk(f"look again: {note.path}: {note.text}")


def _watch(config: Config) -> list[Problem]:
    """Make of the lines what the watcher makes of them; what this user may not look at, as an advice."""
    folder = config.node.state_dir / "credentials"
    signed = [
        f"line[{i}].target[{j}].credential"
        for i, line in enumerate(config.line)
        for j, target in enumerate(line.target)
        if target.credential
    ]
    if signed and folder.exists() and not os.access(folder, os.X_OK, effective_ids=True):
        setup_of(config)
        return [Problem(path=signed[0], text=f"its key was not looked at: only root may look into {folder}")]
    setup_to_ask(config)
    return []


def _certificates(config: Config) -> list[Problem]:
    """Make of the certificate what the HIS makes of it at its start; what browsers will warn of, as an advice."""
    tls, folder = config.his.tls, config.node.state_dir / "credentials"
    if tls is None or not folder.exists():
        return []
    if not os.access(folder, os.X_OK, effective_ids=True):
        return [Problem(path="his.tls", text=f"it was not looked at: only root may look into {folder}")]
    now = datetime.fromtimestamp(SystemClock().wall_ms() / 1000, UTC)
    return [
        Problem(path="his.tls", text=translate(reason_text(reason.code, reason.args), ENGLISH))
        for shown in look(config, tls, now=now).shown
        for reason in problems(shown, now=now)
    ]


@config_group.command("show")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@where_options
@click.pass_obj
def show(where: Where, as_json: bool) -> None:
    """Print every value in force, and whether it is from the file or a default."""
    settings = render.effective(where.load())
    if as_json:
        answer_json([setting._asdict() for setting in settings])
        return
    rows = [(path, origin.value, "-" if value is None else render.toml(value)) for path, value, origin in settings]
    answer(table(("KEY", "FROM", "VALUE"), rows))
