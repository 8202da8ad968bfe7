"""What S3 clients really say when something is wrong, and what it means. The texts are as obstore 0.12.1 gave them."""

from __future__ import annotations

import pytest

from edge_node.replication.s3_failures import Meaning, hint, meaning
from edge_node.replication.store import CopyState

REFUSED, UNREACHABLE = CopyState.REFUSED, CopyState.UNREACHABLE


def answered(status: str, body: str = "", *, method: str = "PUT") -> str:
    """The client's text for an answer that is no success."""
    return (
        f"Generic S3 error: Error performing {method} http://10.100.0.9/clinic/a in 1.10ms - "
        f'Server returned non-2xx status code: {status}: {body}\n\nDebug source:\nGeneric {{\n    store: "S3",\n'
    )


def xml(code: str, message: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>{code}</Code>\n  <Message>{message}</Message>\n'
        "  <AWSAccessKeyId>AKIASECRET</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 2026</StringToSign>\n</Error>"
    )


def not_sent(kind: str, source: str) -> str:
    """The client's text for a request that got no answer."""
    return (
        "Generic S3 error: Error performing HEAD http://10.100.0.9/a in 2.0s - HTTP error: error sending request\n"
        '\nDebug source:\nGeneric {\n    store: "S3",\n    source: RetryError(\n        RetryErrorImpl {\n'
        "            retries: 0,\n            inner: Http(\n                HttpError {\n"
        f"                    kind: {kind},\n                    source: reqwest::Error {{\n"
        f"                        kind: Request,\n                        source: {source}\n"
    )


def connecting(source: str) -> str:
    return f"hyper_util::client::legacy::Error(\n    Connect,\n    {source},\n)"


TCP = 'ConnectError(\n        "tcp connect error",\n        10.100.0.9:80,\n        {},\n    )'


