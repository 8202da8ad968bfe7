"""What an HTTP answer, or the want of one, says beside its status; for every client of ours."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_s(text: str | None, *, now_ms: int) -> float | None:
    """Seconds of a Retry-After, which may also be a date; None for what is neither."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds())


def distrust(error: BaseException) -> str | None:
    """Why a certificate is not to be trusted, which is for a person; None for a connection that merely failed.

    `error` is what the client raised. A handshake that broke off is the line's fault.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            why = getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or "TLS failed"
            return str(why)
        cause = cause.__cause__ or cause.__context__
    return None
