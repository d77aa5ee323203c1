"""The one place where the environment is read.

Every setting is `EJECT_` and its name in capitals, or a file `eject_` and its name in the folder
`EJECT_SECRETS_DIR`. The connection to Temporal has Temporal's own (`TEMPORAL_ADDRESS`, ...).
"""

import json
import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_origin

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.approvals import ApproverKey, Guards
from contracts.base import problems
from contracts.providers import Completion, Provider
from runtime import uses
from runtime.codec import EjectCodec, read_keys
from runtime.forms import BaseUrl, BuildId, CodecKeys, Origin, Token
from runtime.uses import Program, When, uses_of


class SettingsError(Exception):
    """The settings are wrong: one sentence a line, each of which names a setting and never its value."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))


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

    @property
    def programs(self) -> tuple[Program, ...]:
        """As whom a worker of this role reads its settings."""
        return uses.ROLES if self is WorkerRole.ALL else (Program(self),)


class Settings(BaseSettings):
    """All settings of every program; each requires the ones that it needs."""

    model_config = SettingsConfigDict(
        env_prefix="EJECT_", extra="ignore", hide_input_in_errors=True, enable_decoding=False
    )

    vault_url: Annotated[str | None, uses.VAULT] = Field(
        default=None,
        description="where sealed files lie: `file:///path` (one machine) or `s3://bucket/prefix`",
    )
    portal_url: Annotated[BaseUrl, uses.WORKERS] = Field(
        default="https://api.portalhq.io/api/v3", description="Portal's API"
    )
    enclave_url: Annotated[BaseUrl, uses.CLIENTS] = Field(
        default="https://mpc-client.portalhq.io", description="Portal's enclave"
    )
    receipt_key: Annotated[SecretStr | None, uses.RECEIPTS_KEY] = Field(
        default=None, description="the Ed25519 key that signs receipts, PEM of `starter.py make-key`"
    )
    provider: Annotated[Provider, uses.WORKERS] = Field(
        default=Provider.PORTAL,
        description="who answers the custodian's calls: `portal`, or `tatum` for its gateway",
    )
    gateway_url: Annotated[BaseUrl, uses.WORKERS] = Field(
        default="https://api.tatum.io", description="Tatum's gateway"
    )
    custodian_api_key: Annotated[SecretStr | None, uses.CUSTODIANS_KEY] = Field(
        default=None, description="Portal's custodian API key; with `EJECT_PROVIDER=tatum` Tatum's"
    )
    completion: Annotated[Completion | None, uses.CLIENTS] = Field(
        default=None,
        description="`client` or `wallet`: the call that marks the client; unset, the provider's own",
    )
    client_identity: Annotated[SecretStr | None, uses.CLIENTS_IDENTITY] = Field(
        default=None, description="the age identity that opens deposits, or several, one on a line"
    )
    client_recipient: Annotated[str | None, uses.DEPOSITS] = Field(
        default=None, description="the public key of the client identity, for whoever deposits"
    )
    client_credential: Annotated[ClientCredential | None, uses.CLIENTS] = Field(
        default=None,
        description="`strict`: the client's own API key, deposited with `deposit --api-key`; `simple`, for "
        "development: session tokens minted with the custodian's key. Unset, strict unless the role is `all`",
    )
    production: bool = Field(
        default=False,
        description="`true` refuses what is for development: `--role all`, `file://`, `simple`, unsigned "
        "receipts, a secret that is not for the role, no `EJECT_CODEC_KEYS`",
    )
    minimum_approvals: Annotated[int, uses.CUSTODIANS] = Field(
        default=0, ge=0, le=9, description="approvals that every eject needs at least"
    )
    minimum_cooling_off: Annotated[timedelta, uses.CUSTODIANS] = Field(
        default=timedelta(0),
        ge=timedelta(0),
        le=timedelta(days=90),
        description="the wait after the approvals at least, as `PT24H` or `P2D`",
    )
    approvers: Annotated[dict[str, ApproverKey], uses.CUSTODIANS] = Field(
        default_factory=dict,
        description='`{"name": "Ed25519 public key in hex"}`: approvals are then signed (`make-key`)',
    )
    requesters: Annotated[tuple[str, ...], uses.CUSTODIANS] = Field(
        default=(), description='`["name", ...]`: who may ask; unset, anybody'
    )
    notify_url: Annotated[BaseUrl | None, uses.NOTICES] = Field(
        default=None, description="where notices are sent, signed as Standard Webhooks"
    )
    notify_secret: Annotated[SecretStr | None, uses.NOTICES_SECRET] = Field(
        default=None,
        description="the secret that signs notices (`whsec_...`), or several with blanks between",
    )
    codec_keys: Annotated[CodecKeys | None, uses.CODEC] = Field(
        default=None,
        description='`{"key id": "base64 of 32 bytes", ...}`: what Temporal stores is encrypted with the '
        "first, read with any; unset, it is plain text",
    )
    codec_token: Annotated[Token | None, uses.CODEC_SERVERS_TOKEN] = Field(
        default=None, description="what the codec server asks of people and the CLI"
    )
    codec_origins: Annotated[tuple[Origin, ...], uses.CODEC_SERVERS] = Field(
        default=(), description='`["https://host"]`: Temporal UIs that may ask the codec server'
    )
    codec_address: Annotated[str, uses.CODEC_SERVERS] = Field(
        default="127.0.0.1:8234",
        pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$",
        description="`host:port` where the codec server listens",
    )
    budget_custodian: Annotated[int, uses.WORKERS] = Field(
        default=200, ge=40, description="calls a minute of the custodian's, as Portal publishes"
    )
    budget_client: Annotated[int, uses.WORKERS] = Field(
        default=200, ge=40, description="calls a minute of clients, as Portal publishes"
    )
    budget_enclave: Annotated[int, uses.WORKERS] = Field(
        default=50, ge=10, description="calls a minute of the enclave's, as Portal publishes"
    )
    cached_ejects: Annotated[int, uses.CUSTODIANS] = Field(
        default=1000,
        ge=0,
        description="running ejects that a worker keeps in memory; what wakes another reads it again",
    )
    stage_shown_after: Annotated[timedelta, uses.CUSTODIANS] = Field(
        default=timedelta(seconds=2),
        ge=timedelta(0),
        le=timedelta(minutes=1),
        description="how long a step lasts before Temporal's lists show its stage, as `PT2S`; a stage at "
        "which an eject rests is shown at once",
    )
    metrics_address: Annotated[str | None, uses.WORKERS] = Field(
        default=None,
        pattern=r"^[0-9a-fA-F.:\[\]]+:[0-9]{1,5}$",
        description="`ip:port` where a worker shows its metrics to Prometheus; unset, nowhere",
    )
    health_address: Annotated[str | None, uses.WORKERS] = Field(
        default=None,
        pattern=r"^[0-9a-fA-F.:\[\]]+:[0-9]{1,5}$",
        description="`ip:port` where a worker answers `/healthz` (alive) and `/readyz` (it serves); "
        "unset, nowhere",
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="`DEBUG`, `INFO`, `WARNING` or `ERROR`",
    )
    build_id: Annotated[BuildId | None, uses.WORKERS] = Field(
        default=None,
        description="this version's name, the same for both roles, deployed with the `temporal` CLI "
        "(`docs/operating.md`); Temporal then gives a worker only what is its own",
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

    def mints(self, role: WorkerRole) -> bool:
        """Whether a worker of this role makes session tokens with the custodian's key to act as a client."""
        return role is not WorkerRole.CUSTODIAN and self.credential(role) is ClientCredential.SIMPLE

    def lacking(self, program: Program, *, mints: bool = False) -> dict[str, str]:
        """The settings that a program needs and has not, each with a sentence; set to nothing is not set."""
        holds = {
            When.ALWAYS: True,
            When.PRODUCTION: self.production,
            When.NOTICES: self.notify_url is not None,
            When.MINTING: mints,
        }
        needed = {
            name: uses_of(setting).needed.get(program) for name, setting in type(self).model_fields.items()
        }
        return {
            name: _set(name)
            for name, when in needed.items()
            if when is not None and holds[when] and self.is_unset(name)
        }

    def require(self, *names: str) -> None:
        """Refuse to go on without these settings, naming all that are missing at once."""
        if missing := [_set(name) for name in names if self.is_unset(name)]:
            raise SettingsError(*missing)

    def is_unset(self, name: str) -> bool:
        """Whether a setting says nothing."""
        value = getattr(self, name)
        return value is None or (isinstance(value, str | SecretStr) and not len(value))

    def codec(self) -> EjectCodec:
        """The payload codec, which encrypts nothing where no key is set; in production a `SettingsError`."""
        if self.codec_keys is not None:
            return EjectCodec(read_keys(self.codec_keys.get_secret_value()))
        if self.production:
            raise SettingsError(_set("codec_keys"))
        return EjectCodec({})

    @field_validator("*", mode="before")
    @classmethod
    def _from_json(cls, value: Any, info: ValidationInfo) -> Any:
        """A list or table as JSON; read here, so that it is refused along with all else that is wrong."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if not isinstance(value, str) or get_origin(annotation) not in (dict, list, tuple):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("is not JSON") from None


def _set(name: str) -> str:
    description = str(Settings.model_fields[name].description).replace("`", "")
    return f"EJECT_{name.upper()} is not set: {description}"


def read_settings() -> tuple[Settings, dict[str, str]]:
    """The settings, and for each that is wrong, by name, a sentence without its value; it has its default."""
    folder, wrong = os.environ.get("EJECT_SECRETS_DIR"), {}
    if folder is not None and not Path(folder).is_dir():
        wrong["secrets_dir"] = (
            "EJECT_SECRETS_DIR is not a folder: name the one that holds the secrets as files"
        )
        folder = None
    try:
        return Settings(_secrets_dir=folder), wrong
    except ValidationError as error:
        found = problems(error)
    except (OSError, UnicodeError):  # the latter holds what was read
        wrong["secrets_dir"] = "EJECT_SECRETS_DIR has a file that cannot be read as text: mend it"
        folder, found = None, []
    for place, problem in found:
        name, _, within = place.partition(".")
        said = f"EJECT_{name.upper()}: {f'{within}: ' if within else ''}{problem}"
        wrong[name] = f"{wrong[name]}; {said}" if name in wrong else said
    fields = Settings.model_fields
    defaults = {name: fields[name].get_default(call_default_factory=True) for name in wrong if name in fields}
    return Settings(_secrets_dir=folder, **defaults), wrong


def load_settings(*programs: Program) -> Settings:
    """Read the settings; `SettingsError` names everything that is wrong, and all that these programs lack."""
    settings, wrong = read_settings()
    for program in programs:
        wrong = settings.lacking(program) | wrong
    if wrong:
        raise SettingsError(*wrong.values())
    return settings
