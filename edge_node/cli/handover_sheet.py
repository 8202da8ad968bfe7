"""What a clinic needs after the installation, as parts of labelled values; text and paper are made from it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_node.i18n import Text, text
from edge_node.tls.trusted import ClinicAuthority, rows

# To be filled in by hand.
BLANK = "_" * 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a node when its sheet is made.

    `addresses` are URLs by which the clinic's computers reach the pages, the surest first. `mdns` is the one that works
    without any DNS, where something on this machine announces its name; `hosts` is a line for the file of that name.
    """

    clinic: str
    node_id: str
    version: str
    addresses: tuple[str, ...]
    mdns: str | None = None
    hosts: str | None = None
    names: tuple[str, ...] = ()
    authority: ClinicAuthority | None = None
    serves_time: bool = False
    time_address: str | None = None
    contact: str | None = None
    identities_elsewhere: int = 0
    is_plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A value under its label; `is_code` for what is compared sign by sign, `is_typed` for people's own words."""

    label: Text
    values: tuple[str | Text, ...]
    is_code: bool = False
    is_typed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    title: Text
    rows: tuple[Row, ...] = field(default=())


def parts(facts: Facts) -> Iterator[Part]:
    """The sheet, in the order in which it is needed."""
    yield Part(title=text("Opening the pages"), rows=tuple(_pages(facts)))
    if facts.authority is not None:
        yield Part(title=text("Trusting them, once for each computer"), rows=tuple(_trust(facts, facts.authority)))
    yield Part(title=text("When something is wrong"), rows=tuple(_people(facts)))
    yield Part(title=text("The key to every copy"), rows=tuple(_identity(facts)))
    yield Part(title=text("Commands of the day"), rows=tuple(_commands()))


def _pages(facts: Facts) -> Iterator[Row]:
    yield Row(label=text("Address to type"), values=facts.addresses, is_code=True)
    if facts.mdns is not None:
        yield Row(label=text("By name, without any DNS"), values=(facts.mdns,), is_code=True)
    if facts.names:
        yield Row(label=text("Names, where the clinic's own DNS knows them"), values=facts.names, is_code=True)
    if facts.hosts is not None:
        yield Row(
            label=text("By name, with this line in the file hosts"),
            values=(facts.hosts, r"C:\Windows\System32\drivers\etc\hosts, /etc/hosts"),
            is_code=True,
        )
    if facts.serves_time and facts.time_address is not None:
        yield Row(label=text("Time server for every computer"), values=(facts.time_address,), is_code=True)
    else:
        yield Row(label=text("Time server for every computer"), values=(text("none on this machine"),))
    yield Row(
        label=text("Printers (prescriptions A5, receipts 80 mm)"),
        values=(BLANK,),
    )


def _trust(facts: Facts, authority: ClinicAuthority) -> Iterator[Row]:
    yield Row(label=text("Page with the steps"), values=(f"{facts.addresses[0]}trust",), is_code=True)
    yield Row(label=text("Name in lists of certificates"), values=(authority.name,), is_code=True)
    yield Row(label=text("Fingerprint, SHA-256"), values=tuple(rows(authority.sha256)), is_code=True)
    yield Row(label=text("Windows shows this one (SHA-1)"), values=tuple(rows(authority.sha1)), is_code=True)


def _people(facts: Facts) -> Iterator[Row]:
    yield Row(label=text("On duty"), values=(facts.contact or BLANK,), is_typed=facts.contact is not None)
    yield Row(label=text("Say on the telephone"), values=(f"{facts.node_id} ({facts.version})",), is_code=True)
    yield Row(
        label=text("Until help comes"),
        values=(
            text("work on: no line is needed for patients. The line at the top of each page says where we stand."),
        ),
    )


def _identity(facts: Facts) -> Iterator[Row]:
    if facts.is_plain:
        yield Row(label=text("Copies"), values=(text("are not encrypted: whoever reaches them can read them"),))
        return
    yield Row(
        label=text("Recovery identity"),
        values=(
            text("on paper in the safe, and nowhere on this machine. Whoever has it and a copy has all the data;"),
            text("whoever loses it can open no copy when this machine is gone."),
        ),
    )
    yield Row(label=text("Identities that open a copy from elsewhere"), values=(str(facts.identities_elsewhere),))
    yield Row(label=text("It lies in"), values=(BLANK,))
    yield Row(label=text("Kept by, with the phone"), values=(BLANK,))


def _commands() -> Iterator[Row]:
    for label, command in (
        (text("How are we?"), "sudo edge-node status"),
        (text("What is wrong, and what mends it?"), "sudo edge-node doctor"),
        (text("Does every copy come back?"), "sudo edge-node replica drill"),
        (text("Why does traffic take this line?"), "sudo edge-node line explain"),
        (text("Somebody forgot the password"), "sudo edge-node user reset CODE"),
    ):
        yield Row(label=label, values=(command,), is_code=True)
