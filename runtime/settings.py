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

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.approvals import ApproverKey, Guards
from contracts.base import sentence


class SettingsError(Exception):
    """The settings are wrong; the text is one sentence that names each of them and never a value."""


class ClientCredential(StrEnum):
    """How the client role calls Portal: with the client's own deposited API key, or a minted session token.

    Minting takes the custodian's key, which in production the client role must not hold.
    """

    STRICT = "strict"
    SIMPLE = "simple"


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
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user, query or fragment")
    return url.rstrip("/")


def _is_file(url: str) -> bool:
    """Whether a vault's address means a folder, read as the vault reads it: `FILE:` does too."""
    try:
        return urlsplit(url).scheme == "file"
    except ValueError:  # the vault says what is wrong with it
        return False


BaseUrl = Annotated[str, AfterValidator(_base_url)]


class Settings(BaseSettings):
    """All settings of a worker and of `starter`; each program requires the ones that it needs."""

    model_config = SettingsConfigDict(env_prefix="EJECT_", extra="ignore", hide_input_in_errors=True)

    vault_url: str | None = Field(default=None, description="file:///path or s3://bucket/prefix")
    portal_url: BaseUrl = "https://api.portalhq.io/api/v3"
    enclave_url: BaseUrl = "https://mpc-client.portalhq.io"
    custodian_api_key: SecretStr | None = Field(default=None, description="Portal's custodian API key")
    receipt_key: SecretStr | None = Field(default=None, description="Ed25519 key in PEM, signs receipts")
    client_identity: SecretStr | None = Field(default=None, description="age identity that opens deposits")
    client_recipient: str | None = Field(default=None, description="its public key, for who deposits")
    client_credential: ClientCredential | None = Field(
        default=None,
        description="strict (default of the client role) or simple (of all)",
    )
    production: bool = Field(default=False, description="refuse what is for development only")
    minimum_approvals: int = Field(default=0, ge=0, le=9, description="approvals that every eject needs")
    minimum_cooling_off: timedelta = Field(
        default=timedelta(0),
        ge=timedelta(0),
        le=timedelta(days=90),
        description="wait after the approvals, as PT24H or P2D",
    )
    approvers: dict[str, ApproverKey] = Field(
        default_factory=dict, description='{"name": "Ed25519 public key in hex"}; approvals are then signed'
    )
    requesters: tuple[str, ...] = Field(default=(), description='["name", ...]: who may ask; unset, anybody')
    notify_url: BaseUrl | None = Field(default=None, description="where notices are sent")
    notify_secret: SecretStr | None = Field(default=None, description="whsec_..., signs them")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @property
    def guards(self) -> Guards:
        """What the custodian demands of every eject."""
        return Guards(
            approvals=self.minimum_approvals,
            cooling_off=self.minimum_cooling_off,
            approvers=self.approvers,
            requesters=self.requesters,
        )

    def credential(self, role: WorkerRole) -> ClientCredential:
        """How a worker of this role calls Portal as a client."""
        by_role = ClientCredential.SIMPLE if role is WorkerRole.ALL else ClientCredential.STRICT
        return self.client_credential or by_role

    def fit(self, role: WorkerRole) -> None:
        """Refuse to serve a role without its settings, or in production with what is for development."""
        needed = ["vault_url"]
        mints = role is not WorkerRole.CUSTODIAN and self.credential(role) is ClientCredential.SIMPLE
        if role is not WorkerRole.CLIENT or mints:
            needed.append("custodian_api_key")
        if role is not WorkerRole.CUSTODIAN:
            needed.append("client_identity")
        if self.notify_url and role is not WorkerRole.CLIENT:
            needed.append("notify_secret")
        if self.production and role is WorkerRole.CUSTODIAN:
            needed.append("receipt_key")
        self.require(*needed)
        if not self.production:
            return
        wrong = []
        if role is WorkerRole.ALL:
            wrong.append("--role all sees both halves of every key: run one worker of each role")
        if _is_file(str(self.vault_url)):
            wrong.append("a file:// vault is one user's on one machine: use s3://")
        if mints:
            wrong.append("EJECT_CLIENT_CREDENTIAL=simple needs the custodian's key: use strict")
        elif role is WorkerRole.CLIENT and self.custodian_api_key is not None:
            wrong.append("EJECT_CUSTODIAN_API_KEY is not for the client role: leave it out")
        if role is WorkerRole.CLIENT and self.receipt_key is not None:
            wrong.append("EJECT_RECEIPT_KEY is not for the client role: leave it out")
        if role is WorkerRole.CUSTODIAN and self.client_identity is not None:
            wrong.append("EJECT_CLIENT_IDENTITY is not for the custodian role: leave it out")
        if wrong:
            raise SettingsError("Production settings refuse this: " + "; ".join(wrong))

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
