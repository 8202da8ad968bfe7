"""Single values of the configuration: what may stand behind a key, and the sentence when something else does.

Each validator takes what TOML gave and raises ValueError with the sentence for the operator: the value, what is wrong
with it, and what to write instead. A secret that landed here by mistake is never repeated.
"""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from edge_node.base.units import parse_duration, parse_rate, parse_size

E = TypeVar("E", bound=StrEnum)
N = TypeVar("N", int, float)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Longer values are cut where a sentence repeats them.
_SHOWN_CHARS = 80
_AGE_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# RFC 1123: labels of letters, digits and inner hyphens.
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_WINDOW = re.compile(r"window ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a port to listen on; prints as it is written: "0.0.0.0:443", "[::1]:8080"."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class FailbackKind(StrEnum):
    AUTO = "auto"
    MANUAL = "manual"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failback:
    """When a node returns to a line that it prefers: by itself, by order, or by itself within hours of the day.

    The window is in minutes after local midnight and may span it; both are 0 unless `kind` is WINDOW.
    """

    kind: FailbackKind
    from_min: int = 0
    to_min: int = 0

    def __str__(self) -> str:
        if self.kind is not FailbackKind.WINDOW:
            return self.kind.value
        return "window {:02}:{:02}-{:02}:{:02}".format(*divmod(self.from_min, 60), *divmod(self.to_min, 60))


def shown(value: Any) -> str:
    """A value as a sentence repeats it: written as in TOML, and short."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            cut = value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "…"
            return json.dumps(cut, ensure_ascii=False)
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that was probably meant."""
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.7)
    return near[0] if near else None


def did_you_mean(word: str, known: list[str]) -> str:
    """`; did you mean "interface"?`, or nothing where no known word is near."""
    near = nearest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def _quantity(
    parse: Callable[[str], N], kind: str, example: str, least: str | None, most: str | None
) -> BeforeValidator:
    def validate(value: Any) -> N:
        if not isinstance(value, str):
            raise ValueError(f'{shown(value)}: a {kind} is written in quotes with its unit, such as "{example}"')
        quantity = parse(value)
        if least is not None and quantity < parse(least):
            raise ValueError(f'{shown(value)}: must be at least "{least}"')
        if most is not None and quantity > parse(most):
            raise ValueError(f'{shown(value)}: must be at most "{most}"')
        return quantity

    return BeforeValidator(validate)


def duration(least: str = "1ms", most: str | None = "10d") -> BeforeValidator:
    """Seconds of "30s"."""
    return _quantity(parse_duration, "duration", "5s", least, most)


def size(least: str) -> BeforeValidator:
    """Bytes of "20GiB"."""
    return _quantity(parse_size, "size", "20GiB", least, None)


def rate(least: str) -> BeforeValidator:
    """Bits per second of "8Mbit"."""
    return _quantity(parse_rate, "rate", "8Mbit", least, None)


def whole(least: int, most: int, *, never: dict[int, str] | None = None) -> BeforeValidator:
    """A whole number within limits. `never` holds the numbers that are taken, each with who has it."""

    def validate(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{shown(value)}: not a whole number; write one from {least} to {most}, without quotes")
        if not least <= value <= most:
            raise ValueError(f"{value}: must lie between {least} and {most}")
        if never and value in never:
            raise ValueError(f"{value}: belongs to {never[value]}; choose another")
        return value

    return BeforeValidator(validate)


def number(least: float, most: float) -> BeforeValidator:
    """A number within limits, such as a ratio."""

    def validate(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{shown(value)}: not a number; write one from {least:g} to {most:g}, without quotes")
        if not math.isfinite(value) or not least <= value <= most:
            raise ValueError(f"{value:g}: must lie between {least:g} and {most:g}")
        return float(value)

    return BeforeValidator(validate)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)}: write true or false, without quotes")
    return value


flag = BeforeValidator(_flag)


def text(pattern: str, what: str, example: str) -> BeforeValidator:
    """A string of a given form; `what` names the form, its characters included."""
    form = re.compile(pattern)

    def validate(value: Any) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError(f'{shown(value)}: write {what}, such as "{example}"')
        return value

    return BeforeValidator(validate)


def choice(choices: type[E]) -> BeforeValidator:
    """One of a closed set."""
    known = [member.value for member in choices]

    def validate(value: Any) -> E:
        if not isinstance(value, str) or value not in known:
            near = did_you_mean(value, known) if isinstance(value, str) else ""
            raise ValueError(f"{shown(value)}: write one of {', '.join(map(shown, known))}{near}")
        return choices(value)

    return BeforeValidator(validate)


def _address(value: Any) -> Address:
    try:
        return ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f'{shown(value)}: write an IP address, such as "10.1.1.1"; names are not looked up') from None


address = BeforeValidator(_address)


