"""What can be done to a line: a table from the fault's name to how it is made, all at the carrier.

A fault is kept by the carrier's kernel (or, for delay, by a process in its namespace) and not in our memory: any
process may break a line and any other heal it. Faults of different kinds add up; `heal` undoes all.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.namespace import Namespace
from tests.support.waiting import until

_ROOT = Path(__file__).resolve().parents[2]
# The carrier's devices: towards the clinic, and towards the cloud.
CUSTOMER, FAR = "cust", "wan"
RELAY_DEVICE = "relay0"
_RELAY_TABLE, _RELAY_RULES = 77, (70, 71)
# A queue as carriers have it: long enough to delay, not endless.
_QUEUE_BYTES, _BURST_BYTES = 400_000, 16_000


class UnknownFault(ValueError):
    """The specification is none of the table; the message says what may stand there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the table. `form` is what follows the name; `example` is written whole."""

    name: str
    example: str
    does: str
    make: Callable[[Namespace, re.Match[str]], None]
    form: str = ""

    def matches(self, spec: str) -> re.Match[str] | None:
        return re.fullmatch(re.escape(self.name) + self.form, spec)


def apply(carrier: Namespace, spec: str) -> None:
    """Make a fault at this carrier; it is in force on return. Raises UnknownFault."""
    fault, found = parse(spec)
    fault.make(carrier, found)


def parse(spec: str) -> tuple[Fault, re.Match[str]]:
    """The row that a specification means, and its figures. Raises UnknownFault, with a sentence."""
    for fault in FAULTS:
        if found := fault.matches(spec):
            if problem := _nonsense(found):
                raise UnknownFault(f"{spec!r}: {problem}")
            return fault, found
    for fault in FAULTS:
        if spec.partition("=")[0] == fault.name:
            raise UnknownFault(f"{spec!r} is not understood; {fault.name} is written {fault.example}")
    raise UnknownFault(f"{spec!r} is no fault; there are {', '.join(fault.example for fault in FAULTS)}")


def _nonsense(found: re.Match[str]) -> str | None:
    """Figures that are written rightly and cannot be meant."""
    figures = {name: int(value) for name, value in found.groupdict().items() if value and value.isdigit()}
    if not 1 <= figures.get("percent", 1) <= 100:
        return "a share of lost packets lies between 1 and 100 %"
    if not 1 <= figures.get("delay_ms", 1) <= 10_000:
        return "a delay lies between 1 and 10000 ms"
    if figures.get("jitter_ms", 0) > figures.get("delay_ms", 0):
        return "the delay would be negative at times"
    if not 128 <= figures.get("mtu_bytes", 128) <= 1499:
        return "an MTU that breaks something lies between 128 and 1499"
    if figures.get("rate", 1) < 1:
        return "a rate of nothing is a blackhole"
    return None


def _drop(carrier: Namespace, table: str, *rules: str) -> None:
    """Drop, silently, what the carrier would forward; a table of its own for each kind, replaced whole."""
    body = "\n".join(f"    {rule} drop" for rule in rules)
    carrier.nft(
        f"table ip {table}\ndelete table ip {table}\n"
        f"table ip {table} {{\n  chain forward {{\n    type filter hook forward priority 0\n{body}\n  }}\n}}\n"
    )


def _blackhole(carrier: Namespace, _: re.Match[str]) -> None:
    _drop(carrier, "blackhole", f'iifname "{CUSTOMER}"', f'iifname "{FAR}"')


def _blackhole_out(carrier: Namespace, _: re.Match[str]) -> None:
    _drop(carrier, "blackhole_out", f'iifname "{CUSTOMER}"')


def _blackhole_back(carrier: Namespace, _: re.Match[str]) -> None:
    _drop(carrier, "blackhole_back", f'iifname "{FAR}"')


def _loss(carrier: Namespace, found: re.Match[str]) -> None:
    # One way only: then the loss that a ping sees is the figure itself.
    _drop(carrier, "loss", f'iifname "{CUSTOMER}" numgen random mod 100 < {found["percent"]}')


def _loss_back(carrier: Namespace, found: re.Match[str]) -> None:
    _drop(carrier, "loss_back", f'iifname "{FAR}" numgen random mod 100 < {found["percent"]}')


def _mtu(carrier: Namespace, found: re.Match[str]) -> None:
    # Without the ICMP that would tell the sender: a black hole for large packets.
    _drop(
        carrier, "mtu", *(f'iifname "{device}" meta length > {found["mtu_bytes"]}' for device in (CUSTOMER, FAR))
    )  # fmt: skip


def _rate(carrier: Namespace, found: re.Match[str]) -> None:
    for device in (CUSTOMER, FAR):
        carrier.run(
            "tc", "qdisc", "replace", "dev", device, "root", "tbf", "rate", f"{found['rate']}{found['unit']}",
            "burst", str(_BURST_BYTES), "limit", str(_QUEUE_BYTES),
        )  # fmt: skip


def _delay(carrier: Namespace, found: re.Match[str]) -> None:
    """Clinic to cloud only, so that the round trip grows by the figure."""
    _end_relays(carrier)
    carrier.popen(
        sys.executable, "-m", "tests.lab.relay", "--device", RELAY_DEVICE, "--delay-ms", found["delay_ms"],
        "--jitter-ms", found["jitter_ms"] or "0", cwd=_ROOT,
    )  # fmt: skip
    until(lambda: carrier.run("ip", "link", "show", "up", "dev", RELAY_DEVICE, check=False).stdout)
    to_relay, from_relay = _RELAY_RULES[1], _RELAY_RULES[0]
    carrier.configure(
        f"route replace default dev {RELAY_DEVICE} table {_RELAY_TABLE}\n"
        f"rule add pref {from_relay} iif {RELAY_DEVICE} lookup main\n"
        f"rule add pref {to_relay} iif {CUSTOMER} lookup {_RELAY_TABLE}\n"
    )


def _end_relays(carrier: Namespace) -> None:
    """Nothing else runs at a carrier: whatever lives there is a relay."""
    for rule in _RELAY_RULES:
        carrier.run("ip", "rule", "del", "pref", str(rule), check=False)
    for pid in carrier.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for child in carrier.started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=5)
    until(lambda: not carrier.run("ip", "link", "show", "dev", RELAY_DEVICE, check=False).stdout)


def _cut(carrier: Namespace, _: re.Match[str]) -> None:
    carrier.configure(f"link set {CUSTOMER} down\n")


def _heal(carrier: Namespace, _: re.Match[str]) -> None:
    carrier.nft("flush ruleset\n")
    for device in (CUSTOMER, FAR):
        carrier.run("tc", "qdisc", "del", "dev", device, "root", check=False)
    _end_relays(carrier)
    carrier.configure(f"link set {CUSTOMER} up\n")
    # The kernel took the routes over this device along when it was cut.
    number = carrier.run("ip", "-4", "-br", "addr", "show", "dev", CUSTOMER).stdout.split()[2].split(".")[1]
    carrier.configure(f"route replace 10.9.0.0/24 via 10.{number}.1.2\n")


_NUMBER = r"(?P<{}>[0-9]{{1,6}})"

FAULTS = (
    Fault(name="blackhole", example="blackhole", does="nothing passes, the carrier stays up", make=_blackhole),
    Fault(name="blackhole-out", example="blackhole-out", does="nothing leaves the clinic", make=_blackhole_out),
    Fault(name="blackhole-back", example="blackhole-back", does="nothing comes back", make=_blackhole_back),
    Fault(
        name="loss", example="loss=30%", does="30 % of what leaves the clinic is lost", make=_loss,
        form="=" + _NUMBER.format("percent") + "%",
    ),
    Fault(
        name="loss-back", example="loss-back=30%", does="30 % of what comes back is lost", make=_loss_back,
        form="=" + _NUMBER.format("percent") + "%",
    ),
    Fault(
        name="delay", example="delay=80±20", does="the round trip takes 60 to 100 ms longer", make=_delay,
        form="=" + _NUMBER.format("delay_ms") + "(?:(?:±|\\+-)" + _NUMBER.format("jitter_ms") + ")?",
    ),
    Fault(
        name="rate", example="rate=2mbit", does="2 Mbit/s each way, with a queue of 400 kB", make=_rate,
        form="=" + _NUMBER.format("rate") + "(?P<unit>kbit|mbit)",
    ),
    Fault(
        name="mtu", example="mtu=1400", does="larger packets vanish without a word", make=_mtu,
        form="=" + _NUMBER.format("mtu_bytes"),
    ),
    Fault(name="cut", example="cut", does="the cable is out: the clinic loses carrier", make=_cut),
    Fault(name="heal", example="heal", does="everything above is undone", make=_heal),
)  # fmt: skip
