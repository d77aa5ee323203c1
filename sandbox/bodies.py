"""The bodies of Portal's calls, and how any body is read: strictly, and without quoting it in an error."""

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

M = TypeVar("M", bound=BaseModel)


BACKUP_METHODS = ("GDRIVE", "ICLOUD", "PASSWORD", "PASSKEY")
"""What the client's fetch takes; what pairs show is an open set."""


class BadBodyError(Exception):
    """The body is not what the call takes; the text says where, never what it held."""


def parse(model: type[M], raw: bytes | str) -> M:
    """Read JSON into a model."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        places = (f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in found)
        raise BadBodyError("; ".join(places)) from None


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
"""An ISO date-time with an offset, in UTC."""


class Body(BaseModel):
    """What every body of Portal's has in common: camelCase names, and unknown fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, hide_input_in_errors=True)


class NewClient(Body):
    """Create client, and mint client session token (Custodian API)."""

    is_account_abstracted: bool | None = None


class BackupRequest(Body):
    """Back up (Enclave MPC API)."""

    generate_response: str


class MpcShare(Body):
    """One curve's share, as the enclave answers it: base64 text, and the id of its pair."""

    share: str
    id: str


class StoreCipherText(Body):
    """Store encrypted client share (Client API)."""

    client_cipher_text: str


class ConfirmBackup(Body):
    """Confirm backup status (Client API)."""

    backup_share_pair_ids: list[str] = Field(min_length=1)
    status: Literal["STORED_CLIENT_BACKUP_SHARE", "STORED_CLIENT_BACKUP_SHARE_KEY"]


class EnableEject(Body):
    """Enable eject (Custodian API)."""

    wallet_id: str
    ejectable_until: Moment | None = None


class Complete(Body):
    """Complete for the whole client (Client API)."""

    client_platform: str = ""
    client_platform_version: str = ""
