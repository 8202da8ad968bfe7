"""A bucket as a destination: real servers, objects whole and unreplaced, failures that are told apart."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pyrage
import pytest

from edge_node.replication.bandwidth import Lane
from edge_node.replication.destination import CopyState, Destination, DestinationFailed
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import SMALL_BYTES, CannotOpen, Sealer
from tests.support.ltx_files import ltx_bytes, write_ltx
from tests.support.s3 import BUCKET, KEY, S3Server, s3_server, write_key
from tests.support.slow_link import slow_link

T = TypeVar("T")
TIME_MS = 1_800_000_000_123
URL = f"s3://{BUCKET}/edge/copies"


@pytest.fixture(scope="module", params=["rclone", "moto"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp(request.param), request.param) as running:
        yield running


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("own-rclone"), "rclone") as running:
        yield running


def opened(
    access: S3Access,
    use: Callable[[Destination], Coroutine[Any, Any, T]],
    *recipients: str,
    url: str = URL,
    bandwidth_bits: int | None = None,
) -> T:
    async def run() -> T:
        cloud = Destination("cloud", url, Sealer(recipients), s3=access, bandwidth_bits=bandwidth_bits)
        try:
            await cloud.open(known=False)
            return await use(cloud)
        finally:
            await cloud.close()

    return asyncio.run(run())


def failed(
    access: S3Access, use: Callable[[Destination], Coroutine[Any, Any, Any]], url: str = URL
) -> DestinationFailed:
    with pytest.raises(DestinationFailed) as found:
        opened(access, use, url=url)
    return found.value


@pytest.mark.parametrize("size_bytes", [100, 600_000, SMALL_BYTES + 1, 12_000_000], ids=lambda size: f"{size}-bytes")
@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "plain"])
def test_a_file_comes_back_as_it_was(server: S3Server, tmp_path: Path, size_bytes: int, is_sealed: bool) -> None:
    identity = pyrage.x25519.Identity.generate()
    content = os.urandom(size_bytes)
    path = write_ltx(tmp_path / "replica", 9, 1, 7, time_ms=TIME_MS, content=content)
    folder = f"c-{size_bytes}-{is_sealed}"

    async def use(cloud: Destination) -> None:
        key = f"{folder}/0009/file.ltx{cloud.sealer.suffix}"
        assert (await cloud.send(key, path, Lane.SNAPSHOT)).created
        (item,) = await cloud.list(folder)
        assert (item.key, item.time_ms) == (key, None)  # when it was uploaded is not when it was written
        there = await cloud.head(key)
        assert there is not None and there.time_ms == TIME_MS
        assert (await cloud.header(item, identity)).timestamp_ms == TIME_MS
        await cloud.fetch(item, tmp_path / "back", identity)
        again = await cloud.send(key, path, Lane.SNAPSHOT)
        # A large one is asked for before; of a small one a server that ignores the condition makes another.
        assert again.created is (server.kind == "rclone" and size_bytes <= SMALL_BYTES)

    opened(server.access(), use, *([str(identity.to_public())] if is_sealed else []))
    assert (tmp_path / "back").read_bytes() == ltx_bytes(1, 7, time_ms=TIME_MS, content=content)


def test_what_is_absent_is_not_a_failure(server: S3Server) -> None:
    async def use(cloud: Destination) -> tuple[list[str], list[str]]:
        for key in ("l/0000/2", "l/0000/1", "l/0001/1"):
            await cloud.put_new(key, b"x")
        assert await cloud.read("l/none") is None
        assert await cloud.head("l/none") is None
        assert await cloud.sweep("l") == 0
        assert await cloud.folders("other") == []
        found = [await cloud.list("l"), await cloud.list("other")]
        return tuple([item.key for item in listed] for listed in found)  # type: ignore[return-value]

    assert opened(server.access(), use) == (["l/0000/1", "l/0000/2", "l/0001/1"], [])


def test_folders_are_named_without_listing_what_lies_in_them(server: S3Server) -> None:
    async def use(cloud: Destination) -> tuple[set[str], set[str]]:
        for key in ("f/e0001/his/0000/1", "f/e0001/node/0000/1", "f/claims/e0001.json"):
            await cloud.put_new(key, b"x")
        assert "f" in await cloud.folders("")
        return set(await cloud.folders("f")), set(await cloud.folders("f/e0001"))

    assert opened(server.access(), use) == ({"e0001", "claims"}, {"his", "node"})


def test_a_listing_may_take_as_long_as_it_goes_on(tmp_path: Path) -> None:
    """Months of captures are hundreds of answers; each has its time, and not all of them together."""
    # Before the server is there: it remembers what it has listed.
    months = S3Server(tmp_path, "rclone", None).bucket / "edge/copies/months/0000"
    months.mkdir(parents=True)
    for number in range(5_500):
        (months / f"{number:05d}").touch()
    with s3_server(tmp_path, "rclone") as server, slow_link(server.port, 0.6) as port:
        access = replace(server.access(), endpoint=f"http://127.0.0.1:{port}")
        assert len(opened(access, lambda cloud: cloud.list("months", timeout_s=2.5))) == 5_500


def test_a_store_that_honours_it_replaces_nothing(server: S3Server) -> None:
    async def use(cloud: Destination) -> tuple[bool, bool, bytes | None]:
        return await cloud.put_new("k", b"first"), await cloud.put_new("k", b"second"), await cloud.read("k")

    honours = server.kind == "moto"
    assert opened(server.access(), use) == (True, not honours, b"first" if honours else b"second")


def test_an_object_that_another_identity_opens_is_told_from_one_that_cannot_be_had(
    rclone: S3Server, tmp_path: Path
) -> None:
    path = write_ltx(tmp_path / "replica", 0, 3, 3)

    async def use(cloud: Destination) -> None:
        await cloud.send("o/0000/x.ltx.age", path)
        (item,) = await cloud.list("o")
        stranger = pyrage.x25519.Identity.generate()
        with pytest.raises(CannotOpen):
            await cloud.header(item, stranger)
        with pytest.raises(DestinationFailed, match="refuses"):
            await cloud.fetch(replace(item, key="o/0000/gone.ltx"), tmp_path / "back", None)

    opened(rclone.access(), use, str(pyrage.x25519.Identity.generate().to_public()))


async def ask(cloud: Destination) -> None:
    await cloud.list("claims")


@pytest.mark.parametrize(
    ("key", "url", "code"),
    [
        pytest.param(("nobody", KEY[1]), URL, "InvalidAccessKeyId", id="unknown-key"),
        pytest.param((KEY[0], "wrong"), URL, "SignatureDoesNotMatch", id="wrong-secret"),
        pytest.param(KEY, "s3://no-such-bucket/edge", "NoSuchBucket", id="no-bucket"),
    ],
)
def test_a_store_that_refuses(rclone: S3Server, key: tuple[str, str], url: str, code: str) -> None:
    access = rclone.access(key=key)
    error = failed(access, ask, url)
    assert error.state is CopyState.REFUSED
    assert code in (error.context or "")
    assert (str(access.credential) if code != "NoSuchBucket" else "no-such-bucket") in (error.hint or "")
    assert key[1] not in error.render()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, "there is no such file", id="missing"),
        pytest.param(b"\xff\xfe", "it is not TOML", id="not-text"),
        pytest.param(b"access_key_id = sesame", "it is not TOML", id="not-toml"),
        pytest.param(b'access_key_id = "a"', "secret_access_key is missing", id="half"),
        pytest.param(b'access_key_id = "a"\nsecret_access_key = 7', "secret_access_key is missing", id="not-a-text"),
    ],
)
def test_a_key_that_cannot_be_read(rclone: S3Server, tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "cloud-key"
    if content is not None:
        path.write_bytes(content)
    error = failed(replace(rclone.access(), credential=path), ask)
    assert (error.state, error.context) == (CopyState.REFUSED, f"{path}: {why}")
    assert "sesame" not in error.render()


def test_a_mended_key_is_read_at_the_next_connecting(rclone: S3Server, tmp_path: Path) -> None:
    access = replace(rclone.access(), credential=write_key(tmp_path / "key", ("nobody", "x")))

    async def mend() -> int:
        cloud = Destination("cloud", URL, Sealer(()), s3=access)
        await cloud.open(known=True)
        with pytest.raises(DestinationFailed):
            await cloud.list("claims")
        write_key(tmp_path / "key")
        await cloud.open(known=True)
        return len(await cloud.list("claims"))

    assert asyncio.run(mend()) == 0


def test_nothing_of_the_environment_has_a_say(rclone: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "HTTP_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_BUCKET"):
        monkeypatch.setenv(name, "nonsense")
    opened(rclone.access(), ask)
    assert not [name for name in os.environ if name.startswith("AWS_")]


def test_silence_refusal_of_connections_and_dropped_packets(tmp_path: Path) -> None:
    with s3_server(tmp_path / "rclone", "rclone") as server:
        access = server.access()
        server.freeze()
        began = time.monotonic()
        silent = failed(access, ask)
        assert 4.5 < time.monotonic() - began < 6
        server.stop()
        gone = failed(access, ask)
    with socket.socket() as full, socket.socket() as waiting, socket.socket() as dropped:
        # A listener whose queue is full drops what asks to connect.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (waiting, dropped):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        began = time.monotonic()
        hole = failed(replace(access, endpoint=f"http://127.0.0.1:{full.getsockname()[1]}"), ask)
        assert 1.5 < time.monotonic() - began < 3
    nameless = failed(replace(access, endpoint="http://no-such-name.invalid"), ask)
    assert {error.state for error in (silent, gone, hole, nameless)} == {CopyState.UNREACHABLE}
    assert [error.context for error in (silent, gone, hole, nameless)] == [
        "no answer in time",
        "connection refused",
        "no connection in time",
        "its name cannot be resolved",
    ]


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server that gives everybody the same answer; its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                client.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize("question", ["head", "read", "put_new"])
def test_a_login_page_is_not_a_store(rclone: S3Server, question: str) -> None:
    async def use(cloud: Destination) -> None:
        arguments = (b"x",) if question == "put_new" else ()
        await getattr(cloud, question)("claims/e0001.json", *arguments)

    page = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlogin"
    with answering(page) as endpoint:
        error = failed(replace(rclone.access(), endpoint=endpoint), use)
    assert (error.state, error.context) == (
        CopyState.UNREACHABLE,
        "what answers is not a store: a login page, or a proxy",
    )


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:{port}/", "http://localhost:{port}"])
def test_other_ways_to_write_an_endpoint(rclone: S3Server, endpoint: str) -> None:
    opened(replace(rclone.access(), endpoint=endpoint.format(port=rclone.port)), ask)


def test_by_address_without_resolving_a_name(rclone: S3Server, tmp_path: Path) -> None:
    """One address drops, one refuses, one is right."""
    with socket.socket() as full:
        full.bind(("127.0.0.2", rclone.port))
        access = replace(
            rclone.access(),
            endpoint=f"http://s3.clinic.invalid:{rclone.port}",
            addresses=("127.0.0.2", "127.0.0.3", "127.0.0.1"),
        )

        async def use(cloud: Destination) -> bytes | None:
            await cloud.put_new("by-address", b"x")
            return await cloud.read("by-address")

        assert opened(access, use) == b"x"
    nobody = failed(replace(access, addresses=("127.0.0.3",)), ask)
    assert (nobody.state, nobody.context) == (CopyState.UNREACHABLE, "127.0.0.3: connection refused")


def test_by_address_the_certificate_is_that_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        (
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=s3.clinic.invalid", "-addext", "subjectAltName=DNS:s3.clinic.invalid"),
            *("-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(key), "-out", str(certificate)),
        ),
        check=True,
        capture_output=True,
        timeout=30,
    )
    with s3_server(tmp_path / "tls", "rclone", tls=(certificate, key)) as server:
        access = replace(server.access(), endpoint=f"https://s3.clinic.invalid:{server.port}", addresses=("127.0.0.1",))
        unknown = failed(access, ask)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # as the machine's own list of authorities
        opened(access, ask)
        other = failed(replace(access, endpoint=f"https://other.invalid:{server.port}"), ask)
    assert unknown.context == other.context == "its certificate is not trusted, or is another's"
