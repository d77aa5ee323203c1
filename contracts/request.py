"""What starts an eject."""

import hashlib
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from contracts.base import Id, Message, Words, canonical
from contracts.window import bounded

Recipient = Annotated[str, StringConstraints(pattern=r"^age1[02-9ac-hj-np-z]{58}$")]
"""An age X25519 public key; its checksum is verified by the first check and by `starter`."""


class Backup(StrEnum):
    """Which backup the owner rebuilds from: one made by this eject, or one made before."""

    FRESH = "fresh"
    EXISTING = "existing"


class FetchAs(StrEnum):
    """With whose credential the custodian half is fetched."""

    CUSTODIAN = "custodian"
    CLIENT = "client"


class EjectRequest(Message):
    """One client's wish to leave custody; plain JSON, so that any language can start an eject.

    `window` is an ISO 8601 duration from 10 minutes to 30 days; `recipient` the owner's age public key.
    `requested_by` and `reason` are asserted by the caller and stand so in the receipt. `approvals` and
    `cooling_off` (at most 90 days) can only ask for more than the worker's settings demand.
    """

    client_id: Id
    recipient: Recipient
    window: timedelta
    requested_by: Words
    reason: Words
    replace_backup: bool = False
    backup: Backup = Backup.FRESH
    fetch_as: FetchAs = FetchAs.CUSTODIAN
    backup_method: str | None = Field(default=None, max_length=32)
    approvals: int = Field(default=0, ge=0, le=9)
    cooling_off: timedelta = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=90))

    _bounded = field_validator("window")(bounded)

    @field_validator("backup", "fetch_as", "backup_method")
    @classmethod
    def _not_yet(cls, value: Any, info: ValidationInfo) -> Any:
        # These roads are not built; a value that would be ignored must not be accepted.
        if value != cls.model_fields[str(info.field_name)].default:
            raise ValueError("only the default works in this version: leave it out")
        return value


def digest_of(request: EjectRequest) -> str:
    """The digest by which a request is approved: SHA-256 over all of it, the recipient included, as hex."""
    return hashlib.sha256(canonical(request)).hexdigest()


def differing(one: EjectRequest, other: EjectRequest) -> list[str]:
    """The names of the fields in which two requests differ."""
    return [name for name in EjectRequest.model_fields if getattr(one, name) != getattr(other, name)]
