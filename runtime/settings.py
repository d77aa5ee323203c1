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

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as NotJsonError

from contracts.approvals import ApproverKey, Guards
from contracts.base import sentence
from contracts.providers import Completion, Provider
from runtime.codec import EjectCodec, read_keys


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
# Shell, Temporal's CLI and its queries take it as it is; Temporal itself forbids the colon.
BuildId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

_SHORTEST_TOKEN = 32
_PLAIN = "without EJECT_CODEC_KEYS Temporal stores requests and receipts as plain text: set them"


class Settings(BaseSettings):
    """All settings of every program; each requires the ones that it needs."""

    model_config = SettingsConfigDict(env_prefix="EJECT_", extra="ignore", hide_input_in_errors=True)

    vault_url: str | None = Field(default=None, description="file:///path or s3://bucket/prefix")
    portal_url: BaseUrl = "https://api.portalhq.io/api/v3"
    enclave_url: BaseUrl = "https://mpc-client.portalhq.io"
    receipt_key: SecretStr | None = Field(default=None, description="Ed25519 key in PEM, signs receipts")
    provider: Provider = Field(default=Provider.PORTAL, description="who answers the custodian's calls")
    gateway_url: BaseUrl = "https://api.tatum.io"
    custodian_api_key: SecretStr | None = Field(
        default=None, description="Portal's custodian API key, or Tatum's"
    )
    completion: Completion | None = Field(
        default=None, description="client or wallet: which call marks the client; unset, the provider's own"
    )
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
    codec_keys: Annotated[SecretStr, AfterValidator(_codec_keys)] | None = Field(
        default=None, description='{"key id": "base64 of 32 bytes", ...}; the first encrypts'
    )
    codec_token: Annotated[SecretStr, AfterValidator(_long)] | None = Field(
        default=None, description="what the codec server asks of people and the CLI"
    )
    codec_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(
        default=(), description='["https://host"]: Temporal UIs that may ask the codec server'
    )
    codec_address: str = Field(
        default="127.0.0.1:8234",
        pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$",
        description="host:port where the codec server listens",
    )
    budget_custodian: int = Field(
        default=200, ge=40, description="calls a minute of the custodian's, as Portal publishes"
    )
    budget_client: int = Field(
        default=200, ge=40, description="calls a minute of clients, as Portal publishes"
    )
    budget_enclave: int = Field(
        default=50, ge=10, description="calls a minute of the enclave's, as Portal publishes"
    )
    metrics_address: str | None = Field(
        default=None, pattern=r"^[0-9a-fA-F.:\[\]]+:[0-9]{1,5}$", description="ip:port for Prometheus"
    )
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    build_id: BuildId | None = Field(
        default=None, description="this version's name; Temporal then gives a worker only what is its own"
    )

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
        self.require(*self._needed(role))
        if self.production and (wrong := self._unfit_for_production(role)):
            raise SettingsError("Production settings refuse this: " + "; ".join(wrong))

    def _mints(self, role: WorkerRole) -> bool:
        return role is not WorkerRole.CUSTODIAN and self.credential(role) is ClientCredential.SIMPLE

    def _needed(self, role: WorkerRole) -> list[str]:
        needed = ["vault_url"]
        if role is not WorkerRole.CLIENT or self._mints(role):
            needed.append("custodian_api_key")
        if role is not WorkerRole.CUSTODIAN:
            needed.append("client_identity")
        if self.notify_url and role is not WorkerRole.CLIENT:
            needed.append("notify_secret")
        if self.production and role is WorkerRole.CUSTODIAN:
            needed.append("receipt_key")
        return needed

    def _unfit_for_production(self, role: WorkerRole) -> list[str]:
        wrong = []
        if role is WorkerRole.ALL:
            wrong.append("--role all sees both halves of every key: run one worker of each role")
        if _is_file(str(self.vault_url)):
            wrong.append("a file:// vault is one user's on one machine: use s3://")
        if self._mints(role):
            wrong.append("EJECT_CLIENT_CREDENTIAL=simple needs the custodian's key: use strict")
        elif role is WorkerRole.CLIENT and self.custodian_api_key is not None:
            wrong.append("EJECT_CUSTODIAN_API_KEY is not for the client role: leave it out")
        if role is WorkerRole.CLIENT and self.receipt_key is not None:
            wrong.append("EJECT_RECEIPT_KEY is not for the client role: leave it out")
        if self.codec_keys is None:
            wrong.append(_PLAIN)
        if role is WorkerRole.CUSTODIAN and self.client_identity is not None:
            wrong.append("EJECT_CLIENT_IDENTITY is not for the custodian role: leave it out")
        return wrong

    def codec(self) -> EjectCodec:
        """The payload codec, which encrypts nothing where no key is set; in production a `SettingsError`."""
        if self.codec_keys is not None:
            return EjectCodec(read_keys(self.codec_keys.get_secret_value()))
        if self.production:
            raise SettingsError(f"Production settings refuse this: {_PLAIN}")
        return EjectCodec({})

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
    except NotJsonError as error:  # its text names the field and never the value, which its cause has
        raise SettingsError(f"Settings are wrong: {error}: it is not JSON") from None
