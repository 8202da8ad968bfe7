"""Quantities as people write them in the configuration: "30s", "64MiB", "8Mbit"; and back."""

from __future__ import annotations

import re

_DURATIONS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_SIZES |= {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_RATES = {"bit": 1, "kbit": 1000, "Kbit": 1000, "Mbit": 1000**2, "Gbit": 1000**3}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")


def _parse(text: str, units: dict[str, float] | dict[str, int], kind: str, example: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}": not a {kind}; write it like "{example}"')
    number, unit = match.groups()
    if not unit:
        raise ValueError(f'"{text}": a {kind} needs a unit, such as "{number}{re.sub("[0-9.]", "", example)}"')
    if unit not in units:
        raise ValueError(f'"{text}": unknown unit "{unit}" of a {kind}; known are {", ".join(units)}')
    return float(number) * units[unit]


def parse_duration(text: str) -> float:
    """Seconds of "200ms", "30s", "5min", "2h", "7d". Raises ValueError with the sentence for the operator."""
    return _parse(text, _DURATIONS, "duration", "5s")


def parse_size(text: str) -> int:
    """Bytes of "64MiB", "20GB". Raises ValueError with the sentence for the operator."""
    return round(_parse(text, _SIZES, "size", "64MiB"))


def parse_rate(text: str) -> int:
    """Bits per second of "8Mbit". Raises ValueError with the sentence for the operator."""
    return round(_parse(text, _RATES, "rate", "8Mbit"))


def _print(value: float, units: tuple[tuple[str, float], ...]) -> str:
    for unit, factor in units:
        if value >= factor and (value / factor).is_integer():
            return f"{value / factor:.0f}{unit}"
    unit, factor = units[-1]
    return f"{value / factor:g}{unit}"


def format_duration(seconds: float) -> str:
    """The shortest exact form that parse_duration reads back: 300.0 gives "5min"."""
    return _print(round(seconds * 1000), (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)))


def format_size(size_bytes: int) -> str:
    """The shortest exact form that parse_size reads back."""
    return _print(float(size_bytes), (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1)))


def format_rate(bits_per_s: int) -> str:
    """The shortest exact form that parse_rate reads back."""
    return _print(float(bits_per_s), (("Gbit", 1000**3), ("Mbit", 1000**2), ("kbit", 1000), ("bit", 1)))


def spoken_duration(seconds: float) -> str:
    """A duration for a person, two parts at most: "4 s", "12 min", "1 h 25 min", "3 d 2 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def counted(n: int, noun: str) -> str:
    """A number and its noun: "1 file", "2 files"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def spoken_size(size_bytes: int) -> str:
    """A size for a person: "340 B", "22.0 KB", "1.7 GB"."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    for unit, factor in (("KB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if size_bytes < factor * 1000:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes / 1e12:.1f} TB"
