"""A bucket as a destination, at any store that speaks S3.

The client is asynchronous: what hangs holds no thread, and a deadline ends it. A limit of the client is for a whole
request with its body, so there are three: one for small questions, one for parts of an upload, and one for downloads
that may take as long as they go on. Each connecting makes new ones: nothing waits in a connection that died unnoticed.

Two attributes of every object tell the header time of the LTX file inside: `mtime`, from which rclone sets a file's
time, and `litestream-timestamp`, by which Litestream itself restores a past instant. A listing tells only when an
object was uploaded, which is another thing.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

import obstore
import obstore.exceptions
from obstore.store import S3Store as Bucket

from edge_node.base.clock import utc_text
from edge_node.replication.relay import Relay
from edge_node.replication.s3_access import Key, S3Access, forget_ambient_settings, parse_bucket, read_key
from edge_node.replication.s3_failures import hint, meaning
from edge_node.replication.sealing import CHUNK_BYTES, SMALL_BYTES
from edge_node.replication.store import LISTED_AT_ONCE, CopyState, DestinationFailed, RemoteObject, offload

if TYPE_CHECKING:
    from obstore import Attributes, BytesStream
    from obstore.store import ClientConfig, S3Config

T = TypeVar("T")

SMALL_TIMEOUT_S, CONNECT_TIMEOUT_S, IDLE_S = 5.0, 2.0, 15.0
# A part of 5 MiB at 0.35 Mbit/s; the deadline of the whole, by its size, is the caller's.
PART_TIMEOUT_S, PART_BYTES, PARTS_IN_FLIGHT = 120.0, 5 << 20, 2
# A download may last for hours; it hangs when nothing has come for so long.
SILENCE_S = 15.0
# Of a download, so much has arrived and not been taken yet.
READ_AHEAD_CHUNKS = 4
# The limit of small questions is enough for so much at 0.5 Mbit/s.
SMALL_PUT_BYTES = 256 * 1024
# The client's threads hand an answer over to Python. They need this long at most, and abort a process that is ending.
HANDED_OVER_S = 0.1


class S3Store:
    """Objects in a bucket. `name` is the destination's, for sentences. Raises DestinationFailed for a bad address."""

    def __init__(self, name: str, url: str, access: S3Access) -> None:
        self._name = name
        self._access = access
        self._bucket, self._prefix = parse_bucket(name, url)
        self._relay: Relay | None = None
        self._clients: dict[str, Bucket] = {}
        self._make: Callable[[ClientConfig], Bucket] | None = None

    async def open(self, *, known: bool | None) -> None:
        """The key is read, and clients are made that hold no connection yet: the first question tells."""
        self._make = None
        self._clients.clear()
        key = await offload(
            lambda: read_key(self._name, self._access.credential, is_nodes_own=self._access.is_nodes_own)
        )
        forget_ambient_settings()
        _wait_for_clients_at_exit()
        self._make = self._maker(key, await self._proxy())

    async def _proxy(self) -> ClientConfig:
        """The way around name resolution, where addresses are given; it outlives a connecting, as what uses it may."""
        if not self._access.addresses:
            return {}
        if self._relay is None:
            parts = urlsplit(self._access.endpoint or "https://")
            self._relay = Relay(self._access.addresses, parts.port or (80 if parts.scheme == "http" else 443))
        return {"proxy_url": await self._relay.start()}

    def _maker(self, key: Key, proxy: ClientConfig) -> Callable[[ClientConfig], Bucket]:
        config: S3Config = {
            "access_key_id": key.access_key_id,
            "secret_access_key": key.secret_access_key,
            "region": self._access.region or "us-east-1",
            "virtual_hosted_style_request": False,
        }
        if self._access.endpoint is not None:
            config["endpoint"] = self._access.endpoint
        always: ClientConfig = {
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            "pool_idle_timeout": timedelta(seconds=IDLE_S),
            "allow_http": (self._access.endpoint or "").startswith("http://"),
            **proxy,
        }

        def make(limits: ClientConfig) -> Bucket:
            return Bucket(
                self._bucket,
                prefix=self._prefix,
                config=config,
                client_options={**always, **limits},
                # Trying again is the lanes' business: it is seen, counted and waited for there.
                retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=SMALL_TIMEOUT_S)},
            )

        return make

    def _client(self, kind: str, limits: ClientConfig) -> Bucket:
        if self._make is None:
            raise DestinationFailed(CopyState.UNREACHABLE, f"{self._name} is not connected", context=None)
        if kind not in self._clients:
            self._clients[kind] = self._make(limits)
        return self._clients[kind]

    @property
    def _small(self) -> Bucket:
        return self._client("small", {"timeout": timedelta(seconds=SMALL_TIMEOUT_S)})

    @property
    def _parts(self) -> Bucket:
        return self._client("parts", {"timeout": timedelta(seconds=PART_TIMEOUT_S)})

    @property
    def _downloads(self) -> Bucket:
        return self._client("downloads", {"timeout": timedelta(days=30), "read_timeout": timedelta(seconds=SILENCE_S)})

    async def close(self) -> None:
        relay, self._relay, self._make = self._relay, None, None
        if self._clients:
            self._clients.clear()
            # An answer to what was cancelled may still be handed over: to a loop that has closed it is a traceback.
            await asyncio.sleep(HANDED_OVER_S)
        if relay is not None:
            await relay.close()

    async def list(self, prefix: str) -> AsyncIterator[Sequence[RemoteObject]]:
        async for chunk in obstore.list(self._small, prefix, chunk_size=LISTED_AT_ONCE):
            yield [RemoteObject(key=meta["path"], size_bytes=meta["size"], time_ms=None) for meta in chunk]

    async def folders(self, prefix: str) -> Sequence[str]:
        found = await obstore.list_with_delimiter_async(self._small, prefix or None)
        return [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]

    async def put(self, key: str, body: bytes, *, time_ms: int | None, replace: bool = False) -> bool:
        client = self._small if len(body) <= SMALL_PUT_BYTES else self._parts
        try:
            await obstore.put_async(
                client,
                key,
                body,
                mode="overwrite" if replace else "create",
                use_multipart=False,
                attributes=_attributes(time_ms),
            )
        except obstore.exceptions.AlreadyExistsError:
            return False
        return True

    async def put_stream(
        self, key: str, fill: Callable[[Callable[[bytes], object]], T], *, time_ms: int, replace: bool = False
    ) -> tuple[T, bool]:
        """In parts, and visible when all are there. Parts cannot be put "where there is none": it is asked before."""
        if not replace and await self.head(key) is not None:
            return await offload(lambda: fill(lambda _chunk: None)), False
        filling = _Filling(fill)
        try:
            await obstore.put_async(
                self._parts,
                key,
                filling.chunks(),
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_IN_FLIGHT,
                attributes=_attributes(time_ms),
            )
            return await filling.result(), True
        finally:
            filling.abandon()

    async def head(self, key: str) -> RemoteObject | None:
        try:
            found = await obstore.get_async(self._small, key, options={"head": True})
        except FileNotFoundError:
            return None
        self._check(found)
        return RemoteObject(key=key, size_bytes=found.meta["size"], time_ms=_time_ms(found.attributes))

    async def read(self, key: str) -> bytes | None:
        try:
            found = await obstore.get_async(self._small, key)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise
            return None
        self._check(found)
        return bytes(await found.bytes_async())

    async def fetch(self, item: RemoteObject, consume: Callable[[Iterator[bytes]], T]) -> T:
        client = self._downloads
        if item.size_bytes <= 2 * SMALL_BYTES:
            body = bytes(await (await obstore.get_async(client, item.key)).bytes_async())
            return await offload(lambda: consume(iter((body,))))

        found = await obstore.get_async(client, item.key)
        reading = _Reading(found.stream(min_chunk_size=CHUNK_BYTES))
        try:
            return await offload(lambda: consume(reading.chunks()))
        finally:
            reading.abandon()

    def _check(self, found: obstore.GetResult) -> None:
        """A login page answers everything, and with success."""
        if not found.meta["e_tag"]:
            raise DestinationFailed(
                CopyState.UNREACHABLE,
                f"{self._name} cannot be reached",
                context="what answers is not a store: a login page, or a proxy",
            )

    async def delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._small, key)

    async def sweep(self, prefix: str) -> int:
        return 0  # Nothing is staged under a name: an upload in parts that broke off is invisible.

    def failure(self, error: Exception) -> DestinationFailed:
        found = meaning(str(error))
        if found.state is CopyState.REFUSED:
            todo = hint(found, credential=str(self._access.credential), bucket=self._bucket)
            return DestinationFailed(found.state, f"{self._name} refuses", context=found.why, hint=todo)
        why = found.why
        if self._relay is not None and self._relay.failure is not None:
            why = self._relay.failure
        return DestinationFailed(found.state, f"{self._name} cannot be reached", context=why)


