"""Codes of six digits that a telephone shows anew every half minute (RFC 6238), pure.

They need no network: only that the clocks of telephone and node agree to a minute.
"""

from __future__ import annotations

import hmac

import pyotp

STEP_S = 30
DIGITS = 6
# A clock may be off by as much, to either side, and people type slowly.
DRIFT_STEPS = 1


def new_seed() -> str:
    """160 random bits, in base32 as telephones take it."""
    return pyotp.random_base32(32)


def step_at(at_ms: int) -> int:
    """The number of the half minute."""
    return at_ms // (STEP_S * 1000)


def step_of(seed: str, typed: str, *, now: int, last_step: int) -> int | None:
    """The step whose code was typed, or None when none near `now` (UTC milliseconds) has it.

    `last_step` is the one used last: neither it nor an earlier one counts again. One from further ahead than clocks may
    drift is of a clock that was set back since; it holds nobody out, and only its own code does not count again.
    """
    code = digits(typed)
    if len(code) != DIGITS:
        return None
    otp, this = pyotp.TOTP(seed), step_at(now)
    is_ahead = last_step > this + DRIFT_STEPS
    for step in range(this - DRIFT_STEPS, this + DRIFT_STEPS + 1):
        if hmac.compare_digest(otp.generate_otp(step), code) and (is_ahead or step > last_step):
            return step
    return None


def digits(typed: str) -> str:
    """The digits of a code, however they are grouped; empty for anything else."""
    code = "".join(typed.split())
    return code if code.isascii() and code.isdigit() else ""


def guess(typed: str, *, now: int) -> str:
    """What counts as one guess: the same digits half a minute later are another."""
    return f"{digits(typed)} {step_at(now)}"


def grouped(seed: str) -> str:
    """A seed in fours, to be typed from the screen."""
    return " ".join(seed[i : i + 4] for i in range(0, len(seed), 4))


def address(seed: str, *, code: str, clinic: str) -> str:
    """The otpauth:// address that telephones read."""
    return pyotp.TOTP(seed).provisioning_uri(name=code, issuer_name=clinic)
