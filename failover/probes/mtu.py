"""Asks with packets of a given size, not to be divided on the way: do they pass the line?

What to ask next is decided by `core.path_mtu`; here is the asking. It is none of the engine's, whose ticks are even: a
search hurries. And nothing that is asked here says whether a line lives, or loses: it enters no window and no trace.

Every `every_s` one packet of the full size, and in a search one after the other, each as soon as the one before was
answered or has been waited for as long as the line's answers take.
"""

from __future__ import annotations

import contextlib
import errno
import random
import secrets
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from failover.core import path_mtu
from failover.core.model import Role
from failover.core.path_mtu import SMALLEST, PathMtu
from failover.probes.datagram import IP_RECVERR, MSG_ERRQUEUE
from failover.probes.engine import REOPEN_S, LineProbing
from failover.probes.icmp import echo_request, open_socket, reply_sequence, without_ip_header
from failover.probes.outcome import Outcome, outcome_of
from failover.probes.pin import NotPermitted, Pin, pin_socket
from failover.setup import ProbeKind

PATIENCE_S, LEAST_PATIENCE_S = 1.0, 0.2
LARGEST = 65535
# A target whose small questions were not answered for so long, or so many of them, proves nothing about large ones.
FRESH_S, FRESH_PROBES = 1.0, 3
# While something is hurried, answers are looked for this often.
HURRIED_S = 0.05

_IP_MTU_DISCOVER, _PROBE = 10, 3  # never divided, and whatever the kernel has learned is not heeded
_IP_HEADER_BYTES, _HEADERS_BYTES = 20, 28  # the latter with ICMP's
_NONCE_BYTES = 8
_ANCILLARY_BYTES = 256
_READ_AT_ONCE = 64
_EXTENDED_ERROR = struct.Struct("=IBBBBII")

Sized = Callable[[int], None]
TooLarge = Callable[[int, int], None]


class SizeProbe(Protocol):
    """A way to ask one target through one line with packets of any size."""

    def ask(self, size: int) -> Outcome | None: ...

    def listen(self) -> None: ...

    def close(self) -> None: ...


class OpenSizeProbe(Protocol):
    """Opens one. Raises NotPermitted, or OSError where the line has no interface or address now."""

    def __call__(self, pin: Pin, address: str, passed: Sized, too_large: TooLarge) -> SizeProbe: ...


