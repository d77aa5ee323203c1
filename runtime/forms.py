"""The forms of single settings."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, StringConstraints

from runtime.codec import read_keys

_SHORTEST_TOKEN = 32


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError("must be an address like https://host/path")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https:// (http:// only on this machine)")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user, query or fragment")
    return url.rstrip("/")


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, by the names that cannot be another."""
    return host in ("127.0.0.1", "localhost", "::1")


def is_file(url: str) -> bool:
    """Whether a vault's address means a folder, read as the vault reads it: `FILE:` does too."""
    try:
        return urlsplit(url).scheme == "file"
    except ValueError:  # the vault says what is wrong with it
        return False


def _origin(url: str) -> str:
    url = _base_url(url)
    if urlsplit(url).path:
        raise ValueError("must be an origin like https://host or http://localhost:8080, without a path")
    return url.lower()


def _long(token: SecretStr) -> SecretStr:
    if len(token) < _SHORTEST_TOKEN:
        raise ValueError(
            f"must have at least {_SHORTEST_TOKEN} characters: make it with openssl rand -hex 32"
        )
    return token


def _codec_keys(keys: SecretStr) -> SecretStr:
    read_keys(keys.get_secret_value())
    return keys


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Origin = Annotated[str, AfterValidator(_origin)]
Token = Annotated[SecretStr, AfterValidator(_long)]
CodecKeys = Annotated[SecretStr, AfterValidator(_codec_keys)]
# Shell, Temporal's CLI and its queries take it as it is; Temporal itself forbids the colon.
BuildId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
