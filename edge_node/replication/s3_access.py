"""How a bucket is reached: its address, its key, and nothing from the environment."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edge_node.base.errors import ConfigError
from edge_node.base.secret import read_secret
from edge_node.replication.store import CopyState, DestinationFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """What a bucket's URL does not say. `addresses` are those of the endpoint, where no name shall be resolved.

    `credential` is the file with the key; it need not exist yet. `is_nodes_own` when it lies among the node's own
    credentials, where others must not read it; one that a person names may lie on a stick that knows no modes.
    """

    endpoint: str | None = None
    addresses: tuple[str, ...] = ()
    region: str | None = None
    credential: Path | None = None
    is_nodes_own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key. It is never written anywhere."""

    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return "Key(…)"


def read_key(name: str, path: Path | None, *, is_nodes_own: bool = False) -> Key:
    """The key of the destination `name`, from its file as it is now. Raises DestinationFailed (refused)."""
    if path is None:
        raise DestinationFailed(
            CopyState.REFUSED,
            f"{name}: no credential is configured",
            context="without a key nothing can be asked there",
            hint='--credential FILE, beside --endpoint URL, where --from is a URL; else credential = "NAME" below the '
            "destination in the configuration, and the file credentials/NAME (access_key_id and secret_access_key)",
        )
    try:
        content = read_secret(path, hint="") if is_nodes_own else path.read_bytes()
        document = tomllib.loads(content.decode("utf-8"))
    except ConfigError as error:
        raise _refused(name, path, error) from None
    except OSError as error:
        raise _no_key(name, path, _why(error)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        # Not what the parser says: it may cite the secret.
        raise _no_key(name, path, "it is not TOML") from None
    values = {field: document.get(field) for field in ("access_key_id", "secret_access_key")}
    for field, value in values.items():
        if not isinstance(value, str) or not value.strip():
            raise _no_key(name, path, f"{field} is missing")
    return Key(**{field: str(value).strip() for field, value in values.items()})


def _no_key(name: str, path: Path, why: str) -> DestinationFailed:
    return DestinationFailed(
        CopyState.REFUSED,
        f"{name}: no key can be read from {path}",
        context=f"{path}: {why}",
        hint='two lines, access_key_id = "…" and secret_access_key = "…"; it is read again at the next try',
    )


def _refused(name: str, path: Path, error: ConfigError) -> DestinationFailed:
    if isinstance(error.__cause__, OSError):
        return _no_key(name, path, _why(error.__cause__))
    return DestinationFailed(
        CopyState.REFUSED,
        f"{name}: {error.message}",
        context=error.context,
        hint=f"{error.hint}; it is read again at the next try",
    )


def _why(error: OSError) -> str:
    return "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or type(error).__name__


def parse_bucket(name: str, url: str) -> tuple[str, str | None]:
    """Bucket and prefix of `s3://bucket/prefix`. Raises DestinationFailed (refused) for what is no such address."""
    parts = urlsplit(url)
    if not parts.netloc or any(sign in parts.netloc for sign in "@:") or parts.query or parts.fragment:
        raise DestinationFailed(
            CopyState.REFUSED,
            f"{name}: {url} is not the address of a bucket",
            context=None,
            hint="s3://BUCKET/PREFIX; the store's own address is the endpoint, and its key a credential",
        )
    return parts.netloc, parts.path.strip("/") or None


def forget_ambient_settings() -> None:
    """Remove from this process what would turn a store aside: AWS_* and the proxies.

    The client reads them whenever it connects, and prefers some to what it is told (AWS_ENDPOINT_URL_S3, seen). Nothing
    is put back: changing the environment while other threads read it is safe at most once.
    """
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
