"""Where an eject is, and how it can end."""

from enum import StrEnum


class Stage(StrEnum):
    """What a running eject is doing or waiting for; the search attribute `EjectStage` holds it."""

    CHECKING = "checking"
    AWAITING_APPROVAL = "awaiting_approval"
    COOLING_OFF = "cooling_off"
    BACKING_UP = "backing_up"
    CONFIRMING_BACKUP = "confirming_backup"
    ENABLING = "enabling"
    FETCHING_SHARES = "fetching_shares"
    AWAITING_CLAIM = "awaiting_claim"
    AWAITING_PROOF = "awaiting_proof"
    COMPLETING = "completing"
    UNRESOLVED = "unresolved"
    PARKED = "parked"
    CLOSING = "closing"


class End(StrEnum):
    """How an eject ended; `EjectStage` holds it once the eject has closed."""

    EJECTED = "ejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    ALREADY_EJECTED = "already_ejected"
    REFUSED = "refused"