def _host(value: Any) -> str:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(value))
        # Digits and dots are a mistyped address, not a name.
        if _HOST_NAME.fullmatch(value) and not re.fullmatch(r"[0-9.]+", value):
            return value
    raise ValueError(
        f"{shown(value)}: write a host name in lower-case letters, digits, hyphens and dots, or an IP address, "
        'such as "his.clinic.lan" or "192.168.1.10"'
    )


host = BeforeValidator(_host)


def _interface(value: Any) -> Interface:
    if not isinstance(value, str) or "/" not in value:
        raise ValueError(f'{shown(value)}: write an address with its prefix length, such as "10.1.1.2/30"')
    try:
        return ipaddress.ip_interface(value)
    except ValueError:
        raise ValueError(f'{shown(value)}: not an address with prefix length; write it like "10.1.1.2/30"') from None


interface_address = BeforeValidator(_interface)


def _network(value: Any) -> Network:
    if not isinstance(value, str):
        raise ValueError(f'{shown(value)}: write a network, such as "10.100.0.0/24"')
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    try:
        nearest = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f'{shown(value)}: not a network; write it like "10.100.0.0/24"') from None
    raise ValueError(f'{shown(value)}: has bits set after its prefix; did you mean "{nearest}"?')


network = BeforeValidator(_network)


def parse_endpoint(value: Any) -> Endpoint:
    host, separator, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        if not separator or ("[" not in host and ":" in host):
            raise ValueError
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(
            f'{shown(value)}: write an IP address and a port, such as "127.0.0.1:8080" or "[::1]:8080"'
        ) from None
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown(value)}: the port must lie between 1 and 65535")
    return Endpoint(str(parsed), int(port))


endpoint = BeforeValidator(parse_endpoint)


def _folder(value: Any) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError(f'{shown(value)}: write a path from the root, such as "/var/lib/edge-node"')
    if ".." in Path(value).parts:
        raise ValueError(f'{shown(value)}: write the path without ".."')
    if marks := sorted(set(value) & set("#?%")):
        # Litestream opens file:<path> unescaped and replicates another file beside the real one (0.5.17, measured).
        raise ValueError(f"{shown(value)}: choose a path without {', '.join(marks)}; Litestream would misread it")
    return Path(value)


folder = BeforeValidator(_folder)


def url(schemes: tuple[str, ...], example: str) -> BeforeValidator:
    """A URL of one of the schemes, without user, query or fragment. What follows file:// is a path as it is."""
    *most, last = (f"{scheme}://" for scheme in schemes)
    starts = f"{', '.join(most)} or {last}"

    def validate(value: Any) -> str:
        refusal = ValueError(f'{shown(value)}: write a URL that begins with {starts}, such as "{example}"')
        if not isinstance(value, str) or not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise refusal
        if value.startswith("file://"):
            return _file_url(value)
        try:
            parts = urlsplit(value)
            _ = parts.port  # raises ValueError for what is no port
        except ValueError:
            raise refusal from None
        if "@" in parts.netloc:
            raise ValueError("holds a user name or password; no secret belongs in this file: name a credential")
        if not parts.hostname or re.search(r"\s", value):
            raise refusal
        if parts.query or parts.fragment:
            raise ValueError(f"{shown(value)}: write the URL without ? and #")
        return value

    return BeforeValidator(validate)


def _file_url(value: str) -> str:
    path = value.removeprefix("file://")
    if (
        not path.startswith("/")
        or not path.strip("/")
        or ".." in Path(path).parts
        or re.search(r"[\x00-\x1f\x7f]", path)
    ):
        raise ValueError(f'{shown(value)}: write file:// and a path from the root, such as "file:///mnt/nas"')
    return value


def _bech32_is_sound(recipient: str) -> bool:
    # BIP 173: the checksum over the expanded prefix and the data is 1.
    prefix, data = recipient[:3], recipient[4:]
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.index(c) for c in data]
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum == 1


def _recipient(value: Any) -> str:
    if isinstance(value, str) and value.upper().startswith("AGE-SECRET-KEY-"):
        raise ValueError("an identity, which is secret: take it out and change it; here stands its recipient, age1…")
    if not isinstance(value, str) or not _AGE_RECIPIENT.fullmatch(value):
        raise ValueError(f"{shown(value)}: not an age recipient; it is age1 and 58 characters")
    if not _bech32_is_sound(value):
        raise ValueError(f"{shown(value)}: not an age recipient: its check characters do not fit; copy it again")
    return value


recipient = BeforeValidator(_recipient)


def _failback(value: Any) -> Failback:
    if value in (FailbackKind.AUTO, FailbackKind.MANUAL):
        return Failback(kind=FailbackKind(value))
    match = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{shown(value)}: write "auto", "manual" or hours of the day, such as "window 02:00-05:00"')
    hours = [int(part) for part in match.groups()]
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if start == end:
        raise ValueError(f"{shown(value)}: begins when it ends")
    return Failback(kind=FailbackKind.WINDOW, from_min=start, to_min=end)


failback = BeforeValidator(_failback)
