"""How fast a destination takes what is sent to it, and how long the rest will take. Pure; the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field

# A transfer of less is mostly round trip and tells nothing of a rate.
RATED_BYTES = 50_000
# A client takes some parts at once, and goes on when one has left: a wait of so long ends with that.
WAIT_S = 0.2
# Two parts that left together end a moment apart, longer on a busy machine: such a wait is none beside the long ones.
SAME_BURST = 0.25
# What was taken and waits behind the parts that leave, when the first wait ends: two chunks queued, one at hand.
FILLED_BYTES = 3 << 20
# The newest transfer counts for this part of the rate; a line changes over minutes.
NEWEST_PART = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a client had taken of a file, and when."""

    size_bytes: int
    at_s: float


@dataclass(slots=True)
class Upload:
    """One large file on its way since `began_s`. How much of it has left cannot be asked; the client's waits tell.

    It takes in bursts: the first tells about what the line carries, the distance of two bursts what it really does.
    """

    began_s: float
    _last: Taken | None = field(default=None, init=False)
    _longest_wait_s: float = field(default=0.0, init=False)
    _bursts: tuple[Taken, Taken] | None = field(default=None, init=False)

    def took(self, size_bytes: int, *, now_s: float) -> None:
        """The client has taken so many more bytes."""
        before = self._last or Taken(size_bytes=0, at_s=now_s)
        self._last = Taken(size_bytes=before.size_bytes + size_bytes, at_s=now_s)
        wait_s = now_s - before.at_s
        if wait_s >= max(WAIT_S, SAME_BURST * self._longest_wait_s):
            self._longest_wait_s = max(wait_s, self._longest_wait_s)
            burst = Taken(size_bytes=before.size_bytes, at_s=now_s)
            self._bursts = (self._bursts[0] if self._bursts else burst, burst)

    @property
    def bytes_per_s(self) -> float | None:
        """What the line carries; None while that cannot be told."""
        if self._bursts is None:
            return None
        first, newest = self._bursts
        if first == newest:
            left_bytes = first.size_bytes - FILLED_BYTES
            return left_bytes / (first.at_s - self.began_s) if left_bytes > 0 else None
        return (newest.size_bytes - first.size_bytes) / (newest.at_s - first.at_s)

    def sent_bytes(self, *, now_s: float) -> int:
        """What must have left at that rate; 0 while there is none."""
        rate = self.bytes_per_s
        if rate is None or self._bursts is None:
            return 0
        first, newest = self._bursts
        # What had been taken by the first burst, and had not left by then, is what the client still holds.
        held_bytes = max(0.0, first.size_bytes - rate * (first.at_s - self.began_s))
        return int(newest.size_bytes - held_bytes + rate * (now_s - newest.at_s))


@dataclass(slots=True)
class Pace:
    """The rate of one destination, in bytes a second; None until a transfer has told it."""

    bytes_per_s: float | None = None
    _is_old: bool = field(default=False, init=False)

    def sent(self, size_bytes: int, took_s: float) -> None:
        """So much was sent in this time."""
        if size_bytes < RATED_BYTES or took_s <= 0:
            return
        rate = size_bytes / took_s
        if self.bytes_per_s is None or self._is_old:
            self.bytes_per_s, self._is_old = rate, False
        else:
            self.bytes_per_s += NEWEST_PART * (rate - self.bytes_per_s)

    def broke_off(self) -> None:
        """The line that comes back may be another one: its first transfer counts alone."""
        self._is_old = True

    def left_s(self, size_bytes: int, upload: Upload | None, *, now_s: float) -> float | None:
        """How long so many bytes take, of which `upload` is the first part; None while no rate is known.

        A file that takes long tells the rate itself, and how much of it has gone. Until it does, after an outage,
        nobody knows what the line carries now.
        """
        if upload is None:
            return None if self.bytes_per_s is None else size_bytes / self.bytes_per_s
        rate = upload.bytes_per_s or (None if self._is_old else self.bytes_per_s)
        return None if rate is None else max(0, size_bytes - upload.sent_bytes(now_s=now_s)) / rate
