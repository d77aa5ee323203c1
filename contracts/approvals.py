"""Approvals: who must agree before anything is done, and what exactly they agree to."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.base import Digest, Moment, Result
from contracts.commands import Command

ApproverKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""An approver's Ed25519 public key, 32 bytes as lower-case hex."""


class Guards(Result):
    """What the custodian demands of every eject, from the worker's settings; a request can only ask for more.

    With `approvers`, names and their keys, each approval is signed; without, names are asserted. `requesters`
    are those who may ask; empty means anybody.
    """

    approvals: int = Field(default=0, ge=0, le=9)
    cooling_off: timedelta = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=90))
    approvers: dict[str, ApproverKey] = Field(default_factory=dict)
    requesters: tuple[str, ...] = ()


class Approve(Command):
    """`by` agrees to the request with this digest; the signature is over `approval_text`, as hex."""

    digest: Digest
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")] | None = None


class Approved(Result):
    """An approval as the receipt tells it: signed, with the `key` of the settings, or asserted."""

    by: str
    at: Moment
    digest: Digest
    signed: bool
    signature: str | None = None
    key: ApproverKey | None = None


class ApproveAnswer(Result):
    """How many approvals there are, and how many it takes."""

    approvals: int
    needed: int


class ApprovalGiven(Result):
    """A signed approval as it was given: public data only."""

    by: str
    text: str
    signature: str


class ApprovalCheck(ApprovalGiven):
    """A signed approval, and the key by which it has to be."""

    key: ApproverKey


class ApprovalVerified(Result):
    """What is wrong with a signed approval, or the key by which it is right."""

    problems: tuple[str, ...] = ()
    key: ApproverKey | None = None


def approval_text(*, eject_id: str, client_id: str, digest: str, by: str) -> str:
    """The text that an approver's key signs; it names the one eject, so that it approves nothing else."""
    return "\n".join(
        [
            "I approve that this client leaves custody.",
            f"eject: {eject_id}",
            f"client: {client_id}",
            f"request: {digest}",
            f"approver: {by}",
        ]
    )
