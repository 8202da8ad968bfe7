"""STAMP packets (RFC 8762): bytes to values and back, with and without authentication. Pure.

Read strictly: what is too short, too long or wrongly signed is `Malformed` with its reason, and never a guess. Fields
that must be zero are written as zero and not looked at. Of RFC 8972 only the session identifier (SSID) is known; what
follows the base packet is padding.

              unauthenticated                   authenticated
    offset    sender         reflector          sender         reflector
    sequence  0              0                  0              0
    timestamp 4              4                  16             16
    error     12             12                 24             24
    ssid      14             14                 26             26
    received  -              16                 -              32
    sender's sequence, timestamp, error, TTL
              -              24 28 36 40        -              48 64 72 80
    HMAC      -              -                  96             96
    size      44             44                 112            112
"""

from __future__ import annotations

import hmac
import math
import struct
from dataclasses import dataclass
from enum import StrEnum

PORT = 862
BASE_BYTES = 44
SIGNED_BYTES = 112
# The largest datagram that is read: a jumbo frame's worth. A longer one is no probe.
MAX_BYTES = 9000

_HMAC_AT = 96
_NTP_EPOCH_S = 2_208_988_800  # from 1900, when NTP begins to count, to 1970
_ERA_S = 2**32
_LARGEST_ERROR_S = math.ldexp(0xFF, 31)
_NS = 1_000_000_000

_SENDER = struct.Struct("!IQHH28x")
_SIGNED_SENDER = struct.Struct("!I12xQHH68x")
_REFLECTOR = struct.Struct("!IQHHQIQH2xB3x")
_SIGNED_REFLECTOR = struct.Struct("!I12xQHH4xQ8xI12xQH6xB15x")


class Malformed(StrEnum):
    """Why a datagram is no STAMP packet of ours. A closed set: it counts them."""

    SHORT = "short"
    LONG = "long"
    UNSIGNED = "unsigned"  # the HMAC is not that of our key
    ERROR_ESTIMATE = "error-estimate"  # its multiplier is zero, which RFC 4656 calls a corrupt packet
    TIMESTAMP = "timestamp"  # more than a second of nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEstimate:
    """How far a clock may be off: multiplier x 2^(scale - 32) seconds, and whether an outside source disciplines it.

    `is_ptp`: its timestamps are in PTP's truncated format, not in NTP's.
    """

    is_synchronised: bool = False
    is_ptp: bool = False
    scale: int = 0
    multiplier: int = 1

    @property
    def error_s(self) -> float:
        return math.ldexp(self.multiplier, self.scale - 32)

    def pack(self) -> int:
        return self.is_synchronised << 15 | self.is_ptp << 14 | self.scale << 8 | self.multiplier

    @classmethod
    def unpack(cls, field: int) -> ErrorEstimate | None:
        """None where the field makes the packet a corrupt one."""
        if not field & 0xFF:
            return None
        return cls(
            is_synchronised=bool(field >> 15), is_ptp=bool(field >> 14 & 1), scale=field >> 8 & 0x3F,
            multiplier=field & 0xFF,
        )  # fmt: skip

    @classmethod
    def of(cls, error_s: float, *, is_synchronised: bool) -> ErrorEstimate:
        """The smallest estimate that is not below `error_s`."""
        units = max(1, math.ceil(math.ldexp(min(error_s, _LARGEST_ERROR_S), 32)))
        scale = max(0, units.bit_length() - 8)
        multiplier = -(-units >> scale)
        if multiplier > 0xFF:
            scale, multiplier = scale + 1, 0x80
        if scale > 0x3F:
            scale, multiplier = 0x3F, 0xFF
        return cls(is_synchronised=is_synchronised, scale=scale, multiplier=multiplier)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderPacket:
    """A question. `timestamp` is the 64-bit field, in the format that its error estimate names."""

    sequence: int
    timestamp: int
    error: ErrorEstimate = ErrorEstimate()
    ssid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectorPacket:
    """Its answer. `received` and `timestamp` are the reflector's clock, in the format that `error` names."""

    sequence: int
    timestamp: int
    received: int
    sender_sequence: int
    sender_timestamp: int
    sender_ttl: int
    error: ErrorEstimate = ErrorEstimate()
    sender_error: ErrorEstimate = ErrorEstimate()
    ssid: int = 0


def ntp_of(unix_ns: int) -> int:
    """A time as NTP's 64-bit timestamp: seconds since 1900 and their fraction. Its seconds begin anew in 2036."""
    seconds, ns = divmod(unix_ns, _NS)
    return (seconds + _NTP_EPOCH_S) % _ERA_S << 32 | (ns << 32) // _NS


