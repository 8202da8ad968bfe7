"""The far end of STAMP: answers the questions of those it knows, and counts its answers per session.

`Reflector` decides and is pure; `serve` moves the datagrams. Stateful (RFC 8762, 4): each session's answers are
numbered from zero, which is what tells loss on the way out from loss on the way back.

It is no amplifier: an answer is exactly as long as its question, one at most for each, to allowed sources only, at a
bounded rate. What is malformed or wrongly signed gets no answer and makes no session. Memory is bounded: sessions that
are silent are forgotten, and no address can push out the sessions of another.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from failover.probes import datagram, stamp_packet
from failover.probes.stamp_packet import ErrorEstimate, Malformed, ReflectorPacket

# A line that is dead for less than this goes on with its session, so that its losses can be told by direction.
SESSION_KEPT_S = 3600.0
SESSIONS_PER_SOURCE = 64
MAX_SOURCES = 4096
# Two questions every 20 ms, the fastest that a node may be told to ask, and twice that for a restart.
RATE_PER_SOURCE = 200.0
RATE_OF_ALL = 20_000.0
CLOCK_ASKED_EVERY_S = 10.0
_ANSWERED_AT_ONCE = 256
_DSCP = 0xFC


class Unanswered(StrEnum):
    """Why a datagram got no answer. A closed set: it counts them."""

    SOURCE = "source"  # its address is not allowed
    RATE = "rate"
    SHORT = "short"
    LONG = "long"
    UNSIGNED = "unsigned"
    ERROR_ESTIMATE = "error-estimate"
    TIMESTAMP = "timestamp"
    NOT_SENT = "not-sent"  # the kernel would not take the answer


class Bucket:
    """A rate: `rate` a second, and a second's worth at once."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate, self._left, self._at = rate, rate, 0.0

    def take(self, now: float) -> bool:
        self._left = min(self._rate, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class _Session:
    counted: int = 0
    heard_at: float = 0.0


@dataclass(slots=True)
class _Source:
    rate: Bucket
    # By port and session identifier, the one that was silent for longest first.
    sessions: OrderedDict[tuple[int, int], _Session] = field(default_factory=OrderedDict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A datagram as it came in."""

    data: bytes
    source: tuple[str, int]
    received_ns: int
    ttl: int


class Reflector:
    """Who may ask, with which key, and what has been answered. It holds no clock and no socket."""

    def __init__(
        self,
        allowed: Sequence[IPv4Network],
        *,
        key: bytes | None = None,
        rate_per_source: float = RATE_PER_SOURCE,
        rate_of_all: float = RATE_OF_ALL,
        kept_s: float = SESSION_KEPT_S,
        sessions_per_source: int = SESSIONS_PER_SOURCE,
        max_sources: int = MAX_SOURCES,
    ) -> None:
        self._allowed, self._key = tuple(allowed), key
        self._rate_per_source, self._rate = rate_per_source, Bucket(rate_of_all)
        self._kept_s, self._sessions_per_source, self._max_sources = kept_s, sessions_per_source, max_sources
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self.answered = 0
        self.unanswered: Counter[Unanswered] = Counter()

    @property
    def sessions(self) -> int:
        """How many sessions are remembered."""
        return sum(len(source.sessions) for source in self._sources.values())

    def answer(
        self, question: Question, *, now: float, wall_ns: Callable[[], int], error: ErrorEstimate
    ) -> bytes | Unanswered:
        """What goes back to the source, or why nothing does. `wall_ns` is asked as late as possible."""
        found = self._answer(question, now, wall_ns, error)
        if isinstance(found, Unanswered):
            self.unanswered[found] += 1
        else:
            self.answered += 1
        return found

    def _answer(
        self, question: Question, now: float, wall_ns: Callable[[], int], error: ErrorEstimate
    ) -> bytes | Unanswered:
        address, port = question.source
        asking = IPv4Address(address)
        if not any(asking in network for network in self._allowed):
            return Unanswered.SOURCE
        # The bounds come before the signature, whose check is what costs most.
        source = self._source(address)
        if not source.rate.take(now) or not self._rate.take(now):
            return Unanswered.RATE
        packet = stamp_packet.read_sender(question.data, key=self._key)
        if isinstance(packet, Malformed):
            return Unanswered(packet.value)
        session = self._session(source, (port, packet.ssid), now)
        number, session.counted = session.counted, (session.counted + 1) % 2**32
        reflected = ReflectorPacket(
            sequence=number,
            timestamp=stamp_packet.ntp_of(wall_ns()),
            received=stamp_packet.ntp_of(question.received_ns),
            sender_sequence=packet.sequence,
            sender_timestamp=packet.timestamp,
            sender_ttl=question.ttl,
            error=error,
            sender_error=packet.error,
            ssid=packet.ssid,
        )
        rest = question.data[stamp_packet.base_bytes(self._key) :]
        return stamp_packet.reflector_bytes(reflected, key=self._key, rest=rest)

    def _source(self, address: str) -> _Source:
        source = self._sources.get(address)
        if source is None:
            if len(self._sources) >= self._max_sources:
                self._sources.popitem(last=False)
            source = self._sources[address] = _Source(Bucket(self._rate_per_source))
        self._sources.move_to_end(address)
        return source

    def _session(self, source: _Source, name: tuple[int, int], now: float) -> _Session:
        sessions = source.sessions
        while sessions and now - next(iter(sessions.values())).heard_at > self._kept_s:
            sessions.popitem(last=False)
        session = sessions.get(name)
        if session is None:
            if len(sessions) >= self._sessions_per_source:
                sessions.popitem(last=False)
            session = sessions[name] = _Session()
        sessions.move_to_end(name)
        session.heard_at = now
        return session


def listen(address: str, port: int) -> socket.socket:
    """The reflector's socket on one address. Raises ValueError for no IPv4 address, OSError where it cannot be had."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        opened.setsockopt(socket.SOL_SOCKET, datagram.SO_TIMESTAMPNS, 1)
        for option in (datagram.IP_RECVTTL, datagram.IP_RECVTOS, datagram.IP_PKTINFO):
            opened.setsockopt(socket.IPPROTO_IP, option, 1)
        opened.setsockopt(socket.IPPROTO_IP, datagram.IP_TTL, 255)
        opened.bind((str(IPv4Address(address)), port))
    except BaseException:
        opened.close()
        raise
    return opened


def serve(
    listening: Sequence[socket.socket],
    reflector: Reflector,
    *,
    stop: socket.socket,
    unanswered: Callable[[Unanswered, str], None] = lambda *_: None,
) -> None:
    """Answer until something can be read from `stop`. `unanswered` is told of each datagram without an answer."""
    error, error_at = datagram.clock_error(), time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(stop, selectors.EVENT_READ)
        for opened in listening:
            selector.register(opened, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select(timeout=CLOCK_ASKED_EVERY_S)]
            if stop in ready:
                return
            if time.monotonic() - error_at > CLOCK_ASKED_EVERY_S:
                error, error_at = datagram.clock_error(), time.monotonic()
            for opened in listening:
                if opened in ready:
                    _answer_waiting(opened, reflector, error, unanswered)


def _answer_waiting(
    opened: socket.socket,
    reflector: Reflector,
    error: ErrorEstimate,
    unanswered: Callable[[Unanswered, str], None],
) -> None:
    for _ in range(_ANSWERED_AT_ONCE):
        try:
            # One byte more than is answered, so that a longer one can be told.
            data, ancillary, _, source = opened.recvmsg(stamp_packet.MAX_BYTES + 1, datagram.ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError:
            # The kernel tells of an earlier answer that did not arrive; nobody waits for that.
            continue
        arrived = datagram.arrival(ancillary)
        question = Question(data=data, source=source, received_ns=arrived.at_ns or time.time_ns(), ttl=arrived.ttl or 0)
        answer = reflector.answer(question, now=time.monotonic(), wall_ns=time.time_ns, error=error)
        if isinstance(answer, Unanswered):
            unanswered(answer, source[0])
            continue
        # From the address that was asked, and in the class of service of the question, without its congestion bits.
        notes = [] if arrived.to is None else datagram.from_address(arrived.to, (arrived.tos or 0) & _DSCP)
        try:
            opened.sendmsg([answer], notes, 0, source)
        except OSError:
            # Its number is spent: the asker will find it lost on the way back, where indeed there is no way.
            reflector.unanswered[Unanswered.NOT_SENT] += 1
            unanswered(Unanswered.NOT_SENT, source[0])
