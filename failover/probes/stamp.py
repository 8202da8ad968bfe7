"""The STAMP probe: one UDP socket, pinned to its line, and the account of which direction loses.

The socket is not connected: an answer from somebody else is then seen and counted, and not dropped by the kernel
unseen. What did not leave this machine takes no number, so that neither direction is blamed for it.
"""

from __future__ import annotations

import errno
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

from failover.probes import datagram, stamp_packet
from failover.probes.datagram import Arrival
from failover.probes.directions import Directions, Heard
from failover.probes.outcome import Outcome, outcome_of
from failover.probes.pin import Pin, pin_socket
from failover.probes.stamp_packet import ErrorEstimate, Malformed, ReflectorPacket, SenderPacket, ntp_of

KEEP_S = 60.0  # an answer to an older question is not waited for, and not counted in a direction
# Within a round trip boot time and wall clock part by less than this, unless somebody sets one.
STEP_S = 0.005
# The reflector tells with which TTL a question arrived: how many hops it took, if it left with the most there is.
_TTL = 255
_CLOCK_ASKED_EVERY_S = 60.0
_READ_AT_ONCE = 256  # of a flood the rest is read at the next turn


class Instead(StrEnum):
    """What comes from a target that gives no answer of ours: it tells a person where to look."""

    REFUSED = "refused"  # its host says that nobody listens on the port
    UNSIGNED = "unsigned"  # answers that our key has not signed
    ELSEWHERE = "elsewhere"  # answers from another address or port
    MALFORMED = "malformed"  # datagrams that are no answers at all


class Ignored(StrEnum):
    """Why a datagram was no answer. A closed set: it counts them."""

    SOURCE = "source"  # from another address or port than was asked
    OLD = "old"  # of a question that is forgotten, or was never asked
    DUPLICATE = "duplicate"
    SHORT = "short"
    LONG = "long"
    UNSIGNED = "unsigned"
    ERROR_ESTIMATE = "error-estimate"
    TIMESTAMP = "timestamp"


# What networks make of good answers (OLD, DUPLICATE) says nothing of the target.
_MEANT = {
    Ignored.SOURCE: Instead.ELSEWHERE,
    Ignored.UNSIGNED: Instead.UNSIGNED,
    **dict.fromkeys((Ignored.SHORT, Ignored.LONG, Ignored.ERROR_ESTIMATE, Ignored.TIMESTAMP), Instead.MALFORMED),
}


