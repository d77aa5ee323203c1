"""Start, watch and command ejects: what a service does with a connected Temporal client."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from contracts.approvals import Approve, ApproveAnswer
from contracts.base import Message, Result
from contracts.commands import Cancel, Extend, Extended, Resolve, Taken
from contracts.names import Attribute, workflow_id
from contracts.owner import Claim, ClaimAnswer, Prove, ProveAnswer
from contracts.parks import Retry, RetryAnswer
from contracts.receipt import Receipt, Status
from contracts.request import EjectRequest, differing
from contracts.stages import End, Stage
from custody.sealing import is_recipient
from ejects.visibility import Trying, described
from workflows.eject import Eject
from workflows.starting import options_of

T = TypeVar("T")
A = TypeVar("A", bound=Result)
EjectHandle = WorkflowHandle[Eject, Receipt]

# A query or an update that takes longer has no worker behind it.
ANSWERS_WITHIN = timedelta(seconds=60)


class EjectError(Exception):
    """A command was refused; the text is one sentence that says what to do."""


class NoAnswerError(EjectError):
    """Nobody answered; whether the command was taken is not known, and repeating it is safe."""


async def start(client: Client, request: EjectRequest) -> EjectHandle:
    """Start an eject, or join the running one where its request is the same."""
    require_recipient(request)
    try:
        return await client.start_workflow(
            Eject.run, request, id_conflict_policy=WorkflowIDConflictPolicy.FAIL, **options_of(request)
        )
    except WorkflowAlreadyStartedError as error:
        return await joined(client, request, error.run_id)


def require_recipient(request: EjectRequest) -> None:
    """Refuse a recipient whose checksum is wrong before anything is started."""
    if not is_recipient(request.recipient):
        raise EjectError("The recipient is not an age public key: its checksum is wrong, copy it again")


async def joined(client: Client, request: EjectRequest, run_id: str | None) -> EjectHandle:
    """The running eject of this client, where its request is the same; `EjectError` names what differs."""
    handle = client.get_workflow_handle_for(Eject.run, workflow_id(request.client_id), run_id=run_id)
    if fields := differing(request, await request_of(client, handle)):
        raise EjectError(
            f"An eject of client {request.client_id} is running with another {', '.join(fields)}: "
            "start with the same to join it"
        )
    return handle


async def request_of(client: Client, handle: EjectHandle) -> EjectRequest:
    """The request that an eject was started with."""
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        (request,) = await client.data_converter.decode(list(payloads), [EjectRequest])
        return EjectRequest.model_validate(request)
    raise NoAnswerError("Temporal shows no history of the running eject: try again")


def handle_of(client: Client, client_id: str) -> EjectHandle:
    """The latest eject of a client."""
    return client.get_workflow_handle_for(Eject.run, workflow_id(client_id))


async def status(client: Client, client_id: str) -> Status | Receipt:
    """Where a running eject is, or the receipt of the last one that ended."""
    handle = handle_of(client, client_id)
    run, _ = await _answered(client_id, described(client, client_id))
    if run == "completed":
        return await handle.result()
    if run == "paused":
        raise EjectError(f"The eject of client {client_id} is paused in Temporal: unpause it there first")
    if run != "running":
        raise EjectError(f"The last eject of client {client_id} was {run} without a receipt: start a new one")
    return await _answered(client_id, handle.query(Eject.status))


async def trying(client: Client, client_id: str) -> list[Trying]:
    """The steps that are being tried again, each with what its last attempt met; needs no worker."""
    return (await _answered(client_id, described(client, client_id)))[1]


async def stages(handle: EjectHandle) -> AsyncIterator[Stage | End]:
    """Every stage that is shown of an eject, from its start to its end, as it happens.

    A step that is over in a moment is not shown (EJECT_STAGE_SHOWN_AFTER); where an eject rests is.
    """
    yield Stage.CHECKING
    last: str = Stage.CHECKING
    async for event in handle.fetch_history_events(wait_new_event=True):
        written = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
        entered = json.loads(written[Attribute.STAGE].data) if Attribute.STAGE in written else last
        if entered != last:
            last = entered
            yield End(entered) if entered in tuple(End) else Stage(entered)


async def approve(client: Client, client_id: str, command: Approve) -> ApproveAnswer:
    """Agree to a request by its digest, as `status` shows it."""
    return await _update(client, client_id, "approve", command, ApproveAnswer)


async def claim(
    client: Client, client_id: str, command: Claim, *, update_id: str | None = None
) -> ClaimAnswer:
    """Have the sealed files released; repeating it answers the same."""
    return await _update(client, client_id, "claim", command, ClaimAnswer, update_id=update_id)


async def prove(
    client: Client, client_id: str, command: Prove, *, update_id: str | None = None
) -> ProveAnswer:
    """Hand in the owner's proofs; after the last one completion is owed."""
    return await _update(client, client_id, "prove", command, ProveAnswer, update_id=update_id)


async def retry(client: Client, client_id: str, command: Retry) -> RetryAnswer:
    """Run a parked step again, and hear what became of it within half a minute."""
    return await _update(client, client_id, "retry", command, RetryAnswer)


async def cancel(client: Client, client_id: str, command: Cancel, *, update_id: str | None = None) -> Taken:
    """End an eject before its bundle is claimed; everything is withdrawn, which takes some seconds more."""
    return await _update(client, client_id, "cancel", command, Taken, update_id=update_id)


async def resolve(client: Client, client_id: str, command: Resolve) -> Taken:
    """End an eject whose bundle was claimed and that will not be proven; it frees the client's id."""
    return await _update(client, client_id, "resolve", command, Taken)


async def extend(client: Client, client_id: str, command: Extend) -> Extended:
    """Move the close of the window, or open it once more after the close."""
    return await _update(client, client_id, "extend", command, Extended)


async def _update(
    client: Client,
    client_id: str,
    name: str,
    command: Message,
    answer: type[A],
    *,
    update_id: str | None = None,
) -> A:
    """Give a command; with an id that it was given before it is the same command, and answers the same."""
    updating = handle_of(client, client_id).execute_update(name, command, id=update_id, result_type=answer)
    return answer.model_validate(await _answered(client_id, updating))


async def _answered(client_id: str, asking: Coroutine[Any, Any, T]) -> T:
    return await answered(
        asking,
        silent="The eject does not answer: see that a worker runs, then try again",
        missing=f"No eject of client {client_id} is running: see `starter.py list`",
    )


async def answered(asking: Coroutine[Any, Any, T], *, silent: str, missing: str) -> T:
    """Await a running workflow's answer, every failure as one sentence.

    `silent` is for one that nobody serves, `missing` for one that does not run.
    """
    try:
        # Not `rpc_timeout`: it bounds one call, and an update without a worker is asked for anew for ever.
        async with asyncio.timeout(ANSWERS_WITHIN.total_seconds()):
            return await asking
    except WorkflowUpdateFailedError as error:
        told = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
        raise EjectError(told) from None
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowQueryFailedError):
        raise NoAnswerError(silent) from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise EjectError(missing) from None
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise NoAnswerError(silent) from None
        raise
