"""What reconcile says of one client: its state, the facts, what to do, and the commands for it."""

from enum import StrEnum

from pydantic import BaseModel


class State(StrEnum):
    """Where a client stands; `docs/recovery.md` has a row for each."""

    TEMPORAL_SILENT = "temporal_silent"
    CHAIN_BROKEN = "chain_broken"
    UNKNOWN_FILES = "unknown_files"

    RUNNING = "running"
    EJECTED = "ejected"
    EJECTED_UNRECORDED = "ejected_unrecorded"
    EJECTED_ELSEWHERE = "ejected_elsewhere"
    RECEIPT_ALONE = "receipt_alone"
    WINDOW_OPEN = "window_open"
    WINDOW_OPEN_CLAIMED = "window_open_claimed"
    WINDOW_OPEN_ELSEWHERE = "window_open_elsewhere"
    CLAIMED = "claimed"
    BACKED_UP = "backed_up"
    ENDED = "ended"
    DEPOSITED = "deposited"
    GONE_AT_PORTAL = "gone_at_portal"


class Advice(BaseModel):
    """One line: of a client, or of none where it is of all. `commands` are run in this order."""

    client_id: str | None
    state: State
    facts: str
    advice: str
    commands: tuple[str, ...] = ()