@pytest.mark.parametrize(
    ("text", "state", "why", "code"),
    [
        pytest.param(
            answered("403 Forbidden", xml("InvalidAccessKeyId", "The Access Key Id you provided does not exist.")),
            *(REFUSED, "403 InvalidAccessKeyId: The Access Key Id you provided does not exist.", "InvalidAccessKeyId"),
            id="unknown-key",
        ),
        pytest.param(
            answered("403 Forbidden", xml("SignatureDoesNotMatch", "Check your key.")),
            *(REFUSED, "403 SignatureDoesNotMatch: Check your key.", "SignatureDoesNotMatch"),
            id="wrong-secret",
        ),
        pytest.param(
            answered("403 Forbidden", xml("RequestTimeTooSkewed", "The difference is too large.")),
            *(REFUSED, "403 RequestTimeTooSkewed: The difference is too large.", "RequestTimeTooSkewed"),
            id="clocks-differ",
        ),
        pytest.param(answered("403 Forbidden", method="HEAD"), REFUSED, "403", None, id="a-head-has-no-body"),
        pytest.param(answered("401 Unauthorized"), REFUSED, "401", None, id="unauthorized"),
        pytest.param(
            answered("404 Not Found", xml("NoSuchBucket", "The specified bucket does not exist")),
            *(REFUSED, "404 NoSuchBucket: The specified bucket does not exist", "NoSuchBucket"),
            id="no-bucket",
        ),
        pytest.param(
            answered("400 Bad Request", xml("AuthorizationHeaderMalformed", "expecting cn-east-1")),
            *(REFUSED, "400 AuthorizationHeaderMalformed: expecting cn-east-1", "AuthorizationHeaderMalformed"),
            id="wrong-region",
        ),
        pytest.param(
            answered("400 Bad Request", xml("RequestTimeout", "Your socket was idle.")),
            *(UNREACHABLE, "400 RequestTimeout: Your socket was idle.", "RequestTimeout"),
            id="a-slow-line-is-no-refusal",
        ),
        pytest.param(
            "Generic S3 error: Error performing PUT http://10.100.0.9/clinic/a in 1.9ms - Received redirect without "
            "LOCATION, this normally indicates an incorrectly configured region",
            *(REFUSED, "the bucket is in another region", "PermanentRedirect"),
            id="redirected",
        ),
        pytest.param(
            answered("507 Insufficient Storage", xml("QuotaExceeded", "full")),
            *(REFUSED, "507 QuotaExceeded: full", "QuotaExceeded"),
            id="full",
        ),
        pytest.param(
            answered("503 Service Unavailable", xml("SlowDown", "Reduce your request rate.")),
            *(UNREACHABLE, "503 SlowDown: Reduce your request rate.", "SlowDown"),
            id="too-busy",
        ),
        pytest.param(
            answered("404 Not Found", xml("NoSuchUpload", "It may have been completed.")),
            *(UNREACHABLE, "404 NoSuchUpload: It may have been completed.", "NoSuchUpload"),
            id="an-upload-that-was-complete-already",
        ),
        pytest.param(answered("502 Bad Gateway", "<html>"), UNREACHABLE, "502", None, id="a-gateway-without-its-store"),
        pytest.param(answered("302 Found"), UNREACHABLE, "302", None, id="sent-to-a-login-page"),
        pytest.param(
            "Generic S3 error: Unable to extract metadata from headers: ETag Header missing from response",
            *(UNREACHABLE, "what answers is not a store: a login page, or a proxy", None),
            id="a-login-page-says-yes",
        ),
        pytest.param(
            not_sent("Timeout", "TimedOut,"), UNREACHABLE, "no answer in time", None, id="accepts-and-answers-nothing"
        ),
        pytest.param(
            not_sent("Timeout", connecting("TimedOut")),
            *(UNREACHABLE, "no connection in time", None),
            id="packets-are-dropped",
        ),
        pytest.param(
            not_sent("Timeout", connecting(TCP.format("Custom {\n kind: TimedOut,\n error: Elapsed(\n (),\n),\n}"))),
            *(UNREACHABLE, "no connection in time", None),
            id="packets-are-dropped-said-otherwise",
        ),
        pytest.param(
            not_sent(
                "Connect",
                connecting(
                    TCP.format('Os {\n code: 111,\n kind: ConnectionRefused,\n message: "Connection refused",\n}')
                ),
            ),
            *(UNREACHABLE, "connection refused", None),
            id="nobody-listens",
        ),
        pytest.param(
            not_sent("Connect", connecting(TCP.format('Os {\n code: 101,\n message: "Network is unreachable",\n}'))),
            *(UNREACHABLE, "no route to it", None),
            id="no-route",
        ),
        pytest.param(
            not_sent("Connect", connecting('ConnectError(\n        "dns error",\n        Custom {\n')),
            *(UNREACHABLE, "its name cannot be resolved", None),
            id="no-name",
        ),
        pytest.param(
            not_sent(
                "Connect", connecting("Custom {\n kind: InvalidData,\n error: InvalidCertificate(\n UnknownIssuer")
            ),
            *(UNREACHABLE, "its certificate is not trusted, or is another's", None),
            id="a-stranger",
        ),
        pytest.param(
            not_sent(
                "Request", "hyper_util::client::legacy::Error(\n SendRequest,\n hyper::Error(\n IncompleteMessage,"
            ),
            *(UNREACHABLE, "the connection broke", None),
            id="hung-up",
        ),
        pytest.param("something new\nDebug source:", UNREACHABLE, "something new", None, id="not-seen-yet"),
        pytest.param("", UNREACHABLE, "it failed without a word", None, id="nothing-said"),
    ],
)
def test_meaning(text: str, state: CopyState, why: str, code: str | None) -> None:
    assert meaning(text) == Meaning(state=state, why=why, code=code)
    assert "AKIASECRET" not in repr(meaning(text))


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        pytest.param(REFUSED, "InvalidAccessKeyId", "is the key in /c/cloud-key right", id="key"),
        pytest.param(REFUSED, None, "is the key in /c/cloud-key right", id="no-word"),
        pytest.param(REFUSED, "NoSuchBucket", "make the bucket copies", id="bucket"),
        pytest.param(REFUSED, "RequestTimeTooSkewed", "edge-node doctor", id="clock"),
        pytest.param(REFUSED, "PermanentRedirect", "set region", id="region"),
        pytest.param(REFUSED, "QuotaExceeded", "full", id="full"),
        pytest.param(UNREACHABLE, "SlowDown", None, id="nothing-to-be-done"),
    ],
)
def test_hint(state: CopyState, code: str | None, said: str | None) -> None:
    found = hint(Meaning(state=state, why="", code=code), credential="/c/cloud-key", bucket="copies")
    assert found is None if said is None else said in (found or "")
