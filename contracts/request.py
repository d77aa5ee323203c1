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


class BackupMethod(StrEnum):
    """How the owner's backup was encrypted, as the client's own fetch names it (Portal's Client API)."""

    GDRIVE = "GDRIVE"
    ICLOUD = "ICLOUD"
    PASSWORD = "PASSWORD"  # noqa: S105 (Portal's name of a method)
    PASSKEY = "PASSKEY"


class EjectRequest(Message):
    """One client's wish to leave custody; plain JSON, so that any language can start an eject.

    `window` is an ISO 8601 duration from 10 minutes to 30 days; `recipient` the owner's age public key.
    `requested_by` and `reason` are asserted by the caller and stand so in the receipt. `approvals` and
    `cooling_off` (at most 90 days) can only ask for more than the worker's settings demand.

    `backup` is `existing` where the owner rebuilds from a backup made before; the eject then makes none.
    `fetch_as` is `client` where Portal gives the custodian half only to the client itself, which takes an
    existing backup and names its `backup_method`.
    """

    client_id: Id
    recipient: Recipient
    window: timedelta
    requested_by: Words
    reason: Words
    backup: Backup = Backup.FRESH
    replace_backup: bool = False
    fetch_as: FetchAs = FetchAs.CUSTODIAN
    backup_method: BackupMethod | None = Field(default=None, validate_default=True)
    approvals: int = Field(default=0, ge=0, le=9)
    cooling_off: timedelta = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=90))

    _bounded = field_validator("window")(bounded)

    @field_validator("replace_backup", "fetch_as", "backup_method")
    @classmethod
    def _goes_together(cls, value: Any, info: ValidationInfo) -> Any:
        existing = info.data.get("backup") is Backup.EXISTING
        as_client = info.data.get("fetch_as") is FetchAs.CLIENT
        if info.field_name == "replace_backup" and value and existing:
            raise ValueError("only a fresh backup replaces one: leave it out with backup existing")
        if value is FetchAs.CLIENT and not existing:
            raise ValueError("client works with backup existing only")
        if info.field_name == "backup_method" and as_client and value is None:
            raise ValueError("must be named with fetch_as client: GDRIVE, ICLOUD, PASSWORD or PASSKEY")
        if info.field_name == "backup_method" and not as_client and value is not None:
            raise ValueError("is for fetch_as client only: leave it out")
        return value


def digest_of(request: EjectRequest) -> str:
    """The digest by which a request is approved: SHA-256 over all of it, the recipient included, as hex."""
    return hashlib.sha256(canonical(request)).hexdigest()


def differing(one: EjectRequest, other: EjectRequest) -> list[str]:
    """The names of the fields in which two requests differ."""
    return [name for name in EjectRequest.model_fields if getattr(one, name) != getattr(other, name)]