@dataclass(frozen=True, slots=True)
class Left:
    """When a question left, on both clocks."""

    boot: float
    wall_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What an answer says of time; a direction's difference of the two clocks' stamps is `None` where it means nothing.

    The round trip is what the packets travelled, without the time that the reflector took.
    """

    rtt_s: float
    out_s: float | None = None
    back_s: float | None = None


class StampProbe:
    """Asks one target through one line, and tells `heard` when each answered question was asked and its round trip.

    `directions` knows which way loses; whoever asks a target for longer than one socket lives sets its own, renewed,
    before the first question. `ignored` and `refusals` count what came and was no answer; a refusal is the word of a
    router or of the far end's kernel (ECONNREFUSED: no reflector runs there). Raises NotPermitted or OSError when it
    cannot be opened, ValueError for an address that is not IPv4.
    """

    def __init__(
        self,
        pin: Pin,
        target: str,
        heard: Callable[[float, float], None],
        *,
        clock: Callable[[], float],
        port: int = stamp_packet.PORT,
        key: bytes | None = None,
        keep_s: float = KEEP_S,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.directions = Directions(keep_s)
        self.ignored: Counter[Ignored] = Counter()
        self.refusals: Counter[str] = Counter()
        self.hops_out: int | None = None
        self.hops_back: int | None = None
        self.is_far_clock_synchronised: bool | None = None
        self._target, self._heard, self._key = (_ipv4(target), port), heard, key
        self._clock, self._wall_ns = clock, wall_ns
        # Tells this session from one that had our port before; 0 would mean "none".
        self._ssid = secrets.randbelow(0xFFFF) + 1
        self._instead: dict[Instead, float] = {}
        self._left: dict[int, Left] = {}
        self._keep_s = keep_s
        self._error, self._error_at = ErrorEstimate(), float("-inf")
        self._socket = _prepared()
        try:
            self.is_pinned = pin_socket(self._socket, pin)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """To be watched for reading; errors come by the same way."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ask(self, asked_at: float) -> Outcome | None:
        """Send one question; what it proves if it could not leave."""
        if asked_at - self._error_at > _CLOCK_ASKED_EVERY_S:
            self._error, self._error_at = datagram.clock_error(), asked_at
        left = Left(asked_at, self._wall_ns())
        sequence = self.directions.asked(asked_at)
        packet = SenderPacket(sequence=sequence, timestamp=ntp_of(left.wall_ns), error=self._error, ssid=self._ssid)
        try:
            self._send(stamp_packet.sender_bytes(packet, key=self._key))
        except OSError as error:
            self.directions.unasked()
            return outcome_of(error)
        self._left[sequence] = left
        self._forget(asked_at - self._keep_s)
        return None

    def listen(self) -> None:
        """Read the answers that are there."""
        for _ in range(_READ_AT_ONCE):
            try:
                data, ancillary, _, source = self._socket.recvmsg(stamp_packet.MAX_BYTES + 1, datagram.ANCILLARY_BYTES)
            except BlockingIOError:
                break
            except OSError:
                continue  # the word of a router about a question; it is read below
            if ignored := self._take(data, source, datagram.arrival(ancillary)):
                self.ignored[ignored] += 1
                if ignored in _MEANT:
                    self._instead[_MEANT[ignored]] = self._clock()
        self._take_refusals()

    def instead(self, since: float) -> Instead | None:
        """What came at or after `since` in the place of answers, the newest."""
        at, what = max(((at, what) for what, at in self._instead.items()), default=(since, None))
        return what if at >= since else None

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._target)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO, errno.EAGAIN):
                raise
            # What a router said about an earlier question is reported by the next call, which then has sent nothing.
            self._socket.sendto(data, self._target)

    def _take(self, data: bytes, source: tuple[str, int], arrived: Arrival) -> Ignored | None:
        if source != self._target:
            return Ignored.SOURCE
        packet = stamp_packet.read_reflector(data, key=self._key)
        if isinstance(packet, Malformed):
            return Ignored(packet.value)
        left = self._left.get(packet.sender_sequence)
        # Our own stamp comes back with the answer: who has not seen the question cannot answer it.
        if left is None or packet.ssid not in (0, self._ssid) or packet.sender_timestamp != ntp_of(left.wall_ns):
            return Ignored.OLD
        times = times_of(packet, left, arrived.at_ns, self._clock(), self._wall_ns())
        heard, asked_at = self.directions.answered(
            packet.sender_sequence, packet.sequence, out_s=times.out_s, back_s=times.back_s
        )
        if asked_at is None:
            return Ignored.OLD
        if heard is Heard.DUPLICATE:
            return Ignored.DUPLICATE
        # A reflector that does not know the TTL says 255 or 0.
        self.hops_out = _TTL - packet.sender_ttl if packet.sender_ttl else None
        self.hops_back = None if arrived.ttl is None else _hops(arrived.ttl)
        self.is_far_clock_synchronised = packet.error.is_synchronised
        self._heard(asked_at, times.rtt_s)
        return None

    def _take_refusals(self) -> None:
        for _ in range(_READ_AT_ONCE):
            try:
                _, ancillary, _, _ = self._socket.recvmsg(0, datagram.ANCILLARY_BYTES, datagram.MSG_ERRQUEUE)
            except OSError:
                return
            if number := datagram.arrival(ancillary).errno:
                self.refusals[errno.errorcode.get(number, str(number))] += 1
                if number == errno.ECONNREFUSED:
                    self._instead[Instead.REFUSED] = self._clock()

    def _forget(self, before: float) -> None:
        while self._left and self._left[next(iter(self._left))].boot < before:
            del self._left[next(iter(self._left))]


def times_of(packet: ReflectorPacket, left: Left, arrived_ns: int | None, read_at: float, read_ns: int) -> Times:
    """What one answer says of time, from four stamps and two clocks.

    The kernel's stamp of the arrival is wall time, which may be set while a question is under way; boot time is not.
    """
    whole_s = read_at - left.boot
    is_set = abs((read_ns - left.wall_ns) / 1e9 - whole_s) > STEP_S
    if arrived_ns is None or is_set or not left.wall_ns <= arrived_ns <= read_ns:
        arrived_ns = left.wall_ns + round(whole_s * 1e9)
    received_ns = stamp_packet.unix_ns_of(packet.received, is_ptp=packet.error.is_ptp, near_ns=read_ns)
    answered_ns = stamp_packet.unix_ns_of(packet.timestamp, is_ptp=packet.error.is_ptp, near_ns=read_ns)
    trip_ns = arrived_ns - left.wall_ns
    if received_ns is None or answered_ns is None or not 0 <= answered_ns - received_ns <= trip_ns:
        # The reflector's clock was set between its two stamps.
        return Times(rtt_s=trip_ns / 1e9)
    rtt_s = (trip_ns - (answered_ns - received_ns)) / 1e9
    if is_set:
        return Times(rtt_s=rtt_s)
    return Times(rtt_s=rtt_s, out_s=(received_ns - left.wall_ns) / 1e9, back_s=(arrived_ns - answered_ns) / 1e9)


def _hops(ttl: int) -> int:
    """How many routers an answer passed: our reflector sends it with 255, others with what their system likes."""
    return next(first for first in (64, 128, _TTL) if ttl <= first) - ttl


def _prepared() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, datagram.SO_TIMESTAMPNS, 1)
    for option, value in ((datagram.IP_RECVERR, 1), (datagram.IP_RECVTTL, 1), (datagram.IP_TTL, _TTL)):
        sock.setsockopt(socket.IPPROTO_IP, option, value)
    return sock


def _ipv4(address: str) -> str:
    try:
        return str(IPv4Address(address))
    except ValueError:
        raise ValueError(f"{address!r} is no IPv4 address; probes ask IPv4 addresses only, and no names") from None
