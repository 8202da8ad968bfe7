"""One receiver of remote write: a POST, and what its answer means."""

from __future__ import annotations

import base64
import contextlib
import ssl
from pathlib import Path

import httpx

from edge_node.base.clock import Clock
from edge_node.base.http_words import distrust, retry_after_s
from edge_node.base.shared_key import ABSENT
from edge_node.push.policy import Answer, Reply, of_status
from monitoring.remote_write import HEADERS

CONNECT_S, STEP_S = 3.0, 10.0
# Longer than a step, so that a connection, and its TLS handshake of some kilobytes, serves the next one too. One that
# died with its line is noticed by the silence.
KEPT_ALIVE_S = 75.0
# A Prometheus says why it refuses in one line.
WORDS_BYTES = 200


class Receiver:
    """`secret_path` is the file of a token, or of user:password; None where none is needed. Used by one thread."""

    def __init__(self, url: str, *, secret_path: Path | None, clock: Clock) -> None:
        self._url, self._secret_path, self._clock = url, secret_path, clock
        # The machine's own authorities, and nothing else of the environment: no proxy, no netrc.
        self._client = httpx.Client(
            verify=ssl.create_default_context() if url.startswith("https:") else False,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(STEP_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEPT_ALIVE_S),
            headers={"User-Agent": "edge-node"},
        )

    def close(self) -> None:
        self._client.close()

    def post(self, body: bytes) -> Reply:
        """Send one compressed request. Raises nothing: what came of it is a value.

        The secret is read for every request: whoever mends it in the state folder need not restart anything.
        """
        try:
            headers = {**HEADERS, **authorization(self._secret_path)}
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            return Reply(answer=Answer.DENIED, words=f"{self._secret_path}: {why}")
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                # The status has arrived and counts, whatever becomes of the rest.
                words = ""
                with contextlib.suppress(httpx.HTTPError):
                    words = _first_line(answer)
                wait_s = retry_after_s(answer.headers.get("Retry-After"), now_ms=self._clock.wall_ms())
                reply = of_status(answer.status_code, retry_after_s=wait_s)
        except httpx.ConnectTimeout:
            return Reply(answer=Answer.SILENT, words=f"no connection within {CONNECT_S:g} s")
        except httpx.TimeoutException:
            return Reply(answer=Answer.SILENT, words=f"no answer within {STEP_S:g} s")
        except httpx.ConnectError as error:
            if (why := distrust(error)) is not None:
                return Reply(answer=Answer.DENIED, words=why)
            return Reply(answer=Answer.SILENT, words="no connection")
        except httpx.HTTPError as error:
            return Reply(answer=Answer.SILENT, words=type(error).__name__)
        if reply.answer is Answer.TAKEN or not words:
            return reply
        return Reply(answer=reply.answer, words=f"{reply.words}: {words}", retry_after_s=reply.retry_after_s)


def authorization(secret_path: Path | None) -> dict[str, str]:
    """The header for the secret in a file: one line, a token, or user:password (a token has no colon, RFC 6750).

    Raises OSError, and ValueError for what is neither.
    """
    if secret_path is None:
        return {}
    try:
        secret = secret_path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError("it is not text") from error
    if secret == ABSENT:
        raise ValueError("it was not there when the service was started: put it there, and restart edge-monitor")
    if not secret or not secret.isprintable():
        raise ValueError("it holds no secret (one line: a token, or user:password)")
    if ":" in secret:
        return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
    if not secret.isascii() or " " in secret:
        raise ValueError("it holds no token (one word), and no user:password")
    return {"Authorization": f"Bearer {secret}"}


def _first_line(answer: httpx.Response) -> str:
    """What the answer says for people; the rest is not read."""
    for chunk in answer.iter_bytes(WORDS_BYTES):
        line = chunk[:WORDS_BYTES].decode(errors="replace").partition("\n")[0].strip()
        return "".join(char for char in line if char.isprintable())
    return ""
