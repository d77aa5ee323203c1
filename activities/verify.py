"""Verify: is a proof, or a signed approval, right? Local activities over public data."""

from temporalio import activity

from contracts.approvals import ApprovalCheck
from contracts.owner import Verified, Verify
from custody.proofs import approval_problem, problem


@activity.defn(name="verify")
async def verify(what: Verify) -> Verified:
    """Say what is wrong with each bad proof; a millisecond each, so it needs no thread."""
    return Verified(problems=tuple(found for check in what.checks if (found := problem(check))))


@activity.defn(name="verify_approval")
async def verify_approval(what: ApprovalCheck) -> Verified:
    """Say what is wrong with a signed approval."""
    return Verified(problems=(found,) if (found := approval_problem(what)) else ())
