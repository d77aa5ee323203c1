"""Verify: is a proof, or a signed approval, right? Local activities over public data."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from contracts.approvals import ApprovalCheck, ApprovalGiven, ApprovalVerified, ApproverKey
from contracts.owner import Verified, Verify
from custody.proofs import approval_problem, problem


@activity.defn(name="verify")
async def verify(what: Verify) -> Verified:
    """Say what is wrong with each bad proof; a millisecond each, so it needs no thread."""
    return Verified(problems=tuple(found for check in what.checks if (found := problem(check))))


@dataclass(frozen=True)
class VerifyApprovalStep:
    """Custodian role; `approvers` are those of its settings now, whatever they were when the eject began."""

    approvers: Mapping[str, ApproverKey]

    @activity.defn(name="verify_approval")
    async def verify_approval(self, what: ApprovalGiven) -> ApprovalVerified:
        """Say by which key a signed approval is right, or what is wrong with it."""
        if (key := self.approvers.get(what.by)) is None:
            return ApprovalVerified(problems=(f"{what.by} is no approver: see EJECT_APPROVERS",))
        check = ApprovalCheck(by=what.by, key=key, text=what.text, signature=what.signature)
        return ApprovalVerified(problems=(found,) if (found := approval_problem(check)) else (), key=key)
