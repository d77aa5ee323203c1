"""What a service is told while it does not look: notices, without any share material."""

import json
from enum import StrEnum

from contracts.base import Id, Moment, Result
from contracts.stages import End

NOTICE_WORKFLOW = "EjectNotice"


class NoticeKind(StrEnum):
    """What has happened, beside the ends, which have their own names."""

    APPROVAL_NEEDED = "approval_needed"
    SHARES_READY = "shares_ready"
    WINDOW_CLOSING = "window_closing"
    PARKED = "parked"
    UNRESOLVED = "unresolved"
    DRIFT = "drift"


class NoticeData(Result):
    """The facts of a notice; those that say nothing at its moment are null."""

    eject_id: Id
    client_id: Id
    fingerprint: str
    request_digest: str
    window_closes: Moment | None = None
    park: int | None = None
    step: str | None = None
    reason: str | None = None
    mend: str | None = None


class DriftData(Result):
    """The facts of a notice of drift: how many clients were found, and who was not at the look before."""

    found: int
    clients: tuple[Id, ...]


class Notice(Result):
    """One notice; `id` stays the same however often it is sent, so that a receiver can drop repeats."""

    id: Id
    kind: NoticeKind | End
    at: Moment
    data: NoticeData | DriftData

    @property
    def type(self) -> str:
        """The event's name as the receiver sees it."""
        return f"eject.{self.kind}"

    def body(self) -> str:
        """What is sent: the payload of Standard Webhooks."""
        told = {
            "type": self.type,
            "timestamp": self.at.isoformat().replace("+00:00", "Z"),
            "data": self.data.model_dump(mode="json"),
        }
        return json.dumps(told, separators=(",", ":"))


class NoticeSent(Result):
    """The receiver has taken it."""

    status: int