class _Filling(Generic[T]):
    """Bytes that a blocking function makes, handed to the event loop a few at a time."""

    def __init__(self, fill: Callable[[Callable[[bytes], object]], T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(2)
        self._is_abandoned = threading.Event()

        def work() -> T:
            try:
                return fill(self._hand_over)
            finally:
                self._hand_over(None)

        self._task: asyncio.Task[T] = asyncio.create_task(offload(work))

    def _hand_over(self, chunk: bytes | None) -> None:
        """Blocks until there is room. In the thread that fills."""
        if self._is_abandoned.is_set():
            raise OSError("the upload has ended")
        asyncio.run_coroutine_threadsafe(self._queue.put(chunk), self._loop).result()

    async def chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self._queue.get()) is not None:
            yield chunk
        await self._task  # What went wrong in it goes wrong here: half an object is none.

    async def result(self) -> T:
        """What the function returned."""
        return await self._task

    def abandon(self) -> None:
        """Nobody takes any more: let the thread find out, and end."""
        self._is_abandoned.set()
        if not self._task.cancel() and not self._task.cancelled():
            self._task.exception()  # It is known: the upload failed with it, or before it.
        while not self._queue.empty():
            self._queue.get_nowait()


class _Reading:
    """Bytes that arrive, a few chunks ahead of the thread that takes them: neither waits for the other's work."""

    def __init__(self, stream: BytesStream) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(READ_AHEAD_CHUNKS)
        self._task = asyncio.create_task(self._read(stream))

    async def _read(self, stream: BytesStream) -> None:
        end: Exception | None = None
        try:
            async for chunk in stream:
                await self._queue.put(bytes(chunk))
        except Exception as error:
            end = error  # It is the reader's: what has arrived before is taken first.
        await self._queue.put(end)

    def chunks(self) -> Iterator[bytes]:
        """What arrives, as far as it does; in the thread that takes. Raises what went wrong on the way."""
        while True:
            chunk = asyncio.run_coroutine_threadsafe(self._queue.get(), self._loop).result()
            if chunk is None:
                return
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def abandon(self) -> None:
        """Nobody wants any more: the download ends, and so does a thread that waits for it."""
        self._task.cancel()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(OSError("the download has ended"))


def _attributes(time_ms: int | None) -> Attributes | None:
    if time_ms is None:
        return None
    seconds, rest = divmod(time_ms, 1000)
    return {"mtime": f"{seconds}.{rest:03d}", "litestream-timestamp": utc_text(time_ms)}


def _time_ms(attributes: Attributes) -> int | None:
    try:
        return round(float(attributes["mtime"]) * 1000)
    except (KeyError, ValueError, OverflowError):
        return None


@cache
def _wait_for_clients_at_exit() -> None:
    """Five of sixty processes aborted that ended within a moment of an answer; none of sixty with this."""
    atexit.register(time.sleep, HANDED_OVER_S)
