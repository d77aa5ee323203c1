"""The one place where the environment is read.

Every setting is `EJECT_` and its name in capitals, or a file `eject_` and its name in the folder
`EJECT_SECRETS_DIR`. The connection to Temporal has Temporal's own (`TEMPORAL_ADDRESS`, ...).
"""

import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.base import sentence


class SettingsError(Exception):
    """The settings are wrong; the text is one sentence that names each of them and never a value."""


class WorkerRole(StrEnum):
    """Which half of the keys a worker sees; `all` sees both and is for development."""

    ALL = "all"
    CUSTODIAN = "custodian"
    CLIENT = "client"


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError("must be an address like https://host/path")
    if parts.scheme == "http" and not loopback:
        raise ValueError("must begin with https:// (http:// only on this machine)")
    if parts.username or parts.query or parts.fragment:
        raise ValueError("must hold no user, query or fragment")
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]


class Settings(BaseSettings):
    """All settings of a worker and of `starter`; each program requires the ones that it needs."""

    model_config = SettingsConfigDict(env_prefix="EJECT_", extra="ignore", hide_input_in_errors=True)

    vault_url: str | None = Field(default=None, description="file:///path or s3://bucket/prefix")
    portal_url: BaseUrl = "https://api.portalhq.io/api/v3"
    enclave_url: BaseUrl = "https://mpc-client.portalhq.io"
    custodian_api_key: SecretStr | None = Field(default=None, description="Portal's custodian API key")
    client_identity: SecretStr | None = Field(default=None, description="age identity that opens deposits")
    client_recipient: str | None = Field(default=None, description="its public key, for who deposits")
    minimum_approvals: int = 0
    minimum_cooling_off: timedelta = timedelta(0)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @field_validator("minimum_approvals", "minimum_cooling_off")
    @classmethod
    def _not_yet(cls, value: int | timedelta) -> int | timedelta:
        if value:
            raise ValueError("approvals and cooling-off are not built yet: leave it out")
        return value

    def require(self, *names: str) -> None:
        """Refuse to go on without these settings, naming all that are missing at once."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise SettingsError("Set " + ", ".join(f"EJECT_{name.upper()}" for name in missing))


def load_settings() -> Settings:
    """Read the settings; `SettingsError` names everything that is wrong."""
    folder = os.environ.get("EJECT_SECRETS_DIR")
    if folder is not None and not Path(folder).is_dir():
        raise SettingsError("EJECT_SECRETS_DIR is not a folder: name the one that holds the secrets as files")
    try:
        return Settings(_secrets_dir=folder)
    except ValidationError as error:
        raise SettingsError(f"Settings are wrong: {sentence(error)}") from None
