"""The secret of a receiver: what stands in its file, and what the request carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.base.clock import SystemClock
from edge_node.push.policy import Answer
from edge_node.push.receiver import Receiver, authorization


@pytest.mark.parametrize(
    "content, header",
    [
        pytest.param("s3cret\n", "Bearer s3cret", id="a-token"),
        pytest.param("eyJhbGciOi.J9-_~+/==\n", "Bearer eyJhbGciOi.J9-_~+/==", id="every-character-of-a-token"),
        pytest.param("edge:pass word:x\n", "Basic ZWRnZTpwYXNzIHdvcmQ6eA==", id="user-and-password"),
        pytest.param("诊所:密码\n", "Basic 6K+K5omAOuWvhueggQ==", id="user-and-password-in-chinese"),
    ],
)
def test_a_secret_is_a_token_or_user_and_password(tmp_path: Path, content: str, header: str) -> None:
    secret = tmp_path / "prom-key"
    secret.write_text(content, encoding="utf-8")
    assert authorization(secret) == {"Authorization": header}


def test_without_a_credential_nothing_is_said() -> None:
    assert authorization(None) == {}


@pytest.mark.parametrize(
    "content, words",
    [
        pytest.param(None, "No such file or directory", id="missing"),
        pytest.param(b"", "it holds no secret (one line: a token, or user:password)", id="empty"),
        pytest.param(b"one\ntwo", "it holds no secret (one line: a token, or user:password)", id="two-lines"),
        pytest.param(b"two words", "it holds no token (one word), and no user:password", id="two-words"),
        pytest.param("令牌".encode(), "it holds no token (one word), and no user:password", id="no-ascii"),
        pytest.param(b"\xff\xfe", "it is not text", id="no-text"),
        pytest.param(
            b"absent\n",
            "it was not there when the service was started: put it there, and restart edge-monitor",
            id="systemd-had-none",
        ),
    ],
)
def test_a_secret_that_is_none_is_named_and_nothing_is_sent(tmp_path: Path, content: bytes | None, words: str) -> None:
    secret = tmp_path / "prom-key"
    if content is not None:
        secret.write_bytes(content)
    receiver = Receiver("http://203.0.113.1/nobody-asks", secret_path=secret, clock=SystemClock())
    reply = receiver.post(b"")
    receiver.close()
    assert (reply.answer, reply.words) == (Answer.DENIED, f"{secret}: {words}")