def unix_ns_of(timestamp: int, *, is_ptp: bool, near_ns: int) -> int | None:
    """A 64-bit timestamp as a time, in the era that lies nearest `near_ns`; None for one that is none."""
    seconds, fraction = timestamp >> 32, timestamp & 0xFFFF_FFFF
    if is_ptp:
        if fraction >= _NS:
            return None
        found = seconds * _NS + fraction
    else:
        found = (seconds - _NTP_EPOCH_S) * _NS + (fraction * _NS + 2**31 >> 32)
    era_ns = _ERA_S * _NS
    return found + era_ns * ((near_ns - found + era_ns // 2) // era_ns)


def sender_bytes(packet: SenderPacket, *, key: bytes | None = None, size_bytes: int = 0) -> bytes:
    """The question as it travels, padded with zeros to `size_bytes` where that is more than it needs."""
    fields = (packet.sequence, packet.timestamp, packet.error.pack(), packet.ssid)
    body = _SENDER.pack(*fields) if key is None else _signed(_SIGNED_SENDER.pack(*fields), key)
    return body.ljust(size_bytes, b"\0")


def reflector_bytes(packet: ReflectorPacket, *, key: bytes | None = None, rest: bytes = b"") -> bytes:
    """The answer as it travels; `rest` is what followed the question's base packet, and goes back with it."""
    fields = (
        packet.sequence, packet.timestamp, packet.error.pack(), packet.ssid, packet.received, packet.sender_sequence,
        packet.sender_timestamp, packet.sender_error.pack(), packet.sender_ttl,
    )  # fmt: skip
    body = _REFLECTOR.pack(*fields) if key is None else _signed(_SIGNED_REFLECTOR.pack(*fields), key)
    return body + rest


def read_sender(data: bytes, *, key: bytes | None = None) -> SenderPacket | Malformed:
    """The question in a datagram, or what is wrong with it. With a key, only what that key signed is read."""
    if wrong := _outside(data, key):
        return wrong
    layout = _SENDER if key is None else _SIGNED_SENDER
    sequence, timestamp, error_field, ssid = layout.unpack_from(data)
    error = ErrorEstimate.unpack(error_field)
    if error is None:
        return Malformed.ERROR_ESTIMATE
    return SenderPacket(sequence=sequence, timestamp=timestamp, error=error, ssid=ssid)


def read_reflector(data: bytes, *, key: bytes | None = None) -> ReflectorPacket | Malformed:
    """The answer in a datagram, or what is wrong with it. With a key, only what that key signed is read."""
    if wrong := _outside(data, key):
        return wrong
    layout = _REFLECTOR if key is None else _SIGNED_REFLECTOR
    sequence, timestamp, error_field, ssid, received, s_sequence, s_timestamp, s_error_field, ttl = layout.unpack_from(
        data
    )
    error, sender_error = ErrorEstimate.unpack(error_field), ErrorEstimate.unpack(s_error_field)
    if error is None or sender_error is None:
        return Malformed.ERROR_ESTIMATE
    if error.is_ptp and max(timestamp & 0xFFFF_FFFF, received & 0xFFFF_FFFF) >= _NS:
        return Malformed.TIMESTAMP
    return ReflectorPacket(
        sequence=sequence, timestamp=timestamp, received=received, sender_sequence=s_sequence,
        sender_timestamp=s_timestamp, sender_ttl=ttl, error=error, sender_error=sender_error, ssid=ssid,
    )  # fmt: skip


def base_bytes(key: bytes | None) -> int:
    """How long a packet without padding is."""
    return BASE_BYTES if key is None else SIGNED_BYTES


def _outside(data: bytes, key: bytes | None) -> Malformed | None:
    if len(data) < base_bytes(key):
        return Malformed.SHORT
    if len(data) > MAX_BYTES:
        return Malformed.LONG
    # Before anything else of it is believed (RFC 8762, 4.4).
    if key is not None and not hmac.compare_digest(data[_HMAC_AT:SIGNED_BYTES], _mac(data[:_HMAC_AT], key)):
        return Malformed.UNSIGNED
    return None


def _signed(body: bytes, key: bytes) -> bytes:
    return body + _mac(body, key)


def _mac(body: bytes, key: bytes) -> bytes:
    """HMAC-SHA-256 over the first six blocks of 16 octets, cut to 128 bits."""
    return hmac.digest(key, body, "sha256")[:16]
