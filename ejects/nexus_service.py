"""Ejects for other namespaces, as a Nexus service: start, watch and cancel them without our code.

The wire is JSON, so a caller declares the service in its own words; `docs/integrating.md` shows one.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from nexusrpc import HandlerError, HandlerErrorType, Operation, OperationError, OperationErrorState, service
from nexusrpc.handler import StartOperationContext, service_handler, sync_operation
from temporalio import nexus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from contracts.commands import Cancel, Taken
from contracts.nexus import CancelFor, ClaimFor, ProveFor, Whose
from contracts.owner import Claim, ClaimAnswer, Prove, ProveAnswer
from contracts.receipt import Receipt, Status
from contracts.request import EjectRequest
from ejects.service import (
    EjectError,
    NoAnswerError,
    cancel,
    claim,
    joined,
    prove,
    require_recipient,
    status,
)
from workflows.eject import Eject
from workflows.starting import options_of

T = TypeVar("T")

# Temporal gives a Nexus request ten seconds; the rest is for the way back.
_ANSWERS_WITHIN = 8.0


@service
class EjectService:
    """What another namespace may ask; `eject` lasts until its receipt, the others answer at once."""

    eject: Operation[EjectRequest, Receipt]
    status: Operation[Whose, Status | Receipt]
    claim: Operation[ClaimFor, ClaimAnswer]
    prove: Operation[ProveFor, ProveAnswer]
    cancel: Operation[CancelFor, Taken]


async def _answered(asking: Coroutine[Any, Any, T]) -> T:
    """Bring a refusal to the caller as a failed operation; have Temporal repeat what nobody answered."""
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN):
            return await asking
    except (NoAnswerError, TimeoutError):
        told = "The eject does not answer: see that its workers run; it is asked again"
        raise HandlerError(told, type=HandlerErrorType.UNAVAILABLE) from None
    except EjectError as error:
        raise OperationError(str(error), state=OperationErrorState.FAILED) from None


async def _started(
    ctx: nexus.WorkflowRunOperationContext, request: EjectRequest
) -> nexus.WorkflowHandle[Receipt]:
    require_recipient(request)
    options = options_of(request)
    try:
        return await ctx.start_workflow(
            Eject.run, request, id_conflict_policy=WorkflowIDConflictPolicy.FAIL, **options
        )
    except WorkflowAlreadyStartedError as error:
        await joined(nexus.client(), request, error.run_id)
    return await ctx.start_workflow(
        Eject.run, request, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING, **options
    )


@service_handler(service=EjectService)
class EjectHandler:
    """The custodian role's side. A repeated request is the same update, by the request's id."""

    @nexus.workflow_run_operation
    async def eject(
        self, ctx: nexus.WorkflowRunOperationContext, request: EjectRequest
    ) -> nexus.WorkflowHandle[Receipt]:
        """Start an eject, or join the running one where its request is the same.

        Cancelling the operation cancels the eject, as far as its rules allow, for all who joined it.
        """
        return await _answered(_started(ctx, request))

    @sync_operation
    async def status(self, _: StartOperationContext, whose: Whose) -> Status | Receipt:
        """Where the client's eject is, or the receipt of its last one."""
        return await _answered(status(nexus.client(), whose.client_id))

    @sync_operation
    async def claim(self, ctx: StartOperationContext, given: ClaimFor) -> ClaimAnswer:
        """Have the sealed files released."""
        command = Claim(claimed_by=given.claimed_by)
        return await _answered(claim(nexus.client(), given.client_id, command, update_id=ctx.request_id))

    @sync_operation
    async def prove(self, ctx: StartOperationContext, given: ProveFor) -> ProveAnswer:
        """Hand in the owner's proofs."""
        command = Prove(proofs=given.proofs)
        return await _answered(prove(nexus.client(), given.client_id, command, update_id=ctx.request_id))

    @sync_operation
    async def cancel(self, ctx: StartOperationContext, given: CancelFor) -> Taken:
        """End an eject before its bundle is claimed; also one that the caller did not start."""
        command = Cancel(by=given.by, why=given.why)
        return await _answered(cancel(nexus.client(), given.client_id, command, update_id=ctx.request_id))
