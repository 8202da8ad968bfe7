"""The receiver that the other tests believe: it keeps each message once, and refuses what was garbled."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.receiver import Receiver, digest_matches, receiver
from tests.lab.topology import LINES, Laboratory

# Posts in the clinic, over one connection: what, under which key, with which digest.
POST = """
import http.client, json, sys
connection = http.client.HTTPConnection("10.100.0.10", 8080, timeout=5)
for headers, body in json.loads(sys.stdin.read()):
    connection.request("POST", "/messages", body.encode(), headers)
    answer = connection.getresponse()
    print(answer.status, json.loads(answer.read()).get("again"))
"""


def digest(body: str) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}:"


def post(lab: Laboratory, *messages: tuple[dict[str, str], str]) -> list[str]:
    line = LINES[0]
    lab.clinic.configure(f"route replace 10.100.0.0/24 via {line.gateway} dev {line.name}\n")
    said: subprocess.CompletedProcess[str] = lab.clinic.run(sys.executable, "-c", POST, stdin=json.dumps(messages))
    return said.stdout.splitlines()


def test_a_message_is_kept_once_under_its_key(lab: Laboratory, tmp_path: Path) -> None:
    with receiver(lab.cloud, tmp_path) as got:
        answers = post(
            lab,
            ({"Idempotency-Key": "A", "Content-Digest": digest("一"), "Edge-Topic": "t", "Edge-Node": "n"}, "一"),
            ({"Idempotency-Key": "B", "Content-Digest": digest("two")}, "two"),
            ({"Idempotency-Key": "A", "Content-Digest": digest("一")}, "一"),
            ({"Idempotency-Key": "A", "Content-Digest": digest("other")}, "other"),
            ({"Idempotency-Key": "C", "Content-Digest": digest("three")}, "garbled"),
            ({"Content-Digest": digest("four")}, "four"),
            ({"Idempotency-Key": "C", "Content-Digest": digest("three")}, "three"),
        )
        assert answers == ["200 False", "200 False", "200 True", "422 True", "400 False", "400 False", "200 False"]
        seen = got.received()
    assert [(kept.idempotency_key, kept.body) for kept in seen.kept] == [("A", "一"), ("B", "two"), ("C", "three")]
    assert (seen.kept[0].topic, seen.kept[0].node, seen.kept[0].digest_ok) == ("t", "n", True)
    assert seen.duplicates == 1
    assert [attempt.status for attempt in seen.refused] == [422, 400, 400]


def test_a_line_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "got.jsonl"
    got = Receiver(path=path)
    assert got.received().kept == []
    whole = {
        "at_s": 1.0, "idempotency_key": "A", "topic": "", "node": "", "digest_ok": None, "again": False,
        "status": 200, "body": "",
    }  # fmt: skip
    path.write_text(json.dumps(whole) + "\n" + json.dumps(whole)[:20])
    assert len(got.received().kept) == 1


@pytest.mark.parametrize(
    "header, fits",
    [(None, None), (digest("a"), True), (digest("b"), False), ("md5=:abc=:", False), ("", False)],
)
def test_digest(header: str | None, fits: bool | None) -> None:
    assert digest_matches(header, b"a") is fits
