"""What an S3 client's errors mean: which ones a person must mend, which ones pass with the line. Pure.

The client tells most kinds in words only, the cause deep in a debugging text. All of these were seen (the table is in
`tests/unit/replication/test_s3_failures.py`). Nothing of the answer travels but its code and message: a store cites key
ids and what was signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_node.replication.store import CopyState

_STATUS = re.compile(r"non-2xx status code: (\d{3})[^:\n]*:?")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,200})</Message>")
_CONNECTING = re.compile(r"legacy::Error\(\s*Connect,")
# Answers of these kinds come back the same until somebody changes a key, a name or a right.
_REFUSED_STATUS = frozenset({301, 400, 401, 403, 404, 405, 409, 411, 412, 501, 507})
# Codes that pass by themselves although their status is among those. NoSuchUpload: that an upload was complete was not
# heard in time, and there was nothing left to take back; the next try finds the object.
_PASSING_CODES = frozenset(
    {"RequestTimeout", "OperationAborted", "SlowDown", "ConditionalRequestConflict", "NoSuchUpload"}
)
# What the client's debugging text holds, and what it means; the first that is found counts.
_CAUSES = (
    ("dns error", "its name cannot be resolved"),
    ("InvalidCertificate", "its certificate is not trusted, or is another's"),
    ("Connection refused", "connection refused"),
    ("ConnectionRefused", "connection refused"),
    ("Network is unreachable", "no route to it"),
    ("NetworkUnreachable", "no route to it"),
    ("No route to host", "no route to it"),
    ("HostUnreachable", "no route to it"),
    ("Connection reset", "the connection broke"),
    ("ConnectionReset", "the connection broke"),
    ("IncompleteMessage", "the connection broke"),
    ("Broken pipe", "the connection broke"),
    ("ETag Header missing", "what answers is not a store: a login page, or a proxy"),
    ("Got invalid list response", "what answers is not a store: a login page, or a proxy"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What an error means. `code` is the store's own word for it, None where it said none."""

    state: CopyState
    why: str
    code: str | None = None


def meaning(text: str) -> Meaning:
    """The meaning of an error's text."""
    if status := _STATUS.search(text):
        return _of_answer(int(status[1]), text[status.end() :])
    if "Received redirect without LOCATION" in text:
        return Meaning(state=CopyState.REFUSED, why="the bucket is in another region", code="PermanentRedirect")
    for sign, why in _CAUSES:
        if sign in text:
            return Meaning(state=CopyState.UNREACHABLE, why=why)
    if re.search(r"kind: Timeout|TimedOut|operation timed out", text):
        why = "no connection in time" if _CONNECTING.search(text) else "no answer in time"
        return Meaning(state=CopyState.UNREACHABLE, why=why)
    first = text.splitlines()[0] if text else "it failed without a word"
    return Meaning(state=CopyState.UNREACHABLE, why=first[:200])


def _of_answer(status: int, body: str) -> Meaning:
    code, message = _CODE.search(body), _MESSAGE.search(body)
    word = code[1] if code else None
    why = " ".join(part for part in (str(status), word) if part) + (f": {message[1].strip()}" if message else "")
    refused = status in _REFUSED_STATUS and word not in _PASSING_CODES
    return Meaning(state=CopyState.REFUSED if refused else CopyState.UNREACHABLE, why=why, code=word)


def hint(found: Meaning, *, credential: str, bucket: str) -> str | None:
    """What to do about a refusal; None where there is nothing to be done but to wait for the line."""
    if found.state is not CopyState.REFUSED:
        return None
    match found.code:
        case "NoSuchBucket":
            return f"make the bucket {bucket}, or mend its name in the configuration"
        case "RequestTimeTooSkewed":
            return "the clocks differ: edge-node doctor says whether this machine's is right"
        case "PermanentRedirect" | "AuthorizationHeaderMalformed":
            return "set region to the one that the store names for this bucket"
        case "QuotaExceeded" | "StorageFull":
            return "the store is full, or the account's limit is reached"
    return f"is the key in {credential} right, and may it read and write {bucket}? it is read again at each try"
