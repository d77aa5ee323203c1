"""Reading Temporal's list of ejects.

Raw calls: the SDK's own `list_workflows` and `describe` raise on a status that it does not know, and a paused
workflow has one. One paused eject would hide all others.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, WorkflowExecutionStatus
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.converter import decode_typed_search_attributes
from temporalio.exceptions import FailureError
from temporalio.service import RPCError, RPCStatusCode

from contracts.names import Attribute, workflow_id
from contracts.stages import End, Stage
from workflows import attributes

_PAGE = 200


class Listed(BaseModel):
    """One eject as Temporal lists it; `run` is how Temporal itself calls its state."""

    client_id: str
    stage: str
    window_closes: datetime | None
    started: datetime
    run: str


@dataclass(frozen=True)
class Trying:
    """A step that is being tried again: its name, which attempt, and what the last one met."""

    step: str
    attempt: int
    trouble: str


@dataclass(frozen=True)
class Latest:
    """An eject by its stage, or its end where it came to one; `eject_id` is what its files are named by."""

    stage: str
    eject_id: str
    running: bool


async def ejects(client: Client, stage: Stage | End | None = None) -> AsyncIterator[Listed]:
    """Every eject that Temporal still shows, the latest first; a new one may take a second to appear."""
    query = "WorkflowType = 'Eject'" + (f" AND {Attribute.STAGE} = '{stage}'" if stage else "")
    async for info in executions(client, query):
        values = decode_typed_search_attributes(info.search_attributes)
        yield Listed(
            client_id=values.get(attributes.CLIENT) or info.execution.workflow_id.removeprefix("eject-"),
            stage=values.get(attributes.STAGE) or "unknown",
            window_closes=values.get(attributes.WINDOW_CLOSES),
            started=info.start_time.ToDatetime(tzinfo=UTC),
            run=run_of(info),
        )


async def executions(client: Client, query: str) -> AsyncIterator[WorkflowExecutionInfo]:
    """Every workflow that a query finds, page by page."""
    token = b""
    while True:
        page = await client.workflow_service.list_workflow_executions(
            ListWorkflowExecutionsRequest(
                namespace=client.namespace, page_size=_PAGE, next_page_token=token, query=query
            )
        )
        for info in page.executions:
            yield info
        token = page.next_page_token
        if not token:
            return


async def describe(client: Client, workflow: str) -> DescribeWorkflowExecutionResponse:
    """The latest run of one workflow, as the server knows it now; a listing lags behind."""
    return await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow)
        )
    )


async def latest(client: Client, client_id: str) -> Latest | None:
    """A client's latest eject, asked of itself; None where Temporal knows of none."""
    try:
        info = (await describe(client, workflow_id(client_id))).workflow_execution_info
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    # One that was started plainly has no stage before its first task.
    stage = decode_typed_search_attributes(info.search_attributes).get(attributes.STAGE) or Stage.CHECKING
    return Latest(stage, info.first_run_id, not info.HasField("close_time"))


async def stage_of(client: Client, client_id: str) -> str | None:
    """The stage of a client's running eject; None where none runs."""
    found = await latest(client, client_id)
    return found.stage if found and found.running else None


async def described(client: Client, client_id: str) -> tuple[str, list[Trying]]:
    """How Temporal calls the state of a client's latest eject, and which steps are being tried again."""
    answer = await describe(client, workflow_id(client_id))
    trying = [
        Trying(
            step=pending.activity_type.name,
            attempt=pending.attempt,
            trouble=await _trouble(client, pending),
        )
        for pending in answer.pending_activities
    ]
    return run_of(answer.workflow_execution_info), trying


async def _trouble(client: Client, pending: PendingActivityInfo) -> str:
    if pending.HasField("last_failure"):
        met: BaseException | None = await client.data_converter.decode_failure(pending.last_failure)
        told = []
        while isinstance(met, FailureError):
            told.append(met.message)
            met = met.cause
        return ": ".join(told)
    return PendingActivityState.Name(pending.state).removeprefix("PENDING_ACTIVITY_STATE_").lower()


def run_of(info: WorkflowExecutionInfo) -> str:
    """How Temporal calls the state of a run."""
    name = WorkflowExecutionStatus.DESCRIPTOR.values_by_number.get(info.status)
    return name.name.removeprefix("WORKFLOW_EXECUTION_STATUS_").lower() if name else f"state {info.status}"
