"""`edge-node certificate`: what the pages show and until when; a new authority for the clinic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from edge_node.base.clock import SystemClock, utc_text
from edge_node.base.errors import UsageError
from edge_node.base.logs import event
from edge_node.cli.main import Noun, Where, caller, run_as_owner, where_options
from edge_node.cli.output import answer, answer_json, talk
from edge_node.config.schema import Config
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.services.certificates import Certificates, clinic_names, look
from edge_node.tls import kept
from edge_node.tls.found import read_certificate
from edge_node.tls.judged import Shown, problems
from edge_node.tls.renewal import renews_at


@click.group("certificate", cls=Noun)
def certificate_group() -> None:
    """The certificate of the pages, and the authority that issues it."""


@certificate_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@where_options
@click.pass_obj
def list_certificates(where: Where, as_json: bool) -> None:
    """Each certificate: until when, its fingerprint, and what it is for."""
    config = where.load()
    run_as_owner(config)
    if config.his.tls is None:
        talk("the pages are served without TLS: his.tls is not configured")
        found = None
    else:
        found = look(config, config.his.tls, now=_now())
    if as_json:
        answer_json([_document(shown) for shown in found.shown] if found else [])
    elif found:
        answer("\n\n".join([*_to_come(found), *(_text(shown, found) for shown in found.shown)]))


@certificate_group.command("make-authority")
@click.option("--replace", is_flag=True, help="Also where there is one: every computer must then trust the new one.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--reason", default="", help="Why, for the record.")
@where_options
@click.pass_obj
def make_authority(where: Where, replace: bool, dry_run: bool, reason: str) -> None:
    """Make the clinic's own authority, by which the node issues its certificate (his.tls = { issue = true })."""
    config = where.load()
    run_as_owner(config)
    place = kept.authority_place(config)
    there = [path for path in (place.certificate, place.key) if path.exists()]
    if there and not replace:
        raise UsageError(
            "authority-exists",
            f"this clinic has an authority: {there[0]}",
            context="every computer that trusts it would have to be told to trust the new one",
            hint="edge-node certificate list shows it; --replace makes another one all the same",
        )
    names, now = clinic_names(config), _now()
    if dry_run:
        talk(f"would make an authority for {names}")
        return
    for path in there:
        path.rename(path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S}"))
    kept.write_authority(kept.folder_of(config), node_id=config.node.id, clinic=config.node.name, names=names, now=now)
    event("authority_made", by=caller(), reason=reason or "-", replaced=bool(there))
    made = read_certificate(place.certificate.read_bytes())
    assert made is not None
    answer(f"made {place.certificate}\nSHA-256 {made.fingerprint}")
    talk(_what_now(config))


def _what_now(config: Config) -> str:
    if config.his.tls is None or not config.his.tls.issue:
        return "next: his.tls = { issue = true } in the configuration, and restart edge-his"
    return "the pages show a certificate by it within 10 s; each computer trusts it after the steps of the page /trust"


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().wall_ms() / 1000, UTC)


def _to_come(found: Certificates) -> list[str]:
    """The pages' certificate, while there is none."""
    if found.issue is None or any(not shown.is_authority for shown in found.shown):
        return []
    return [f"{found.place.name}\n  next     edge-his issues it at its start, for {found.issue.names}"]


def _text(shown: Shown, found: Certificates) -> str:
    ends = f"{shown.found.ends:%Y-%m-%d}"
    if found.authority is not None and not shown.is_authority:
        ends += f", renewed by itself from {renews_at(shown.found):%Y-%m-%d}"
    rows = [("ends", ends), ("SHA-256", shown.found.fingerprint)]
    if shown.found.names:
        rows.append(("for", str(shown.found.names)))
    if found.issue is not None and not shown.is_authority:
        rows.append(("next", f"edge-his issues it anew ({found.issue.cause})"))
    rows += [("wrong", translate(reason_text(one.code, one.args), ENGLISH)) for one in problems(shown, now=_now())]
    return "\n".join([shown.name, *(f"  {name:<8} {value}" for name, value in rows)])


def _document(shown: Shown) -> dict[str, Any]:
    return {
        "name": shown.name,
        "begins_at": utc_text(round(shown.found.begins.timestamp() * 1000)),
        "ends_at": utc_text(round(shown.found.ends.timestamp() * 1000)),
        "sha256": shown.found.fingerprint,
        "names": list(shown.found.names.texts()),
        "problems": [one.as_json() for one in problems(shown, now=_now())],
    }
