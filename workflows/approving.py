"""Approvals: counting who agrees to the request, and to nothing else."""

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.verify import VerifyApprovalStep
    from contracts.approvals import (
        ApprovalGiven,
        ApprovalVerified,
        Approve,
        ApproveAnswer,
        Approved,
        ApproverKey,
        approval_text,
    )

from workflows.policies import VERIFY_ONCE, VERIFY_TIMEOUT
from workflows.record import Record
from workflows.refusing import refusal

# Temporal takes 2,000 updates of a run: a program that signs wrongly again and again must leave some.
MOST_WRONG = 100


class Approving:
    """The approvals of one eject; distinct people, and not the one who asked."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._wrong = 0

    @property
    def missing(self) -> int:
        """How many approvals are still needed."""
        return max(self._record.guards.approvals - len(self._record.approvals), 0)

    def refuse(self, command: Approve) -> None:
        """Refuse an approval of something else, by somebody who does not count, or without its signature."""
        record = self._record
        if self._wrong >= MOST_WRONG:
            raise refusal(f"{MOST_WRONG} approvals were signed wrongly: cancel this eject and start it again")
        if command.digest != record.digest:
            raise refusal("This approval is for another request: read the digest in `status` again")
        if _same(command.by, record.request.requested_by):
            raise refusal("Whoever asked for the eject cannot approve it")
        if any(_same(command.by, approved.by) for approved in record.approvals):
            raise refusal(f"{command.by} has approved already: another person is needed")
        if not record.guards.approvers:
            if command.signature:
                raise refusal("No approver keys are set, so a signature cannot be checked: approve without")
            return
        if command.signature is None:
            raise refusal("Approvals are signed here: `starter.py approve --key FILE`")

    async def approve(self, command: Approve) -> ApproveAnswer:
        """Count an approval, a signed one once its signature is verified."""
        key = None
        if command.signature is not None:
            key = await self._verify(command, command.signature)
            self.refuse(command)  # the same person may have been counted meanwhile
        self._record.approvals.append(
            Approved(
                by=command.by,
                at=workflow.now(),
                digest=command.digest,
                signed=command.signature is not None,
                signature=command.signature,
                key=key,
            )
        )
        return ApproveAnswer(approvals=len(self._record.approvals), needed=self._record.guards.approvals)

    async def _verify(self, command: Approve, signature: str) -> ApproverKey:
        """Refuse a signature that is wrong; the key by which it is right.

        Which key counts is asked of the worker, and not of the guards from when the eject began: a key that
        was taken out of the settings approves nothing any more, and a new one does.
        """
        record = self._record
        approval = ApprovalGiven(
            by=command.by,
            text=approval_text(
                eject_id=record.eject_id,
                client_id=record.request.client_id,
                digest=record.digest,
                by=command.by,
            ),
            signature=signature,
        )
        try:
            given = await workflow.execute_local_activity(
                VerifyApprovalStep.verify_approval.__name__,
                approval,
                start_to_close_timeout=VERIFY_TIMEOUT,
                schedule_to_close_timeout=VERIFY_TIMEOUT,
                retry_policy=VERIFY_ONCE,
                summary="Verify a signed approval",
            )
            found = ApprovalVerified.model_validate(given)
        except (ActivityError, ValidationError):
            raise refusal("The approval could not be verified in time: send it again") from None
        if found.problems:
            self._wrong += 1
            raise refusal("; ".join(found.problems))
        return found.key or record.guards.approvers[command.by]  # an older worker names no key


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
