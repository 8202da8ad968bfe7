"""`edge-node handover`: the sheet that stays at the clinic, as text or as a page to print."""

from __future__ import annotations

import base64
import socket
from datetime import datetime
from pathlib import Path

import click
from jinja2 import Environment, FileSystemLoader

from edge_node import __version__
from edge_node.base.errors import ExitCode, ReplicaError, ServiceError, UsageError
from edge_node.base.files import atomic_write
from edge_node.base.systemd import credential_path
from edge_node.cli.handover_sheet import Facts, Part, parts
from edge_node.cli.main import Where, where_options
from edge_node.cli.output import answer, talk, width
from edge_node.config.schema import Config, Language
from edge_node.his.language import TAGS
from edge_node.i18n import Text, catalog, translate
from edge_node.replication.kit import NODE_IDENTITY
from edge_node.replication.sealing import read_identity
from edge_node.services.certificates import clinic_names
from edge_node.tls import kept
from edge_node.tls.found import read_certificate
from edge_node.tls.names import Names, names_of
from edge_node.tls.trusted import ClinicAuthority, as_shown

TEMPLATES = Path(__file__).parents[1] / "his" / "templates"
# Where avahi, which announces <hostname>.local on the clinic's network, answers programs of this machine.
AVAHI = Path("/run/avahi-daemon/socket")
NTP_PORT = 123
# As wide as the longest label in either language.
_LABEL_COLUMNS = 44


@click.command()
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path), help="Write a page to print, with the file to trust."
)
@click.option("--language", type=click.Choice([each.value for each in Language]), help="As configured by default.")
@where_options
@click.pass_obj
def handover(where: Where, html_file: Path | None, language: str | None) -> None:
    """Print what the clinic needs from now on: addresses, fingerprint, phone, where the recovery identity must lie."""
    config = where.load()
    speaks = language or str(config.his.language)
    facts = gathered(config)
    if html_file is None:
        answer(as_text(facts, speaks))
        return
    try:
        atomic_write(html_file, as_page(facts, speaks).encode(), mode=0o644)
    except OSError as error:
        raise UsageError(
            "usage", f"{html_file} cannot be written: {error.strerror}", context=None, hint="name another file"
        ) from error
    talk(f"wrote {html_file}: print it, and carry it to each computer that is to trust the pages")


def gathered(config: Config) -> Facts:
    """The facts of this node now."""
    names, listen = clinic_names(config), config.his.listen
    lan = Names(addresses=names.addresses).texts()
    is_alone = listen.is_loopback or not lan
    hosts = (str(listen.host),) if is_alone else lan
    local = f"{socket.gethostname().partition('.')[0].lower()}.local"
    return Facts(
        clinic=config.node.name,
        node_id=config.node.id,
        version=__version__,
        addresses=tuple(_url(config, host) for host in hosts),
        mdns=_url(config, local) if not is_alone and AVAHI.exists() and local in names.dns else None,
        hosts=None if is_alone else f"{lan[0]}  {config.node.id}",
        names=() if is_alone else tuple(_url(config, name) for name in sorted(names_of(config.his.names).dns)),
        authority=_authority(config),
        serves_time=_serves_time(),
        time_address=None if is_alone else lan[0],
        contact=config.node.contact,
        identities_elsewhere=_identities_elsewhere(config),
        is_plain=config.replica.plain,
    )


def as_text(facts: Facts, language: str) -> str:
    """The sheet for a terminal."""
    head = f"{facts.clinic}   {facts.node_id}   {datetime.now():%Y-%m-%d}"
    return "\n\n".join([head, *(_part(part, language) for part in parts(facts))])


def _part(part: Part, language: str) -> str:
    lines = [translate(part.title, language)]
    for row in part.rows:
        labels = [translate(row.label, language), *("" for _ in row.values[1:])]
        for label, value in zip(labels, row.values, strict=True):
            said = translate(value, language) if isinstance(value, Text) else value
            lines.append(f"  {label}{' ' * max(_LABEL_COLUMNS - width(label), 0)}  {said}")
    return "\n".join(lines)


def as_page(facts: Facts, language: str) -> str:
    """The sheet as one file: nothing is fetched, and the file to trust is inside."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    words = catalog(language)
    environment.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters["say"] = lambda value: translate(value, language) if isinstance(value, Text) else value
    return environment.get_template("handover/sheet.html").render(
        facts=facts,
        parts=list(parts(facts)),
        trusted=base64.b64encode(facts.authority.certificate).decode("ascii") if facts.authority else None,
        lang_tag=TAGS[language],
        day=f"{datetime.now():%Y-%m-%d}",
    )


def _url(config: Config, host: str) -> str:
    scheme, usual = ("https", 443) if config.his.tls is not None else ("http", 80)
    shown = f"[{host}]" if ":" in host else host
    port = "" if config.his.listen.port == usual else f":{config.his.listen.port}"
    return f"{scheme}://{shown}{port}/"


def _authority(config: Config) -> ClinicAuthority | None:
    """The clinic's authority, where the pages' certificate is issued by it."""
    if config.his.tls is None or not config.his.tls.issue:
        return None
    path = kept.authority_place(config).certificate
    try:
        found = read_certificate(path.read_bytes())
    except PermissionError as error:
        raise ServiceError(
            "privilege-missing",
            f"{path} may not be read by this user",
            context=None,
            hint="sudo edge-node handover",
            exit_code=ExitCode.NETWORK,
        ) from error
    except OSError:
        found = None
    return None if found is None else as_shown(found)


def _identities_elsewhere(config: Config) -> int:
    """Recipients of the copies whose identities are not this machine's own."""
    try:
        own = str(read_identity(credential_path(NODE_IDENTITY, state_dir=config.node.state_dir)).to_public())
    except ReplicaError:
        own = ""
    return sum(recipient != own for recipient in config.replica.encrypt_to)


def _serves_time(table: Path = Path("/proc/net/udp")) -> bool:
    """Does something on this machine answer questions for the time from others?"""
    try:
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    except (OSError, UnicodeDecodeError):
        return False
    # proc(5): the local address in hexadecimal, as the processor has it, and the port. 7F at the end is loopback.
    bound = [row[1].split(":") for row in rows]
    return any(int(port, 16) == NTP_PORT and not address.endswith("7F") for address, port in bound)