class EchoOfSize:
    """ICMP echo with DF. `passed` is told each answer's size; `too_large` a size, and which one a router lets pass."""

    def __init__(self, pin: Pin, address: str, passed: Sized, too_large: TooLarge) -> None:
        self._address, self._passed, self._too_large = address, passed, too_large
        self._ident, self._nonce = secrets.randbelow(0x10000), secrets.token_bytes(_NONCE_BYTES)
        self._sequence = 0
        self._sizes: dict[int, int] = {}
        self._socket, self._is_raw = open_socket()
        try:
            pin_socket(self._socket, pin)
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PROBE)
            self._socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            self._socket.connect((address, 0))
        except BaseException:
            self._socket.close()
            raise

    def ask(self, size: int) -> Outcome | None:
        """Send one packet of this size; what it proves if it could not leave."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        content_bytes = size - _HEADERS_BYTES
        filling = bytes(content_bytes - _NONCE_BYTES + content_bytes % 2)  # a sum is made of whole pairs
        packet = echo_request(self._ident, self._sequence, self._nonce + filling)[: size - _IP_HEADER_BYTES]
        if len(self._sizes) > _READ_AT_ONCE:
            del self._sizes[next(iter(self._sizes))]
        self._sizes[self._sequence] = size
        try:
            with contextlib.suppress(OSError):
                self._socket.send(packet)
                return None
            self._socket.send(
                packet
            )  # an error of an earlier question is told by the next call, which has sent nothing
        except OSError as error:
            # Larger than the interface takes: its MTU was changed a moment ago, and is read again soon.
            return Outcome.BLIND if error.errno == errno.EMSGSIZE else outcome_of(error)
        return None

    def listen(self) -> None:
        """Read the answers, and what routers said."""
        self._read_errors()
        for _ in range(_READ_AT_ONCE):
            try:
                packet, source = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue
            sequence = reply_sequence(without_ip_header(packet) if self._is_raw else packet, self._nonce)
            size = self._sizes.pop(sequence, None) if sequence is not None else None
            if source[0] == self._address and size is not None:
                self._passed(size)

    def close(self) -> None:
        self._socket.close()

    def _read_errors(self) -> None:
        for _ in range(_READ_AT_ONCE):
            try:
                packet, ancillary, _, _ = self._socket.recvmsg(512, _ANCILLARY_BYTES, MSG_ERRQUEUE)
            except OSError:
                return
            # What comes back is our own question: its type is that of a question, its number and nonce are ours.
            sequence = int.from_bytes(packet[6:8], "big") if len(packet) >= 8 else None
            size = self._sizes.get(sequence) if sequence is not None else None
            for level, kind, data in ancillary:
                is_error = (level, kind) == (socket.IPPROTO_IP, IP_RECVERR) and len(data) >= _EXTENDED_ERROR.size
                if is_error and size is not None:
                    number, *_, mtu, _ = _EXTENDED_ERROR.unpack_from(data)
                    if number == errno.EMSGSIZE:
                        self._too_large(size, mtu)


@dataclass(slots=True, kw_only=True)
class _Line:
    """One line: how it is asked, what is known, and the question that is open."""

    pin: Pin
    addresses: tuple[str, ...]
    every_s: float
    fresh_s: float
    path: PathMtu
    due: float
    probe: SizeProbe | None = None
    probed: str | None = None  # the address that the probe asks
    reopen_at: float = float("-inf")
    is_permitted: bool = True
    asked_at: float | None = None
    asked_size: int = 0
    patience_s: float = PATIENCE_S

    def close(self) -> None:
        if self.probe is not None:
            self.probe.close()
        self.probe, self.probed, self.asked_at = None, None, None


class Sizes:
    """The largest packets of all lines. `turn` is called on every look: a hurried question is waited for that often."""

    def __init__(
        self,
        clock: Callable[[], float],
        open_probe: OpenSizeProbe = EchoOfSize,
        *,
        phase: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._open_probe, self._phase = clock, open_probe, phase
        self._lines: dict[str, _Line] = {}

    def set_lines(
        self, lines: Mapping[str, LineProbing], mtus: Mapping[str, int], *, adopted: Mapping[str, int], now: float
    ) -> None:
        """Ask these lines from now on. `mtus` are the interfaces'; `adopted`, limits that an earlier watcher found."""
        wanted = {name: found for name, line in lines.items() if (found := _asked(line, mtus.get(name))) is not None}
        for name in [name for name in self._lines if name not in wanted]:
            self._lines.pop(name).close()
        for name, (addresses, expected) in wanted.items():
            line, known = lines[name], self._lines.get(name)
            if known is None or known.path.expected != expected or known.addresses != addresses:
                if known is not None:
                    known.close()
                limit = adopted.get(name) if known is None else known.path.limit
                limit = limit if limit is not None and SMALLEST <= limit < expected else None
                known = self._lines[name] = _Line(
                    pin=line.pin,
                    addresses=addresses,
                    every_s=line.detect.mtu_every_s,
                    fresh_s=max(FRESH_S, FRESH_PROBES * line.detect.interval_s),
                    path=PathMtu(expected=expected, limit=limit, targets=len(addresses)),
                    due=now + self._phase() * line.detect.mtu_every_s,
                )
            elif known.pin != line.pin:
                known.close()
            known.pin, known.every_s = line.pin, line.detect.mtu_every_s

    def reopen(self, line: str) -> None:
        """The interface or its address is another one."""
        if line in self._lines:
            self._lines[line].close()
            self._lines[line].reopen_at = float("-inf")

    def of_line(self, line: str) -> PathMtu | None:
        return self._lines[line].path if line in self._lines else None

    def next_at(self, now: float) -> float:
        """When `turn` is to be called at the latest."""
        is_open = any(line.asked_at is not None and line.path.is_hurried for line in self._lines.values())
        return now + HURRIED_S if is_open else min((line.due for line in self._lines.values()), default=float("inf"))

    def turn(self, heard_at: Callable[[str, str], float | None], patience_s: Callable[[str], float | None]) -> None:
        """Listen, conclude, ask. `heard_at`: when a line's target last answered a small question; by line, address.

        `patience_s`: how long answers of a line take at most, as far as is known.
        """
        for name, line in self._lines.items():
            if line.probe is not None:
                line.probe.listen()
            now = self._clock()
            address = line.addresses[line.path.target]
            at = heard_at(name, address)
            if line.asked_at is not None and now >= line.asked_at + line.patience_s:
                if at is not None and at >= line.asked_at:
                    self._conclude(line, path_mtu.missed(line.path, now))
                elif now >= line.asked_at + line.fresh_s:
                    self._conclude(line, path_mtu.unproven(line.path))
            if line.asked_at is None and now >= line.due:
                self._ask(line, now, is_alive=at is not None and now - at <= line.fresh_s, patience_s=patience_s(name))

    def close(self) -> None:
        for line in self._lines.values():
            line.close()

    # ---- one line

    def _ask(self, line: _Line, now: float, *, is_alive: bool, patience_s: float | None) -> None:
        line.due = _next(line.due, line.every_s, now)
        if not is_alive:
            line.path = path_mtu.unproven(line.path)
            if len(line.addresses) > 1:  # the next time another target, if that one answers
                line.path = replace(line.path, target=(line.path.target + 1) % len(line.addresses))
            return
        line.path = path_mtu.looked(line.path, now)
        probe = self._opened(line, line.addresses[line.path.target], now)
        if probe is None:
            return
        size = line.path.size
        usual_s = PATIENCE_S if patience_s is None else max(LEAST_PATIENCE_S, patience_s)
        line.patience_s = min(PATIENCE_S, usual_s) if line.path.is_hurried else PATIENCE_S
        line.asked_at, line.asked_size = now, size
        outcome = probe.ask(size)
        if outcome is not None:
            # What cannot leave says nothing about size; the small questions tell what is the matter.
            line.asked_at = None
            line.path = path_mtu.unproven(line.path)

    def _opened(self, line: _Line, address: str, now: float) -> SizeProbe | None:
        if line.probe is not None and line.probed == address:
            return line.probe
        line.close()
        if not line.is_permitted or now < line.reopen_at:
            return None
        line.reopen_at = now + REOPEN_S
        try:
            line.probe = self._open_probe(
                line.pin,
                address,
                lambda size: self._passed(line, size),
                lambda size, mtu: self._too_large(line, size, mtu),
            )
        except NotPermitted:
            line.is_permitted = False
            return None
        except OSError:
            return None
        line.probed, line.reopen_at = address, float("-inf")
        return line.probe

    def _passed(self, line: _Line, size: int) -> None:
        path = path_mtu.answered(line.path, size, self._clock())
        if line.asked_at is not None and size == line.asked_size:
            self._conclude(line, path)
        else:
            line.path = path

    def _too_large(self, line: _Line, size: int, mtu: int) -> None:
        if line.asked_at is not None and size == line.asked_size:
            self._conclude(line, path_mtu.told(line.path, size, mtu, self._clock()))

    def _conclude(self, line: _Line, path: PathMtu) -> None:
        """The open question is settled; what is hurried is asked with the same turn."""
        line.path, line.asked_at = path, None
        if path.is_hurried:
            line.due = min(line.due, self._clock())


def _asked(line: LineProbing, mtu: int | None) -> tuple[tuple[str, ...], int] | None:
    """The addresses to ask, those of ICMP first, and the full size; `None` where nothing is to be asked."""
    if mtu is None or mtu <= SMALLEST or not line.detect.mtu_every_s:
        return None
    targets = [t for t in line.targets if t.role is Role.CLOUD and t.name not in line.barred]
    addresses = dict.fromkeys(t.address for t in sorted(targets, key=lambda t: t.kind is not ProbeKind.ICMP))
    return (tuple(addresses), min(mtu, LARGEST)) if addresses else None


def _next(due: float, every_s: float, now: float) -> float:
    """The first tick of the schedule after `now`."""
    return due + every_s * (int(max(0.0, now - due) / every_s) + 1)
